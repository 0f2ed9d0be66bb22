// The shadows against examples worked out by hand: those of the product's page, and one sentence a
// rule.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tests/simulation/shadow_calendar.h"
#include "tests/simulation/shadow_clearance.h"
#include "tests/simulation/shadow_clocks.h"
#include "tests/simulation/shadow_compare.h"

namespace tandem::simulation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using type::v1::SLA_METRIC_FIRST_RESPONSE;
using type::v1::SLA_METRIC_RESOLUTION;

absl::Time At(const std::string& text) { return time::ParseInstant(text).value(); }

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// ---- calendars: the worked examples of the product, §3

constexpr char kNewYork[] = R"(
  name: "new-york" zone: "America/New_York"
  weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                  DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY] start: "09:00" end: "17:30" }
  holidays { date: "2026-11-26" name: "Thanksgiving" })";
constexpr char kLondon[] = R"(
  name: "london" zone: "Europe/London"
  weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                  DAY_OF_WEEK_THURSDAY] start: "08:00" end: "12:00" }
  weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                  DAY_OF_WEEK_THURSDAY] start: "13:00" end: "17:00" }
  weekly { days: DAY_OF_WEEK_FRIDAY start: "08:00" end: "16:00"
           breaks { start: "12:00" end: "13:00" } })";
constexpr char kKathmandu[] = R"(
  name: "kathmandu" zone: "Asia/Kathmandu"
  weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                  DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY, DAY_OF_WEEK_SATURDAY,
                  DAY_OF_WEEK_SUNDAY] start: "22:00" end: "06:00" })";
constexpr char kLordHowe[] = R"(name: "lord-howe" zone: "Australia/Lord_Howe" always_open: true)";

ShadowCalendar Calendar(const std::string& text) {
  return ShadowCalendar::Make(FromText<sla::v1::Calendar>(text)).value();
}

TEST(ShadowCalendar, AddsAsTheWorkedExamplesDo) {
  struct Example {
    std::string calendar;
    std::string from;
    absl::Duration budget;
    std::string due;
  };
  for (const Example& example :
       {Example{kNewYork, "2026-11-25T20:00Z", absl::Hours(10), "2026-11-27T21:30Z"},
        Example{kNewYork, "2026-11-23T18:30Z", absl::Hours(4), "2026-11-23T22:30Z"},
        Example{kLondon, "2026-10-23T12:30Z", absl::Hours(9), "2026-10-26T15:30Z"},
        Example{kKathmandu, "2026-03-01T15:00Z", absl::Hours(7), "2026-03-01T23:15Z"},
        Example{kLordHowe, "2026-10-03T14:00Z", absl::Hours(24), "2026-10-04T14:00Z"}}) {
    const ShadowCalendar calendar = Calendar(example.calendar);
    EXPECT_EQ(calendar.After(At(example.from), example.budget), At(example.due))
        << calendar.name() << " " << example.from;
    EXPECT_EQ(calendar.OpenTime(At(example.from), At(example.due)), example.budget);
  }
}

TEST(ShadowCalendar, SubtractsAsTheWorkedExampleDoes) {
  EXPECT_EQ(Calendar(kNewYork).Before(At("2026-11-27T15:00Z"), absl::Hours(3)),
            At("2026-11-25T20:30Z"));
}

TEST(ShadowCalendar, MeasuresAsTheWorkedExampleDoes) {
  EXPECT_EQ(Calendar(kLondon).OpenTime(At("2026-10-23T10:30Z"), At("2026-10-27T09:15Z")),
            absl::Seconds(45'900));
}

TEST(ShadowCalendar, BeginsAfterTheGapWhereTheLocalTimeDoesNotExist) {
  // New York skips 02:00 to 03:00 on 2027-03-14: 02:30 means 03:00, which is 07:00Z.
  const ShadowCalendar calendar = Calendar(R"(
      name: "gap" zone: "America/New_York"
      weekly { days: DAY_OF_WEEK_SUNDAY start: "02:30" end: "04:00" })");
  const auto openings = calendar.Openings(At("2027-03-14T00:00Z"), At("2027-03-15T00:00Z"));
  ASSERT_THAT(openings, SizeIs(1));
  EXPECT_EQ(openings[0].from, At("2027-03-14T07:00Z"));
  EXPECT_EQ(openings[0].to, At("2027-03-14T08:00Z"));
}

TEST(ShadowCalendar, TakesTheFirstOfALocalTimeThatComesTwice) {
  // New York has 01:00 to 02:00 twice on 2026-11-01; the first 01:30 is 05:30Z.
  const ShadowCalendar calendar = Calendar(R"(
      name: "twice" zone: "America/New_York"
      weekly { days: DAY_OF_WEEK_SUNDAY start: "01:30" end: "03:00" })");
  const auto openings = calendar.Openings(At("2026-11-01T00:00Z"), At("2026-11-02T00:00Z"));
  ASSERT_THAT(openings, SizeIs(1));
  EXPECT_EQ(openings[0].from, At("2026-11-01T05:30Z"));
  EXPECT_EQ(openings[0].to - openings[0].from, absl::Minutes(150));
}

TEST(ShadowCalendar, PutsABreakPastMidnightOnItsOwnSide) {
  const ShadowCalendar calendar = Calendar(R"(
      name: "night" zone: "UTC"
      weekly { days: DAY_OF_WEEK_MONDAY start: "22:00" end: "06:00"
               breaks { start: "02:00" end: "02:30" } breaks { start: "23:45" end: "00:15" } })");
  const auto openings = calendar.Openings(At("2026-11-23T00:00Z"), At("2026-11-25T00:00Z"));
  ASSERT_THAT(openings, SizeIs(3));
  EXPECT_EQ(openings[1].from, At("2026-11-24T00:15Z"));
  EXPECT_EQ(openings[1].to, At("2026-11-24T02:00Z"));
}

TEST(ShadowCalendar, LetsAnOverrideCountBeforeAHolidayAndThatBeforeTheWeek) {
  const ShadowCalendar calendar = Calendar(R"(
      name: "exceptions" zone: "UTC"
      weekly { days: [DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY] start: "09:00" end: "17:00" }
      holidays { annual: "12-24" } holidays { date: "2026-12-25" }
      overrides { date: "2026-12-24" intervals { start: "10:00" end: "12:00" } })");
  EXPECT_EQ(calendar.OpenTime(At("2026-12-24T00:00Z"), At("2026-12-26T00:00Z")), absl::Hours(2));
}

// ---- clocks

sla::v1::SlaPolicy ClockPolicy() {
  return FromText<sla::v1::SlaPolicy>(absl::StrCat("calendars {", kNewYork, "} calendars {", R"(
    name: "always" zone: "UTC" always_open: true }
  rules { name: "unclassified" when { unclassified: true }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 3600 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 14400 } calendar: "new-york" } }
  rules { name: "critical" when { severities: SEVERITY_CRITICAL }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 900 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 7200 } calendar: "always"
              warnings { percent: 50 } warnings { percent: 75 } } }
  rules { name: "urgent" when { severities: SEVERITY_URGENT }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 7200 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 14400 } calendar: "new-york" } })"));
}

// The events of one ticket, in words.
class Story {
 public:
  explicit Story(const std::string& opened_at) {
    events::v1::TicketOpened body;
    body.set_channel(type::v1::CHANNEL_EMAIL);
    Add(opened_at, body);
  }
  Story& Triaged(const std::string& at, type::v1::Severity severity) {
    events::v1::TicketTriaged body;
    body.set_severity(severity);
    return Add(at, body);
  }
  Story& Severity(const std::string& at, type::v1::Severity severity) {
    events::v1::SeverityChanged body;
    body.set_to_severity(severity);
    return Add(at, body);
  }
  Story& State(const std::string& at, type::v1::TicketState state) {
    events::v1::TicketStateChanged body;
    body.set_to_state(state);
    return Add(at, body);
  }
  Story& Says(const std::string& at, type::v1::AuthorKind author,
              type::v1::Visibility visibility = type::v1::VISIBILITY_PUBLIC) {
    events::v1::TicketMessageAdded body;
    body.set_author_kind(author);
    body.set_visibility(visibility);
    return Add(at, body);
  }
  Story& Resolved(const std::string& at, type::v1::ResolvedBy by = type::v1::RESOLVED_BY_AGENT) {
    events::v1::TicketResolved body;
    body.set_resolved_by(by);
    return Add(at, body);
  }
  Story& Reopened(const std::string& at) {
    events::v1::TicketReopened body;
    body.set_to_state(type::v1::TICKET_STATE_OPEN);
    return Add(at, body);
  }
  // The last event came later than it happened.
  Story& Arriving(const std::string& at) {
    events_.back().arrived_at = At(at);
    return *this;
  }

  const std::vector<ArrivedEvent>& events() const { return events_; }
  ShadowTicket On(const std::string& as_of) const {
    return EvaluateClocks(events_, {{.version = 1, .policy = ClockPolicy()}}, At(as_of)).value();
  }

 private:
  template <typename E>
  Story& Add(const std::string& at, E body) {
    body.set_ticket_id("tkt_1");
    *body.mutable_occurred_at() = time::Stamp(At(at));
    const auto place = static_cast<int64_t>(events_.size());
    if constexpr (requires { body.set_version(1); }) body.set_version(place + 1);
    ArrivedEvent arrived;
    arrived.event.id = absl::StrCat("ev_", place);
    arrived.event.type = E::descriptor()->full_name();
    arrived.event.time = At(at);
    arrived.event.sequence = place;
    body.SerializeToString(&arrived.event.body);
    events_.push_back(std::move(arrived));
    return *this;
  }

  std::vector<ArrivedEvent> events_;
};

std::vector<std::string> Verdicts(const ShadowTicket& ticket, type::v1::SlaMetric metric) {
  std::vector<std::string> verdicts;
  for (const ShadowVerdict& verdict : ticket.verdicts) {
    if (verdict.metric != metric) continue;
    constexpr const char* kNames[] = {"warning", "breached", "met", "stopped", "cancelled"};
    verdicts.push_back(absl::StrCat(kNames[static_cast<int>(verdict.kind)], " ", verdict.threshold,
                                    verdict.threshold.empty() ? "" : " ",
                                    time::FormatInstant(verdict.at)));
  }
  return verdicts;
}

TEST(ShadowClock, StandsStillWhilePendingAsInTheWorkedExample) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .State("2026-11-24T15:00Z", type::v1::TICKET_STATE_PENDING)
                                  .State("2026-11-24T18:10Z", type::v1::TICKET_STATE_OPEN)
                                  .On("2026-11-24T19:00Z");
  const ShadowClock& clock = *ticket.Latest(SLA_METRIC_RESOLUTION);
  EXPECT_EQ(clock.due_at, At("2026-11-24T21:40Z"));
  EXPECT_EQ(clock.used, absl::Minutes(80));
  ASSERT_THAT(clock.segments, SizeIs(3));
  EXPECT_EQ(clock.segments[1].why, "paused: PENDING");
  EXPECT_FALSE(clock.segments[1].counted);
  EXPECT_EQ(clock.segments[2].to, At("2026-11-24T21:40Z"));
}

TEST(ShadowClock, IsNotStoppedByABotOrAnInternalNote) {
  const ShadowTicket ticket =
      Story("2026-11-24T14:30Z")
          .Says("2026-11-24T14:35Z", type::v1::AUTHOR_KIND_BOT)
          .Says("2026-11-24T14:36Z", type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_INTERNAL)
          .On("2026-11-24T15:00Z");
  EXPECT_EQ(ticket.Latest(SLA_METRIC_FIRST_RESPONSE)->phase, sla::v1::CLOCK_PHASE_RUNNING);
}

TEST(ShadowClock, IsMetByAStopExactlyAtTheDueInstantAndBreachedAMicrosecondLater) {
  EXPECT_THAT(Verdicts(Story("2026-11-24T14:30Z")
                           .Says("2026-11-24T15:30Z", type::v1::AUTHOR_KIND_AGENT)
                           .On("2026-11-25T00:00Z"),
                       SLA_METRIC_FIRST_RESPONSE),
              ElementsAre("met 2026-11-24T15:30:00Z"));
  EXPECT_THAT(Verdicts(Story("2026-11-24T14:30Z")
                           .Says("2026-11-24T15:30:00.000001Z", type::v1::AUTHOR_KIND_AGENT)
                           .On("2026-11-25T00:00Z"),
                       SLA_METRIC_FIRST_RESPONSE),
              ElementsAre("breached 2026-11-24T15:30:00Z", "stopped 2026-11-24T15:30:00.000001Z"));
}

TEST(ShadowClock, NeverBreachesWhilePausedAndDoesAtTheResumptionWithNothingLeft) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .State("2026-11-24T18:30Z", type::v1::TICKET_STATE_PENDING)
                                  .State("2026-11-25T15:00Z", type::v1::TICKET_STATE_OPEN)
                                  .On("2026-11-25T16:00Z");
  EXPECT_THAT(Verdicts(ticket, SLA_METRIC_RESOLUTION),
              ElementsAre("breached 2026-11-25T15:00:00Z"));
}

TEST(ShadowClock, CountsTheFirstClassificationFromCreationOn) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Triaged("2026-11-24T14:40Z", type::v1::SEVERITY_CRITICAL)
                                  .On("2026-11-24T14:41Z");
  EXPECT_EQ(ticket.Latest(SLA_METRIC_FIRST_RESPONSE)->due_at, At("2026-11-24T14:45Z"));
  EXPECT_EQ(ticket.Latest(SLA_METRIC_RESOLUTION)->due_at, At("2026-11-24T16:30Z"));
  EXPECT_EQ(ticket.Latest(SLA_METRIC_RESOLUTION)->rule, "critical");
}

TEST(ShadowClock, BreachesAtTheChangeThatLeavesNothing) {
  // Three hours of New York used, then two hours around the clock.
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Triaged("2026-11-24T14:30Z", type::v1::SEVERITY_URGENT)
                                  .Severity("2026-11-24T17:30Z", type::v1::SEVERITY_CRITICAL)
                                  .On("2026-11-24T18:00Z");
  EXPECT_THAT(Verdicts(ticket, SLA_METRIC_RESOLUTION),
              ElementsAre("breached 2026-11-24T17:30:00Z"));
}

TEST(ShadowClock, CarriesOverWhatWasUsedAndTimesEachLegOnItsOwnCalendar) {
  // Two hours around the clock would be due at 17:30Z; one is used, three of New York's four are
  // left.
  const ShadowTicket ticket = Story("2026-11-24T15:30Z")
                                  .Triaged("2026-11-24T15:30Z", type::v1::SEVERITY_CRITICAL)
                                  .Severity("2026-11-24T16:30Z", type::v1::SEVERITY_URGENT)
                                  .On("2026-11-24T16:31Z");
  EXPECT_EQ(ticket.Latest(SLA_METRIC_RESOLUTION)->due_at, At("2026-11-24T19:30Z"));
}

TEST(ShadowClock, GivesOnlyTheHighestOfTheWarningsAlreadyPassed) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Triaged("2026-11-24T16:06Z", type::v1::SEVERITY_CRITICAL)
                                  .On("2026-11-24T16:10Z");
  EXPECT_THAT(Verdicts(ticket, SLA_METRIC_RESOLUTION),
              ElementsAre("warning 75% 2026-11-24T16:06:00Z"));
}

TEST(ShadowClock, CountsResolvedTimeAsPausedAfterAReopening) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Resolved("2026-11-24T15:30Z")
                                  .Reopened("2026-11-24T17:30Z")
                                  .On("2026-11-24T18:00Z");
  const ShadowClock& clock = *ticket.Latest(SLA_METRIC_RESOLUTION);
  EXPECT_EQ(clock.due_at, At("2026-11-24T20:30Z"));
  EXPECT_EQ(clock.segments[1].why, "resolved");
}

TEST(ShadowClock, IsCancelledBySelfService) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Resolved("2026-11-24T14:50Z", type::v1::RESOLVED_BY_SELF_SERVICE)
                                  .On("2026-11-25T00:00Z");
  EXPECT_THAT(Verdicts(ticket, SLA_METRIC_FIRST_RESPONSE),
              ElementsAre("cancelled 2026-11-24T14:50:00Z"));
  EXPECT_EQ(ticket.Latest(SLA_METRIC_RESOLUTION)->cancel_reason, "self_service");
}

TEST(ShadowClock, ComesOutTheSameInAnyOrderOfArrivalAndWithDuplicates) {
  const Story story = Story("2026-11-24T14:30Z")
                          .Triaged("2026-11-24T14:31Z", type::v1::SEVERITY_URGENT)
                          .State("2026-11-24T15:00Z", type::v1::TICKET_STATE_PENDING)
                          .State("2026-11-24T15:00Z", type::v1::TICKET_STATE_OPEN)
                          .Resolved("2026-11-24T16:00Z");
  std::vector<ArrivedEvent> shuffled(story.events().rbegin(), story.events().rend());
  shuffled.push_back(story.events()[2]);
  const ShadowTicket there =
      EvaluateClocks(shuffled, {{.version = 1, .policy = ClockPolicy()}}, At("2026-11-25T00:00Z"))
          .value();
  const ShadowTicket here = story.On("2026-11-25T00:00Z");
  EXPECT_EQ(Verdicts(there, SLA_METRIC_RESOLUTION), Verdicts(here, SLA_METRIC_RESOLUTION));
  EXPECT_EQ(there.Latest(SLA_METRIC_RESOLUTION)->used, here.Latest(SLA_METRIC_RESOLUTION)->used);
}

TEST(ShadowClock, LeavesOpenWhatALateFactMayHaveLetBeTold) {
  const ShadowTicket ticket = Story("2026-11-24T14:30Z")
                                  .Says("2026-11-24T15:20Z", type::v1::AUTHOR_KIND_AGENT)
                                  .Arriving("2026-11-24T16:00Z")
                                  .On("2026-11-24T17:00Z");
  ASSERT_THAT(Verdicts(ticket, SLA_METRIC_FIRST_RESPONSE), ElementsAre("met 2026-11-24T15:20:00Z"));
  for (const ShadowVerdict& verdict : ticket.verdicts) EXPECT_FALSE(verdict.certain);
}

TEST(ShadowClock, TakesANewPolicyOnlyWhereItsHeaderTakesOpenTickets) {
  sla::v1::SlaPolicy later = ClockPolicy();
  later.mutable_rules(0)->mutable_targets(1)->mutable_budget()->set_seconds(7'200);
  const Story story("2026-11-24T14:30Z");
  const auto due = [&](sla::v1::PolicyScope scope) {
    later.set_applies_to(scope);
    return EvaluateClocks(
               story.events(),
               {{.version = 1, .policy = ClockPolicy()}, {2, At("2026-11-24T15:00Z"), later}},
               At("2026-11-24T15:30Z"))
        ->Latest(SLA_METRIC_RESOLUTION)
        ->due_at;
  };
  EXPECT_EQ(due(sla::v1::POLICY_SCOPE_NEW_TICKETS), At("2026-11-24T18:30Z"));
  EXPECT_EQ(due(sla::v1::POLICY_SCOPE_OPEN_TICKETS), At("2026-11-24T16:30Z"));
}

// ---- the comparison of clocks

sla::v1::ClockStatus StatusOf(const ShadowClock& clock) {
  sla::v1::ClockStatus status;
  status.set_metric(clock.metric);
  status.set_cycle(clock.cycle);
  status.set_phase(clock.phase);
  status.set_verdict(clock.verdict);
  *status.mutable_started_at() = time::Stamp(clock.started_at);
  *status.mutable_due_at() = time::Stamp(*clock.due_at);
  *status.mutable_target() = time::StampSpan(clock.target);
  *status.mutable_used() = time::StampSpan(clock.used);
  status.set_calendar(clock.calendar);
  status.mutable_policy()->set_version(clock.policy_version);
  status.mutable_policy()->set_rule(clock.rule);
  return status;
}

TEST(CompareClocks, NamesTheClockTheTwoNumbersAndThePauseThatWasCounted) {
  const Story story = Story("2026-11-24T14:30Z")
                          .State("2026-11-24T15:00Z", type::v1::TICKET_STATE_PENDING)
                          .State("2026-11-24T15:10Z", type::v1::TICKET_STATE_OPEN);
  const std::vector<PolicyInForce> policies = {{.version = 1, .policy = ClockPolicy()}};
  const ShadowTicket ticket = story.On("2026-11-24T15:20Z");
  ClockAnswers answers;
  *answers.ticket.mutable_as_of() = time::Stamp(At("2026-11-24T15:20Z"));
  for (const ShadowClock& clock : ticket.clocks) *answers.ticket.add_clocks() = StatusOf(clock);
  EXPECT_TRUE(CompareClocks(story.events(), policies, answers).ok());

  ClockAnswers generous = answers;
  *generous.ticket.mutable_clocks(1)->mutable_used() = time::StampSpan(absl::Minutes(50));
  EXPECT_EQ(
      CompareClocks(story.events(), policies, generous).message(),
      "ticket tkt_1, RESOLUTION, cycle 1: business time used: the service says 50m, the rules "
      "give 40m");

  sla::v1::ExplainClockResponse explained;
  *explained.mutable_as_of() = answers.ticket.as_of();
  *explained.mutable_clock() = answers.ticket.clocks(1);
  sla::v1::ClockSegment& piece = *explained.add_segments();
  *piece.mutable_from() = time::Stamp(At("2026-11-24T14:30Z"));
  *piece.mutable_to() = time::Stamp(At("2026-11-24T18:40Z"));
  piece.set_counted(true);
  piece.set_why("open");
  answers.explanations.push_back(explained);
  EXPECT_THAT(std::string(CompareClocks(story.events(), policies, answers).message()),
              HasSubstr("from 2026-11-24T15:00:00Z to 2026-11-24T15:10:00Z the service counts "
                        "(open), by the rules it does not count (paused: PENDING)"));
}

TEST(CompareClocks, FindsABreachThatWasNeverPublished) {
  const Story story("2026-11-24T14:30Z");
  const ShadowTicket ticket = story.On("2026-11-24T16:00Z");
  ClockAnswers answers;
  *answers.ticket.mutable_as_of() = time::Stamp(At("2026-11-24T16:00Z"));
  for (const ShadowClock& clock : ticket.clocks) {
    *answers.ticket.add_clocks() = StatusOf(clock);
    if (clock.breached_at.has_value()) {
      *answers.ticket.mutable_clocks(answers.ticket.clocks_size() - 1)->mutable_breached_at() =
          time::Stamp(*clock.breached_at);
    }
  }
  EXPECT_EQ(
      CompareClocks(story.events(), {{.version = 1, .policy = ClockPolicy()}}, answers).message(),
      "ticket tkt_1, FIRST_RESPONSE, cycle 1: breached of 2026-11-24T15:30:00Z was published "
      "0 times, by the rules it is once");
}

// ---- clearance

account::v1::AccountPolicy OutreachRules() {
  return FromText<account::v1::AccountPolicy>(R"(
    outreach {
      rules { condition: HOLD_CONDITION_UNTRIAGED_TICKET scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_CRITICAL_TICKET scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_URGENT_TICKET scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_NORMAL_TICKET_BREACHED scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_NORMAL_TICKET_REOPENED scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_NORMAL_TICKET_FRUSTRATED scope: HOLD_SCOPE_ACCOUNT }
      rules { condition: HOLD_CONDITION_NORMAL_TICKET scope: HOLD_SCOPE_CONTACT }
      rules { condition: HOLD_CONDITION_GENERAL_TICKET scope: HOLD_SCOPE_CONTACT }
      rules { condition: HOLD_CONDITION_BAD_SURVEY scope: HOLD_SCOPE_ACCOUNT }
      clearance_expiry { seconds: 14400 } allowed_skew { seconds: 5 }
      bad_survey { csat_at_most: 2 ces_at_most: 3 nps_at_most: 6 } }
    contact_budget { units: 4 window { seconds: 2592000 } survey_units: 2 commercial_units: 2
                     other_units: 1 survey_window { seconds: 2592000 } })");
}

// The events of one account, in words. What is told at an instant is known a second later unless
// said otherwise.
class Life {
 public:
  Life() { facts_.account_id = "acct_1"; }
  template <typename E>
  Life& Then(const std::string& at, E body) {
    KnownEvent known;
    known.event.id = absl::StrCat("ev_", facts_.events.size());
    known.event.type = E::descriptor()->full_name();
    known.event.time = At(at);
    known.told_at = At(at);
    known.known_by = At(at) + absl::Seconds(1);
    if constexpr (requires { body.set_account_id(""); }) body.set_account_id("acct_1");
    if constexpr (requires { body.mutable_occurred_at(); }) {
      if (!body.has_occurred_at()) *body.mutable_occurred_at() = time::Stamp(At(at));
    }
    body.SerializeToString(&known.event.body);
    facts_.events.push_back(std::move(known));
    return *this;
  }
  Life& Opens(const std::string& at, bool internal = false) {
    events::v1::TicketOpened body;
    body.set_ticket_id("tkt_1");
    body.set_contact_id("cont_1");
    body.add_watcher_contact_ids("cont_2");
    body.set_internal(internal);
    return Then(at, body);
  }
  Life& Triaged(const std::string& at, type::v1::Severity severity) {
    events::v1::TicketTriaged body;
    body.set_ticket_id("tkt_1");
    body.set_severity(severity);
    return Then(at, body);
  }
  Life& KnownBy(const std::string& at) {
    facts_.events.back().known_by = At(at);
    return *this;
  }
  AccountFacts& facts() { return facts_; }
  std::vector<ShadowHold> On(const std::string& at, type::v1::OutreachTopic topic,
                             const std::string& contact_id) const {
    return HoldsOn(facts_, OutreachRules(), {topic, contact_id, At(at), At(at)}).value();
  }
  bool Must(const std::string& at, const std::string& contact_id,
            type::v1::OutreachTopic topic = type::v1::OUTREACH_TOPIC_UPSELL) const {
    return MustHold(On(at, topic, contact_id));
  }
  bool May(const std::string& at, const std::string& contact_id,
           type::v1::OutreachTopic topic = type::v1::OUTREACH_TOPIC_UPSELL) const {
    return MayHold(On(at, topic, contact_id));
  }

 private:
  AccountFacts facts_;
};

TEST(ShadowHold, OfATicketNobodyHasLookedAtStandsForTheWholeAccount) {
  const Life life = Life().Opens("2026-11-24T14:00Z");
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", "cont_9"));
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", ""));
  EXPECT_FALSE(life.May("2026-11-24T13:59Z", "cont_9"));
}

TEST(ShadowHold, LetsTrainingAndFollowUpsOfAResolutionThrough) {
  const Life life = Life().Opens("2026-11-24T14:00Z");
  EXPECT_FALSE(life.May("2026-11-24T14:01Z", "cont_1", type::v1::OUTREACH_TOPIC_TRAINING));
  EXPECT_FALSE(
      life.May("2026-11-24T14:01Z", "cont_1", type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP));
}

TEST(ShadowHold, OfANormalTicketStandsForRequesterAndWatcherUntilItsResolutionBreaches) {
  Life life =
      Life().Opens("2026-11-24T14:00Z").Triaged("2026-11-24T14:00:02Z", type::v1::SEVERITY_NORMAL);
  EXPECT_TRUE(life.Must("2026-11-24T15:00Z", "cont_1"));
  EXPECT_TRUE(life.Must("2026-11-24T15:00Z", "cont_2"));
  EXPECT_FALSE(life.May("2026-11-24T15:00Z", "cont_9"));
  events::v1::SlaBreached breached;
  breached.mutable_clock()->set_ticket_id("tkt_1");
  breached.mutable_clock()->set_metric(SLA_METRIC_RESOLUTION);
  life.Then("2026-11-24T16:00Z", breached);
  EXPECT_TRUE(life.Must("2026-11-24T16:01Z", "cont_9"));
}

TEST(ShadowHold, MayStandUntilWhatEndsItIsKnown) {
  const Life life = Life()
                        .Opens("2026-11-24T14:00Z")
                        .Triaged("2026-11-24T14:10Z", type::v1::SEVERITY_GENERAL)
                        .KnownBy("2026-11-24T14:20Z");
  const auto holds = life.On("2026-11-24T14:15Z", type::v1::OUTREACH_TOPIC_UPSELL, "cont_9");
  ASSERT_THAT(holds, SizeIs(1));
  EXPECT_FALSE(holds[0].certain);
  EXPECT_THAT(holds[0].rules, ElementsAre("untriaged_ticket"));
  EXPECT_FALSE(life.May("2026-11-24T14:21Z", "cont_9"));
}

TEST(ShadowHold, DoesNotStandForInternalTickets) {
  EXPECT_THAT(Life()
                  .Opens("2026-11-24T14:00Z", true)
                  .On("2026-11-24T15:00Z", type::v1::OUTREACH_TOPIC_UPSELL, "cont_1"),
              IsEmpty());
}

TEST(ShadowHold, OfABadSurveyStandsUntilItsFollowUpIsClosed) {
  events::v1::SurveyFollowUpRequested requested;
  requested.mutable_survey()->set_account_id("acct_1");
  requested.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
  requested.set_follow_up_id("follow_1");
  requested.set_score(2);
  events::v1::SurveyFollowUpClosed closed;
  *closed.mutable_survey() = requested.survey();
  closed.set_follow_up_id("follow_1");
  const Life life = Life().Then("2026-11-24T14:00Z", requested).Then("2026-11-25T14:00Z", closed);
  EXPECT_TRUE(life.Must("2026-11-24T15:00Z", "cont_9"));
  EXPECT_FALSE(life.May("2026-11-25T15:00Z", "cont_9"));
}

TEST(ShadowHold, OfAParkedEventStandsUntilItsSubjectIsDrained) {
  Life life;
  life.facts().parked = {{"ev_9", At("2026-11-24T14:00Z"), At("2026-11-24T15:00Z"), true}};
  constexpr auto kTraining = type::v1::OUTREACH_TOPIC_TRAINING;
  EXPECT_FALSE(life.May("2026-11-24T13:59Z", "cont_1", kTraining));
  EXPECT_TRUE(life.Must("2026-11-24T14:30Z", "cont_1", kTraining));
  EXPECT_FALSE(
      life.May("2026-11-24T14:30Z", "cont_1", type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP));
  EXPECT_FALSE(life.May("2026-11-24T15:01Z", "cont_1", kTraining));
  life.facts().parked[0].certain = false;
  EXPECT_FALSE(life.Must("2026-11-24T14:30Z", "cont_1", kTraining));
  EXPECT_TRUE(life.May("2026-11-24T14:30Z", "cont_1", kTraining));
}

events::v1::TouchRecorded TouchOf(type::v1::OutreachTopic topic) {
  events::v1::TouchRecorded body;
  body.set_contact_id("cont_1");
  body.set_topic(topic);
  return body;
}

TEST(ShadowBudget, HoldsTheThirdCommercialTouchOfThirtyDays) {
  const Life life = Life()
                        .Then("2026-11-01T10:00Z", TouchOf(type::v1::OUTREACH_TOPIC_RENEWAL))
                        .Then("2026-11-11T10:00Z", TouchOf(type::v1::OUTREACH_TOPIC_UPGRADE));
  EXPECT_TRUE(life.Must("2026-11-20T10:00Z", "cont_1"));
  EXPECT_FALSE(life.May("2026-11-20T10:00Z", "cont_2"));
  EXPECT_FALSE(life.May("2026-12-01T10:00:01Z", "cont_1"));
}

TEST(ShadowBudget, LetsOneSurveyAContactThroughInThirtyDays) {
  const Life life = Life().Then("2026-11-01T10:00Z", TouchOf(type::v1::OUTREACH_TOPIC_SURVEY_NPS));
  EXPECT_TRUE(life.Must("2026-11-20T10:00Z", "cont_1", type::v1::OUTREACH_TOPIC_SURVEY_TICKET));
  EXPECT_FALSE(life.May("2026-11-20T10:00Z", "cont_1", type::v1::OUTREACH_TOPIC_TRAINING));
}

events::v1::ClearanceGiven Given(const std::string& clearance_id, const std::string& contact_id,
                                 type::v1::OutreachTopic topic, const std::string& expires_at) {
  events::v1::ClearanceGiven body;
  body.set_clearance_id(clearance_id);
  body.set_contact_id(contact_id);
  body.set_topic(topic);
  *body.mutable_expires_at() = time::Stamp(At(expires_at));
  return body;
}

events::v1::SurveyInvited InvitedUnder(const std::string& clearance_id) {
  events::v1::SurveyInvited body;
  body.mutable_survey()->set_account_id("acct_1");
  body.mutable_survey()->set_contact_id("cont_1");
  body.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
  body.set_clearance_id(clearance_id);
  return body;
}

TEST(ShadowBudget, KeepsForTheOthersWhatWasReservedForAllAndUsedForOne) {
  Life life;
  life.Then("2026-11-24T10:00Z",
            Given("clr_1", "", type::v1::OUTREACH_TOPIC_CHECK_IN, "2026-11-24T14:00Z"));
  for (const std::string contact : {"cont_1", "cont_2"}) {
    events::v1::TouchRecorded touch = TouchOf(type::v1::OUTREACH_TOPIC_RENEWAL);
    touch.set_contact_id(contact);
    life.Then("2026-11-24T10:10Z", touch);
  }
  EXPECT_TRUE(life.Must("2026-11-24T10:20Z", "cont_1"));
  events::v1::TouchRecorded check_in = TouchOf(type::v1::OUTREACH_TOPIC_CHECK_IN);
  check_in.set_clearance_id("clr_1");
  life.Then("2026-11-24T10:30Z", check_in);
  EXPECT_TRUE(life.Must("2026-11-24T10:40Z", "cont_2"));
  EXPECT_FALSE(life.May("2026-11-24T14:01Z", "cont_2"));
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", "cont_1"));
  // The same contact again under the same clearance costs again, those who were left only once.
  check_in.clear_contact_id();
  life.Then("2026-11-24T11:00Z", check_in);
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", "cont_2"));
  EXPECT_FALSE(life.May("2026-11-24T14:01Z", "cont_2", type::v1::OUTREACH_TOPIC_TRAINING));
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", "cont_1", type::v1::OUTREACH_TOPIC_TRAINING));
}

TEST(ShadowBudget, CountsAnInvitationAndItsReservationAsOne) {
  Life life;
  life.Then("2026-11-24T10:00Z",
            Given("clr_1", "cont_1", type::v1::OUTREACH_TOPIC_SURVEY_TICKET, "2026-11-24T14:00Z"))
      .Then("2026-11-24T10:01Z", InvitedUnder("clr_1"))
      .KnownBy("2026-11-24T10:10Z");
  EXPECT_FALSE(MayHold(HoldsOn(life.facts(), OutreachRules(),
                               {type::v1::OUTREACH_TOPIC_UPSELL, "cont_1",
                                At("2026-11-24T10:00:30Z"), At("2026-11-24T10:05Z")})
                           .value()));
  life.Then("2026-11-24T10:02Z", TouchOf(type::v1::OUTREACH_TOPIC_RENEWAL));
  EXPECT_TRUE(life.Must("2026-11-24T10:05Z", "cont_1"));
  EXPECT_TRUE(life.Must("2026-11-24T14:01Z", "cont_1"));
}

TEST(ShadowBudget, MayCountAWithdrawnInvitationUntilThatIsKnown) {
  events::v1::SurveyWithdrawn withdrawn;
  *withdrawn.mutable_survey() = InvitedUnder("clr_1").survey();
  withdrawn.set_clearance_id("clr_1");
  Life life;
  life.Then("2026-11-24T10:00Z",
            Given("clr_1", "cont_1", type::v1::OUTREACH_TOPIC_SURVEY_TICKET, "2026-11-24T14:00Z"))
      .Then("2026-11-24T10:01Z", InvitedUnder("clr_1"))
      .Then("2026-11-24T10:02Z", TouchOf(type::v1::OUTREACH_TOPIC_RENEWAL))
      .Then("2026-11-24T11:00Z", withdrawn)
      .KnownBy("2026-11-24T11:10Z");
  EXPECT_TRUE(life.Must("2026-11-24T10:59Z", "cont_1"));
  EXPECT_FALSE(life.Must("2026-11-24T11:05Z", "cont_1"));
  EXPECT_TRUE(life.May("2026-11-24T11:05Z", "cont_1"));
  EXPECT_FALSE(life.May("2026-11-24T11:11Z", "cont_1"));
}

TEST(ShadowException, LetsIssuesThroughAndNotAnOptOut) {
  events::v1::ContactChanged contact;
  contact.set_contact_id("cont_2");
  contact.add_opted_out(type::v1::OUTREACH_TOPIC_UPSELL);
  Life life = Life().Opens("2026-11-24T14:00Z").Then("2026-11-24T14:00Z", contact);
  life.facts().exceptions.push_back(
      {"exc_1", type::v1::OUTREACH_TOPIC_UPSELL, At("2026-11-24T15:00Z"), At("2026-11-24T18:00Z")});
  EXPECT_TRUE(life.Must("2026-11-24T14:30Z", "cont_1"));
  EXPECT_FALSE(life.May("2026-11-24T16:00Z", "cont_1"));
  EXPECT_TRUE(life.Must("2026-11-24T16:00Z", "cont_2"));
}

account::v1::Clearance ClearanceOf(const std::string& given_at) {
  account::v1::Clearance clearance;
  clearance.set_clearance_id("clr_1");
  clearance.set_contact_id("cont_9");
  clearance.set_topic(type::v1::OUTREACH_TOPIC_UPSELL);
  *clearance.mutable_given_at() = time::Stamp(At(given_at));
  *clearance.mutable_as_of() = clearance.given_at();
  *clearance.mutable_expires_at() = time::Stamp(At(given_at) + absl::Hours(4));
  return clearance;
}

TEST(ShadowClearance, IsRevokedOnceATicketThatWasOpenedLaterIsKnown) {
  Life life = Life().Opens("2026-11-24T14:00Z").KnownBy("2026-11-24T14:07Z");
  const ShadowClearance fate = FateOf(life.facts(), OutreachRules(),
                                      ClearanceOf("2026-11-24T13:00Z"), At("2026-11-24T15:00Z"))
                                   .value();
  EXPECT_EQ(fate.revoked_by, At("2026-11-24T14:07Z"));
  EXPECT_EQ(fate.revoking_event_id, "ev_0");
  EXPECT_EQ(fate.expires_at, At("2026-11-24T17:00Z"));
}

TEST(ShadowClearance, IsRevokedByAnEventOfItsAccountThatIsParked) {
  Life life;
  life.facts().parked = {{"ev_9", At("2026-11-24T14:00Z"), At("2026-11-24T15:00Z"), true}};
  const auto fate = [&] {
    return FateOf(life.facts(), OutreachRules(), ClearanceOf("2026-11-24T13:00Z"),
                  At("2026-11-24T16:00Z"))
        .value();
  };
  EXPECT_EQ(fate().revoked_by, At("2026-11-24T14:00Z"));
  EXPECT_EQ(fate().revoking_event_id, "ev_9");
  life.facts().parked[0].certain = false;
  EXPECT_FALSE(fate().revoked_by.has_value());
  EXPECT_THAT(fate().may_revoke, ElementsAre("ev_9"));
}

TEST(ShadowClearance, StandsWhenTheTicketBecomesKnownOnlyAfterItsExpiry) {
  Life life = Life().Opens("2026-11-24T14:00Z").KnownBy("2026-11-24T17:00Z");
  EXPECT_FALSE(FateOf(life.facts(), OutreachRules(), ClearanceOf("2026-11-24T13:00Z"),
                      At("2026-11-24T18:00Z"))
                   ->revoked_by.has_value());
}

TEST(CompareClearance, NamesTheTicketThatAnAllowOverlooked) {
  Life life = Life()
                  .Opens("2026-11-24T14:00Z")
                  .Triaged("2026-11-24T14:00:02Z", type::v1::SEVERITY_CRITICAL);
  OutreachCheck check;
  check.request.set_topic(type::v1::OUTREACH_TOPIC_UPSELL);
  check.request.set_contact_id("cont_9");
  check.asked_at = check.answered_at = At("2026-11-24T15:00Z");
  check.response.set_verdict(account::v1::OUTREACH_VERDICT_ALLOW);
  check.response.set_clearance_id("clr_1");
  ClearanceAnswers answers;
  answers.checks.push_back(check);
  answers.as_of = At("2026-11-24T15:00Z");
  EXPECT_EQ(CompareClearance(life.facts(), OutreachRules(), answers).message(),
            "account acct_1, UPSELL to cont_9 at 2026-11-24T15:00:00Z: was ALLOW (clr_1), by the "
            "rules HOLD: critical_ticket of tkt_1 (surely)");
}

// Asked before the ticket was opened, answered after it was resolved: only the commit between the
// two says that it was known.
TEST(CompareClearance, FindsAnAllowThatWasCommittedAfterATicketHadBeenConsumed) {
  events::v1::TicketResolved resolved;
  resolved.set_ticket_id("tkt_1");
  Life life = Life().Opens("2026-11-24T14:00Z").Then("2026-11-24T14:30Z", resolved);
  for (KnownEvent& known : life.facts().events) known.event.subject = "tkt_1";
  OutreachCheck check;
  check.request.set_topic(type::v1::OUTREACH_TOPIC_UPSELL);
  check.request.set_contact_id("cont_9");
  check.asked_at = At("2026-11-24T13:59Z");
  check.answered_at = At("2026-11-24T14:40Z");
  check.response.set_verdict(account::v1::OUTREACH_VERDICT_ALLOW);
  check.response.set_clearance_id("clr_1");
  check.response.set_units(OutreachRules().contact_budget().commercial_units());
  ClearanceAnswers answers;
  answers.checks.push_back(check);
  EXPECT_TRUE(CompareClearance(life.facts(), OutreachRules(), answers).ok());
  answers.checks.back().given_at = At("2026-11-24T14:20Z");
  EXPECT_THAT(std::string(CompareClearance(life.facts(), OutreachRules(), answers).message()),
              HasSubstr("by a commit of 2026-11-24T14:20:00Z, by the rules HOLD: untriaged_ticket "
                        "of tkt_1, which had been consumed at"));
  answers.checks.back().given_at = At("2026-11-24T14:35Z");
  EXPECT_TRUE(CompareClearance(life.facts(), OutreachRules(), answers).ok());
}

// Whose clock has come to the end of a clearance is not known where clocks differ.
TEST(CompareClearance, LeavesTheEndOfAClearanceToClocksThatDiffer) {
  Life life;
  ClearanceAnswers answers;
  answers.clearances.push_back(ClearanceOf("2026-11-24T13:00Z"));
  answers.clearances.back().set_state(account::v1::CLEARANCE_STATE_STANDING);
  answers.as_of = At("2026-11-24T17:00:02Z");
  EXPECT_FALSE(CompareClearance(life.facts(), OutreachRules(), answers).ok());
  life.facts().skew = absl::Seconds(3);
  EXPECT_TRUE(CompareClearance(life.facts(), OutreachRules(), answers).ok());
  answers.as_of = At("2026-11-24T17:00:04Z");
  EXPECT_FALSE(CompareClearance(life.facts(), OutreachRules(), answers).ok());
}

TEST(ShadowException, OfACallerWhoGaveUpMayStand) {
  Life life = Life().Opens("2026-11-24T14:00Z");
  life.facts().exceptions.push_back({"", type::v1::OUTREACH_TOPIC_UPSELL, At("2026-11-24T15:00Z"),
                                     At("2026-11-24T18:00Z"), absl::InfiniteFuture()});
  EXPECT_FALSE(life.Must("2026-11-24T16:00Z", "cont_1"));
  EXPECT_TRUE(life.May("2026-11-24T16:00Z", "cont_1"));
}

TEST(CompareClearance, FindsAClearanceThatShouldHaveBeenRevoked) {
  Life life = Life().Opens("2026-11-24T14:00Z");
  ClearanceAnswers answers;
  answers.clearances.push_back(ClearanceOf("2026-11-24T13:00Z"));
  answers.clearances.back().set_state(account::v1::CLEARANCE_STATE_STANDING);
  answers.as_of = At("2026-11-24T15:00Z");
  EXPECT_THAT(std::string(CompareClearance(life.facts(), OutreachRules(), answers).message()),
              HasSubstr("was not revoked, by the rules it was by 2026-11-24T14:00:01Z: "
                        "untriaged_ticket of tkt_1 (event ev_0)"));
}

TEST(CompareClearance, FindsARevocationByAnEventThatBlocksNothing) {
  Life life;
  life.facts().parked = {{"ev_9", At("2026-11-24T12:00Z"), At("2026-11-24T12:30Z"), true}};
  ClearanceAnswers answers;
  answers.clearances.push_back(ClearanceOf("2026-11-24T13:00Z"));
  answers.clearances.back().set_state(account::v1::CLEARANCE_STATE_REVOKED);
  answers.clearances.back().set_revoked_by_event_id("ev_1");
  answers.as_of = At("2026-11-24T15:00Z");
  EXPECT_THAT(std::string(CompareClearance(life.facts(), OutreachRules(), answers).message()),
              HasSubstr("revoked by event ev_1"));
}

TEST(CompareClearance, FindsATouchThatAnEndedClearanceIsSaidToCover) {
  ClearanceAnswers answers;
  answers.clearances.push_back(ClearanceOf("2026-11-24T13:00Z"));
  answers.clearances.back().set_state(account::v1::CLEARANCE_STATE_EXPIRED);
  answers.clearances.back().set_given_sequence(1);
  answers.as_of = At("2026-11-24T19:00Z");
  account::v1::Touch& touch = *answers.touches.emplace_back().mutable_touch();
  touch.set_touch_id("tch_1");
  touch.set_topic(type::v1::OUTREACH_TOPIC_UPSELL);
  touch.set_contact_id("cont_9");
  *touch.mutable_occurred_at() = time::Stamp(At("2026-11-24T18:00Z"));
  *touch.mutable_recorded_at() = touch.occurred_at();
  touch.set_sequence(2);
  touch.set_verdict(account::v1::TOUCH_VERDICT_CLEARED);
  touch.set_clearance_id("clr_1");
  EXPECT_THAT(std::string(CompareClearance(Life().facts(), OutreachRules(), answers).message()),
              HasSubstr("is called cleared by \"clr_1\", by the rules that did not cover it"));
}

TEST(ShadowClearance, EndsWithTheExceptionThatItRestsOn) {
  Life life;
  life.facts().exceptions.push_back(
      {"exc_1", type::v1::OUTREACH_TOPIC_UPSELL, At("2026-11-24T12:00Z"), At("2026-11-24T14:00Z")});
  account::v1::Clearance clearance = ClearanceOf("2026-11-24T13:00Z");
  const absl::Time now = At("2026-11-24T13:30Z");
  EXPECT_EQ(FateOf(life.facts(), OutreachRules(), clearance, now)->expires_at,
            At("2026-11-24T17:00Z"));
  clearance.set_exception_id("exc_1");
  EXPECT_EQ(FateOf(life.facts(), OutreachRules(), clearance, now)->expires_at,
            At("2026-11-24T14:00Z"));
}

TEST(CompareClearance, FindsATouchThatAUsedClearanceIsSaidToCoverWithoutUnits) {
  ClearanceAnswers answers;
  answers.clearances.push_back(ClearanceOf("2026-11-24T13:00Z"));
  answers.clearances.back().set_state(account::v1::CLEARANCE_STATE_EXPIRED);
  answers.clearances.back().set_given_sequence(1);
  answers.as_of = At("2026-11-24T19:00Z");
  for (int i = 2; i <= 4; ++i) {
    EXPECT_TRUE(CompareClearance(Life().facts(), OutreachRules(), answers).ok()) << "touch " << i;
    account::v1::Touch& touch = *answers.touches.emplace_back().mutable_touch();
    touch.set_touch_id(absl::StrCat("tch_", i));
    touch.set_topic(type::v1::OUTREACH_TOPIC_UPSELL);
    touch.set_contact_id("cont_9");
    *touch.mutable_occurred_at() = time::Stamp(At("2026-11-24T14:00Z"));
    *touch.mutable_recorded_at() = touch.occurred_at();
    touch.set_sequence(i);
    touch.set_verdict(account::v1::TOUCH_VERDICT_CLEARED);
    touch.set_clearance_id("clr_1");
  }
  EXPECT_THAT(std::string(CompareClearance(Life().facts(), OutreachRules(), answers).message()),
              HasSubstr("which had covered its touch with this contact"));
}

}  // namespace
}  // namespace tandem::simulation
