// What is told of a clock when a fact arrives late and its past looks different.
#include "services/sla_timer/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/sla_timer/clock_testing.h"

namespace tandem::sla_timer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr type::v1::SlaMetric kResolution = type::v1::SLA_METRIC_RESOLUTION;

// Two hours for critical tickets, ten for urgent ones; a reopening begins a new cycle.
PolicyVersions Restarting() {
  static const std::shared_ptr<const SlaRules> rules = RulesOf(PolicyOf(R"(
    calendars { name: "always" zone: "UTC" always_open: true }
    metrics { metric: SLA_METRIC_RESOLUTION on_reopen: ON_CHANGE_RESTART
              on_change: ON_CHANGE_CARRY_OVER }
    rules { name: "critical" when { severities: SEVERITY_CRITICAL }
      targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 7200 } calendar: "always" } }
    rules { name: "urgent" when { severities: SEVERITY_URGENT }
      targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 36000 } calendar: "always" } })"));
  PolicyVersions versions;
  versions.Add(1, rules);
  return versions;
}

Evaluation Judged(const History& history, std::string_view now) {
  Authority authority;
  authority.fired_until = At(now);
  return Evaluate(history.Sorted(), kResolution, Restarting(), authority);
}

// What was told of a log, as Teller keeps it.
Told ToldOf(const Evaluation& evaluation) {
  Told told;
  for (const Change& change : evaluation.log) {
    told.verdicts[change.cycle] = VerdictOf(evaluation.log, change.cycle);
    if (change.kind == ChangeKind::kBreached) told.breaches.insert(change.cycle);
    if (change.kind == ChangeKind::kCancelled) told.cancellations.insert(change.cycle);
  }
  return told;
}

// "2 started", "1 breached", "1: met -> breached".
std::vector<std::string> Words(const std::vector<Notice>& notices) {
  std::vector<std::string> words;
  for (const Notice& notice : notices) {
    if (!notice.from.empty()) {
      words.push_back(absl::StrCat(notice.change.cycle, ": ", notice.from, " -> ", notice.to));
      continue;
    }
    const char* kind = "";
    switch (notice.change.kind) {
      case ChangeKind::kStarted:
        kind = "started";
        break;
      case ChangeKind::kRetargeted:
        kind = "retargeted";
        break;
      case ChangeKind::kPaused:
        kind = "paused";
        break;
      case ChangeKind::kResumed:
        kind = "resumed";
        break;
      case ChangeKind::kBreached:
        kind = "breached";
        break;
      case ChangeKind::kMet:
        kind = "met";
        break;
      case ChangeKind::kStopped:
        kind = "stopped";
        break;
      case ChangeKind::kCancelled:
        kind = "cancelled";
        break;
    }
    words.push_back(absl::StrCat(notice.change.cycle, " ", kind));
  }
  return words;
}

// Product §3.2: a breached clock that stops publishes SlaStopped with the overshoot, also where a
// late fact tells of both and another cycle has begun since.
TEST(ALateFact, TellsTheStopOfEachCycleThatItFindsBreached) {
  History history("2026-11-24T14:00Z");
  history.Triaged("2026-11-24T14:00Z", type::v1::SEVERITY_URGENT)
      .Then("2026-11-24T17:00Z", FactKind::kResolved)
      .Then("2026-11-24T17:10Z", FactKind::kReopened);
  const Evaluation before = Judged(history, "2026-11-24T17:20Z");
  history.Severity("2026-11-24T15:00Z", type::v1::SEVERITY_CRITICAL);
  const Evaluation after = Judged(history, "2026-11-24T17:20Z");
  const std::vector<Notice> notices = Compare(before, after, ToldOf(before), false);
  EXPECT_THAT(Words(notices),
              ElementsAre("1 breached", "1: met -> breached", "1 stopped", "2 retargeted"));
  EXPECT_EQ(notices[2].change.at, At("2026-11-24T17:00Z"));
  EXPECT_EQ(notices[2].change.amount, absl::Hours(1));
}

TEST(ALateFact, TellsTheStopOfTheLatestCycleOnce) {
  History history("2026-11-24T14:00Z");
  history.Triaged("2026-11-24T14:00Z", type::v1::SEVERITY_URGENT)
      .Then("2026-11-24T17:00Z", FactKind::kResolved);
  const Evaluation before = Judged(history, "2026-11-24T17:20Z");
  history.Severity("2026-11-24T15:00Z", type::v1::SEVERITY_CRITICAL);
  const Evaluation after = Judged(history, "2026-11-24T17:20Z");
  EXPECT_THAT(Words(Compare(before, after, ToldOf(before), false)),
              ElementsAre("1 breached", "1: met -> breached", "1 stopped"));
  // Told already: nothing more comes of a fact that leaves it stopped.
  History longer = history;
  longer.Severity("2026-11-24T15:30Z", type::v1::SEVERITY_URGENT)
      .Severity("2026-11-24T15:40Z", type::v1::SEVERITY_CRITICAL);
  EXPECT_THAT(Words(Compare(after, Judged(longer, "2026-11-24T17:20Z"), ToldOf(after), false)),
              IsEmpty());
}

// A cycle is cancelled once: it never goes on. What made it look otherwise for a while is
// corrected.
TEST(ALateFact, BringsBackACancellationByACorrectionAlone) {
  History history("2026-11-24T14:00Z");
  history.Triaged("2026-11-24T14:00Z", type::v1::SEVERITY_URGENT)
      .Then("2026-11-24T17:00Z", FactKind::kSelfServed);
  const Evaluation cancelled = Judged(history, "2026-11-24T17:20Z");
  Told told = ToldOf(cancelled);
  ASSERT_THAT(told.cancellations, ElementsAre(1));
  // It was corrected to "breached" once, and is cancelled again.
  told.verdicts[1] = "breached";
  told.breaches.insert(1);
  History critical = history;
  critical.Severity("2026-11-24T14:30Z", type::v1::SEVERITY_CRITICAL);
  const Evaluation breached = Judged(critical, "2026-11-24T17:20Z");
  ASSERT_EQ(VerdictOf(breached.log, 1), "breached");
  EXPECT_THAT(Words(Compare(breached, cancelled, told, false)),
              ElementsAre("1: breached -> cancelled"));
}

TEST(ALateFact, CancelsACycleThatNeverWasAndRepeatsNoEndBeforeIt) {
  History history("2026-11-24T14:00Z");
  history.Triaged("2026-11-24T14:00Z", type::v1::SEVERITY_URGENT)
      .Then("2026-11-24T17:00Z", FactKind::kSelfServed)
      .Then("2026-11-24T17:10Z", FactKind::kReopened);
  const Evaluation before = Judged(history, "2026-11-24T17:20Z");
  ASSERT_EQ(before.cycles.size(), 2u);
  // Spam before the reopening: the second cycle never was.
  history.Then("2026-11-24T17:05Z", FactKind::kSpam);
  const Evaluation after = Judged(history, "2026-11-24T17:20Z");
  ASSERT_EQ(after.cycles.size(), 1u);
  EXPECT_THAT(Words(Compare(before, after, ToldOf(before), false)), ElementsAre("2 cancelled"));
  // And should it be there after all:
  Told told = ToldOf(after);
  told.verdicts[2] = "cancelled";
  EXPECT_THAT(Words(Compare(after, before, told, false)),
              ElementsAre("2: cancelled -> running", "2 started"));
  told.verdicts[2] = "running";
  told.cancellations.insert(2);
  EXPECT_THAT(Words(Compare(before, after, told, false)), ElementsAre("2: running -> cancelled"));
}

}  // namespace
}  // namespace tandem::sla_timer
