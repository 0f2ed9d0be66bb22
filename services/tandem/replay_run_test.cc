// The whole of a replay on small logs: the five services, unchanged.
#include "services/tandem/replay_run.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/cli/json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/tandem/replay_report.h"
#include "services/tandem/replay_testing.h"

namespace tandem::programs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace ty = type::v1;

ReplayReport Replayed(const IncidentLog& log, const std::string& data = ":memory:") {
  absl::StatusOr<ReplayReport> report =
      RunReplay(log, ShippedMapping(), BuiltInReplayPolicies(), data, [](int64_t) {});
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : ReplayReport();
}

ReplayReport Replayed(const std::vector<RowWords>& rows) { return Replayed(LogOf(rows)); }

// A row at a time of 7 March 2016, a Monday.
RowWords At(const std::string& time, const std::string& state, RowWords more = {}) {
  more["sys_updated_at"] = absl::StrCat("7/3/2016 ", time);
  more["ident_state"] = state;
  return more;
}
RowWords On(const std::string& day, const std::string& state, RowWords more = {}) {
  more["sys_updated_at"] = absl::StrCat(day, " 10:00");
  more["ident_state"] = state;
  return more;
}

// "STATE SEVERITY tickets+follow_ups".
std::vector<std::string> Tickets(const ReplayReport& report) {
  std::vector<std::string> tickets;
  for (const TicketCount& count : report.tickets()) {
    tickets.push_back(absl::StrCat(ty::TicketState_Name(count.state()).substr(13), " ",
                                   ty::Severity_Name(count.severity()).substr(9), " ",
                                   count.tickets(), "+", count.follow_ups()));
  }
  return tickets;
}

int Commands(const ReplayReport& report, const std::string& method) {
  for (const CommandCount& count : report.actions().commands()) {
    if (count.method() == method) return count.count();
  }
  return 0;
}

int Events(const ReplayReport& report, const std::string& type) {
  for (const EventCount& count : report.events()) {
    if (count.type() == type) return count.count();
  }
  return 0;
}

ClockCount Clock(const ReplayReport& report, ty::SlaMetric metric) {
  ClockCount sum;
  for (const ClockCount& clock : report.clocks()) {
    if (clock.metric() != metric) continue;
    sum.set_met(sum.met() + clock.met());
    sum.set_breached(sum.breached() + clock.breached());
    sum.set_running(sum.running() + clock.running());
    sum.set_is_proxy(clock.is_proxy());
  }
  return sum;
}

// No command was refused, and nothing set aside.
void ExpectClean(const ReplayReport& report) {
  for (const RefusalCount& refusal : report.actions().refusals()) {
    ADD_FAILURE() << "refused: " << refusal.ShortDebugString();
  }
  EXPECT_EQ(report.work().dead_letters(), 0);
}

TEST(Replay, FollowsAnIncidentFromItsOpeningToItsClosing) {
  const ReplayReport report =
      Replayed({At("09:00", "New"), At("09:10", "Active", {{"assigned_to", "17"}}),
                At("09:40", "Awaiting User Info", {{"assigned_to", "17"}}),
                At("10:40", "Active", {{"assigned_to", "18"}}),
                At("11:00", "Resolved", {{"assigned_to", "18"}}), On("14/3/2016", "Closed")});
  ExpectClean(report);
  EXPECT_THAT(Tickets(report), ElementsAre("CLOSED NORMAL 1+0"));
  EXPECT_EQ(report.actions().assignments(), 1);
  EXPECT_EQ(report.actions().reassignments(), 1);
  EXPECT_EQ(report.actions().synthetic_first_responses(), 1);
  EXPECT_EQ(report.actions().synthetic_answers(), 1);
  EXPECT_EQ(report.actions().resolutions(), 1);
  EXPECT_EQ(report.actions().closings(), 1);
  EXPECT_EQ(Events(report, "TicketStateChanged"), 3);
  EXPECT_EQ(report.verdicts().met_met(), 1);
}

TEST(Replay, CallsTheFirstResponseAProxy) {
  const ReplayReport report = Replayed({At("09:00", "New"), At("09:10", "Active")});
  EXPECT_TRUE(Clock(report, ty::SLA_METRIC_FIRST_RESPONSE).is_proxy());
  EXPECT_FALSE(Clock(report, ty::SLA_METRIC_RESOLUTION).is_proxy());
}

TEST(Replay, JudgesByTheClockAndComparesWithTheLog) {
  // A CRITICAL ticket has four hours.
  const auto incident = [](const char* number, const char* resolved, const char* made_sla) {
    return std::vector<RowWords>{
        At("09:00", "New", {{"number", number}, {"impact", "1"}, {"urgency", "1"}}),
        At(resolved, "Resolved",
           {{"number", number}, {"impact", "1"}, {"urgency", "1"}, {"made_sla", made_sla}})};
  };
  std::vector<RowWords> rows;
  for (const auto& part : {incident("1", "13:00", "true"), incident("2", "13:01", "true"),
                           incident("3", "12:00", "false"), incident("4", "14:00", "false")}) {
    rows.insert(rows.end(), part.begin(), part.end());
  }
  const ReplayReport report = Replayed(rows);
  ExpectClean(report);
  EXPECT_EQ(report.verdicts().met_met(), 1);
  EXPECT_EQ(report.verdicts().met_breached(), 1);
  EXPECT_EQ(report.verdicts().missed_met(), 1);
  EXPECT_EQ(report.verdicts().missed_breached(), 1);
  EXPECT_EQ(report.verdicts().agreement_percent(), 50);
}

TEST(Replay, NeverUsesAResolutionBeforeItsRow) {
  // The first row already tells when it will be resolved; the last row is not there.
  const ReplayReport report =
      Replayed({At("09:00", "New", {{"resolved_at", "7/3/2016 09:30"}}),
                On("9/3/2016", "Active", {{"resolved_at", "7/3/2016 09:30"}})});
  EXPECT_THAT(Tickets(report), ElementsAre("OPEN NORMAL 1+0"));
  EXPECT_EQ(report.actions().resolutions(), 0);
}

TEST(Replay, LetsTheFirstRowAfterAnEscalationAcknowledgeIt) {
  const RowWords critical = {{"impact", "1"}, {"urgency", "1"}, {"assigned_to", "17"}};
  const ReplayReport report =
      Replayed({At("09:00", "New", {{"impact", "1"}, {"urgency", "1"}}),
                At("09:05", "Active", critical), At("09:06", "Active", critical)});
  ExpectClean(report);
  EXPECT_EQ(report.escalations().raised(), 1);
  EXPECT_EQ(report.actions().acknowledgements(), 1);
  EXPECT_EQ(report.escalations().exhausted(), 0);
}

TEST(Replay, LetsAnEscalationRingUntilItIsExhaustedWhereNoRowFollows) {
  const ReplayReport report = Replayed({At("09:00", "New", {{"impact", "1"}, {"urgency", "1"}})});
  EXPECT_EQ(report.escalations().raised(), 1);
  EXPECT_EQ(report.escalations().acknowledged(), 0);
  EXPECT_GE(report.escalations().exhausted(), 1);
}

TEST(Replay, GivesATicketWithoutAnAgentToItsGroupsPseudoStaff) {
  const ReplayReport report = Replayed({At("09:00", "New"), At("10:00", "Resolved")});
  ExpectClean(report);
  EXPECT_EQ(report.actions().assignments(), 1);
  EXPECT_EQ(report.actions().pseudo_staff_assignments(), 1);
}

TEST(Replay, ResolvesByTheRowThatClosesWhereNoneResolved) {
  const ReplayReport report =
      Replayed({At("09:00", "New"), At("10:00", "Closed", {{"closed_code", "?"}})});
  ExpectClean(report);
  EXPECT_THAT(Tickets(report), ElementsAre("CLOSED NORMAL 1+0"));
  EXPECT_EQ(report.actions().resolutions_by_closing(), 1);
  EXPECT_EQ(report.actions().resolutions_without_code(), 1);
}

TEST(Replay, ReopensAResolvedTicketAndOpensAFollowUpOfAClosedOne) {
  const ReplayReport report = Replayed(
      {At("09:00", "New"), At("10:00", "Resolved"), At("11:00", "Active"), At("12:00", "Resolved"),
       At("13:00", "Closed"), At("14:00", "Active", {{"assigned_to", "17"}}),
       At("15:00", "Resolved", {{"assigned_to", "17"}}), At("16:00", "Closed")});
  ExpectClean(report);
  EXPECT_EQ(report.actions().reopenings(), 1);
  EXPECT_EQ(report.actions().follow_ups(), 1);
  EXPECT_THAT(Tickets(report), ElementsAre("CLOSED NORMAL 1+1"));
  EXPECT_EQ(report.actions().closings(), 2);
  EXPECT_EQ(report.verdicts().with_follow_up(), 1);
}

TEST(Replay, GivesAReopenedTicketToTheAgentWhoIsNamedThen) {
  const ReplayReport report =
      Replayed({At("09:00", "New"), At("10:00", "Resolved", {{"assigned_to", "17"}}),
                At("11:00", "Active", {{"assigned_to", "18"}})});
  ExpectClean(report);
  EXPECT_EQ(report.actions().assignments(), 1);
  EXPECT_EQ(report.actions().reassignments(), 1);
}

TEST(Replay, LeavesATicketAloneThatClosesTwice) {
  const ReplayReport report = Replayed(
      {At("09:00", "New"), At("10:00", "Resolved"), At("11:00", "Closed"), At("12:00", "Closed")});
  ExpectClean(report);
  EXPECT_EQ(Commands(report, "CloseTicket"), 1);
}

TEST(Replay, ChangesNothingForAStateThatMeansNothing) {
  const ReplayReport report = Replayed({At("09:00", "New"), At("09:30", "Active"),
                                        At("10:00", "-100"), At("11:00", "Awaiting Vendor")});
  ExpectClean(report);
  EXPECT_THAT(Tickets(report), ElementsAre("ON_HOLD NORMAL 1+0"));
}

TEST(Replay, KeepsTheOrderOfRowsOfOneMinute) {
  // As they stand in the file the ticket would end open.
  const ReplayReport report = Replayed({At("10:00", "Resolved", {{"sys_mod_count", "2"}}),
                                        At("10:00", "Active", {{"sys_mod_count", "1"}})});
  ExpectClean(report);
  EXPECT_THAT(Tickets(report), ElementsAre("RESOLVED NORMAL 1+0"));
}

TEST(Replay, AttributesATicketWhenARowNamesItsLocation) {
  const ReplayReport report = Replayed({At("09:00", "New", {{"location", "?"}}),
                                        At("10:00", "Active", {{"location", "161"}}),
                                        At("11:00", "Active", {{"location", "204"}})});
  ExpectClean(report);
  EXPECT_EQ(report.actions().unattributed_at_opening(), 1);
  EXPECT_EQ(report.actions().requesters_assigned(), 1);
  EXPECT_EQ(report.actions().unattributed_at_the_end(), 0);
  EXPECT_EQ(report.actions().rows_at_another_location(), 1);
  EXPECT_EQ(Events(report, "TicketRequesterResolved"), 1);
}

// An account is found by its domain, which knows no blanks, accents or letter case.
TEST(Replay, KeepsTheAccountOfALocationWhateverItsText) {
  const std::vector<std::string> locations = {"New York", "new york", "NEW YORK", "S\u00e3o Paulo",
                                              "a_b",      "a\tb",     "-"};
  std::vector<RowWords> rows;
  for (size_t i = 0; i < locations.size(); ++i) {
    rows.push_back(At("09:00", "New",
                      {{"number", absl::StrCat("INC", i)},
                       {"location", locations[i]},
                       {"caller_id", "Bob " + locations[i]}}));
  }
  const ReplayReport report = Replayed(rows);
  ExpectClean(report);
  EXPECT_EQ(report.actions().accounts(), static_cast<int>(locations.size()));
  EXPECT_EQ(report.actions().tickets_opened(), static_cast<int>(locations.size()));
  EXPECT_EQ(report.actions().unattributed_at_the_end(), 0);
  EXPECT_FALSE(report.actions().has_lost_rows());
  EXPECT_EQ(LostText(report), "");
}

TEST(Replay, SaysWhatOfTheLogDidNotComeThrough) {
  ReplayReport report;
  EXPECT_EQ(LostText(report), "");
  report.mutable_actions()->set_lost_rows(12);
  report.mutable_actions()->set_lost_incidents(3);
  report.mutable_actions()->add_refusals()->set_count(4);
  report.mutable_work()->set_dead_letters(5);
  EXPECT_EQ(LostText(report),
            "12 rows of 3 incidents belong to no account, 4 commands were refused, 5 events are "
            "dead letters; the report names them");
}

TEST(Replay, LeavesATicketWithoutACallerOnTheUnresolvedList) {
  const ReplayReport report = Replayed(
      {At("09:00", "New", {{"caller_id", "?"}}), At("10:00", "Resolved", {{"caller_id", "?"}})});
  ExpectClean(report);
  EXPECT_EQ(report.actions().unattributed_at_the_end(), 1);
  EXPECT_THAT(Tickets(report), ElementsAre("RESOLVED NORMAL 1+0"));
}

TEST(Replay, ChangesTheSeverityWithImpactAndUrgency) {
  const ReplayReport report =
      Replayed({At("09:00", "New"), At("09:30", "New", {{"impact", "1"}, {"urgency", "1"}})});
  ExpectClean(report);
  EXPECT_THAT(Tickets(report), ElementsAre("NEW CRITICAL 1+0"));
  EXPECT_EQ(Events(report, "SeverityChanged"), 1);
}

TEST(Replay, HoldsOutreachForAnAccountWhileSomethingUrgentIsOpen) {
  const RowWords urgent = {{"impact", "1"}, {"urgency", "1"}, {"assigned_to", "17"}};
  const ReplayReport report =
      Replayed({At("09:00", "New", urgent), At("12:30", "Resolved", urgent)});
  ExpectClean(report);
  ASSERT_GT(report.outreach().topics_size(), 0);
  for (const TopicHours& topic : report.outreach().topics()) {
    EXPECT_EQ(topic.account_hours(), 3.5) << topic.ShortDebugString();
  }
  ASSERT_EQ(report.outreach().accounts_size(), 1);
  EXPECT_EQ(report.outreach().accounts(0).account_id(), "location-100");
}

TEST(Replay, InvitesToASurveyThatNobodyAnswers) {
  const ReplayReport report =
      Replayed({At("09:00", "New"), At("10:00", "Resolved"), On("14/3/2016", "Closed")});
  ExpectClean(report);
  EXPECT_EQ(report.surveys().due(), 1);
  EXPECT_EQ(report.surveys().invited(), 1);
  EXPECT_EQ(report.surveys().expired(), 1);
  EXPECT_EQ(report.surveys().answered(), 0);
}

TEST(Replay, JudgesHealthBySupportAlone) {
  const ReplayReport report = Replayed({At("09:00", "New"), At("10:00", "Resolved")});
  int known = 0, unknown = 0;
  for (const BandAccounts& band : report.health()) {
    (band.band() == ty::HEALTH_BAND_GREEN ? known : unknown) += band.accounts();
  }
  EXPECT_EQ(known, 1);
  EXPECT_EQ(unknown, 0);
}

class ReplayOfTheSlice : public ::testing::Test {
 protected:
  static std::string Json(const std::string& data) {
    absl::StatusOr<IncidentLog> log = ParseLog(FileText(SourceFile("tests/data/incidents.csv")),
                                               "incidents.csv", ShippedMapping());
    EXPECT_TRUE(log.ok()) << log.status();
    const ReplayReport report = Replayed(*log, data);
    ExpectClean(report);
    EXPECT_EQ(report.actions().tickets_opened(), report.traps().incidents());
    EXPECT_EQ(report.actions().follow_ups(), report.traps().open_after_closed());
    // One more was resolved, reopened and then closed at once.
    EXPECT_EQ(report.actions().resolutions_by_closing(), report.traps().never_resolved() + 1);
    return *cli::ToJson(report, cli::JsonLayout::kIndented);
  }
};

TEST_F(ReplayOfTheSlice, GivesTheSameReportInMemoryAndWithFiles) {
  const std::string folder = ::testing::TempDir() + "/replay_of_the_slice";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  EXPECT_EQ(Json(folder), Json(":memory:"));
}

}  // namespace
}  // namespace tandem::programs
