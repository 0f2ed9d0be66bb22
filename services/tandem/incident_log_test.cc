#include "services/tandem/incident_log.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/tandem/log_traps.h"
#include "services/tandem/replay_testing.h"

namespace tandem::programs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::Time Utc(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << error;
  return time;
}

std::string Fault(const std::string& text, const Mapping& mapping = ShippedMapping()) {
  return std::string(ParseLog(text, "log.csv", mapping).status().message());
}

std::vector<int> Lines(const Incident& incident) {
  std::vector<int> lines;
  for (const LogRow& row : incident.rows) lines.push_back(row.line);
  return lines;
}

TEST(IncidentLog, ReadsTheDayBeforeTheMonthInTheMappingsZone) {
  const IncidentLog log = LogOf({{{"sys_updated_at", "7/3/2016 09:05"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].updated_at, Utc("2016-03-07T12:05:00Z"));
}

TEST(IncidentLog, TakesAnHourThatExistsTwiceForTheFirst) {
  // Clocks went back from midnight to 23:00 on 20 February 2016.
  const IncidentLog log = LogOf({{{"sys_updated_at", "20/2/2016 23:30"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].updated_at, Utc("2016-02-21T01:30:00Z"));
}

TEST(IncidentLog, TakesAnHourThatDoesNotExistForTheInstantAfterTheGap) {
  // Clocks went from midnight to 01:00 on 16 October 2016.
  const IncidentLog log = LogOf({{{"sys_updated_at", "16/10/2016 00:20"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].updated_at, Utc("2016-10-16T03:00:00Z"));
}

TEST(IncidentLog, TellsTheTwoColumnsOfOneNameApart) {
  const IncidentLog log = LogOf({{{"category", "26"}, {"subcategory", "174"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].category, "26");
  EXPECT_EQ(log.incidents()[0].rows[0].subcategory, "174");
}

TEST(IncidentLog, TakesAQuestionMarkForNothing) {
  const IncidentLog log = LogOf({{{"location", "?"}, {"caller_id", "?"}, {"closed_code", "?"}}});
  const LogRow& row = log.incidents()[0].rows[0];
  EXPECT_EQ(row.location, "");
  EXPECT_EQ(row.caller, "");
  EXPECT_EQ(row.resolution_code, "");
  EXPECT_EQ(log.missing()[0], (std::pair<std::string, int64_t>("caller_id", 1)));
}

TEST(IncidentLog, OrdersRowsByInstantThenByTheCounterThenAsTheyStand) {
  const IncidentLog log = LogOf({{{"sys_updated_at", "7/3/2016 10:00"}, {"sys_mod_count", "3"}},
                                 {{"sys_updated_at", "7/3/2016 09:30"}, {"sys_mod_count", "9"}},
                                 {{"sys_updated_at", "7/3/2016 10:00"}, {"sys_mod_count", "2"}},
                                 {{"sys_updated_at", "7/3/2016 10:00"}, {"sys_mod_count", "3"}}});
  EXPECT_THAT(Lines(log.incidents()[0]), ElementsAre(3, 4, 2, 5));
}

TEST(IncidentLog, KeepsIncidentsTogetherWhoseRowsStandApart) {
  const IncidentLog log = LogOf({{{"number", "1"}}, {{"number", "2"}}, {{"number", "1"}}});
  ASSERT_EQ(log.incidents().size(), 2u);
  EXPECT_EQ(log.incidents()[0].rows.size(), 2u);
  EXPECT_EQ(log.rows(), 3);
}

TEST(IncidentLog, OpensWithARowThatStandsBeforeTheOpening) {
  const IncidentLog log =
      LogOf({{{"opened_at", "7/3/2016 09:41"}, {"sys_updated_at", "7/3/2016 07:27"}},
             {{"number", "2"}, {"sys_updated_at", "7/3/2016 09:10"}}});
  EXPECT_EQ(log.incidents()[0].opens_at(), Utc("2016-03-07T10:27:00Z"));
  EXPECT_EQ(log.incidents()[1].opens_at(), Utc("2016-03-07T12:00:00Z"));
}

TEST(IncidentLog, TakesTheFirstLocationThatARowNames) {
  const IncidentLog log =
      LogOf({{{"location", "?"}}, {{"location", "161"}}, {{"location", "204"}}});
  EXPECT_EQ(log.incidents()[0].location(), "161");
}

TEST(IncidentLog, TakesAStateThatMeansNothingForNoChange) {
  const IncidentLog log = LogOf({{{"ident_state", "-100"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].state, LOG_STATE_NO_CHANGE);
}

TEST(IncidentLog, TellsWaitingForTheCustomerFromWaitingForOthers) {
  const IncidentLog log = LogOf({{{"ident_state", "Awaiting User Info"}},
                                 {{"ident_state", "Awaiting Vendor"}},
                                 {{"ident_state", "Awaiting Problem"}},
                                 {{"ident_state", "Awaiting Evidence"}}});
  std::vector<LogState> states;
  for (const LogRow& row : log.incidents()[0].rows) states.push_back(row.state);
  EXPECT_THAT(states, ElementsAre(LOG_STATE_PENDING, LOG_STATE_ON_HOLD, LOG_STATE_ON_HOLD,
                                  LOG_STATE_ON_HOLD));
}

TEST(IncidentLog, TakesOneTwoThreeForHighMediumLow) {
  const IncidentLog log = LogOf({{{"impact", "1"}, {"urgency", "3"}}, {{"impact", "2"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].impact, type::v1::IMPACT_HIGH);
  EXPECT_EQ(log.incidents()[0].rows[0].urgency, type::v1::URGENCY_LOW);
  EXPECT_EQ(log.incidents()[0].rows[1].impact, type::v1::IMPACT_MEDIUM);
}

TEST(IncidentLog, NamesFileLineAndColumnOfWhatItCannotRead) {
  EXPECT_EQ(Fault(LogText({{}, {{"sys_updated_at", "31/13/2016 09:00"}}})),
            "log.csv:3: column 8 (sys_updated_at): '31/13/2016 09:00' is no instant like "
            "%d/%m/%Y %H:%M");
  EXPECT_THAT(Fault(LogText({{{"ident_state", "Lost"}}})),
              HasSubstr("log.csv:2: column 2 (ident_state): 'Lost' is not explained by `states`"));
  EXPECT_EQ(Fault(LogText({{{"sys_mod_count", "x"}}})),
            "log.csv:2: column 3 (sys_mod_count): 'x' is no number");
  EXPECT_THAT(Fault(LogText({{{"impact", "4"}}})), HasSubstr("is not explained by `impacts`"));
  EXPECT_THAT(Fault(LogText({{{"made_sla", "maybe"}}})),
              HasSubstr("is neither verdict_met nor verdict_missed"));
  EXPECT_THAT(Fault(LogText({{{"number", "?"}}})), HasSubstr("is missing"));
  EXPECT_THAT(Fault(LogText({{{"caller_id", std::string(49, 'x')}}})),
              HasSubstr("is longer than 48 bytes"));
  EXPECT_THAT(Fault(LogText({{{"location", "\xff"}}})), HasSubstr("is not UTF-8"));
}

TEST(IncidentLog, NamesEverythingThatIsWrongAtOnce) {
  const std::string fault = Fault(LogText({{{"ident_state", "Lost"}}, {{"impact", "4"}}}));
  EXPECT_THAT(fault, HasSubstr("log.csv:2:"));
  EXPECT_THAT(fault, HasSubstr("log.csv:3:"));
}

TEST(IncidentLog, NamesARowWithTooFewColumns) {
  EXPECT_EQ(Fault(LogText({{}}) + "1,New\n"), "log.csv:3: has 2 columns, the first line has 20");
}

TEST(IncidentLog, RefusesALogThatHoldsNothing) {
  EXPECT_EQ(Fault(""), "log.csv: is empty");
  EXPECT_EQ(Fault(LogText({})), "log.csv: holds no row beside the first line");
}

TEST(IncidentLog, NamesTheMappingsLineOfAColumnThatTheLogLacks) {
  const std::string text = absl::StrReplaceAll(LogText({{}}), {{"ident_state", "incident_state"}});
  EXPECT_THAT(Fault(text), HasSubstr("servicenow.yaml:"));
  EXPECT_THAT(Fault(text), HasSubstr("columns.state: log.csv has no column 'ident_state'"));
}

TEST(IncidentLog, RefusesANameThatStandsTwiceWithoutItsPlace) {
  Mapping mapping = ShippedMapping();
  mapping.values.mutable_columns()->set_category("category");
  EXPECT_THAT(Fault(LogText({{}}), mapping),
              HasSubstr("log.csv has 2 columns 'category'; write category#1 or category#2"));
  mapping.values.mutable_columns()->set_category("category#3");
  EXPECT_THAT(Fault(LogText({{}}), mapping), HasSubstr("log.csv has only 2 columns 'category'"));
}

TEST(IncidentLog, PassesOverBlankLinesAlsoAtTheEnd) {
  const IncidentLog log =
      *ParseLog(absl::StrCat("\n", LogText({{}}), "\n  \n"), "log.csv", ShippedMapping());
  EXPECT_EQ(log.rows(), 1);
  EXPECT_EQ(log.blank_lines(), 3);
  EXPECT_EQ(CountTraps(log).blank_lines(), 3);
  EXPECT_FALSE(CountTraps(LogOf({{}})).has_blank_lines());
}

// Sao Paulo's clocks went from 24:00 back to 23:00 on 2017-02-18.
TEST(IncidentLog, TakesRowsOfARepeatedHourInTheOrderOfTheirCounter) {
  const auto row = [](const char* order, const char* at) {
    return RowWords{
        {"sys_mod_count", order}, {"opened_at", "18/2/2017 22:00"}, {"sys_updated_at", at}};
  };
  const IncidentLog log =
      LogOf({row("3", "18/2/2017 23:10"), row("1", "18/2/2017 23:05"), row("2", "18/2/2017 23:50"),
             row("4", "18/2/2017 23:20"), row("5", "19/2/2017 00:05")});
  std::vector<std::string> rows;
  for (const LogRow& each : log.incidents()[0].rows) {
    rows.push_back(absl::StrCat(each.order, " ", time::FormatInstant(each.updated_at)));
  }
  EXPECT_THAT(rows, ElementsAre("1 2017-02-19T01:05:00Z", "2 2017-02-19T01:50:00Z",
                                "3 2017-02-19T02:10:00Z", "4 2017-02-19T02:20:00Z",
                                "5 2017-02-19T03:05:00Z"));
  EXPECT_EQ(log.rows_in_a_repeated_hour(), 2);
}

// Elsewhere the clock on the wall says when a row happened, whatever its counter says.
TEST(IncidentLog, DoesNotMoveARowOfAnOrdinaryHour) {
  const IncidentLog log = LogOf({{{"sys_mod_count", "2"}, {"sys_updated_at", "7/3/2016 10:00"}},
                                 {{"sys_mod_count", "1"}, {"sys_updated_at", "7/3/2016 10:30"}}});
  EXPECT_EQ(log.incidents()[0].rows[0].order, 2);
  EXPECT_EQ(log.rows_in_a_repeated_hour(), 0);
}

// ---- counting

// The last column of the table in tests/data/README.md, by the trap's words.
std::map<std::string, std::string> StatedTraps() {
  std::map<std::string, std::string> stated;
  std::istringstream lines(FileText(SourceFile("tests/data/README.md")));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| ", 0) != 0) continue;
    const size_t first = line.find(" | "), last = line.rfind(" | ");
    stated[line.substr(2, first - 2)] = line.substr(last + 3, line.size() - last - 5);
  }
  return stated;
}

int CountOf(const google::protobuf::RepeatedPtrField<ValueCount>& counts,
            const std::string& value) {
  for (const ValueCount& count : counts) {
    if (count.value() == value) return count.incidents();
  }
  return 0;
}

TEST(LogTraps, AreThoseThatTheSliceStates) {
  absl::StatusOr<IncidentLog> log =
      ParseLog(FileText(SourceFile("tests/data/incidents.csv")), "incidents.csv", ShippedMapping());
  ASSERT_TRUE(log.ok()) << log.status();
  const LogTraps traps = CountTraps(*log);
  std::map<std::string, std::string> stated = StatedTraps();
  const auto expect = [&](const std::string& words, int count) {
    ASSERT_EQ(stated.count(words), 1u) << words;
    EXPECT_EQ(stated[words], absl::StrCat(count)) << words;
    stated.erase(words);
  };
  expect("incidents", traps.incidents());
  expect("rows", traps.rows());
  expect("rows with state `-100`", traps.rows_without_state());
  EXPECT_EQ(stated["locations, callers, groups, assignees"],
            absl::StrCat(traps.locations(), ", ", traps.callers(), ", ", traps.groups(), ", ",
                         traps.assignees()));
  stated.erase("locations, callers, groups, assignees");
  expect("callers who appear at several locations", traps.callers_at_several_locations());
  expect("callers who open at several locations", traps.callers_opening_at_several_locations());
  expect("day above 12 (month/day/year would not parse)", traps.day_above_12());
  expect("day and month both up to 12 (month/day/year would parse, wrongly)", traps.day_or_month());
  expect("no `sys_created_at`", traps.no_created_at());
  expect("no `resolved_at`", traps.no_resolved_at());
  expect("no group in the last row", traps.no_group_at_the_end());
  expect("no group in any row", traps.no_group());
  expect("no assignee in any row", traps.no_assignee());
  expect("neither group nor assignee in any row", traps.no_group_and_no_assignee());
  expect("assignee only after the first row", traps.assignee_named_later());
  expect("no `closed_code`", traps.no_resolution_code());
  expect("no category", traps.no_category());
  expect("state `-100`", traps.without_state());
  expect("a row of the incident out of order in time", traps.rows_out_of_order());
  expect("`sys_mod_count` not rising", traps.order_not_rising());
  expect("a row before `opened_at`", traps.row_before_opening());
  expect("several rows in one minute", traps.several_rows_in_a_minute());
  expect("first row already carries a later `resolved_at`", traps.resolution_told_early());
  expect("first row is not New", traps.first_row_not_new());
  expect("reopened (`reopen_count` above 0)", traps.reopened());
  expect("reopened twice or more", traps.reopened_repeatedly());
  expect("never Resolved (Closed at once)", traps.never_resolved());
  expect("a Closed row, then Active", traps.open_after_closed());
  expect("several Closed rows in a row", traps.closed_repeatedly());
  for (const char* state :
       {"Awaiting User Info", "Awaiting Vendor", "Awaiting Problem", "Awaiting Evidence"}) {
    expect(state, CountOf(traps.by_state(), state));
  }
  expect("priority changes", traps.priority_changes());
  expect("impact or urgency changes, priority does not", traps.impact_changes_alone());
  for (const char* priority : {"1", "2", "4"}) {
    expect(absl::StrCat("priority ", priority), CountOf(traps.by_priority(), priority));
  }
  expect("location changes from one to another", traps.location_changes());
  expect("location starts as `?`, a later row names it", traps.location_named_later());
  expect("location is `?` in every row", traps.no_location());
  expect("no caller", traps.no_caller());
  expect("caller changes", traps.caller_changes());
  expect("the log's verdict turns from met to missed on the way", traps.verdict_changes());
  expect("the log's final verdict is missed", traps.verdict_missed());
  // Nothing that the table states is left out, but for the channel, which is no trap of a replay.
  for (const char* other : {"trap", "not by phone"}) stated.erase(other);
  for (const auto& [words, count] : stated) ADD_FAILURE() << "not counted: " << words;
}

}  // namespace
}  // namespace tandem::programs
