// Which version of the policy takes a ticket, and what a new one would do to open tickets.
#include "services/sla_timer/policy_effects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/sla_timer/service.h"
#include "services/sla_timer/ticket_clocks.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::sla_timer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SlaPolicyEffects : public ::testing::Test {
 protected:
  SlaPolicyEffects() : harness_([] { return Make(); }) {}

  void Open(const std::string& ticket_id, absl::Time at) {
    events::v1::TicketOpened opened;
    opened.set_ticket_id(ticket_id);
    opened.set_account_id("acct_1");
    opened.set_version(1);
    opened.set_channel(type::v1::CHANNEL_PORTAL);
    *opened.mutable_occurred_at() = time::Stamp(at);
    harness_.Deliver("ticket_intake", ticket_id, "acct_1", opened, at);
    events::v1::TicketTriaged triaged;
    triaged.set_ticket_id(ticket_id);
    triaged.set_account_id("acct_1");
    triaged.set_severity(type::v1::SEVERITY_URGENT);
    *triaged.mutable_occurred_at() = time::Stamp(at);
    harness_.Deliver("triage", ticket_id, "acct_1", triaged, at);
  }
  sla::v1::ApplyPolicyResponse Apply(const sla::v1::SlaPolicy& policy, bool validate_only = false) {
    sla::v1::ApplyPolicyRequest request;
    request.set_request_id(absl::StrCat("request_", ++requests_));
    *request.mutable_policy() = policy;
    request.set_validate_only(validate_only);
    const auto reply = harness_.Call<sla::v1::ApplyPolicyResponse>(
        "tandem.sla.v1.PolicyService/ApplyPolicy", request);
    EXPECT_TRUE(reply.ok()) << reply.status();
    harness_.Settle();
    return reply.ok() ? *reply : sla::v1::ApplyPolicyResponse();
  }
  // "code metric count" of each effect that the policy would have.
  std::vector<std::string> Effects(const sla::v1::SlaPolicy& policy) {
    std::vector<std::string> effects;
    const sla::v1::ApplyPolicyResponse looked = Apply(policy, /*validate_only=*/true);
    for (const type::v1::PolicyEffect& effect : looked.effects()) {
      effects.push_back(absl::StrCat(effect.code(), " ", effect.subject(), " ", effect.count()));
    }
    return effects;
  }
  // The version that the ticket's RESOLUTION clock goes by.
  int64_t VersionOf(const std::string& ticket_id) {
    const sla::v1::GetTicketSlaResponse sla = Sla(ticket_id);
    for (const sla::v1::ClockStatus& clock : sla.clocks()) {
      if (clock.metric() == type::v1::SLA_METRIC_RESOLUTION) return clock.policy().version();
    }
    return -1;
  }
  sla::v1::GetTicketSlaResponse Sla(const std::string& ticket_id) {
    sla::v1::GetTicketSlaRequest request;
    request.set_ticket_id(ticket_id);
    const auto reply = harness_.Call<sla::v1::GetTicketSlaResponse>(
        "tandem.sla.v1.SlaService/GetTicketSla", request);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *reply : sla::v1::GetTicketSlaResponse();
  }
  static sla::v1::SlaPolicy WithBudget(int64_t seconds, sla::v1::PolicyScope scope) {
    sla::v1::SlaPolicy policy = BuiltInPolicy();
    policy.set_applies_to(scope);
    for (sla::v1::SlaRule& rule : *policy.mutable_rules()) {
      for (sla::v1::SlaTarget& target : *rule.mutable_targets()) {
        target.mutable_budget()->set_seconds(seconds);
        target.clear_budget_text();
        target.clear_warnings();
      }
    }
    return policy;
  }

  testing::ServiceHarness harness_;
  int requests_ = 0;
};

TEST_F(SlaPolicyEffects, ANewTicketTakesTheVersionInForceWhateverTheClocksSay) {
  EXPECT_EQ(Apply(WithBudget(7200, sla::v1::POLICY_SCOPE_NEW_TICKETS)).version(), 1);
  // The clock that dates openings is behind the one that dated the policy, or was set back.
  Open("t1", harness_.Now() - absl::Minutes(10));
  EXPECT_EQ(VersionOf("t1"), 1);
  Open("t2", harness_.Now() + absl::Minutes(10));
  EXPECT_EQ(VersionOf("t2"), 1);
}

TEST_F(SlaPolicyEffects, AnOpenTicketTakesANewVersionThatIsDatedBeforeItsOpening) {
  Open("t1", harness_.Now() + absl::Minutes(10));
  EXPECT_EQ(Apply(WithBudget(7200, sla::v1::POLICY_SCOPE_OPEN_TICKETS)).version(), 1);
  harness_.Advance(absl::Seconds(1));
  EXPECT_EQ(VersionOf("t1"), 1);
}

TEST_F(SlaPolicyEffects, VersionsFollowOneAnotherAlsoWhereTheirInstantsDoNot) {
  records::TicketRecord ticket;
  records::Fact& opened = *ticket.add_facts();
  opened.set_kind(static_cast<int>(FactKind::kOpened));
  opened.set_at_us(1000);
  records::PolicyHistory history;
  for (const auto& [version, applied_us] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 5000}, {2, 2000}, {3, 500}, {4, 6000}}) {
    records::PolicyLine& line = *history.add_lines();
    line.set_version(version);
    line.set_applied_us(applied_us);
    line.set_takes_open_tickets(true);
  }
  EXPECT_EQ(VersionInForce(history), 4);
  ASSERT_TRUE(TakePolicies(ticket, history).ok());
  std::vector<int64_t> versions, instants;
  for (const Fact& fact : FactsOf(ticket)) {
    versions.push_back(fact.policy_version);
    instants.push_back(time::ToMicros(fact.at));
  }
  EXPECT_THAT(versions, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(instants, ElementsAre(1000, 5000, 5000, 5000, 6000));
}

TEST_F(SlaPolicyEffects, TellsWhichClocksMoveAndMovesThemSo) {
  Open("t1", harness_.Now());
  harness_.Advance(absl::Minutes(10));
  const sla::v1::SlaPolicy policy = WithBudget(7200, sla::v1::POLICY_SCOPE_OPEN_TICKETS);
  const sla::v1::GetTicketSlaResponse before = Sla("t1");
  std::vector<std::string> expected;
  const sla::v1::ApplyPolicyResponse looked = Apply(policy, /*validate_only=*/true);
  EXPECT_EQ(Sla("t1").clocks(0).due_at().seconds(), before.clocks(0).due_at().seconds());
  Apply(policy);
  harness_.Advance(absl::Seconds(1));
  const sla::v1::GetTicketSlaResponse after = Sla("t1");
  ASSERT_EQ(after.clocks_size(), before.clocks_size());
  for (int i = 0; i < after.clocks_size(); ++i) {
    if (after.clocks(i).due_at().seconds() == before.clocks(i).due_at().seconds()) continue;
    const std::string& name = type::v1::SlaMetric_Name(after.clocks(i).metric());
    expected.push_back(absl::StrCat("clock_moved ", name.substr(sizeof("SLA_METRIC_") - 1), " 1"));
  }
  EXPECT_FALSE(expected.empty());
  std::vector<std::string> told;
  for (const type::v1::PolicyEffect& effect : looked.effects()) {
    told.push_back(absl::StrCat(effect.code(), " ", effect.subject(), " ", effect.count()));
  }
  EXPECT_EQ(told, expected);
}

TEST_F(SlaPolicyEffects, TellsWhichClocksWouldBeOverdueOrHaveNoTarget) {
  Open("t1", harness_.Now());
  Open("t2", harness_.Now());
  harness_.Advance(absl::Minutes(10));
  EXPECT_THAT(Effects(WithBudget(60, sla::v1::POLICY_SCOPE_OPEN_TICKETS)),
              ElementsAre("clock_breached FIRST_RESPONSE 2", "clock_breached RESOLUTION 2",
                          "clock_breached TIME_TO_OWN 2"));
  sla::v1::SlaPolicy none = BuiltInPolicy();
  none.set_applies_to(sla::v1::POLICY_SCOPE_OPEN_TICKETS);
  for (sla::v1::SlaRule& rule : *none.mutable_rules()) rule.clear_targets();
  EXPECT_THAT(Effects(none),
              ElementsAre("clock_cancelled FIRST_RESPONSE 2", "clock_cancelled RESOLUTION 2",
                          "clock_cancelled TIME_TO_OWN 2"));
}

TEST_F(SlaPolicyEffects, APolicyForNewTicketsChangesNothingThatIsThere) {
  Open("t1", harness_.Now());
  EXPECT_THAT(Effects(WithBudget(60, sla::v1::POLICY_SCOPE_NEW_TICKETS)), IsEmpty());
}

}  // namespace
}  // namespace tandem::sla_timer
