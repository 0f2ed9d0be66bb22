#include "services/triage/records.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/views.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"

namespace tandem::triage {

using config::Absl;

namespace {

using records::ClocksRecord;
using records::EscalationRecord;
using records::StaffRecord;
using records::TicketRecord;
using store::Value;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The severity with the classes risen by $1; the same as EffectiveSeverity, where it has to be
// sorted by.
constexpr char kEffective[] =
    "(severity - CASE WHEN severity>2 AND rise1<=$1 THEN 1 ELSE 0 END"
    " - CASE WHEN severity>3 AND rise2<=$1 THEN 1 ELSE 0 END)";

Value Text(std::string text) { return Value(std::move(text)); }
Value Number(int64_t number) { return Value(number); }

bool IsOpen(const TicketRecord& ticket) { return ticket.phase() == records::PHASE_OPEN; }
int64_t Rise(const TicketRecord& ticket, int index) {
  return index < ticket.rises_at_size() ? time::MicrosOf(ticket.rises_at(index)) : kNever;
}

}  // namespace

const store::Table<TicketRecord>& Tickets() {
  static const store::Table<TicketRecord> table(
      "tickets",
      {{"queue", [](const TicketRecord& r) { return Text(r.queue()); }},
       {"severity", [](const TicketRecord& r) { return Number(SeverityOf(r)); }},
       {"is_open", [](const TicketRecord& r) { return Number(IsOpen(r) ? 1 : 0); }},
       {"is_waiting",
        [](const TicketRecord& r) { return Number(IsOpen(r) && r.has_waiting_since() ? 1 : 0); }},
       {"waiting_since",
        [](const TicketRecord& r) { return Number(time::MicrosOf(r.waiting_since())); }},
       {"rise1", [](const TicketRecord& r) { return Number(Rise(r, 0)); }},
       {"rise2", [](const TicketRecord& r) { return Number(Rise(r, 1)); }},
       {"alike", [](const TicketRecord& r) { return Text(AlikeKey(r)); }},
       {"opened_at", [](const TicketRecord& r) { return Number(time::MicrosOf(r.opened_at())); }}});
  return table;
}

const store::Table<StaffRecord>& StaffTable() {
  static const store::Table<StaffRecord> table(
      "staff",
      {{"function", [](const StaffRecord& r) { return Number(r.staff().function()); }},
       {"is_active", [](const StaffRecord& r) { return Number(r.staff().active() ? 1 : 0); }},
       {"capacity", [](const StaffRecord& r) { return Number(r.staff().capacity()); }}});
  return table;
}

const store::Table<records::LoadRecord>& Loads() {
  static const store::Table<records::LoadRecord> table(
      "loads", {{"units", [](const records::LoadRecord& r) { return Number(r.load().units()); }}});
  return table;
}

const store::Table<records::RosterRecord>& Rosters() {
  static const store::Table<records::RosterRecord> table("rosters", {});
  return table;
}

const store::Table<EscalationRecord>& Escalations() {
  using Record = EscalationRecord;
  static const store::Table<Record> table(
      "escalations",
      {{"ticket_id", [](const Record& r) { return Text(r.escalation().ticket_id()); }},
       {"account_id", [](const Record& r) { return Text(r.escalation().account_id()); }},
       {"state", [](const Record& r) { return Number(r.escalation().state()); }},
       {"raised_at",
        [](const Record& r) { return Number(time::MicrosOf(r.escalation().raised_at())); }},
       {"level", [](const Record& r) { return Number(r.level()); }}});
  return table;
}

const store::Table<ClocksRecord>& Clocks() {
  static const store::Table<ClocksRecord> table(
      "clocks",
      {{"due_at",
        [](const ClocksRecord& r) {
          const absl::Time due = EarliestDue(r);
          return Number(due == absl::InfiniteFuture() ? kNever : time::ToMicros(due));
        }}},
      store::Rows::kMayGo);
  return table;
}

absl::Time EarliestDue(const ClocksRecord& clocks) {
  absl::Time due = absl::InfiniteFuture();
  for (const records::RunningClock& clock : clocks.running()) {
    if (clock.has_due_at()) due = std::min(due, time::Instant(clock.due_at()));
  }
  return due;
}

type::v1::Severity SeverityOf(const TicketRecord& ticket) {
  return ticket.severity_by_hand() == type::v1::SEVERITY_UNSPECIFIED ? ticket.rule_severity()
                                                                     : ticket.severity_by_hand();
}

std::string AlikeKey(const TicketRecord& ticket) {
  const v1::TicketFacts& facts = ticket.facts();
  if (facts.product().empty() && facts.category().empty()) return {};
  return absl::StrCat(facts.product(), "|", facts.category());
}

std::string ProductOf(std::string_view alike_key) {
  return std::string(alike_key.substr(0, alike_key.find('|')));
}

absl::StatusOr<std::vector<corridor::Loaded<TicketRecord>>> SelectWaiting(corridor::View& view,
                                                                          std::string_view queue,
                                                                          absl::Time now,
                                                                          int64_t limit) {
  return view.Select(Tickets(),
                     absl::StrCat("WHERE queue=$2 AND is_waiting=1 ORDER BY ", kEffective,
                                  ", waiting_since, key LIMIT $3"),
                     {Number(time::ToMicros(now)), Text(std::string(queue)), Number(limit)});
}

absl::StatusOr<std::map<std::string, absl::Time>> SelectDue(corridor::View& view,
                                                            std::string_view queue) {
  std::map<std::string, absl::Time> due;
  const absl::Status status =
      view.Query({"SELECT t.key, c.due_at FROM tickets t JOIN clocks c ON c.key = t.key"
                  " WHERE t.queue=$1 AND t.is_waiting=1 AND c.due_at<$2",
                  {Text(std::string(queue)), Number(kNever)}},
                 [&](const store::RowView& row) {
                   due.emplace(std::string(row.Text(0)), time::FromMicros(row.Int(1)));
                 });
  if (!status.ok()) return status;
  return due;
}

absl::StatusOr<std::vector<corridor::Loaded<TicketRecord>>> SelectOwned(corridor::View& view,
                                                                        std::string_view after,
                                                                        int64_t limit) {
  return view.Select(Tickets(), "WHERE is_open=1 AND is_waiting=0 AND key>$1 ORDER BY key LIMIT $2",
                     {Text(std::string(after)), Number(limit)});
}

absl::StatusOr<std::map<std::string, int64_t>> CountAlike(corridor::View& view, absl::Time since) {
  std::map<std::string, int64_t> counts;
  const absl::Status status = view.Query(
      {"SELECT alike, count(*) FROM tickets WHERE is_open=1 AND opened_at>=$1 AND alike<>''"
       " GROUP BY alike",
       {Number(time::ToMicros(since))}},
      [&](const store::RowView& row) { counts.emplace(std::string(row.Text(0)), row.Int(1)); });
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<std::map<std::string, std::vector<WaitingCount>>> CountWaiting(corridor::View& view,
                                                                              absl::Time now) {
  std::map<std::string, std::vector<WaitingCount>> counts;
  const absl::Status status = view.Query(
      {absl::StrCat("SELECT queue, severity, ", kEffective,
                    " AS effective, count(*), min(waiting_since) FROM tickets WHERE is_waiting=1"
                    " GROUP BY queue, severity, effective ORDER BY queue, effective, severity"),
       {Number(time::ToMicros(now))}},
      [&](const store::RowView& row) {
        counts[std::string(row.Text(0))].push_back({static_cast<type::v1::Severity>(row.Int(1)),
                                                    static_cast<type::v1::Severity>(row.Int(2)),
                                                    row.Int(3), time::FromMicros(row.Int(4))});
      });
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<int64_t> CountOwned(corridor::View& view, std::string_view queue) {
  int64_t owned = 0;
  const absl::Status status =
      view.Query({"SELECT count(*) FROM tickets WHERE is_open=1 AND is_waiting=0 AND queue=$1",
                  {Text(std::string(queue))}},
                 [&](const store::RowView& row) { owned = row.Int(0); });
  if (!status.ok()) return status;
  return owned;
}

absl::StatusOr<std::map<std::string, int64_t>> CountOpenByQueue(corridor::View& view) {
  std::map<std::string, int64_t> counts;
  const absl::Status status = view.Query(
      {"SELECT queue, count(*) FROM tickets WHERE is_open=1 GROUP BY queue", {}},
      [&](const store::RowView& row) { counts.emplace(std::string(row.Text(0)), row.Int(1)); });
  if (!status.ok()) return status;
  return counts;
}

absl::StatusOr<std::vector<corridor::Loaded<StaffRecord>>> SelectStaff(
    corridor::View& view, type::v1::StaffFunction function, std::string_view after, int64_t limit) {
  if (function == type::v1::STAFF_FUNCTION_UNSPECIFIED) {
    return view.Select(StaffTable(), "WHERE key>$1 ORDER BY key LIMIT $2",
                       {Text(std::string(after)), Number(limit)});
  }
  return view.Select(StaffTable(), "WHERE function=$3 AND key>$1 ORDER BY key LIMIT $2",
                     {Text(std::string(after)), Number(limit), Number(function)});
}

absl::StatusOr<std::vector<corridor::Loaded<EscalationRecord>>> SelectLiveEscalations(
    corridor::View& view, std::string_view after, int64_t limit) {
  // RINGING or ACKNOWLEDGED, in the words of the index escalations_live.
  return view.Select(Escalations(), "WHERE state < 3 AND key > $1 ORDER BY key LIMIT $2",
                     {Text(std::string(after)), Number(limit)});
}

absl::StatusOr<std::vector<corridor::Loaded<EscalationRecord>>> SelectEscalations(
    corridor::View& view, const v1::ListEscalationsRequest& request,
    const EscalationPosition* after, int64_t limit) {
  std::vector<std::string> conditions;
  std::vector<Value> params;
  const auto parameter = [&](Value value) {
    params.push_back(std::move(value));
    return absl::StrCat("$", params.size());
  };
  if (!request.ticket_id().empty()) {
    conditions.push_back(absl::StrCat("ticket_id=", parameter(Text(request.ticket_id()))));
  }
  if (!request.account_id().empty()) {
    conditions.push_back(absl::StrCat("account_id=", parameter(Text(request.account_id()))));
  }
  if (request.states_size() > 0) {
    conditions.push_back(absl::StrCat(
        "state IN (",
        absl::StrJoin(std::vector<int>(request.states().begin(), request.states().end()), ","),
        ")"));
  }
  if (after != nullptr) {
    const std::string at = parameter(Number(time::ToMicros(after->raised_at)));
    const std::string key = parameter(Text(after->escalation_id));
    conditions.push_back(absl::StrCat("(raised_at, key) < (", at, ", ", key, ")"));
  }
  const std::string page = parameter(Number(limit));
  return view.Select(
      Escalations(),
      absl::StrCat(conditions.empty() ? "" : "WHERE ", absl::StrJoin(conditions, " AND "),
                   " ORDER BY raised_at DESC, key DESC LIMIT ", page),
      std::move(params));
}

std::vector<corridor::ServiceDefinition::Measure> Measures() {
  const std::string function =
      "CASE s.function WHEN 1 THEN 'support' WHEN 2 THEN 'sales' WHEN 3 THEN 'project_management'"
      " WHEN 4 THEN 'csm' WHEN 5 THEN 'executive' ELSE 'unknown' END";
  return {{"tandem_queue_tickets",
           "Unresolved tickets by queue: waiting for an owner, or assigned.",
           {"queue", "ownership"},
           "SELECT queue, CASE is_waiting WHEN 1 THEN 'waiting' ELSE 'assigned' END, COUNT(*)"
           " FROM tickets WHERE is_open = 1 GROUP BY 1, 2"},
          {"tandem_staff_load_units",
           "Units of work that active staff carry.",
           {"function"},
           absl::StrCat("SELECT ", function,
                        ", SUM(COALESCE(l.units, 0)) FROM staff s"
                        " LEFT JOIN loads l ON l.key = s.key WHERE s.is_active = 1 GROUP BY 1")},
          {"tandem_staff_capacity_units",
           "Units of work that active staff carry at most; those without a limit are left out.",
           {"function"},
           absl::StrCat("SELECT ", function,
                        ", SUM(s.capacity) FROM staff s WHERE s.is_active = 1 GROUP BY 1")},
          {"tandem_escalations_open",
           "Escalations that are not closed, by the level that was rung last.",
           {"level", "state"},
           "SELECT CAST(level AS TEXT), CASE state WHEN 1 THEN 'ringing' WHEN 2 THEN 'acknowledged'"
           " WHEN 3 THEN 'exhausted' ELSE 'unknown' END, COUNT(*)"
           " FROM escalations WHERE state <> 4 GROUP BY 1, 2"}};
}

}  // namespace tandem::triage
