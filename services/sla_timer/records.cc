#include "services/sla_timer/records.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/sla_timer/clock.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

using records::TicketRecord;
using store::Value;

// The earliest due instant of a clock that runs or is overdue; NULL when there is none, so that the
// index holds only tickets that have one.
Value NextDue(const TicketRecord& record) {
  if (!record.exclusion().empty()) return Value();
  int64_t next = std::numeric_limits<int64_t>::max();
  for (const records::Clock& clock : record.clocks()) {
    if (clock.due_us() != 0) next = std::min(next, clock.due_us());
  }
  if (next == std::numeric_limits<int64_t>::max()) return Value();
  return Value(next);
}

int64_t OpenedAt(const TicketRecord& record) {
  return record.facts().empty() ? 0 : record.facts(0).at_us();
}

// Where a clock stands, as the columns of the metrics show it.
enum Standing : int64_t { kNone = 0, kRunning, kPaused, kAtRisk, kBreached };

Standing StandingOf(const TicketRecord& record, type::v1::SlaMetric metric) {
  if (!record.exclusion().empty()) return kNone;
  const records::Clock* const clock = FindClock(record, metric);
  if (clock == nullptr) return kNone;
  const bool runs = clock->phase() == static_cast<int>(Phase::kRunning) + 1;
  if (!runs && clock->phase() != static_cast<int>(Phase::kPaused) + 1) return kNone;
  if (clock->breached()) return kBreached;
  if (!runs) return kPaused;
  const std::string cycle = WarnedName(clock->cycles(), "");
  for (const std::string& warned : clock->warned()) {
    if (absl::StartsWith(warned, cycle)) return kAtRisk;
  }
  return kRunning;
}

bool IsLive(const TicketRecord& record) {
  return std::any_of(kMetrics.begin(), kMetrics.end(), [&](type::v1::SlaMetric metric) {
    return StandingOf(record, metric) != kNone;
  });
}

template <type::v1::SlaMetric metric>
Value StandingColumn(const TicketRecord& record) {
  return Value(int64_t{StandingOf(record, metric)});
}

// The verdict on a ticket's promise as it stands, corrections included.
enum Promise : int64_t { kNotJudged = 0, kMet, kMissed };

template <type::v1::SlaMetric metric>
Value VerdictColumn(const TicketRecord& record) {
  if (!record.exclusion().empty()) return Value(int64_t{kNotJudged});
  std::map<int, std::string_view> verdicts;  // by cycle, the last one told
  for (const records::Judged& judged : record.judged()) {
    if (judged.metric() == metric) verdicts[judged.cycle()] = judged.verdict();
  }
  int64_t promise = kNotJudged;
  for (const auto& [cycle, verdict] : verdicts) {
    if (verdict == "breached") return Value(int64_t{kMissed});
    if (verdict == "met") promise = kMet;
  }
  return Value(promise);
}

Value Text(std::string_view text) { return Value(std::string(text)); }

}  // namespace

const store::Table<TicketRecord>& Tickets() {
  static const store::Table<TicketRecord> table(
      "tickets",
      {{"account_id", [](const TicketRecord& r) { return Text(r.account_id()); }},
       {"opened_at", [](const TicketRecord& r) { return Value(OpenedAt(r)); }},
       {"next_due", [](const TicketRecord& r) { return NextDue(r); }},
       {"is_open", [](const TicketRecord& r) { return Value(int64_t{r.closed() ? 0 : 1}); }},
       {"policy_version", [](const TicketRecord& r) { return Value(int64_t{r.policy_version()}); }},
       {"is_live", [](const TicketRecord& r) { return Value(int64_t{IsLive(r) ? 1 : 0}); }},
       {"first_response", StandingColumn<type::v1::SLA_METRIC_FIRST_RESPONSE>},
       {"resolution", StandingColumn<type::v1::SLA_METRIC_RESOLUTION>},
       {"time_to_own", StandingColumn<type::v1::SLA_METRIC_TIME_TO_OWN>},
       {"first_response_verdict", VerdictColumn<type::v1::SLA_METRIC_FIRST_RESPONSE>},
       {"resolution_verdict", VerdictColumn<type::v1::SLA_METRIC_RESOLUTION>},
       {"time_to_own_verdict", VerdictColumn<type::v1::SLA_METRIC_TIME_TO_OWN>}});
  return table;
}

const store::Table<records::PolicyHistory>& PolicyHistories() {
  static const store::Table<records::PolicyHistory> table("policy_histories", {});
  return table;
}

const store::Table<records::VerificationRecord>& Verifications() {
  using Record = records::VerificationRecord;
  static const store::Table<Record> table(
      "verifications",
      {{"compared", [](const Record& r) { return Value(int64_t{r.compared()}); }},
       {"differing",
        [](const Record& r) { return Value(std::max(r.differing(), r.last_differing())); }},
       {"tzdata_differing", [](const Record& r) {
          return Value(std::max(r.tzdata_differing(), r.last_tzdata_differing()));
        }}});
  return table;
}

absl::StatusOr<TicketRows> SelectDue(corridor::View& view, int64_t until_us,
                                     std::string_view account_id, int64_t after_due_us,
                                     std::string_view after_key, int64_t limit) {
  if (account_id.empty()) {
    return view.Select(Tickets(),
                       "WHERE next_due <= $1 AND (next_due, key) > ($2, $3) "
                       "ORDER BY next_due, key LIMIT $4",
                       {Value(until_us), Value(after_due_us), Text(after_key), Value(limit)});
  }
  return view.Select(
      Tickets(),
      "WHERE account_id = $5 AND next_due <= $1 AND (next_due, key) > ($2, $3) "
      "ORDER BY next_due, key LIMIT $4",
      {Value(until_us), Value(after_due_us), Text(after_key), Value(limit), Text(account_id)});
}

absl::StatusOr<TicketRows> SelectLive(corridor::View& view, int64_t limit) {
  return view.Select(Tickets(), "WHERE is_live = 1 ORDER BY key LIMIT $1", {Value(limit)});
}

absl::StatusOr<int64_t> CountLive(corridor::View& view) {
  int64_t live = 0;
  const absl::Status status = view.Query({"SELECT count(*) FROM tickets WHERE is_live = 1", {}},
                                         [&](const store::RowView& row) { live = row.Int(0); });
  if (!status.ok()) return status;
  return live;
}

absl::StatusOr<TicketRows> SelectAll(corridor::View& view, std::string_view after_key,
                                     int64_t limit) {
  return view.Select(Tickets(), "WHERE key > $1 ORDER BY key LIMIT $2",
                     {Text(after_key), Value(limit)});
}

absl::StatusOr<TicketRows> SelectOpened(corridor::View& view, int64_t from_us, int64_t to_us,
                                        std::string_view account_id, int64_t after_us,
                                        std::string_view after_key, int64_t limit) {
  if (account_id.empty()) {
    return view.Select(
        Tickets(),
        "WHERE opened_at >= $1 AND opened_at < $2 AND (opened_at, key) > ($3, $4) "
        "ORDER BY opened_at, key LIMIT $5",
        {Value(from_us), Value(to_us), Value(after_us), Text(after_key), Value(limit)});
  }
  return view.Select(Tickets(),
                     "WHERE account_id = $6 AND opened_at >= $1 AND opened_at < $2 "
                     "AND (opened_at, key) > ($3, $4) ORDER BY opened_at, key LIMIT $5",
                     {Value(from_us), Value(to_us), Value(after_us), Text(after_key), Value(limit),
                      Text(account_id)});
}

absl::StatusOr<TicketRows> SelectOpenUnder(corridor::View& view, int64_t before_version,
                                           std::string_view after_key, int64_t limit) {
  return view.Select(Tickets(),
                     "WHERE is_open = 1 AND policy_version < $1 AND key > $2 "
                     "ORDER BY key LIMIT $3",
                     {Value(before_version), Text(after_key), Value(limit)});
}

std::vector<corridor::ServiceDefinition::Measure> Measures() {
  std::string clocks;
  std::string verdicts;
  for (const char* metric : {"first_response", "resolution", "time_to_own"}) {
    absl::StrAppend(&clocks, clocks.empty() ? "" : " UNION ALL ", "SELECT '", metric, "', CASE ",
                    metric,
                    " WHEN 1 THEN 'running' WHEN 2 THEN 'paused' WHEN 3 THEN 'at_risk'"
                    " ELSE 'breached' END, COUNT(*) FROM tickets WHERE is_live = 1 AND ",
                    metric, " > 0 GROUP BY 1, 2");
    absl::StrAppend(&verdicts, verdicts.empty() ? "" : " UNION ALL ", "SELECT '", metric,
                    "', CASE ", metric,
                    "_verdict WHEN 1 THEN 'met' ELSE 'missed' END, COUNT(*) FROM tickets"
                    " WHERE opened_at >= $1 - 604800000000 AND ",
                    metric, "_verdict > 0 GROUP BY 1, 2");
  }
  return {
      {"tandem_sla_clocks",
       "Clocks that have not ended: running, paused, at_risk (warned and not breached) or "
       "breached.",
       {"metric", "state"},
       std::move(clocks)},
      {"tandem_sla_clocks_verified",
       "Clocks compared with a full recomputation in the background since it first ran.",
       {},
       "SELECT compared FROM verifications"},
      {"tandem_sla_clocks_differing",
       "Clocks that differ from a full recomputation, in this round or the last one, whichever "
       "has more; VerifyClocks names them.",
       {},
       "SELECT differing FROM verifications"},
      {"tandem_sla_verdicts_7d",
       "Tickets opened in the last 7 days by how each promise was judged so far: met, or missed "
       "in any cycle; GetSlaReport has other periods.",
       {"metric", "verdict"},
       std::move(verdicts)},
      {"tandem_sla_clocks_of_older_tzdata",
       "Clocks that differ from a full recomputation because the rules of a time zone changed "
       "since "
       "they were judged, in this round or the last one; each takes the new ones with its next "
       "fact "
       "or timer.",
       {},
       "SELECT tzdata_differing FROM verifications"}};
}

}  // namespace tandem::sla_timer
