#include "services/ticket_intake/lifecycle.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::ticket_intake {
namespace {

using namespace type::v1;  // NOLINT
using ::testing::HasSubstr;

const std::vector<TicketState> kUnresolved = {TICKET_STATE_NEW, TICKET_STATE_OPEN,
                                              TICKET_STATE_PENDING, TICKET_STATE_ON_HOLD};
const std::vector<TicketState> kEnded = {TICKET_STATE_RESOLVED, TICKET_STATE_CLOSED,
                                         TICKET_STATE_MERGED};

bool Forbids(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition;
}

TEST(Lifecycle, MovesFreelyAmongOpenPendingAndOnHold) {
  for (const TicketState from : kUnresolved) {
    for (const TicketState to : {TICKET_STATE_OPEN, TICKET_STATE_PENDING, TICKET_STATE_ON_HOLD}) {
      EXPECT_TRUE(CheckMove(from, to).ok()) << StateName(from) << " to " << StateName(to);
    }
  }
}

TEST(Lifecycle, NeverMovesBackToNew) {
  for (int from = TICKET_STATE_NEW; from <= TICKET_STATE_MERGED; ++from) {
    EXPECT_TRUE(Forbids(CheckMove(static_cast<TicketState>(from), TICKET_STATE_NEW)));
  }
}

TEST(Lifecycle, IsResolvedReopenedAndClosedByCommandsOfTheirOwn) {
  for (const TicketState to : kEnded) EXPECT_TRUE(Forbids(CheckMove(TICKET_STATE_OPEN, to)));
}

TEST(Lifecycle, DoesNotLeaveResolvedOrClosedByAMove) {
  for (const TicketState from : kEnded) {
    const absl::Status moved = CheckMove(from, TICKET_STATE_OPEN);
    EXPECT_TRUE(Forbids(moved));
    EXPECT_THAT(std::string(moved.message()), HasSubstr(std::string(StateName(from))));
  }
}

ResolutionGrounds Good(TicketState state) {
  return {.state = state,
          .resolved_by = RESOLVED_BY_AGENT,
          .has_assignee = true,
          .has_agent_answer = true};
}

TEST(Resolution, IsAllowedFromEveryUnresolvedState) {
  for (const TicketState state : kUnresolved) EXPECT_TRUE(CheckResolve(Good(state)).ok());
  for (const TicketState state : kEnded) EXPECT_TRUE(Forbids(CheckResolve(Good(state))));
}

TEST(Resolution, NeedsAnAssignee) {
  ResolutionGrounds grounds = Good(TICKET_STATE_OPEN);
  grounds.has_assignee = false;
  EXPECT_TRUE(Forbids(CheckResolve(grounds)));
}

TEST(Resolution, NeedsNoAssigneeBySelfService) {
  ResolutionGrounds grounds = Good(TICKET_STATE_OPEN);
  grounds.has_assignee = false;
  grounds.resolved_by = RESOLVED_BY_SELF_SERVICE;
  EXPECT_TRUE(CheckResolve(grounds).ok());
}

TEST(Resolution, NeedsAPublicAnswer) {
  ResolutionGrounds grounds = Good(TICKET_STATE_OPEN);
  grounds.has_agent_answer = false;
  EXPECT_TRUE(Forbids(CheckResolve(grounds)));
  grounds.resolved_by = RESOLVED_BY_SELF_SERVICE;
  EXPECT_TRUE(Forbids(CheckResolve(grounds)));
}

TEST(Resolution, TakesAnAutomaticAnswerForSelfServiceOnly) {
  ResolutionGrounds grounds = Good(TICKET_STATE_OPEN);
  grounds.has_agent_answer = false;
  grounds.has_automatic_answer = true;
  EXPECT_TRUE(Forbids(CheckResolve(grounds)));
  grounds.resolved_by = RESOLVED_BY_SELF_SERVICE;
  EXPECT_TRUE(CheckResolve(grounds).ok());
}

TEST(Reopening, IsForResolvedTicketsAlone) {
  EXPECT_TRUE(CheckReopen(TICKET_STATE_RESOLVED).ok());
  for (const TicketState state : kUnresolved) EXPECT_TRUE(Forbids(CheckReopen(state)));
  EXPECT_TRUE(Forbids(CheckReopen(TICKET_STATE_CLOSED)));
}

TEST(Closing, FollowsResolution) {
  for (const CloseReason reason : {CLOSE_REASON_CONFIRMED, CLOSE_REASON_AUTO}) {
    EXPECT_TRUE(CheckClose(TICKET_STATE_RESOLVED, reason).ok());
    for (const TicketState state : kUnresolved) EXPECT_TRUE(Forbids(CheckClose(state, reason)));
  }
}

TEST(Closing, AsSpamIsAllowedFromAnyStateButClosed) {
  for (const TicketState state : kUnresolved) {
    EXPECT_TRUE(CheckClose(state, CLOSE_REASON_SPAM).ok());
  }
  EXPECT_TRUE(CheckClose(TICKET_STATE_RESOLVED, CLOSE_REASON_SPAM).ok());
  EXPECT_TRUE(CheckClose(TICKET_STATE_MERGED, CLOSE_REASON_SPAM).ok());
  EXPECT_TRUE(Forbids(CheckClose(TICKET_STATE_CLOSED, CLOSE_REASON_SPAM)));
}

TEST(RequestersMessage, ReopensWhatWaitedOrWasResolved) {
  const auto effect = [](TicketState state) {
    return EffectOf(state, AUTHOR_KIND_REQUESTER, VISIBILITY_PUBLIC, false);
  };
  EXPECT_EQ(effect(TICKET_STATE_NEW), MessageEffect::kNone);
  EXPECT_EQ(effect(TICKET_STATE_OPEN), MessageEffect::kNone);
  EXPECT_EQ(effect(TICKET_STATE_PENDING), MessageEffect::kOpens);
  EXPECT_EQ(effect(TICKET_STATE_ON_HOLD), MessageEffect::kOpens);
  EXPECT_EQ(effect(TICKET_STATE_RESOLVED), MessageEffect::kReopens);
  EXPECT_EQ(effect(TICKET_STATE_CLOSED), MessageEffect::kFollowUp);
}

TEST(ThankYou, LeavesAResolvedTicketResolvedAndCountsNowhereElse) {
  const auto effect = [](TicketState state) {
    return EffectOf(state, AUTHOR_KIND_REQUESTER, VISIBILITY_PUBLIC, true);
  };
  EXPECT_EQ(effect(TICKET_STATE_RESOLVED), MessageEffect::kThanks);
  EXPECT_EQ(effect(TICKET_STATE_PENDING), MessageEffect::kOpens);
  EXPECT_EQ(effect(TICKET_STATE_CLOSED), MessageEffect::kFollowUp);
}

TEST(AgentsMessage, OpensANewTicketWhenTheCustomerSeesIt) {
  EXPECT_EQ(EffectOf(TICKET_STATE_NEW, AUTHOR_KIND_AGENT, VISIBILITY_PUBLIC, false),
            MessageEffect::kOpens);
  EXPECT_EQ(EffectOf(TICKET_STATE_NEW, AUTHOR_KIND_AGENT, VISIBILITY_INTERNAL, false),
            MessageEffect::kNone);
  EXPECT_EQ(EffectOf(TICKET_STATE_NEW, AUTHOR_KIND_BOT, VISIBILITY_PUBLIC, false),
            MessageEffect::kNone);
  EXPECT_EQ(EffectOf(TICKET_STATE_PENDING, AUTHOR_KIND_AGENT, VISIBILITY_PUBLIC, false),
            MessageEffect::kNone);
  EXPECT_EQ(EffectOf(TICKET_STATE_RESOLVED, AUTHOR_KIND_AGENT, VISIBILITY_PUBLIC, true),
            MessageEffect::kNone);
}

TEST(StrangersMessage, ReopensOnlyIfThePolicySaysSo) {
  const auto effect = [](TicketState state, bool reopens, bool thanks = false) {
    return EffectOf(state, AUTHOR_KIND_THIRD_PARTY, VISIBILITY_PUBLIC, thanks, reopens);
  };
  for (const TicketState state : {TICKET_STATE_NEW, TICKET_STATE_OPEN, TICKET_STATE_PENDING,
                                  TICKET_STATE_ON_HOLD, TICKET_STATE_RESOLVED}) {
    EXPECT_EQ(effect(state, false), MessageEffect::kNone) << TicketState_Name(state);
  }
  EXPECT_EQ(effect(TICKET_STATE_NEW, true), MessageEffect::kNone);
  EXPECT_EQ(effect(TICKET_STATE_PENDING, true), MessageEffect::kOpens);
  EXPECT_EQ(effect(TICKET_STATE_ON_HOLD, true), MessageEffect::kOpens);
  EXPECT_EQ(effect(TICKET_STATE_RESOLVED, true), MessageEffect::kReopens);
  EXPECT_EQ(effect(TICKET_STATE_RESOLVED, true, /*thanks=*/true), MessageEffect::kThanks);
  EXPECT_EQ(effect(TICKET_STATE_CLOSED, true), MessageEffect::kRefused);
}

TEST(ClosedTicket, RefusesEverybodyButTheRequester) {
  for (const AuthorKind author :
       {AUTHOR_KIND_AGENT, AUTHOR_KIND_BOT, AUTHOR_KIND_SYSTEM, AUTHOR_KIND_THIRD_PARTY}) {
    EXPECT_EQ(EffectOf(TICKET_STATE_CLOSED, author, VISIBILITY_PUBLIC, false),
              MessageEffect::kRefused);
  }
}

}  // namespace
}  // namespace tandem::ticket_intake
