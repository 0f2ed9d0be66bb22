// sla_timer, whole, under simulated time.
#include "services/sla_timer/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/testing/operator.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/sla_timer/clock_testing.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/ticket_clocks.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/policy.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/calendar.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::sla_timer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kTicket[] = "tkt_1";
constexpr char kKey[] = "acct_1";
constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";

// Monday, 2026-11-23T14:00Z: the office is open until 17:00Z.
class SlaTimer : public ::testing::Test {
 protected:
  SlaTimer() : harness_([] { return Make(); }) {}

  template <typename E>
  E About(std::optional<absl::Time> at = std::nullopt) {
    E event;
    event.set_ticket_id(kTicket);
    event.set_account_id("acct_1");
    *event.mutable_occurred_at() = time::Stamp(at.value_or(harness_.Now()));
    return event;
  }
  template <typename E>
  std::string Intake(E event) {
    event.set_version(++version_);
    return harness_.Deliver("ticket_intake", kTicket, kKey, event);
  }
  void Open() {
    auto opened = About<events::v1::TicketOpened>();
    opened.set_channel(type::v1::CHANNEL_PORTAL);
    opened.set_segment(type::v1::SEGMENT_MID);
    Intake(opened);
  }
  void Triage(type::v1::Severity severity, std::optional<absl::Time> at = std::nullopt) {
    auto triaged = About<events::v1::TicketTriaged>(at);
    triaged.set_severity(severity);
    harness_.Deliver("triage", kTicket, kKey, triaged);
  }
  void ChangeSeverity(type::v1::Severity severity) {
    auto changed = About<events::v1::SeverityChanged>();
    changed.set_to_severity(severity);
    harness_.Deliver("triage", kTicket, kKey, changed);
  }
  void SetInternal(bool internal) {
    auto updated = About<events::v1::TicketUpdated>();
    updated.set_segment(type::v1::SEGMENT_MID);
    updated.set_internal(internal);
    Intake(updated);
  }
  void Close(type::v1::CloseReason reason) {
    auto closed = About<events::v1::TicketClosed>();
    closed.set_reason(reason);
    Intake(closed);
  }
  sla::v1::GetSlaReportResponse ReportBySeverity() {
    sla::v1::GetSlaReportRequest request;
    *request.mutable_from() = time::Stamp(At("2026-11-01T00:00Z"));
    *request.mutable_to() = time::Stamp(At("2026-12-01T00:00Z"));
    request.add_group_by(sla::v1::REPORT_DIMENSION_SEVERITY);
    auto report = harness_.Call<sla::v1::GetSlaReportResponse>(
        "tandem.sla.v1.SlaService/GetSlaReport", request);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : sla::v1::GetSlaReportResponse();
  }
  int AtRisk() {
    sla::v1::ListAtRiskRequest request;
    request.mutable_horizon()->set_seconds(7 * 86400);
    auto listed =
        harness_.Call<sla::v1::ListAtRiskResponse>("tandem.sla.v1.SlaService/ListAtRisk", request);
    EXPECT_TRUE(listed.ok()) << listed.status();
    return listed.ok() ? listed->clocks_size() : -1;
  }
  void Reply(type::v1::AuthorKind author = type::v1::AUTHOR_KIND_AGENT,
             type::v1::Visibility visibility = type::v1::VISIBILITY_PUBLIC) {
    auto added = About<events::v1::TicketMessageAdded>();
    added.set_author_kind(author);
    added.set_visibility(visibility);
    Intake(added);
  }
  void Move(type::v1::TicketState state) {
    auto changed = About<events::v1::TicketStateChanged>();
    changed.set_to_state(state);
    Intake(changed);
  }
  void Resolve() {
    auto resolved = About<events::v1::TicketResolved>();
    resolved.set_resolved_by(type::v1::RESOLVED_BY_AGENT);
    Intake(resolved);
  }
  sla::v1::GetTicketSlaResponse Sla() {
    sla::v1::GetTicketSlaRequest request;
    request.set_ticket_id(kTicket);
    auto reply = harness_.Call<sla::v1::GetTicketSlaResponse>(
        "tandem.sla.v1.SlaService/GetTicketSla", request);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *reply : sla::v1::GetTicketSlaResponse();
  }
  sla::v1::ClockStatus Clock(type::v1::SlaMetric metric) {
    const sla::v1::GetTicketSlaResponse sla = Sla();
    for (const sla::v1::ClockStatus& clock : sla.clocks()) {
      if (clock.metric() == metric) return clock;
    }
    return {};
  }
  int64_t Apply(const sla::v1::SlaPolicy& policy, const std::string& request_id) {
    sla::v1::ApplyPolicyRequest request;
    request.set_request_id(request_id);
    *request.mutable_policy() = policy;
    auto reply = harness_.Call<sla::v1::ApplyPolicyResponse>(
        "tandem.sla.v1.PolicyService/ApplyPolicy", request);
    EXPECT_TRUE(reply.ok()) << reply.status();
    harness_.Settle();
    return reply.ok() ? reply->version() : -1;
  }
  void ExpectNoDrift() {
    auto reply = harness_.Call<sla::v1::VerifyClocksResponse>(
        "tandem.sla.v1.SlaService/VerifyClocks", sla::v1::VerifyClocksRequest());
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_GE(reply->tickets(), 1);
    for (const auto& drift : reply->drifts()) ADD_FAILURE() << drift.ShortDebugString();
  }
  // A ticket of which no more is told.
  void OpenOther(const std::string& ticket_id) {
    auto opened = About<events::v1::TicketOpened>();
    opened.set_ticket_id(ticket_id);
    opened.set_version(1);
    harness_.Deliver("ticket_intake", ticket_id, kKey, opened);
  }
  // Writes past the service.
  void Tamper(const std::function<void(records::TicketRecord&)>& change) {
    records::TicketRecord record;
    ASSERT_TRUE(harness_.store()
                    .reader()
                    .Query({"SELECT body FROM tickets WHERE key = $1", {std::string(kTicket)}},
                           [&](const store::RowView& row) {
                             record.ParseFromString(std::string(row.Text(0)));
                           })
                    .ok());
    change(record);
    const store::CommitResult result =
        harness_.store().Commit({{"tickets",
                                  kTicket,
                                  {"UPDATE tickets SET body = $1 WHERE key = $2",
                                   {store::Blob{record.SerializeAsString()}, std::string(kTicket)}},
                                  store::Expect::kOneRow}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  }
  int64_t Verified() { return harness_.Number("SELECT SUM(compared) FROM verifications"); }
  int64_t Differing() { return harness_.Number("SELECT SUM(differing) FROM verifications"); }

  void Drop() { EXPECT_TRUE(testing::DropOldestLetter(harness_).ok()); }
  std::string PlanOf(size_t measure) {
    return testing::PlanOf(harness_, Measures()[measure]).value();
  }

  testing::ServiceHarness harness_;
  int64_t version_ = 0;
};

TEST_F(SlaTimer, StartsThreeClocksAndTheFirstClassificationReplacesTheirTargets) {
  Open();
  Triage(type::v1::SEVERITY_NORMAL);
  const auto started = harness_.Published<events::v1::SlaClockStarted>();
  ASSERT_THAT(started, SizeIs(6));
  EXPECT_EQ(started[0].clock().policy().rule(), "unclassified");
  EXPECT_FALSE(started[0].retargeted());
  EXPECT_EQ(started[3].clock().policy().rule(), "normal");
  EXPECT_TRUE(started[3].retargeted());
  // Three of four office hours are left on Monday, one comes on Tuesday.
  EXPECT_EQ(time::MicrosOf(started[3].due_at()), absl::ToUnixMicros(At("2026-11-24T10:00Z")));
  ExpectNoDrift();
}

TEST_F(SlaTimer, WarnsAndBreachesOnceAndStopsWithTheOvershoot) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Minutes(90));
  const auto warned = harness_.Published<events::v1::SlaWarning>();
  ASSERT_THAT(warned, SizeIs(2));  // first response and ownership, at 75 %
  EXPECT_EQ(time::MicrosOf(warned[0].occurred_at()), absl::ToUnixMicros(At("2026-11-23T14:45Z")));
  EXPECT_EQ(warned[0].threshold(), "75%");
  const auto breached = harness_.Published<events::v1::SlaBreached>();
  ASSERT_THAT(breached, SizeIs(2));
  EXPECT_EQ(time::MicrosOf(breached[0].occurred_at()), absl::ToUnixMicros(At("2026-11-23T15:00Z")));
  EXPECT_GE(time::MicrosOf(breached[0].fired_at()), time::MicrosOf(breached[0].occurred_at()));
  EXPECT_FALSE(breached[0].late());
  Reply();
  const auto stopped = harness_.Published<events::v1::SlaStopped>();
  ASSERT_THAT(stopped, SizeIs(1));
  EXPECT_EQ(stopped[0].overshoot().seconds(), 30 * 60);
  harness_.Restart();
  harness_.Advance(absl::Hours(48));
  EXPECT_THAT(harness_.Published<events::v1::SlaBreached>(), SizeIs(3)) << "resolution, once";
  ExpectNoDrift();
}

// Critical for a while after most of its four hours had gone by as urgent: what it was not warned
// of then it is warned of at 75 % of eight hours.
TEST_F(SlaTimer, WarnsOfWhatWasOvertakenOnceMoreTimeIsGiven) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Minutes(220));
  const auto change = [&](type::v1::Severity from, type::v1::Severity to) {
    auto changed = About<events::v1::SeverityChanged>();
    changed.set_from_severity(from);
    changed.set_to_severity(to);
    harness_.Deliver("triage", kTicket, kKey, changed);
  };
  change(type::v1::SEVERITY_URGENT, type::v1::SEVERITY_CRITICAL);
  harness_.Advance(absl::Minutes(2));
  EXPECT_THAT(Clock(type::v1::SLA_METRIC_RESOLUTION).warnings(), ElementsAre("30m"));
  change(type::v1::SEVERITY_CRITICAL, type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Hours(5));
  std::vector<std::string> warned;
  for (const auto& warning : harness_.Published<events::v1::SlaWarning>()) {
    if (warning.clock().metric() != type::v1::SLA_METRIC_RESOLUTION) continue;
    warned.push_back(absl::StrCat(warning.threshold(), " ",
                                  time::FormatInstant(time::Instant(warning.occurred_at()))));
  }
  EXPECT_THAT(warned, ElementsAre("30m 2026-11-23T17:40:00Z", "75% 2026-11-23T20:00:00Z",
                                  "1h 2026-11-23T21:00:00Z"));
  EXPECT_THAT(Clock(type::v1::SLA_METRIC_RESOLUTION).warnings(), ElementsAre("30m", "75%", "1h"));
  ExpectNoDrift();
}

TEST_F(SlaTimer, CountsOnlyAPersonsPublicAnswerAsAResponse) {
  Open();
  Reply(type::v1::AUTHOR_KIND_BOT);
  Reply(type::v1::AUTHOR_KIND_SYSTEM);
  Reply(type::v1::AUTHOR_KIND_REQUESTER);
  Reply(type::v1::AUTHOR_KIND_AGENT, type::v1::VISIBILITY_INTERNAL);
  EXPECT_THAT(harness_.Published<events::v1::SlaMet>(), SizeIs(0));
  Reply();
  EXPECT_THAT(harness_.Published<events::v1::SlaMet>(), SizeIs(1));
}

TEST_F(SlaTimer, PausesResumesAndMeets) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Hours(1));
  Move(type::v1::TICKET_STATE_PENDING);
  harness_.Advance(absl::Hours(100));
  for (const auto& breach : harness_.Published<events::v1::SlaBreached>()) {
    EXPECT_NE(breach.clock().metric(), type::v1::SLA_METRIC_RESOLUTION) << "it is paused";
  }
  Move(type::v1::TICKET_STATE_OPEN);
  const auto resumed = harness_.Published<events::v1::SlaClockResumed>();
  ASSERT_THAT(resumed, SizeIs(1));
  EXPECT_EQ(time::MicrosOf(resumed[0].due_at()), absl::ToUnixMicros(At("2026-11-28T02:00Z")));
  harness_.Advance(absl::Hours(1));
  Resolve();
  const auto met = harness_.Published<events::v1::SlaMet>();
  ASSERT_THAT(met, SizeIs(1));
  EXPECT_EQ(met[0].used().seconds(), 2 * 3600);
  EXPECT_EQ(Clock(type::v1::SLA_METRIC_RESOLUTION).verdict(), sla::v1::SLA_VERDICT_MET);
  ExpectNoDrift();
}

TEST_F(SlaTimer, CorrectsAVerdictByALateFactAndNamesTheVerdictsEvent) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  const absl::Time owned_at = harness_.Now() + absl::Minutes(50);
  harness_.Advance(absl::Minutes(90));
  Reply();
  const std::string cause =
      harness_.Deliver("triage", kTicket, kKey, About<events::v1::AssignmentAccepted>(owned_at));
  const auto corrected = harness_.Published<events::v1::SlaVerdictCorrected>();
  ASSERT_THAT(corrected, SizeIs(1));
  EXPECT_EQ(corrected[0].clock().metric(), type::v1::SLA_METRIC_TIME_TO_OWN);
  EXPECT_EQ(corrected[0].from_verdict(), "breached");
  EXPECT_EQ(corrected[0].to_verdict(), "met");
  EXPECT_EQ(corrected[0].cause_event_id(), cause);
  std::string breach_id;
  for (const bus::Event& event : harness_.PublishedEvents()) {
    events::v1::SlaBreached breach;
    if (event.type == breach.GetTypeName() && breach.ParseFromString(event.body) &&
        breach.clock().metric() == type::v1::SLA_METRIC_TIME_TO_OWN) {
      breach_id = event.id;
    }
  }
  ASSERT_NE(breach_id, "");
  EXPECT_EQ(corrected[0].corrected_event_id(), breach_id) << "the id that the bus shows";
  std::vector<std::string> kinds;
  const sla::v1::GetTicketSlaResponse sla = Sla();
  for (const auto& verdict : sla.verdicts()) {
    if (verdict.metric() == type::v1::SLA_METRIC_TIME_TO_OWN) kinds.push_back(verdict.kind());
  }
  EXPECT_THAT(kinds, ElementsAre("breached", "corrected", "met")) << "all of them stay";
  ExpectNoDrift();
}

// An answer may be faster than triage.
TEST_F(SlaTimer, CorrectsTheVerdictOnAnAnswerThatCameBeforeTheFirstClassification) {
  Open();
  harness_.Advance(absl::Minutes(20));
  Reply();
  EXPECT_THAT(harness_.Published<events::v1::SlaMet>(), SizeIs(1));
  harness_.Advance(absl::Minutes(1));
  Triage(type::v1::SEVERITY_CRITICAL);
  const auto corrected = harness_.Published<events::v1::SlaVerdictCorrected>();
  ASSERT_THAT(corrected, SizeIs(1));
  EXPECT_EQ(corrected[0].clock().metric(), type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(corrected[0].clock().severity(), type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(corrected[0].from_verdict() + " to " + corrected[0].to_verdict(), "met to breached");
  const sla::v1::ClockStatus clock = Clock(type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(clock.policy().rule(), "critical");
  EXPECT_EQ(time::MicrosOf(clock.breached_at()), absl::ToUnixMicros(At("2026-11-23T14:15Z")));
  ASSERT_GE(Sla().verdicts_size(), 1);
  EXPECT_EQ(Sla().verdicts(0).verdict(), "met") << "what was judged then stays beside it";
  const sla::v1::GetSlaReportResponse report = ReportBySeverity();
  ASSERT_GE(report.rows_size(), 1);
  EXPECT_EQ(report.rows(0).metric(), type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(report.rows(0).severity(), type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(report.rows(0).missed(), 1);
  ExpectNoDrift();
}

TEST_F(SlaTimer, CountsAnAnswerBeforeTheFirstClassificationUnderItsSeverityWhereItWasInTime) {
  Open();
  harness_.Advance(absl::Minutes(5));
  Reply();
  Triage(type::v1::SEVERITY_CRITICAL);
  EXPECT_THAT(harness_.Published<events::v1::SlaVerdictCorrected>(), SizeIs(0));
  const sla::v1::GetSlaReportResponse report = ReportBySeverity();
  ASSERT_GE(report.rows_size(), 1);
  EXPECT_EQ(report.rows(0).severity(), type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(report.rows(0).met(), 1);
  ExpectNoDrift();
}

TEST_F(SlaTimer, TakesBackABreachThatOnlyTheUnclassifiedRowMade) {
  Open();
  harness_.Advance(absl::Minutes(70));
  EXPECT_THAT(harness_.Published<events::v1::SlaBreached>(), SizeIs(2));
  Triage(type::v1::SEVERITY_GENERAL);
  for (const auto& corrected : harness_.Published<events::v1::SlaVerdictCorrected>()) {
    EXPECT_EQ(corrected.from_verdict() + " to " + corrected.to_verdict(), "breached to running");
  }
  EXPECT_THAT(harness_.Published<events::v1::SlaVerdictCorrected>(), SizeIs(2));
  EXPECT_EQ(Clock(type::v1::SLA_METRIC_FIRST_RESPONSE).verdict(), sla::v1::SLA_VERDICT_UNSPECIFIED);
  Reply();
  EXPECT_EQ(Clock(type::v1::SLA_METRIC_FIRST_RESPONSE).verdict(), sla::v1::SLA_VERDICT_MET);
  ExpectNoDrift();
}

TEST_F(SlaTimer, LeavesSpamOutOfAttainmentThoughAClockHadBreached) {
  Open();
  Triage(type::v1::SEVERITY_CRITICAL);
  harness_.Advance(absl::Minutes(30));
  EXPECT_THAT(harness_.Published<events::v1::SlaBreached>(), SizeIs(2));
  EXPECT_EQ(harness_.Number("SELECT SUM(first_response_verdict) FROM tickets"), 2);
  EXPECT_GT(AtRisk(), 0);
  Close(type::v1::CLOSE_REASON_SPAM);
  EXPECT_EQ(ReportBySeverity().rows_size(), 0);
  EXPECT_EQ(ReportBySeverity().opened(), 1);
  EXPECT_EQ(ReportBySeverity().excluded(), 1);
  EXPECT_EQ(ReportBySeverity().spreads_size(), 0);
  EXPECT_EQ(AtRisk(), 0);
  EXPECT_EQ(harness_.Number("SELECT SUM(first_response_verdict) FROM tickets"), 0);
  EXPECT_EQ(Sla().out_of_attainment(), "spam");
  ExpectNoDrift();
}

TEST_F(SlaTimer, LeavesAnInternalTicketOutOfAttainmentAsLongAsItIsOne) {
  Open();
  Triage(type::v1::SEVERITY_CRITICAL);
  harness_.Advance(absl::Minutes(30));
  SetInternal(true);
  EXPECT_EQ(ReportBySeverity().rows_size(), 0);
  EXPECT_EQ(ReportBySeverity().excluded(), 1);
  EXPECT_EQ(AtRisk(), 0);
  EXPECT_EQ(harness_.Number("SELECT SUM(is_live) FROM tickets"), 0);
  EXPECT_EQ(harness_.Number("SELECT SUM(first_response_verdict) FROM tickets"), 0);
  EXPECT_EQ(Sla().out_of_attainment(), "internal");
  ExpectNoDrift();
  SetInternal(false);
  EXPECT_EQ(ReportBySeverity().rows(0).missed(), 1);
  EXPECT_EQ(ReportBySeverity().excluded(), 0);
  EXPECT_GT(AtRisk(), 0);
  EXPECT_EQ(harness_.Number("SELECT SUM(is_live) FROM tickets"), 1);
  EXPECT_EQ(harness_.Number("SELECT SUM(first_response_verdict) FROM tickets"), 2);
  EXPECT_EQ(Sla().out_of_attainment(), "");
  ExpectNoDrift();
}

TEST_F(SlaTimer, LeavesATicketOutThatWasOpenedInternal) {
  auto opened = About<events::v1::TicketOpened>();
  opened.set_internal(true);
  Intake(opened);
  // Who its requester is says nothing about that.
  Intake(About<events::v1::TicketRequesterResolved>());
  EXPECT_EQ(Sla().out_of_attainment(), "internal");
  EXPECT_EQ(AtRisk(), 0);
  SetInternal(false);
  EXPECT_EQ(Sla().out_of_attainment(), "");
  EXPECT_GT(AtRisk(), 0);
}

TEST_F(SlaTimer, LeavesAMergedTicketOutOfAttainment) {
  Open();
  harness_.Advance(absl::Minutes(70));
  Move(type::v1::TICKET_STATE_MERGED);
  EXPECT_EQ(Clock(type::v1::SLA_METRIC_RESOLUTION).cancel_reason(), "merged");
  EXPECT_EQ(ReportBySeverity().rows_size(), 0);
  EXPECT_EQ(Sla().out_of_attainment(), "merged");
}

// Only an agent who closes it as SPAM makes it spam.
TEST_F(SlaTimer, CountsATicketThatIsOnlySuspectedToBeSpam) {
  auto opened = About<events::v1::TicketOpened>();
  opened.set_suspected_spam(true);
  Intake(opened);
  harness_.Advance(absl::Minutes(70));
  EXPECT_EQ(Sla().out_of_attainment(), "");
  EXPECT_EQ(ReportBySeverity().rows(0).missed(), 1);
  EXPECT_GT(AtRisk(), 0);
}

TEST_F(SlaTimer, TellsClocksApartThatDifferBecauseTimeZonesChanged) {
  Open();
  harness_.Advance(absl::Minutes(5));
  Tamper([](records::TicketRecord& record) {
    for (records::Clock& clock : *record.mutable_clocks()) {
      if (clock.metric() != type::v1::SLA_METRIC_RESOLUTION) continue;
      clock.set_used_us(clock.used_us() + 1);
      clock.set_tzdata_version("1999a");
    }
  });
  harness_.Advance(absl::Minutes(5));
  EXPECT_EQ(Differing(), 0);
  EXPECT_THAT(harness_.Metrics(),
              HasSubstr("tandem_sla_clocks_of_older_tzdata{service=\"sla_timer\"} 1"));
  const auto named = harness_.Call<sla::v1::VerifyClocksResponse>(
      "tandem.sla.v1.SlaService/VerifyClocks", sla::v1::VerifyClocksRequest());
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->drifts_size(), 1);
  EXPECT_EQ(named->drifts(0).cause(), sla::v1::CLOCK_DRIFT_CAUSE_TZDATA);
  EXPECT_NE(named->tzdata_version(), "");
}

TEST_F(SlaTimer, TellsABreachOfThePastOnceMarkedLate) {
  Open();
  const absl::Time triaged_at = harness_.Now() + absl::Minutes(1);
  harness_.Advance(absl::Minutes(30));
  Reply();
  EXPECT_THAT(harness_.Published<events::v1::SlaMet>(), SizeIs(1));
  Triage(type::v1::SEVERITY_CRITICAL, triaged_at);
  std::vector<events::v1::SlaBreached> late;
  for (const auto& breach : harness_.Published<events::v1::SlaBreached>()) {
    if (breach.clock().metric() == type::v1::SLA_METRIC_FIRST_RESPONSE) late.push_back(breach);
  }
  ASSERT_THAT(late, SizeIs(1));
  EXPECT_TRUE(late[0].late());
  EXPECT_EQ(late[0].cause(), "late_fact");
  EXPECT_EQ(time::MicrosOf(late[0].occurred_at()), absl::ToUnixMicros(At("2026-11-23T14:15Z")));
  ExpectNoDrift();
}

TEST_F(SlaTimer, IsNotMovedByAnEventDeliveredTwice) {
  Open();
  Triage(type::v1::SEVERITY_CRITICAL);
  const size_t told = harness_.PublishedEvents().size();
  harness_.DeliverAgain();
  harness_.Settle();
  EXPECT_EQ(harness_.PublishedEvents().size(), told);
}

TEST_F(SlaTimer, IgnoresFactsAboutATicketThatItNeverSaw) {
  Reply();
  EXPECT_THAT(harness_.PublishedEvents(), SizeIs(0));
}

TEST_F(SlaTimer, TakesOpenTicketsToANewPolicyOnlyWhereItSaysSo) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Minutes(10));
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  for (auto& rule : *policy.mutable_rules()) {
    for (auto& target : *rule.mutable_targets()) {
      target.mutable_budget()->set_seconds(7200);
      target.clear_budget_text();
    }
  }
  EXPECT_EQ(Apply(policy, "apply-1"), 1);
  EXPECT_EQ(Clock(type::v1::SLA_METRIC_RESOLUTION).policy().version(), 0);
  policy.set_applies_to(sla::v1::POLICY_SCOPE_OPEN_TICKETS);
  EXPECT_EQ(Apply(policy, "apply-2"), 2);
  harness_.Advance(absl::Seconds(1));
  const sla::v1::ClockStatus clock = Clock(type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_EQ(clock.policy().version(), 2);
  // Ten minutes of two hours were used.
  EXPECT_EQ(time::MicrosOf(clock.due_at()), absl::ToUnixMicros(At("2026-11-23T16:00Z")));
  EXPECT_THAT(harness_.Published<events::v1::PolicyApplied>(), SizeIs(2));
  ExpectNoDrift();
}

TEST_F(SlaTimer, ExplainsAClockUpToItsDueInstant) {
  Open();
  Triage(type::v1::SEVERITY_NORMAL);
  harness_.Advance(absl::Hours(1));
  sla::v1::ExplainClockRequest request;
  request.set_ticket_id(kTicket);
  request.set_metric(type::v1::SLA_METRIC_RESOLUTION);
  const auto explained = harness_.Call<sla::v1::ExplainClockResponse>(
      "tandem.sla.v1.SlaService/ExplainClock", request);
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_EQ(explained->counted().seconds(), 24 * 3600);
  ASSERT_GE(explained->segments_size(), 4);
  EXPECT_EQ(explained->segments(0).calendar_rule(), "weekly MON 09:00-17:00");
  EXPECT_NE(explained->segments(0).cause_event_id(), "");
  EXPECT_EQ(explained->segments(0).policy().rule(), "normal");
  request.set_page_size(1);
  const auto first = harness_.Call<sla::v1::ExplainClockResponse>(
      "tandem.sla.v1.SlaService/ExplainClock", request);
  ASSERT_TRUE(first.ok());
  request.set_page_token(first->next_page_token());
  const auto page = harness_.Call<sla::v1::ExplainClockResponse>(
      "tandem.sla.v1.SlaService/ExplainClock", request);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->segments_size(), 1);
  EXPECT_EQ(page->segments(0).SerializeAsString(), explained->segments(1).SerializeAsString());
  EXPECT_FALSE(page->next_page_token().empty());
}

TEST_F(SlaTimer, ListsWhatIsAtRiskAndReportsAttainment) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Minutes(30));
  Reply();
  sla::v1::ListAtRiskRequest risk;
  auto listed =
      harness_.Call<sla::v1::ListAtRiskResponse>("tandem.sla.v1.SlaService/ListAtRisk", risk);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->clocks_size(), 1);
  EXPECT_EQ(listed->clocks(0).clock().metric(), type::v1::SLA_METRIC_TIME_TO_OWN);
  risk.mutable_horizon()->set_seconds(86400);
  listed = harness_.Call<sla::v1::ListAtRiskResponse>("tandem.sla.v1.SlaService/ListAtRisk", risk);
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->clocks_size(), 2);

  harness_.Advance(absl::Hours(1));
  sla::v1::GetSlaReportRequest request;
  *request.mutable_from() = time::Stamp(At("2026-11-01T00:00Z"));
  *request.mutable_to() = time::Stamp(At("2026-12-01T00:00Z"));
  request.add_group_by(sla::v1::REPORT_DIMENSION_MONTH);
  request.add_group_by(sla::v1::REPORT_DIMENSION_SEVERITY);
  const auto report = harness_.Call<sla::v1::GetSlaReportResponse>(
      "tandem.sla.v1.SlaService/GetSlaReport", request);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->rows_size(), 3);
  EXPECT_EQ(report->rows(0).metric(), type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(report->rows(0).met(), 1);
  EXPECT_EQ(report->rows(0).month(), "2026-11");
  EXPECT_EQ(report->rows(0).severity(), type::v1::SEVERITY_URGENT);
  EXPECT_EQ(report->rows(1).running(), 1);
  EXPECT_EQ(report->rows(2).missed(), 1);
  EXPECT_EQ(report->opened(), 1);
  ASSERT_EQ(report->spreads_size(), 1);
  EXPECT_EQ(report->spreads(0).elapsed_p90().seconds(), 1800);
}

TEST_F(SlaTimer, ShowsTodaysViewBesideTheVerdictsOfThen) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Minutes(70));  // an hour for an urgent ticket
  ChangeSeverity(type::v1::SEVERITY_GENERAL);
  sla::v1::RecomputeTicketRequest request;
  request.set_ticket_id(kTicket);
  const auto reply = harness_.Call<sla::v1::RecomputeTicketResponse>(
      "tandem.sla.v1.SlaService/RecomputeTicket", request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->as_judged_size(), 3);
  EXPECT_EQ(reply->as_judged(0).verdict(), sla::v1::SLA_VERDICT_BREACHED);
  ASSERT_EQ(reply->recomputed_size(), 3);
  EXPECT_EQ(reply->recomputed(0).verdict(), sla::v1::SLA_VERDICT_UNSPECIFIED);
  EXPECT_EQ(reply->recomputed(0).policy().rule(), "general");
}

TEST_F(SlaTimer, AnswersQuestionsByTheCalendarsOfThePolicyInForceAndOfEarlierVersions) {
  sla::v1::AddBusinessTimeRequest add;
  add.mutable_calendar()->set_name("office-hours");
  *add.mutable_from() = time::Stamp(At("2026-11-23T14:00Z"));
  add.mutable_budget()->set_seconds(5 * 3600);
  const auto due = [&] {
    const auto added = harness_.Call<sla::v1::AddBusinessTimeResponse>(
        "tandem.sla.v1.CalendarService/AddBusinessTime", add);
    return added.ok() ? time::FormatInstant(time::Instant(added->due_at()))
                      : added.status().ToString();
  };
  EXPECT_EQ(due(), "2026-11-24T11:00:00Z") << "the built-in office closes at 17:00";
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  policy.mutable_calendars(1)->mutable_weekly(0)->set_end("18:00");
  ASSERT_EQ(Apply(policy, "later-closing"), 1);
  EXPECT_EQ(due(), "2026-11-24T10:00:00Z");
  add.mutable_calendar()->set_policy_version(0);
  EXPECT_EQ(due(), "2026-11-24T11:00:00Z") << "the built-in policy is still known";
  add.mutable_calendar()->set_policy_version(7);
  EXPECT_THAT(due(), HasSubstr("NOT_FOUND"));
  add.mutable_calendar()->clear_policy_version();
  add.mutable_calendar()->set_name("office-hour");
  EXPECT_THAT(due(), HasSubstr("did you mean 'office-hours'"));

  const auto listed = harness_.Call<sla::v1::ListCalendarsResponse>(
      "tandem.sla.v1.CalendarService/ListCalendars", sla::v1::ListCalendarsRequest());
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->calendars_size(), 2);
  EXPECT_EQ(listed->calendars(1).name(), "office-hours");
  EXPECT_EQ(listed->calendars(1).version(), 1);
  sla::v1::GetCalendarRequest get;
  get.set_name("office-hours");
  get.set_policy_version(0);
  const auto got =
      harness_.Call<sla::v1::GetCalendarResponse>("tandem.sla.v1.CalendarService/GetCalendar", get);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->calendar().weekly(0).end(), "17:00");
  EXPECT_EQ(got->calendar().version(), 0);
}

TEST_F(SlaTimer, ListsCalendarsPageByPage) {
  sla::v1::ListCalendarsRequest list;
  list.set_page_size(1);
  std::vector<std::string> names;
  do {
    const auto page = harness_.Call<sla::v1::ListCalendarsResponse>(
        "tandem.sla.v1.CalendarService/ListCalendars", list);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->calendars_size(), 1);
    names.push_back(page->calendars(0).name());
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_THAT(names, ElementsAre("around-the-clock", "office-hours"));
}

TEST_F(SlaTimer, CountsWorkingDaysAndRefusesDaysOfADeskThatCloses) {
  sla::v1::AddBusinessTimeRequest add;
  add.mutable_calendar()->set_name("office-hours");
  *add.mutable_from() = time::Stamp(At("2026-11-23T14:00Z"));
  const auto due = [&](const std::string& text) {
    add.set_budget_text(text);
    const auto added = harness_.Call<sla::v1::AddBusinessTimeResponse>(
        "tandem.sla.v1.CalendarService/AddBusinessTime", add);
    return added.ok() ? time::FormatInstant(time::Instant(added->due_at()))
                      : added.status().ToString();
  };
  EXPECT_EQ(due("5 working days"), "2026-11-30T14:00:00Z");
  EXPECT_EQ(due("40h"), "2026-11-30T14:00:00Z");
  EXPECT_THAT(due("5d"), HasSubstr("write 40h of open time, or 5 working days"));
  EXPECT_THAT(due("soon"), HasSubstr("budget: expected a duration"));
  add.mutable_calendar()->set_name("around-the-clock");
  EXPECT_EQ(due("5d"), "2026-11-28T14:00:00Z");
}

TEST_F(SlaTimer, AnswersQuestionsInPages) {
  sla::v1::ListIntervalsRequest list;
  list.mutable_calendar()->set_name("office-hours");
  *list.mutable_from() = time::Stamp(At("2026-11-23T00:00Z"));
  *list.mutable_to() = time::Stamp(At("2026-11-30T00:00Z"));
  list.set_page_size(2);
  int pieces = 0, pages = 0;
  do {
    const auto page = harness_.Call<sla::v1::ListIntervalsResponse>(
        "tandem.sla.v1.CalendarService/ListIntervals", list);
    ASSERT_TRUE(page.ok()) << page.status();
    pieces += page->intervals_size();
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty() && ++pages < 10);
  EXPECT_EQ(pieces, 5);
}

// A target in working days, from the policy's file to what a person is shown.
TEST_F(SlaTimer, ShowsATargetInWorkingDaysAsItIsWrittenAndWhatItComesTo) {
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  for (sla::v1::SlaTarget& target : *policy.mutable_rules(0)->mutable_targets()) {
    if (target.metric() != type::v1::SLA_METRIC_RESOLUTION) continue;
    target.clear_budget();
    target.set_budget_text("2 working days");
  }
  ASSERT_EQ(Apply(policy, "working-days"), 1);
  Open();
  const sla::v1::ClockStatus clock = Clock(type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_EQ(clock.target_text(), "2 working days");
  EXPECT_EQ(clock.target().seconds(), 16 * 3600);
  EXPECT_EQ(time::MicrosOf(clock.due_at()), absl::ToUnixMicros(At("2026-11-25T14:00Z")));
  EXPECT_EQ(time::MicrosOf(clock.working_days_end_at()), time::MicrosOf(clock.due_at()));
  bool is_told = false;
  for (const auto& started : harness_.Published<events::v1::SlaClockStarted>()) {
    is_told = is_told || started.target_text() == "2 working days";
  }
  EXPECT_TRUE(is_told);
  ExpectNoDrift();
}

TEST_F(SlaTimer, AnswersForATicketWhoseOpeningIsStillOnItsWay) {
  harness_.peer().Answer(kGetTicket, intake::v1::GetTicketResponse());
  sla::v1::GetTicketSlaRequest sla;
  sla.set_ticket_id(kTicket);
  sla::v1::ExplainClockRequest explain;
  explain.set_ticket_id(kTicket);
  explain.set_metric(type::v1::SLA_METRIC_FIRST_RESPONSE);
  sla::v1::RecomputeTicketRequest recompute;
  recompute.set_ticket_id(kTicket);
  const auto clocks =
      harness_.Begin<sla::v1::GetTicketSlaResponse>("tandem.sla.v1.SlaService/GetTicketSla", sla);
  const auto explained = harness_.Begin<sla::v1::ExplainClockResponse>(
      "tandem.sla.v1.SlaService/ExplainClock", explain);
  const auto recomputed = harness_.Begin<sla::v1::RecomputeTicketResponse>(
      "tandem.sla.v1.SlaService/RecomputeTicket", recompute);
  EXPECT_FALSE(clocks->has_value() || explained->has_value() || recomputed->has_value());
  Open();
  ASSERT_TRUE(clocks->has_value() && explained->has_value() && recomputed->has_value());
  EXPECT_TRUE((*clocks)->ok()) << (*clocks)->status();
  EXPECT_TRUE((*explained)->ok()) << (*explained)->status();
  EXPECT_TRUE((*recomputed)->ok()) << (*recomputed)->status();
}

TEST_F(SlaTimer, NamesEveryBadField) {
  sla::v1::GetTicketSlaRequest request;
  request.set_ticket_id("no id");
  EXPECT_EQ(
      harness_.Call<sla::v1::GetTicketSlaResponse>("tandem.sla.v1.SlaService/GetTicketSla", request)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
  harness_.peer().On<intake::v1::GetTicketRequest, intake::v1::GetTicketResponse>(
      kGetTicket,
      [](const intake::v1::GetTicketRequest& asked)
          -> absl::StatusOr<intake::v1::GetTicketResponse> {
        return corridor::NotFound("ticket", asked.ticket_id());
      });
  request.set_ticket_id("tkt_404");
  EXPECT_EQ(
      harness_.Call<sla::v1::GetTicketSlaResponse>("tandem.sla.v1.SlaService/GetTicketSla", request)
          .status()
          .code(),
      absl::StatusCode::kNotFound);
  sla::v1::ApplyPolicyRequest apply;
  apply.set_request_id("apply-1");
  EXPECT_EQ(
      harness_.Call<sla::v1::ApplyPolicyResponse>("tandem.sla.v1.PolicyService/ApplyPolicy", apply)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_F(SlaTimer, JudgesNoTicketWhoseFactsAreParked) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  harness_.DeliverBroken("ticket_intake", kTicket, kKey, "tandem.events.v1.TicketMessageAdded");
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(harness_.Published<events::v1::SlaBreached>(), SizeIs(0));
  sla::v1::GetTicketSlaRequest get;
  get.set_ticket_id(kTicket);
  sla::v1::ExplainClockRequest explain;
  explain.set_ticket_id(kTicket);
  explain.set_metric(type::v1::SLA_METRIC_RESOLUTION);
  sla::v1::RecomputeTicketRequest recompute;
  recompute.set_ticket_id(kTicket);
  const std::string service = "tandem.sla.v1.SlaService/";
  for (const absl::Status& status :
       {harness_.Call<sla::v1::GetTicketSlaResponse>(service + "GetTicketSla", get).status(),
        harness_.Call<sla::v1::ExplainClockResponse>(service + "ExplainClock", explain).status(),
        harness_.Call<sla::v1::RecomputeTicketResponse>(service + "RecomputeTicket", recompute)
            .status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("dead-letter"));
  }
  Drop();
  harness_.Advance(absl::Minutes(1));
  const auto breached = harness_.Published<events::v1::SlaBreached>();
  ASSERT_THAT(breached, SizeIs(2));
  EXPECT_EQ(time::MicrosOf(breached[0].occurred_at()), absl::ToUnixMicros(At("2026-11-23T15:00Z")));
  ExpectNoDrift();
}

TEST_F(SlaTimer, CountsLiveClocksByMetricAndState) {
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  const auto clocks = [](const std::string& metric, const std::string& state) {
    return "tandem_sla_clocks{metric=\"" + metric + "\",service=\"sla_timer\",state=\"" + state +
           "\"} ";
  };
  EXPECT_THAT(harness_.Metrics(), HasSubstr(clocks("first_response", "running") + "1"));
  Move(type::v1::TICKET_STATE_PENDING);
  harness_.Advance(absl::Minutes(50));
  std::string text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(clocks("first_response", "running") + "0"));
  EXPECT_THAT(text, HasSubstr(clocks("first_response", "at_risk") + "1"));
  EXPECT_THAT(text, HasSubstr(clocks("resolution", "paused") + "1"));
  harness_.Advance(absl::Minutes(20));
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(clocks("first_response", "at_risk") + "0"));
  EXPECT_THAT(text, HasSubstr(clocks("first_response", "breached") + "1"));
  Reply();
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(clocks("first_response", "breached") + "0")) << "it has ended";
  EXPECT_THAT(text, HasSubstr(clocks("time_to_own", "breached") + "1"));
  EXPECT_THAT(PlanOf(0), HasSubstr("COVERING INDEX tickets_live"));
}

TEST_F(SlaTimer, CountsHowPromisesWereJudgedCorrectionsIncluded) {
  const auto verdicts = [](const std::string& metric, const std::string& verdict) {
    return "tandem_sla_verdicts_7d{metric=\"" + metric + "\",service=\"sla_timer\",verdict=\"" +
           verdict + "\"} ";
  };
  Open();
  Triage(type::v1::SEVERITY_URGENT);
  const absl::Time owned_at = harness_.Now() + absl::Minutes(50);
  harness_.Advance(absl::Minutes(30));
  Reply();
  harness_.Advance(absl::Hours(1));
  std::string text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(verdicts("first_response", "met") + "1"));
  EXPECT_THAT(text, HasSubstr(verdicts("time_to_own", "missed") + "1"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("tandem_sla_verdicts_7d{metric=\"resolution\"")))
      << "it still runs";
  harness_.Deliver("triage", kTicket, kKey, About<events::v1::AssignmentAccepted>(owned_at));
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(verdicts("time_to_own", "missed") + "0"));
  EXPECT_THAT(text, HasSubstr(verdicts("time_to_own", "met") + "1"));
  EXPECT_THAT(PlanOf(3), HasSubstr("COVERING INDEX tickets_by_opening"));
  harness_.Advance(absl::Hours(8 * 24));
  EXPECT_THAT(harness_.Metrics(), HasSubstr(verdicts("time_to_own", "met") + "0"));
}

TEST_F(SlaTimer, VerifiesClocksInTheBackgroundAndTellsWhichDiffer) {
  Open();
  harness_.Advance(absl::Minutes(5));
  EXPECT_GE(Verified(), 3);
  EXPECT_EQ(Differing(), 0);
  Tamper([](records::TicketRecord& record) {
    record.mutable_clocks(1)->set_used_us(record.clocks(1).used_us() + 1);
  });
  harness_.Advance(absl::Minutes(5));
  EXPECT_EQ(Differing(), 1);
  const std::string text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr("tandem_sla_clocks_differing{service=\"sla_timer\"} 1"));
  EXPECT_THAT(text, HasSubstr("tandem_sla_clocks_verified{service=\"sla_timer\"} " +
                              std::to_string(Verified())));
  const auto named = harness_.Call<sla::v1::VerifyClocksResponse>(
      "tandem.sla.v1.SlaService/VerifyClocks", sla::v1::VerifyClocksRequest());
  ASSERT_TRUE(named.ok()) << named.status();
  ASSERT_EQ(named->drifts_size(), 1);
  EXPECT_EQ(named->drifts(0).ticket_id(), kTicket);
  EXPECT_EQ(named->drifts(0).field(), "used");

  Tamper([](records::TicketRecord& record) {
    record.mutable_clocks(1)->set_used_us(record.clocks(1).used_us() - 1);
  });
  harness_.Advance(absl::Minutes(5));
  EXPECT_EQ(Differing(), 0) << "two rounds without a difference";
}

TEST_F(SlaTimer, VerifiesAllTicketsInTurnAtThePoliciesPace) {
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  policy.mutable_verification()->mutable_every()->set_seconds(10);
  policy.mutable_verification()->set_tickets(2);
  Apply(policy, "apply-1");
  for (const char* id : {"tkt_a", "tkt_b", "tkt_c"}) OpenOther(id);
  harness_.Advance(absl::Seconds(11));
  EXPECT_EQ(Verified(), 6) << "two tickets with three clocks each";
  harness_.Restart();
  harness_.Advance(absl::Seconds(10));
  EXPECT_EQ(Verified(), 9) << "the third one, which ends the round";
  harness_.Advance(absl::Seconds(10));
  EXPECT_EQ(Verified(), 15);

  policy.mutable_verification()->set_tickets(0);
  Apply(policy, "apply-2");
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Verified(), 15) << "off";
  OpenOther("tkt_d");
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Verified(), 15) << "an opening does not begin it";
  policy.mutable_verification()->set_tickets(10);
  Apply(policy, "apply-3");
  harness_.Advance(absl::Seconds(11));
  EXPECT_GT(Verified(), 15);
}

}  // namespace
}  // namespace tandem::sla_timer
