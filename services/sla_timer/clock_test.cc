#include "services/sla_timer/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "services/sla_timer/clock_testing.h"
#include "services/sla_timer/explain.h"
#include "services/sla_timer/judge.h"

namespace tandem::sla_timer {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using type::v1::SEVERITY_CRITICAL;
using type::v1::SEVERITY_GENERAL;
using type::v1::SEVERITY_NORMAL;
using type::v1::SEVERITY_URGENT;
using type::v1::TICKET_STATE_ON_HOLD;
using type::v1::TICKET_STATE_OPEN;
using type::v1::TICKET_STATE_PENDING;

constexpr type::v1::SlaMetric kFirst = type::v1::SLA_METRIC_FIRST_RESPONSE;
constexpr type::v1::SlaMetric kResolution = type::v1::SLA_METRIC_RESOLUTION;
constexpr type::v1::SlaMetric kOwn = type::v1::SLA_METRIC_TIME_TO_OWN;

constexpr char kRules[] = R"(
  rules { name: "unclassified" when { unclassified: true }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 3600 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 14400 } calendar: "new-york" }
    targets { metric: SLA_METRIC_TIME_TO_OWN budget { seconds: 3600 } calendar: "always" } }
  rules { name: "critical" when { severities: SEVERITY_CRITICAL }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 900 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 7200 } calendar: "always"
              warnings { percent: 50 } warnings { percent: 75 }
              warnings { before_due { seconds: 600 } } } }
  rules { name: "urgent" when { severities: SEVERITY_URGENT }
    targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 7200 } calendar: "always" }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 14400 } calendar: "new-york" } }
  rules { name: "normal" when { severities: SEVERITY_NORMAL }
    targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 36000 } calendar: "new-york" } }
)";

// The rules live as long as the program: evaluations point into them.
PolicyVersions Versions(const std::string& extra = "") {
  static std::map<std::string, std::shared_ptr<const SlaRules>> made;
  std::shared_ptr<const SlaRules>& rules = made[extra];
  if (rules == nullptr) rules = RulesOf(PolicyOf(std::string(kNewYork) + kRules + extra));
  PolicyVersions versions;
  versions.Add(1, rules);
  return versions;
}

// All that time has done up to `now` is judged.
Evaluation Judged(const History& history, type::v1::SlaMetric metric, std::string_view now,
                  const PolicyVersions& versions = Versions()) {
  Authority authority;
  authority.fired_until = At(now);
  return Evaluate(history.Sorted(), metric, versions, authority);
}

std::vector<ChangeKind> Kinds(const Evaluation& evaluation) {
  std::vector<ChangeKind> kinds;
  for (const Change& change : evaluation.log) kinds.push_back(change.kind);
  return kinds;
}

TEST(FirstResponse, IsMetByAReplyInTime) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T15:00Z", FactKind::kReply);
  const Evaluation judged = Judged(history, kFirst, "2026-12-01T00:00Z");
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
  EXPECT_EQ(judged.log[1].due, At("2026-11-24T15:30Z"));
  EXPECT_EQ(judged.log[1].amount, absl::Minutes(30));
}

TEST(FirstResponse, ExactlyAtTheDueInstantIsInTime) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T15:30Z", FactKind::kReply);
  EXPECT_THAT(Kinds(Judged(history, kFirst, "2026-12-01T00:00Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
}

TEST(FirstResponse, AMicrosecondAfterTheDueInstantIsABreachAndAStopWithOvershoot) {
  const History history =
      History("2026-11-24T14:30Z").Then("2026-11-24T15:30:00.000001Z", FactKind::kReply);
  const Evaluation judged = Judged(history, kFirst, "2026-12-01T00:00Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kBreached, ChangeKind::kStopped));
  EXPECT_EQ(judged.log[1].at, At("2026-11-24T15:30Z"));
  EXPECT_EQ(judged.log[2].amount, absl::Microseconds(1));
}

TEST(FirstResponse, StaysStoppedWhenTheTicketIsReopened) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T15:00Z", FactKind::kReply)
                              .Then("2026-11-24T15:10Z", FactKind::kResolved)
                              .Then("2026-11-25T15:10Z", FactKind::kReopened);
  EXPECT_THAT(Kinds(Judged(history, kFirst, "2026-12-01T00:00Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
}

TEST(TimeToOwn, EndsWithTheFirstAcceptedAssignment) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:40Z", FactKind::kOwned)
                              .Then("2026-11-24T18:40Z", FactKind::kOwned);
  const Evaluation judged = Judged(history, kOwn, "2026-12-01T00:00Z");
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
  EXPECT_EQ(judged.log[1].amount, absl::Minutes(10));
}

// The product's worked example of a pause.
TEST(Resolution, StandsStillWhilePending) {
  const History history = History("2026-11-24T14:30Z")
                              .State("2026-11-24T15:00Z", TICKET_STATE_PENDING)
                              .State("2026-11-24T18:10Z", TICKET_STATE_OPEN);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T18:10Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kPaused, ChangeKind::kResumed));
  ASSERT_TRUE(judged.pending.has_value());
  EXPECT_TRUE(judged.pending->is_breach);
  EXPECT_EQ(judged.pending->at, At("2026-11-24T21:40Z"));
}

TEST(Resolution, DoesNotStandStillOnHold) {
  const History history =
      History("2026-11-24T14:30Z").State("2026-11-24T15:00Z", TICKET_STATE_ON_HOLD);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T15:00Z");
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted));
  EXPECT_EQ(judged.pending->at, At("2026-11-24T18:30Z"));
}

TEST(Resolution, NeverBreachesWhilePausedAndAPauseAtTheDueInstantIsInTime) {
  const History history =
      History("2026-11-24T14:30Z").State("2026-11-24T18:30Z", TICKET_STATE_PENDING);
  const Evaluation judged = Judged(history, kResolution, "2027-12-01T00:00Z");
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kPaused));
  EXPECT_FALSE(judged.pending.has_value());
}

TEST(Resolution, BreachesAtTheInstantOfAResumptionWithNothingLeft) {
  const History history = History("2026-11-24T14:30Z")
                              .State("2026-11-24T18:30Z", TICKET_STATE_PENDING)
                              .State("2026-11-29T04:00Z", TICKET_STATE_OPEN);
  const Evaluation judged = Judged(history, kResolution, "2027-12-01T00:00Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kBreached);
  EXPECT_EQ(judged.log.back().at, At("2026-11-29T04:00Z"));
}

TEST(Resolution, StoppingInTheInstantOfThatResumptionIsInTime) {
  const History history = History("2026-11-24T14:30Z")
                              .State("2026-11-24T18:30Z", TICKET_STATE_PENDING)
                              .State("2026-11-29T04:00Z", TICKET_STATE_OPEN)
                              .Then("2026-11-29T04:00Z", FactKind::kResolved);
  EXPECT_EQ(Judged(history, kResolution, "2027-12-01T00:00Z").log.back().kind, ChangeKind::kMet);
}

TEST(Resolution, GoesOnWithWhatIsLeftAfterAReopening) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T15:30Z", FactKind::kResolved)
                              .Then("2026-11-25T14:30Z", FactKind::kReopened);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T14:30Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kMet, ChangeKind::kResumed));
  EXPECT_EQ(judged.pending->at, At("2026-11-25T17:30Z"));
  EXPECT_EQ(judged.cycles.size(), 1u);
}

TEST(Resolution, BreachesOnceThoughItIsReopened) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T19:30Z", FactKind::kResolved)
                              .Then("2026-11-25T14:30Z", FactKind::kReopened)
                              .Then("2026-11-25T15:30Z", FactKind::kResolved);
  const Evaluation judged = Judged(history, kResolution, "2027-11-25T14:30Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kBreached, ChangeKind::kStopped,
                          ChangeKind::kResumed, ChangeKind::kStopped));
  EXPECT_EQ(judged.log.back().amount, absl::Hours(2));
}

TEST(Resolution, StartsAgainWithAFullBudgetWherePolicySaysRestart) {
  const PolicyVersions versions =
      Versions("metrics { metric: SLA_METRIC_RESOLUTION on_reopen: ON_CHANGE_RESTART }");
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T15:30Z", FactKind::kResolved)
                              .Then("2026-11-25T14:30Z", FactKind::kReopened);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T14:30Z", versions);
  ASSERT_THAT(judged.cycles, SizeIs(2));
  EXPECT_EQ(judged.cycles[0].phase, Phase::kStopped);
  EXPECT_EQ(judged.pending->at, At("2026-11-25T18:30Z"));
}

TEST(Severity, ThatRisesCarriesOverWhatWasUsed) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T15:30Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T15:30Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kRetargeted);
  EXPECT_EQ(judged.log.back().due, At("2026-11-24T16:30Z"));
}

TEST(Severity, ThatLeavesNothingBreachesAtThatInstantWithTheChangeAsItsCause) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T17:30Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T17:30Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kBreached);
  EXPECT_EQ(judged.log.back().at, At("2026-11-24T17:30Z"));
  EXPECT_EQ(judged.log.back().reason, "severity_change");
  const History stopped = History(history).Then("2026-11-24T17:30Z", FactKind::kResolved);
  EXPECT_EQ(Judged(stopped, kResolution, "2026-11-24T17:30Z").log.back().kind, ChangeKind::kMet)
      << "a stop in that very instant comes first";
}

TEST(Severity, WithoutATargetCancelsTheClock) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T14:40Z", SEVERITY_NORMAL);
  const Evaluation judged = Judged(history, kFirst, "2026-11-25T17:30Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kCancelled);
  EXPECT_EQ(judged.log.back().reason, "no_target");
  EXPECT_FALSE(judged.pending.has_value());
}

TEST(Severity, ThatGivesATargetBackGoesOnInANewCycle) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T14:40Z", SEVERITY_NORMAL)
                              .Severity("2026-11-24T15:40Z", SEVERITY_URGENT);
  const Evaluation judged = Judged(history, kFirst, "2026-11-24T15:40Z");
  ASSERT_THAT(judged.cycles, SizeIs(2));
  EXPECT_EQ(judged.cycles[1].number, 2);
  EXPECT_EQ(judged.pending->at, At("2026-11-24T17:30Z")) << "ten minutes were used before";
}

TEST(FirstClassification, ReplacesTheUnclassifiedRowFromCreationOn) {
  const History history =
      History("2026-11-24T20:30Z").Triaged("2026-11-24T21:00Z", SEVERITY_URGENT);
  const Evaluation judged = Judged(history, kFirst, "2026-11-24T21:00Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kRetargeted);
  EXPECT_EQ(judged.pending->at, At("2026-11-24T22:30Z"));
}

TEST(FirstClassification, CountsOnItsOwnCalendarFromCreationOn) {
  // New York's desk is closed until 14:00Z; around the clock two hours are gone by then.
  const History history =
      History("2026-11-24T12:30Z").Triaged("2026-11-24T14:00Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T14:00Z");
  ASSERT_TRUE(judged.pending.has_value());
  EXPECT_EQ(judged.log.back().due, At("2026-11-24T14:30Z"));
}

TEST(FirstClassification, MayFindTheBudgetUsedUpAlready) {
  const History history =
      History("2026-11-24T14:30Z").Triaged("2026-11-24T14:50Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kFirst, "2026-11-24T14:50Z");
  EXPECT_EQ(judged.log.back().kind, ChangeKind::kBreached);
  EXPECT_EQ(judged.log.back().at, At("2026-11-24T14:45Z"));
  EXPECT_EQ(judged.log.back().reason, "") << "it is no change of severity";
}

// What it finds used up was so before whatever else happens in its instant.
TEST(FirstClassification, BreachesBeforeAChangeOfItsOwnInstant) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T15:10Z", SEVERITY_CRITICAL)
                              .Severity("2026-11-24T15:10Z", SEVERITY_URGENT);
  const Evaluation waiting = Evaluate(history.Sorted(), kFirst, Versions(), {});
  ASSERT_TRUE(waiting.pending.has_value());
  EXPECT_EQ(waiting.pending->at, At("2026-11-24T15:10Z"));
  EXPECT_EQ(waiting.pending->due, At("2026-11-24T14:45Z"));
  const Evaluation judged = Judged(history, kFirst, "2026-11-24T15:10Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kRetargeted, ChangeKind::kBreached));
  EXPECT_EQ(judged.Latest()->breached_at, At("2026-11-24T14:45Z"));
  EXPECT_EQ(judged.Latest()->leg.rule->name, "critical");
}

// An answer may be faster than triage: it is judged by the promise that the ticket had all along.
TEST(FirstClassification, ReplacesTheTargetOfAClockThatHasStopped) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:50Z", FactKind::kReply)
                              .Triaged("2026-11-24T14:55Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kFirst, "2026-11-25T14:50Z");
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kBreached, ChangeKind::kStopped));
  EXPECT_EQ(judged.Latest()->breached_at, At("2026-11-24T14:45Z"));
  EXPECT_EQ(judged.log.back().amount, absl::Minutes(5));
  EXPECT_EQ(judged.Latest()->leg.rule->name, "critical");
}

TEST(FirstClassification, CorrectsAVerdictThatWasToldOfAStoppedClock) {
  History history("2026-11-24T14:30Z");
  history.Then("2026-11-24T14:50Z", FactKind::kReply);
  const Evaluation before = Judged(history, kFirst, "2026-11-24T14:50Z");
  history.Triaged("2026-11-24T14:55Z", SEVERITY_CRITICAL);
  const Evaluation after = Judged(history, kFirst, "2026-11-24T14:55Z");
  const std::vector<Notice> notices = Compare(before, after, {.verdicts = {{1, "met"}}}, false);
  ASSERT_THAT(notices, SizeIs(3));
  EXPECT_EQ(notices[0].change.kind, ChangeKind::kBreached);
  EXPECT_TRUE(notices[0].late);
  EXPECT_EQ(notices[1].from + " to " + notices[1].to, "met to breached");
  EXPECT_EQ(notices[2].change.kind, ChangeKind::kStopped);
}

TEST(FirstClassification, OfAStoppedClockWhoseVerdictStandsTellsNothingAndIsItsSeverity) {
  History history("2026-11-24T14:30Z");
  history.Then("2026-11-24T14:40Z", FactKind::kReply);
  const Evaluation before = Judged(history, kFirst, "2026-11-24T14:40Z");
  history.Triaged("2026-11-24T14:55Z", SEVERITY_CRITICAL);
  const Evaluation after = Judged(history, kFirst, "2026-11-24T14:55Z");
  EXPECT_THAT(Compare(before, after, {.verdicts = {{1, "met"}}}, false), SizeIs(0));
  EXPECT_EQ(after.Latest()->leg.severity, SEVERITY_CRITICAL);
  EXPECT_EQ(after.Latest()->leg.rule->name, "critical");
}

// One rule for all severities: the target stays, and the ticket counts as what it is.
TEST(FirstClassification, OfARuleForAllIsTheSeverityOfAStoppedClock) {
  PolicyVersions versions;
  versions.Add(1, RulesOf(PolicyOf(std::string(kNewYork) + R"(
    rules { name: "all"
      targets { metric: SLA_METRIC_FIRST_RESPONSE budget { seconds: 3600 } calendar: "always" } })")));
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:40Z", FactKind::kReply)
                              .Triaged("2026-11-24T14:55Z", SEVERITY_NORMAL);
  const Evaluation judged = Judged(history, kFirst, "2026-11-24T14:55Z", versions);
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
  EXPECT_EQ(judged.Latest()->leg.severity, SEVERITY_NORMAL);
}

TEST(FirstClassification, TakesABreachBackThatOnlyTheUnclassifiedRowMade) {
  History history("2026-11-24T14:30Z");
  const Evaluation before = Judged(history, kFirst, "2026-11-24T15:40Z");
  EXPECT_THAT(Kinds(before), ElementsAre(ChangeKind::kStarted, ChangeKind::kBreached));
  history.Triaged("2026-11-24T15:50Z", SEVERITY_URGENT);
  const Evaluation after = Judged(history, kFirst, "2026-11-24T15:50Z");
  EXPECT_THAT(Kinds(after), ElementsAre(ChangeKind::kStarted, ChangeKind::kRetargeted));
  ASSERT_TRUE(after.pending.has_value());
  EXPECT_EQ(after.pending->at, At("2026-11-24T16:30Z"));
  const std::vector<Notice> notices =
      Compare(before, after, {.verdicts = {{1, "breached"}}, .breaches = {1}}, false);
  ASSERT_THAT(notices, SizeIs(2));
  EXPECT_EQ(notices[0].from + " to " + notices[0].to, "breached to running");
  EXPECT_EQ(notices[1].change.kind, ChangeKind::kRetargeted);
  EXPECT_EQ(notices[1].change.at, At("2026-11-24T15:50Z"));
}

TEST(FirstClassification, CountsForEveryCycleOfBeforeIt) {
  const PolicyVersions versions =
      Versions("metrics { metric: SLA_METRIC_RESOLUTION on_reopen: ON_CHANGE_RESTART }");
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T17:30Z", FactKind::kResolved)
                              .Then("2026-11-24T18:00Z", FactKind::kReopened)
                              .Triaged("2026-11-24T18:10Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T18:10Z", versions);
  ASSERT_THAT(judged.cycles, SizeIs(2));
  EXPECT_EQ(judged.cycles[0].breached_at, At("2026-11-24T16:30Z"));
  EXPECT_FALSE(judged.cycles[1].breached_at.has_value());
  EXPECT_EQ(judged.cycles[1].Due(At("2026-11-24T18:10Z")), At("2026-11-24T20:00Z"));
}

// "Each leg is timed on the calendar in force during it": a version of the policy that came between
// counts from its own instant.
TEST(FirstClassification, KeepsThePolicyThatWasInForceThen) {
  PolicyVersions versions = Versions();
  versions.Add(2, RulesOf(PolicyOf(std::string(kNewYork) + R"(
    rules { name: "all"
      targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 10800 } calendar: "always" } })")));
  const History history = History("2026-11-24T20:30Z")
                              .Policy("2026-11-25T02:00Z", 2)
                              .Triaged("2026-11-25T02:10Z", SEVERITY_URGENT);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T02:10Z", versions);
  // Two hours were used on New York's desk until 22:30Z.
  EXPECT_EQ(judged.pending->at, At("2026-11-25T03:00Z"));
}

TEST(FirstClassification, ReachesATicketThatIsClosedAlready) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:50Z", FactKind::kReply)
                              .Then("2026-11-24T14:51Z", FactKind::kResolved)
                              .Then("2026-11-24T14:52Z", FactKind::kClosed)
                              .Triaged("2026-11-24T15:30Z", SEVERITY_CRITICAL);
  EXPECT_EQ(Judged(history, kFirst, "2026-11-25T14:50Z").Latest()->breached_at,
            At("2026-11-24T14:45Z"));
  EXPECT_THAT(Kinds(Judged(history, kResolution, "2026-11-25T14:50Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kMet));
}

TEST(FirstClassification, ThatTakesTheTargetAwayTakesItsVerdictsOutOfAttainment) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:40Z", FactKind::kReply)
                              .Triaged("2026-11-24T14:55Z", SEVERITY_NORMAL);
  const Evaluation judged = Judged(history, kFirst, "2026-11-25T14:50Z");
  EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kCancelled));
  EXPECT_EQ(judged.Latest()->phase, Phase::kCancelled);
  EXPECT_EQ(judged.Latest()->cancel_reason, "no_target");
  const History breached =
      History("2026-11-24T14:30Z").Triaged("2026-11-24T15:55Z", SEVERITY_NORMAL);
  EXPECT_THAT(Kinds(Judged(breached, kFirst, "2026-11-25T14:50Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kCancelled));
}

TEST(FirstClassification, MayTakeTheTargetAway) {
  const History history =
      History("2026-11-24T14:30Z").Triaged("2026-11-24T14:50Z", SEVERITY_GENERAL);
  EXPECT_THAT(Kinds(Judged(history, kResolution, "2026-11-24T14:50Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kCancelled));
}

// It is not a change of severity (product §3.1), so what the policy says about those does not
// apply.
TEST(FirstClassification, RestartsNothing) {
  const History history =
      History("2026-11-24T14:30Z").Triaged("2026-11-24T16:00Z", SEVERITY_URGENT);
  const Evaluation judged = Judged(
      history, kFirst, "2026-11-24T17:00Z",
      Versions("metrics { metric: SLA_METRIC_FIRST_RESPONSE on_change: ON_CHANGE_RESTART }"));
  EXPECT_THAT(Kinds(judged),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kRetargeted, ChangeKind::kBreached));
  EXPECT_EQ(judged.Latest()->breached_at, At("2026-11-24T16:30Z"));
  EXPECT_EQ(judged.cycles.size(), 1u);
}

TEST(Severity, WithoutATargetLeavesAClockAloneWherePolicySaysKeep) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:31Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T14:40Z", SEVERITY_GENERAL);
  const Evaluation judged =
      Judged(history, kResolution, "2026-11-24T14:40Z",
             Versions("metrics { metric: SLA_METRIC_RESOLUTION on_change: ON_CHANGE_KEEP }"));
  EXPECT_EQ(judged.Latest()->phase, Phase::kRunning);
  EXPECT_EQ(judged.Latest()->leg.rule->name, "urgent");
}

TEST(Severity, ThatGivesATargetWhileResolvedLetsTheClockGoOnWithTheReopening) {
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:31Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T15:00Z", SEVERITY_GENERAL)
                              .Then("2026-11-24T15:10Z", FactKind::kResolved)
                              .Severity("2026-11-24T15:20Z", SEVERITY_URGENT)
                              .Then("2026-11-24T15:30Z", FactKind::kReopened);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T15:30Z");
  ASSERT_THAT(judged.cycles, SizeIs(2));
  EXPECT_EQ(judged.Latest()->phase, Phase::kRunning);
  EXPECT_EQ(judged.Latest()->UsedAt(At("2026-11-24T15:40Z")), absl::Minutes(40));
}

// New York is open from 09:00 to 17:30 on weekdays, but for Thanksgiving on the 26th.
constexpr char kWorkingDays[] = R"(
  rules { name: "urgent" when { severities: SEVERITY_URGENT }
    targets { metric: SLA_METRIC_RESOLUTION budget_text: "1 working day" calendar: "new-york"
              warnings { percent: 50 } } }
  rules { name: "any"
    targets { metric: SLA_METRIC_RESOLUTION budget_text: "3 working days" calendar: "new-york" } })";

PolicyVersions InWorkingDays() {
  static const std::shared_ptr<const SlaRules> rules =
      RulesOf(PolicyOf(std::string(kNewYork) + kWorkingDays));
  PolicyVersions versions;
  versions.Add(1, rules);
  return versions;
}

TEST(WorkingDays, AreConvertedOnceAtTheClocksStart) {
  // Tuesday 10:00 and three working days: Friday, as Thursday is a holiday, then Monday.
  const Evaluation judged =
      Judged(History("2026-11-24T15:00Z"), kResolution, "2026-11-24T15:00Z", InWorkingDays());
  ASSERT_TRUE(judged.pending.has_value());
  EXPECT_EQ(judged.pending->at, At("2026-11-30T15:00Z"));
  EXPECT_EQ(judged.Latest()->leg.budget, absl::Minutes(3 * 510));
}

TEST(WorkingDays, AreAnOrdinaryBudgetFromThenOn) {
  // Seven and a half open hours passed in the pause: it is due that much later.
  const History history = History("2026-11-24T15:00Z")
                              .State("2026-11-24T16:00Z", TICKET_STATE_PENDING)
                              .State("2026-11-25T15:30Z", TICKET_STATE_OPEN);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T15:30Z", InWorkingDays());
  EXPECT_EQ(judged.pending->at, At("2026-12-01T14:30Z"));
}

TEST(WorkingDays, OfANewTargetCountFromTheClocksStart) {
  const History history = History("2026-11-24T15:00Z")
                              .Triaged("2026-11-24T15:00Z", SEVERITY_NORMAL)
                              .Severity("2026-11-24T20:00Z", SEVERITY_URGENT);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T20:00Z", InWorkingDays());
  // Half of it, 255 minutes, is used by 19:15Z: the warning that was passed comes now.
  EXPECT_EQ(judged.log.back().due, At("2026-11-25T15:00Z"));
  EXPECT_EQ(judged.Latest()->leg.budget, absl::Minutes(510));
}

TEST(WorkingDays, AreExplainedToTheirEnd) {
  const Evaluation judged =
      Judged(History("2026-11-24T15:00Z"), kResolution, "2026-11-24T15:00Z", InWorkingDays());
  const Explanation explained = Explain(*judged.Latest(), At("2026-11-24T15:00Z")).value();
  EXPECT_EQ(explained.counted, absl::Minutes(3 * 510));
  EXPECT_EQ(explained.pieces.back().to, At("2026-11-30T15:00Z"));
}

TEST(Policy, TakesAnOpenTicketFromItsApplicationOnAndKeepsWhatWasUsed) {
  PolicyVersions versions = Versions();
  versions.Add(2, RulesOf(PolicyOf(std::string(kNewYork) + R"(
    rules { name: "all"
      targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 10800 } calendar: "always" } })")));
  const History history = History("2026-11-24T20:30Z")
                              .Triaged("2026-11-24T20:30Z", SEVERITY_URGENT)
                              .Policy("2026-11-25T02:00Z", 2);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T02:00Z", versions);
  // Two hours were used until New York closed at 22:30Z.
  EXPECT_EQ(judged.pending->at, At("2026-11-25T03:00Z"));
  EXPECT_EQ(judged.log.back().leg.policy_version, 2);
}

TEST(SelfService, CancelsRunningClocks) {
  const History history =
      History("2026-11-24T14:30Z").Then("2026-11-24T14:50Z", FactKind::kSelfServed);
  for (const type::v1::SlaMetric metric : kMetrics) {
    const Evaluation judged = Judged(history, metric, "2026-11-25T14:50Z");
    EXPECT_THAT(Kinds(judged), ElementsAre(ChangeKind::kStarted, ChangeKind::kCancelled));
    EXPECT_EQ(judged.log.back().reason, "self_service");
  }
}

TEST(SelfService, ThatDidNotHelpStartsANewCycleOfResolutionWithWhatIsLeft) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T15:30Z", FactKind::kSelfServed)
                              .Then("2026-11-24T16:30Z", FactKind::kReopened);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T16:30Z");
  ASSERT_THAT(judged.cycles, SizeIs(2));
  EXPECT_EQ(judged.pending->at, At("2026-11-24T19:30Z"));
}

TEST(Spam, CancelsRunningClocksAndLeavesABreachABreach) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T15:40Z", FactKind::kSpam);
  EXPECT_EQ(Judged(history, kResolution, "2026-11-25T14:50Z").log.back().reason, "spam");
  EXPECT_THAT(Kinds(Judged(history, kFirst, "2026-11-25T14:50Z")),
              ElementsAre(ChangeKind::kStarted, ChangeKind::kBreached, ChangeKind::kStopped));
}

TEST(Closing, EndsAClockThatNothingCanStopAnyMore) {
  const History history = History("2026-11-24T14:30Z")
                              .Then("2026-11-24T14:40Z", FactKind::kResolved)
                              .Then("2026-11-24T14:50Z", FactKind::kClosed);
  EXPECT_EQ(Judged(history, kOwn, "2026-11-25T14:50Z").log.back().reason, "closed");
}

TEST(Time, WaitsForItsTimerAndHoldsBackLaterFacts) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T16:00Z", FactKind::kReply);
  const Evaluation waiting = Evaluate(history.Sorted(), kFirst, Versions(), {});
  EXPECT_THAT(Kinds(waiting), ElementsAre(ChangeKind::kStarted));
  EXPECT_EQ(waiting.pending->at, At("2026-11-24T15:30Z"));
  EXPECT_EQ(waiting.known_until, At("2026-11-24T14:30Z"));
}

TEST(Warnings, ComeInOrderAndTheHighestOfThosePassedFires) {
  const PolicyVersions versions = Versions();
  History history = History("2026-11-24T14:30Z").Triaged("2026-11-24T14:30Z", SEVERITY_CRITICAL);
  Authority authority;
  Evaluation evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_EQ(evaluation.pending->warning, "50%");
  EXPECT_EQ(evaluation.pending->at, At("2026-11-24T15:30Z"));
  authority.fired_until = evaluation.pending->at;
  evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_EQ(evaluation.pending->warning, "75%");
  authority.fired_until = evaluation.pending->at;
  evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_EQ(evaluation.pending->warning, "10m");
  EXPECT_EQ(evaluation.pending->at, At("2026-11-24T16:20Z"));

  // 100 of 120 minutes are used when it becomes critical: 50 % and 75 % are passed at once.
  History late = History("2026-11-24T14:30Z")
                     .Triaged("2026-11-24T14:30Z", SEVERITY_URGENT)
                     .Severity("2026-11-24T16:10Z", SEVERITY_CRITICAL);
  evaluation = Evaluate(late.Sorted(), kResolution, versions, {});
  EXPECT_EQ(evaluation.pending->warning, "75%");
  EXPECT_EQ(evaluation.pending->at, At("2026-11-24T16:10Z"));
}

TEST(Warnings, AreNotGivenTwice) {
  const PolicyVersions versions = Versions();
  const History history =
      History("2026-11-24T14:30Z").Triaged("2026-11-24T14:30Z", SEVERITY_CRITICAL);
  Authority authority;
  authority.warned = {WarnedName(1, "50%")};
  EXPECT_EQ(Evaluate(history.Sorted(), kResolution, versions, authority).pending->warning, "75%");
}

TEST(Warnings, OneThatWasGivenSettlesThoseBelowItUnderTheSameTarget) {
  const PolicyVersions versions = Versions();
  // Of 120 minutes 112 are used when it becomes critical for the second time, 110 make "10m".
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_CRITICAL)
                              .Severity("2026-11-24T16:21Z", SEVERITY_URGENT)
                              .Severity("2026-11-24T16:22Z", SEVERITY_CRITICAL);
  Authority authority;
  authority.fired_until = At("2026-11-24T16:20Z");
  authority.warned = {WarnedName(1, "10m")};
  const Evaluation evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_TRUE(evaluation.pending->is_breach) << evaluation.pending->warning;
}

TEST(Warnings, ThatWereOvertakenComeWhenAnotherTargetPutsThemAhead) {
  const PolicyVersions versions = Versions(R"(
    rules { name: "general" when { severities: SEVERITY_GENERAL }
      targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 14400 } calendar: "always"
                warnings { percent: 75 } warnings { before_due { seconds: 600 } } } })");
  const History history = History("2026-11-24T14:30Z")
                              .Triaged("2026-11-24T14:30Z", SEVERITY_CRITICAL)
                              .Severity("2026-11-24T16:25Z", type::v1::SEVERITY_GENERAL);
  Authority authority;
  authority.fired_until = At("2026-11-24T16:25Z");
  authority.warned = {WarnedName(1, "10m")};
  Evaluation evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_EQ(evaluation.pending->warning, "75%");
  EXPECT_EQ(evaluation.pending->at, At("2026-11-24T17:30Z"));
  authority.warned.push_back(WarnedName(1, "75%"));
  authority.fired_until = At("2026-11-24T17:30Z");
  evaluation = Evaluate(history.Sorted(), kResolution, versions, authority);
  EXPECT_TRUE(evaluation.pending->is_breach) << evaluation.pending->warning;
  EXPECT_EQ(evaluation.pending->at, At("2026-11-24T18:30Z"));
}

TEST(OneInstant, KeepsTheOrderInWhichIntakeDecided) {
  const History paused = History("2026-11-24T14:30Z")
                             .State("2026-11-24T15:00Z", TICKET_STATE_PENDING)
                             .State("2026-11-24T15:00Z", TICKET_STATE_OPEN)
                             .State("2026-11-24T15:00Z", TICKET_STATE_PENDING);
  EXPECT_EQ(Judged(paused, kResolution, "2026-11-24T15:00Z").Latest()->phase, Phase::kPaused);
  const History resolved = History("2026-11-24T14:30Z")
                               .Then("2026-11-24T15:00Z", FactKind::kResolved)
                               .Then("2026-11-24T16:00Z", FactKind::kReopened)
                               .Then("2026-11-24T16:00Z", FactKind::kResolved);
  EXPECT_EQ(Judged(resolved, kResolution, "2026-11-24T16:00Z").Latest()->phase, Phase::kStopped);
}

// ---- late facts

std::vector<Notice> Arrives(History history, Fact fact, type::v1::SlaMetric metric,
                            std::string_view fired_until) {
  const PolicyVersions versions = Versions();
  Authority authority;
  authority.fired_until = At(fired_until);
  const Evaluation before = Evaluate(history.Sorted(), metric, versions, authority);
  authority.known_until = before.known_until;
  Fact& added = history.Add(fact.kind, fact.at);
  added.attributes = fact.attributes;
  Told told;
  for (const Cycle& cycle : before.cycles) {
    const std::string verdict = VerdictOf(before.log, cycle.number);
    if (verdict != "running") told.verdicts[cycle.number] = verdict;
    if (verdict == "breached") told.breaches.insert(cycle.number);
  }
  return Compare(before, Evaluate(history.Sorted(), metric, versions, authority), told, false);
}

TEST(LateFact, ThatStoppedTheClockInTimeCorrectsTheBreach) {
  const History history = History("2026-11-24T14:30Z");
  const auto notices = Arrives(history, {.kind = FactKind::kReply, .at = At("2026-11-24T15:20Z")},
                               kFirst, "2026-11-24T15:30Z");
  ASSERT_THAT(notices, SizeIs(2));
  EXPECT_EQ(notices[0].from, "breached");
  EXPECT_EQ(notices[0].to, "met");
  EXPECT_EQ(notices[1].change.kind, ChangeKind::kMet);
}

TEST(LateFact, ThatMakesABreachOfThePastTellsItOnceMarkedLate) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T15:20Z", FactKind::kReply);
  Fact raised{.kind = FactKind::kTriaged, .at = At("2026-11-24T14:40Z")};
  raised.attributes.severity = SEVERITY_CRITICAL;
  const auto notices = Arrives(history, raised, kFirst, "2026-11-24T14:30Z");
  ASSERT_THAT(notices, SizeIs(3));
  EXPECT_EQ(notices[0].change.kind, ChangeKind::kBreached);
  EXPECT_EQ(notices[0].change.at, At("2026-11-24T14:45Z"));
  EXPECT_TRUE(notices[0].late);
  EXPECT_EQ(notices[0].change.reason, "late_fact");
  EXPECT_EQ(notices[1].from, "met");
  EXPECT_EQ(notices[1].to, "breached");
  EXPECT_EQ(notices[2].change.kind, ChangeKind::kStopped);
}

TEST(LateFact, ThatChangesNothingTellsNothing) {
  const History history = History("2026-11-24T14:30Z").Then("2026-11-24T15:20Z", FactKind::kReply);
  EXPECT_THAT(Arrives(history, {.kind = FactKind::kOwned, .at = At("2026-11-24T14:40Z")}, kFirst,
                      "2026-11-24T14:30Z"),
              SizeIs(0));
}

// ---- explanations

TEST(Explanation, OfARunningClockAddsUpToTheBudget) {
  const History history = History("2026-11-24T14:30Z")
                              .State("2026-11-24T15:00Z", TICKET_STATE_PENDING)
                              .State("2026-11-24T22:00Z", TICKET_STATE_OPEN);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T22:00Z");
  const auto explained = Explain(*judged.Latest(), At("2026-11-24T22:10Z"));
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->counted, absl::Hours(4));
  std::vector<std::string> whys;
  for (const ClockPiece& piece : explained->pieces) whys.push_back(piece.why);
  EXPECT_THAT(whys, ElementsAre("open", "paused: PENDING", "open", "open", "closed", "open"));
  EXPECT_EQ(explained->pieces[0].calendar_rule, "weekly TUE 09:00-17:30");
  EXPECT_FALSE(explained->pieces[2].expected);
  EXPECT_TRUE(explained->pieces[3].expected);
  EXPECT_EQ(explained->pieces.back().to, judged.pending->at);
}

// Its due instant is told as well (if it went on now), and every deadline adds up to the budget
// (product §3.6).
TEST(Explanation, OfAPausedClockGoesOnToTheDueInstantThatItWouldHave) {
  const History history =
      History("2026-11-24T14:30Z").State("2026-11-24T15:00Z", TICKET_STATE_PENDING);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T15:00Z");
  const absl::Time now = At("2026-11-24T20:00Z");
  const auto explained = Explain(*judged.Latest(), now);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->counted, absl::Hours(4));
  std::vector<std::string> whys;
  for (const ClockPiece& piece : explained->pieces) whys.push_back(piece.why);
  ASSERT_THAT(whys, ElementsAre("open", "paused: PENDING", "open", "closed", "open"));
  EXPECT_FALSE(explained->pieces[1].expected);
  EXPECT_TRUE(explained->pieces[2].expected);
  EXPECT_EQ(explained->pieces[2].from, now);
  EXPECT_EQ(explained->pieces.back().to, judged.Latest()->Due(now));
}

// The first classification comes in a pause and finds the budget used up before it: nothing
// breaches while paused.
TEST(Explanation, OfAPausedClockThatIsOverdueAlreadyEndsNow) {
  const History history = History("2026-11-24T14:30Z")
                              .State("2026-11-24T18:00Z", TICKET_STATE_PENDING)
                              .Triaged("2026-11-24T19:00Z", SEVERITY_CRITICAL);
  const Evaluation judged = Judged(history, kResolution, "2026-11-24T18:59Z");
  const auto explained = Explain(*judged.Latest(), At("2026-11-24T20:00Z"));
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->counted, absl::Hours(2));
  EXPECT_EQ(explained->pieces.back().to, At("2026-11-24T20:00Z"));
}

TEST(Explanation, OfABreachedClockCountsTheBudgetAndShowsTheRestAsOverdue) {
  const History history =
      History("2026-11-24T14:30Z").Then("2026-11-24T19:30Z", FactKind::kResolved);
  const Evaluation judged = Judged(history, kResolution, "2026-11-25T00:00Z");
  const auto explained = Explain(*judged.Latest(), At("2026-11-25T00:00Z"));
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->counted, absl::Hours(4));
  EXPECT_EQ(explained->pieces.back().why, "overdue");
  EXPECT_EQ(explained->pieces.back().to, At("2026-11-24T19:30Z"));
}

}  // namespace
}  // namespace tandem::sla_timer
