#include "services/sla_timer/sla_rules.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/config/yaml_to_proto.h"
#include "services/sla_timer/clock_testing.h"

namespace tandem::sla_timer {
namespace {

using ::testing::HasSubstr;

std::string Problems(const std::string& text) {
  corridor::Violations violations;
  SlaRules::Make(PolicyOf(std::string(kNewYork) + text), violations);
  return std::string(violations.status().message());
}

TEST(SlaPolicy, OfTheDeployedFileIsTheBuiltInOne) {
  std::ifstream file(std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/sla.yaml");
  std::stringstream text;
  text << file.rdbuf();
  sla::v1::SlaPolicy policy;
  const absl::Status read = config::YamlToProto(text.str(), "sla.yaml", &policy);
  ASSERT_TRUE(read.ok()) << read;
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  // The order of targets within a rule means nothing.
  differencer.set_repeated_field_comparison(google::protobuf::util::MessageDifferencer::AS_SET);
  EXPECT_TRUE(differencer.Compare(BuiltInPolicy(), policy)) << difference;
  RulesOf(policy);
}

TEST(SlaPolicy, GivesTheFirstRuleThatMatches) {
  const auto rules = RulesOf(PolicyOf(R"(
    rules { name: "chat" when { channels: CHANNEL_CHAT categories: "billing" } }
    rules { name: "owner" when { contact_levels: CONTACT_LEVEL_MEMBER segments: SEGMENT_MID } }
    rules { name: "new" when { unclassified: true } }
    rules { name: "urgent-or-new" when { severities: SEVERITY_URGENT unclassified: true } }
    rules { name: "rest" })"));
  EXPECT_EQ(rules->Match({})->name, "new");
  EXPECT_EQ(rules->Match({.severity = type::v1::SEVERITY_URGENT})->name, "urgent-or-new");
  EXPECT_EQ(rules->Match({.severity = type::v1::SEVERITY_NORMAL})->name, "rest");
  EXPECT_EQ(rules->Match({.segment = type::v1::SEGMENT_MID})->name, "owner");
  EXPECT_EQ(rules
                ->Match({.segment = type::v1::SEGMENT_MID,
                         .contact_level = type::v1::CONTACT_LEVEL_OWNER})
                ->name,
            "new");
  EXPECT_EQ(rules->Match({.channel = type::v1::CHANNEL_CHAT, .category = "billing"})->name, "chat");
}

TEST(SlaPolicy, WithoutAMatchingRuleGivesNoTargets) {
  const auto rules = RulesOf(PolicyOf(R"(rules { name: "chat" when { channels: CHANNEL_CHAT } })"));
  EXPECT_EQ(rules->Match({}), nullptr);
}

TEST(SlaPolicy, NamesEveryProblemAtOnce) {
  const std::string problems = Problems(R"(
    calendars { name: "new-york" zone: "Nowhere/Town" always_open: true }
    verification { every { seconds: 604801 } tickets: -1 }
    metrics { metric: SLA_METRIC_NEXT_RESPONSE }
    metrics { metric: SLA_METRIC_RESOLUTION paused_in: TICKET_STATE_RESOLVED }
    rules { name: "Big Name" when { severities: SEVERITY_UNSPECIFIED } }
    rules { name: "a" targets { metric: SLA_METRIC_RESOLUTION calendar: "none" } }
    rules { name: "a" targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 60 }
      calendar: "always" warnings { percent: 100 } warnings { } } })");
  for (const char* path :
       {"verification.every", "verification.tickets", "calendars[2].zone", "metrics[0].metric",
        "metrics[1].paused_in", "rules[0].name", "rules[0].when.severities",
        "rules[1].targets[0].budget", "rules[1].targets[0].calendar", "rules[2].name",
        "rules[2].targets[0].warnings[0]", "rules[2].targets[0].warnings[1]"}) {
    EXPECT_THAT(problems, HasSubstr(path));
  }
}

TEST(SlaPolicy, RefusesACalendarThatNeverOpens) {
  EXPECT_THAT(Problems(R"(
    calendars { name: "shut" zone: "UTC" }
    rules { name: "a" targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 60 }
                                calendar: "shut" } })"),
              HasSubstr("calendars[2].weekly"));
  EXPECT_THAT(Problems(R"(
    calendars { name: "once" zone: "UTC"
                overrides { date: "2026-03-01" intervals { start: "09:00" end: "17:00" } } }
    rules { name: "a" targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 60000 }
                                calendar: "once" } })"),
              HasSubstr("rules[0].targets[0].calendar"));
}

TEST(SlaPolicy, DropsAWarningThatABudgetHasNoRoomFor) {
  const auto rules = RulesOf(PolicyOf(std::string(kNewYork) + R"(
    rules { name: "a" targets { metric: SLA_METRIC_RESOLUTION budget { seconds: 900 }
      calendar: "always" warnings { before_due { seconds: 900 } }
      warnings { before_due { seconds: 90 } } warnings { percent: 50 } } })"));
  const Target& target = *rules->Match({})->TargetOf(type::v1::SLA_METRIC_RESOLUTION);
  ASSERT_EQ(target.thresholds.size(), 2u);
  EXPECT_EQ(target.thresholds[0].name, "50%");
  EXPECT_EQ(target.thresholds[1].name, "1m30s");
  EXPECT_EQ(target.thresholds[1].used, absl::Seconds(810));
}

TEST(SlaPolicy, VerifiesFiftyTicketsAMinuteUnlessItSaysOtherwise) {
  const auto silent = RulesOf(PolicyOf(R"(rules { name: "a" })"));
  EXPECT_EQ(silent->verification().every, absl::Minutes(1));
  EXPECT_EQ(silent->verification().tickets, 50);
  const auto off = RulesOf(PolicyOf(R"(verification { tickets: 0 } rules { name: "a" })"));
  EXPECT_EQ(off->verification().tickets, 0);
}

// ---- how a budget is written

constexpr char kTenHours[] = R"(
  calendars { name: "always" zone: "UTC" always_open: true }
  calendars { name: "ten-hours" zone: "UTC"
    weekly { days: [DAY_OF_WEEK_MONDAY, DAY_OF_WEEK_TUESDAY, DAY_OF_WEEK_WEDNESDAY,
                    DAY_OF_WEEK_THURSDAY, DAY_OF_WEEK_FRIDAY] start: "08:00" end: "18:00" } }
  rules { name: "all" targets { metric: SLA_METRIC_RESOLUTION )";

std::string ProblemsOf(const std::string& target) {
  corridor::Violations violations;
  SlaRules::Make(PolicyOf(std::string(kTenHours) + target + " } }"), violations);
  return std::string(violations.status().message());
}

const Target& TargetOf(const std::string& target) {
  static std::vector<std::shared_ptr<const SlaRules>> kept;
  kept.push_back(RulesOf(PolicyOf(std::string(kTenHours) + target + " } }")));
  return *kept.back()->Match({})->TargetOf(type::v1::SLA_METRIC_RESOLUTION);
}

TEST(Budget, OfADayIsRefusedUnlessTheCalendarIsAlwaysOpen) {
  EXPECT_THAT(ProblemsOf(R"(budget { seconds: 432000 } budget_text: "5d" calendar: "ten-hours")"),
              HasSubstr("rules[0].targets[0].budget: 5d counts 24 hours of open time a day, and "
                        "calendar \"ten-hours\" is not always open; write 50h of open time, or 5 "
                        "working days"));
  EXPECT_THAT(ProblemsOf(R"(budget_text: "1d12h" calendar: "ten-hours")"),
              HasSubstr("write 22h of open time"));
  EXPECT_EQ(ProblemsOf(R"(budget { seconds: 432000 } budget_text: "5d" calendar: "always")"), "");
  EXPECT_EQ(ProblemsOf(R"(budget_text: "120h" calendar: "ten-hours")"), "");
  // Seconds of an API say no days.
  EXPECT_EQ(ProblemsOf(R"(budget { seconds: 432000 } calendar: "ten-hours")"), "");
}

TEST(Budget, OfADayIsRefusedInAWarningToo) {
  EXPECT_THAT(ProblemsOf(R"(budget_text: "50h" calendar: "ten-hours"
                            warnings { before_due_text: "1d" before_due { seconds: 86400 } })"),
              HasSubstr("rules[0].targets[0].warnings[0]: 1d counts 24 hours"));
  EXPECT_THAT(ProblemsOf(R"(budget_text: "50h" calendar: "ten-hours"
                            warnings { before_due_text: "1 working day" })"),
              HasSubstr("must be hours of open time"));
}

TEST(Budget, SaysWhatItMayBe) {
  for (const char* text : {"soon", "0 working days", "367 working days", "5 days", "5working days",
                           "-4h", "0s", "5  working days"}) {
    EXPECT_THAT(ProblemsOf(absl::StrCat("budget_text: \"", text, "\" calendar: \"always\"")),
                HasSubstr("rules[0].targets[0].budget: "))
        << text;
  }
  EXPECT_THAT(ProblemsOf(R"(calendar: "always")"), HasSubstr("budget: must be from 1 s"));
  EXPECT_THAT(ProblemsOf(R"(budget { seconds: 60 } budget_text: "2m" calendar: "always")"),
              HasSubstr("is not what its text says, 2m"));
  EXPECT_THAT(
      ProblemsOf(R"(budget { seconds: 60 } budget_text: "2 working days" calendar: "always")"),
      HasSubstr("must not be a duration as well as working days"));
}

TEST(Budget, InWorkingDaysIsTheBusinessTimeFromTheClocksStartToTheirEnd) {
  const Target& target = TargetOf(R"(budget_text: "5 working days" calendar: "ten-hours"
                                     warnings { percent: 50 } warnings { before_due { seconds: 3600 } })");
  EXPECT_EQ(target.text, "5 working days");
  EXPECT_EQ(target.BudgetFrom(At("2026-11-23T09:00Z")), absl::Hours(50));
  // From Saturday noon to Friday noon: four whole days and four hours.
  EXPECT_EQ(target.BudgetFrom(At("2026-11-28T12:00Z")), absl::Hours(44));
  const std::vector<Threshold> thresholds = target.ThresholdsOf(absl::Hours(44));
  ASSERT_EQ(thresholds.size(), 2u);
  EXPECT_EQ(thresholds[0].used, absl::Hours(22));
  EXPECT_EQ(thresholds[1].used, absl::Hours(43));
}

TEST(Budget, IsShownAsItIsWritten) {
  EXPECT_EQ(TargetOf(R"(budget_text: "90m" calendar: "always")").text, "90m");
  EXPECT_EQ(TargetOf(R"(budget { seconds: 432000 } calendar: "ten-hours")").text, "120h");
  EXPECT_EQ(TargetOf(R"(budget_text: "5d" calendar: "always")").text, "5d");
}

}  // namespace
}  // namespace tandem::sla_timer
