#include "services/survey/invitation.h"

#include <set>
#include <string>
#include <vector>

#include "common/time/stamp.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using Kind = Judgement::Kind;
namespace av = account::v1;

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

av::CheckOutreachResponse Hold(const std::vector<std::string>& rules) {
  av::CheckOutreachResponse answer;
  answer.set_verdict(av::OUTREACH_VERDICT_HOLD);
  for (const std::string& rule : rules) answer.add_blocks()->set_rule(rule);
  return answer;
}

av::CheckOutreachResponse Allow(absl::Time expires_at) {
  av::CheckOutreachResponse answer;
  answer.set_verdict(av::OUTREACH_VERDICT_ALLOW);
  answer.set_clearance_id("clr_1");
  *answer.mutable_expires_at() = time::Stamp(expires_at);
  return answer;
}

TEST(Invitation, GoesOutWithAClearanceThatStands) {
  const auto answer = Allow(kNow + absl::Seconds(1));
  const Judgement judgement = JudgeInvitation(absl::OkStatus(), &answer, kNow);
  EXPECT_EQ(judgement.kind, Kind::kGo);
  EXPECT_EQ(judgement.clearance_id, "clr_1");
}

TEST(Invitation, AsksAnewWhenTheClearanceOfALostAnswerIsOver) {
  const auto answer = Allow(kNow);
  EXPECT_EQ(JudgeInvitation(absl::OkStatus(), &answer, kNow).kind, Kind::kAskAnew);
}

struct HeldCase {
  const char* name;
  absl::Status status;
  std::vector<std::string> rules;
  Kind invitation;
  const char* invitation_reason;
  Kind reminder;
  const char* reminder_reason;
};

class Held : public testing::TestWithParam<HeldCase> {};

TEST_P(Held, MeansWhatTheProductSays) {
  const HeldCase& one = GetParam();
  const auto answer = Hold(one.rules);
  const auto* given = one.status.ok() ? &answer : nullptr;
  const Judgement invitation = JudgeInvitation(one.status, given, kNow);
  EXPECT_EQ(invitation.kind, one.invitation);
  EXPECT_EQ(invitation.reason, one.invitation_reason);
  const Judgement reminder = JudgeReminder(one.status, given);
  EXPECT_EQ(reminder.kind, one.reminder);
  EXPECT_EQ(reminder.reason, one.reminder_reason);
}

INSTANTIATE_TEST_SUITE_P(
    Each, Held,
    testing::Values(
        HeldCase{"Fatigue", {}, {"fatigue"}, Kind::kNever, "fatigue", Kind::kGo, ""},
        HeldCase{"OptOut", {}, {"opt_out"}, Kind::kNever, "opt_out", Kind::kNever, "opt_out"},
        HeldCase{"OptOutBehindFatigue",
                 {},
                 {"fatigue", "opt_out"},
                 Kind::kNever,
                 "opt_out",
                 Kind::kNever,
                 "opt_out"},
        HeldCase{"OpenIssue",
                 {},
                 {"critical_ticket"},
                 Kind::kWait,
                 "critical_ticket",
                 Kind::kNever,
                 "critical_ticket"},
        HeldCase{"OpenIssueAndFatigue",
                 {},
                 {"critical_ticket", "fatigue"},
                 Kind::kNever,
                 "fatigue",
                 Kind::kNever,
                 "critical_ticket"},
        HeldCase{"IntakeDown",
                 {},
                 {"intake_unreachable"},
                 Kind::kWait,
                 "intake_unreachable",
                 Kind::kNever,
                 "intake_unreachable"},
        HeldCase{"NoReason", {}, {}, Kind::kWait, "hold", Kind::kNever, "hold"},
        HeldCase{"PeerDown",
                 absl::UnavailableError("down"),
                 {},
                 Kind::kWaitLost,
                 "unreachable",
                 Kind::kWaitLost,
                 "unreachable"},
        HeldCase{"PeerSlow",
                 absl::DeadlineExceededError("slow"),
                 {},
                 Kind::kWaitLost,
                 "unreachable",
                 Kind::kWaitLost,
                 "unreachable"},
        HeldCase{"PeerBroken",
                 absl::InternalError("broken"),
                 {},
                 Kind::kWaitLost,
                 "unreachable",
                 Kind::kWaitLost,
                 "unreachable"},
        HeldCase{"NobodyThere",
                 absl::NotFoundError("none"),
                 {},
                 Kind::kNever,
                 "no_contact",
                 Kind::kNever,
                 "no_contact"}),
    [](const auto& one) { return one.param.name; });

TEST(Contact, IsWrittenToAtTheFirstAddressThatMailCanReach) {
  struct Case {
    std::vector<std::string> addresses;
    const char* used;
  };
  for (const Case& one :
       {Case{{"a@x.example", "b@x.example"}, "a@x.example"},
        Case{{"+49 30 123456", "b@x.example"}, "b@x.example"},
        Case{{"", "b@x.example"}, "b@x.example"}, Case{{"Ada A <Ada@x.example>"}, "Ada@x.example"},
        Case{{"ada@bücher.example"}, "ada@xn--bcher-kva.example"},
        Case{{"a@x.example\r\nBcc: all@x.example", "b@x.example"}, "b@x.example"},
        Case{{std::string(321, 'a'), "b@x.example"}, "b@x.example"}}) {
    av::GetContactResponse answer;
    for (const std::string& address : one.addresses)
      answer.mutable_contact()->add_addresses(address);
    const Judgement judgement = JudgeContact(absl::OkStatus(), &answer);
    EXPECT_EQ(judgement.kind, Kind::kGo);
    EXPECT_EQ(judgement.address, one.used);
  }
}

TEST(Contact, WhomNoMailReachesIsNone) {
  av::GetContactResponse answer;
  EXPECT_EQ(JudgeContact(absl::OkStatus(), &answer).reason, "no_contact");
  answer.mutable_contact()->add_addresses("two\nlines");
  answer.mutable_contact()->add_addresses("+49 30 123456");
  answer.mutable_contact()->add_addresses("a@b@x.example");
  EXPECT_EQ(JudgeContact(absl::OkStatus(), &answer).kind, Kind::kNever);
  EXPECT_EQ(JudgeContact(absl::OkStatus(), &answer).reason, "no_contact");
  EXPECT_EQ(JudgeContact(absl::NotFoundError("none"), nullptr).reason, "no_contact");
  EXPECT_EQ(JudgeContact(absl::UnavailableError("down"), nullptr).kind, Kind::kWaitLost);
}

TEST(NextTry, ComesEveryHourAndOnceMoreAtTheEndOfThreeDays) {
  absl::Time due = kNow;
  int tries = 1;
  for (;; ++tries) {
    // Each try is made a little late.
    const absl::Time next =
        NextTry(kNow, due, due + absl::Minutes(7), absl::Hours(72), absl::Hours(1));
    if (next == absl::InfiniteFuture()) break;
    ASSERT_GT(next, due);
    ASSERT_LE(next, kNow + absl::Hours(72));
    due = next;
  }
  EXPECT_EQ(due, kNow + absl::Hours(72));
  EXPECT_EQ(tries, 66);  // 72 h in steps of 67 minutes, and the last
}

TEST(NextTry, IsTheLastOneAfterALongStandstill) {
  const absl::Time last = kNow + absl::Hours(72);
  EXPECT_EQ(NextTry(kNow, kNow + absl::Hours(2), kNow + absl::Hours(100), absl::Hours(72),
                    absl::Hours(1)),
            last);
  EXPECT_EQ(NextTry(kNow, last, kNow + absl::Hours(100), absl::Hours(72), absl::Hours(1)),
            absl::InfiniteFuture());
}

TEST(NextTry, IsNoneWhereThePolicyGivesNoTime) {
  EXPECT_EQ(NextTry(kNow, kNow, kNow, absl::ZeroDuration(), absl::Hours(1)),
            absl::InfiniteFuture());
}

TEST(SurveyId, IsOneForEachResolutionOfATicket) {
  EXPECT_EQ(SurveyId("tkt_1", 1), SurveyId("tkt_1", 1));
  const std::set<std::string> ids = {SurveyId("tkt_1", 1), SurveyId("tkt_1", 2),
                                     SurveyId("tkt_11", 1), SurveyId("tkt_1", 11)};
  EXPECT_EQ(ids.size(), 4u);
}

}  // namespace
}  // namespace tandem::survey
