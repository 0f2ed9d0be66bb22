#include "services/sla_timer/answers.h"

#include <gtest/gtest.h>

#include "common/time/zones.h"
#include "services/sla_timer/clock_testing.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

// A ticket that was opened on a Monday morning under the built-in policy.
records::TicketRecord Opened(const PolicyVersions& policies) {
  records::TicketRecord record;
  records::Fact& fact = *record.add_facts();
  fact.set_kind(static_cast<int>(FactKind::kOpened));
  fact.set_at_us(absl::ToUnixMicros(At("2026-11-23T09:00Z")));
  fact.set_event_id("ev_1");
  corridor::Decision decision;
  corridor::Inputs in;
  in.now = At("2026-11-23T09:00Z");
  in.cause = "ev_1";
  Judge("tkt_1", record, 0, std::nullopt, policies, in, decision);
  return record;
}

TEST(Drift, IsFoundFieldByFieldAndOnlyWhereThereIsAny) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(BuiltInPolicy()));
  records::TicketRecord record = Opened(policies);
  const absl::Time now = At("2026-11-23T09:10Z");
  auto drifts = [&] {
    return DriftsOf("tkt_1", record, type::v1::SLA_METRIC_FIRST_RESPONSE, policies, now);
  };
  EXPECT_EQ(drifts().size(), 0u);
  record.mutable_clocks(0)->set_due_us(record.clocks(0).due_us() + 1);
  ASSERT_EQ(drifts().size(), 1u);
  EXPECT_EQ(drifts()[0].field(), "due");
  record.mutable_clocks(0)->set_phase(2);
  EXPECT_EQ(drifts().size(), 2u);
  record.mutable_clocks()->DeleteSubrange(0, 1);
  ASSERT_EQ(drifts().size(), 1u);
  EXPECT_EQ(drifts()[0].field(), "cycles");
}

// A stored due instant that is a second away from what the facts give, judged under `tzdata`.
std::vector<sla::v1::ClockDrift> DriftsUnder(const std::string& tzdata, bool always_open) {
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  if (always_open) {
    for (sla::v1::Calendar& calendar : *policy.mutable_calendars()) {
      calendar.clear_weekly();
      calendar.clear_holidays();
      calendar.clear_overrides();
      calendar.set_always_open(true);
    }
  }
  PolicyVersions policies;
  policies.Add(0, RulesOf(policy));
  records::TicketRecord record = Opened(policies);
  for (records::Clock& clock : *record.mutable_clocks()) {
    clock.set_due_us(clock.due_us() + 1'000'000);
    clock.set_tzdata_version(tzdata);
  }
  return DriftsOf("tkt_1", record, type::v1::SLA_METRIC_RESOLUTION, policies,
                  At("2026-11-23T09:10Z"));
}

TEST(Drift, OfAClockThatWasJudgedUnderOtherTimeZonesHasThatCause) {
  const auto changed = DriftsUnder("1999a", false);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].cause(), sla::v1::CLOCK_DRIFT_CAUSE_TZDATA);
  EXPECT_EQ(changed[0].stored_tzdata_version(), "1999a");
}

TEST(Drift, IsAFaultWhereTimeZonesAreTheSameUnknownOrHaveNoSay) {
  const auto cause = [](const std::vector<sla::v1::ClockDrift>& drifts) {
    return drifts.size() == 1 ? drifts[0].cause() : sla::v1::CLOCK_DRIFT_CAUSE_UNSPECIFIED;
  };
  EXPECT_EQ(cause(DriftsUnder(time::TzdataVersion(), false)), sla::v1::CLOCK_DRIFT_CAUSE_FACTS);
  EXPECT_EQ(cause(DriftsUnder("", false)), sla::v1::CLOCK_DRIFT_CAUSE_FACTS);
  EXPECT_EQ(cause(DriftsUnder("1999a", true)), sla::v1::CLOCK_DRIFT_CAUSE_FACTS);
}

TEST(Drift, IsJudgedAgainstTheTimeZonesOfTheLastJudgement) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(BuiltInPolicy()));
  const records::TicketRecord record = Opened(policies);
  for (const records::Clock& clock : record.clocks()) {
    EXPECT_EQ(clock.tzdata_version(), time::TzdataVersion());
  }
}

TEST(Status, ShowsWorkingDaysAsTheyAreWrittenAndWhatTheyAre) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(PolicyOf(std::string(kNewYork) + R"(
    rules { name: "all" targets { metric: SLA_METRIC_RESOLUTION budget_text: "3 working days"
                                  calendar: "new-york" } })")));
  Fact opened;
  opened.at = At("2026-11-24T15:00Z");
  const Evaluation evaluation = Evaluate({opened}, type::v1::SLA_METRIC_RESOLUTION, policies, {});
  ASSERT_NE(evaluation.Latest(), nullptr);
  const sla::v1::ClockStatus status =
      StatusOf(type::v1::SLA_METRIC_RESOLUTION, *evaluation.Latest(), nullptr, opened.at);
  EXPECT_EQ(status.target_text(), "3 working days");
  EXPECT_EQ(status.target().seconds(), 3 * 510 * 60);
  EXPECT_EQ(status.working_days_end_at().seconds(), absl::ToUnixSeconds(At("2026-11-30T15:00Z")));
}

TEST(Facts, OfOneEventAreTakenOnce) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(BuiltInPolicy()));
  records::TicketRecord record = Opened(policies);
  records::Fact fact;
  fact.set_kind(static_cast<int>(FactKind::kResolved));
  fact.set_at_us(absl::ToUnixMicros(At("2026-11-23T10:00Z")));
  fact.set_event_id("ev_2");
  EXPECT_TRUE(*AddFact(record, fact));
  EXPECT_FALSE(*AddFact(record, fact));
}

TEST(Facts, BeyondTheLimitAreRefused) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(BuiltInPolicy()));
  records::TicketRecord record = Opened(policies);
  for (int i = record.facts_size(); i <= kMostFacts; ++i) {
    records::Fact fact;
    fact.set_kind(static_cast<int>(FactKind::kState));
    fact.set_state(i % 2 == 0 ? type::v1::TICKET_STATE_OPEN : type::v1::TICKET_STATE_PENDING);
    fact.set_event_id(std::to_string(i));
    const absl::StatusOr<bool> added = AddFact(record, fact);
    EXPECT_EQ(added.ok(), i < kMostFacts) << i;
  }
  EXPECT_EQ(record.facts_size(), kMostFacts);
}

TEST(Facts, BeyondManyRepeatsAreKeptOnlyWhereTheyMayStopAClock) {
  PolicyVersions policies;
  policies.Add(0, RulesOf(BuiltInPolicy()));
  records::TicketRecord record = Opened(policies);
  auto reply = [&](const std::string& id) {
    records::Fact fact;
    fact.set_kind(static_cast<int>(FactKind::kReply));
    fact.set_event_id(id);
    return *AddFact(record, fact);
  };
  for (int i = 0; i < kManyRepeats; ++i) EXPECT_TRUE(reply(std::to_string(i)));
  EXPECT_FALSE(reply("one more"));
  records::Fact reopened;
  reopened.set_kind(static_cast<int>(FactKind::kReopened));
  ASSERT_TRUE(*AddFact(record, reopened));
  EXPECT_TRUE(reply("after a reopening"));
  EXPECT_FALSE(reply("after that"));
}

}  // namespace
}  // namespace tandem::sla_timer
