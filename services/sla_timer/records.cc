#include "services/sla_timer/records.h"

#include <algorithm>
#include <limits>
#include <utility>
namespace tandem::sla_timer {
namespace {

using records::TicketRecord;
using store::Value;

// The earliest due instant of a clock that runs or is overdue; NULL when there is none, so that the
// index holds only tickets that have one.
Value NextDue(const TicketRecord& record) {
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

Value Text(std::string_view text) { return Value(std::string(text)); }

}  // namespace

const store::Table<TicketRecord>& Tickets() {
  static const store::Table<TicketRecord> table(
      "tickets",
      {{"account_id", [](const TicketRecord& r) { return Text(r.account_id()); }},
       {"opened_at", [](const TicketRecord& r) { return Value(OpenedAt(r)); }},
       {"next_due", [](const TicketRecord& r) { return NextDue(r); }},
       {"is_open", [](const TicketRecord& r) { return Value(int64_t{r.closed() ? 0 : 1}); }},
       {"policy_version",
        [](const TicketRecord& r) { return Value(int64_t{r.policy_version()}); }}});
  return table;
}

const store::Table<records::CalendarRecord>& Calendars() {
  static const store::Table<records::CalendarRecord> table("calendars", {});
  return table;
}

const store::Table<records::PolicyHistory>& PolicyHistories() {
  static const store::Table<records::PolicyHistory> table("policy_histories", {});
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

absl::StatusOr<std::vector<corridor::Loaded<records::CalendarRecord>>> SelectCalendars(
    corridor::View& view, std::string_view after_name, int64_t limit) {
  return view.Select(Calendars(), "WHERE key > $1 ORDER BY key LIMIT $2",
                     {Text(after_name), Value(limit)});
}

}  // namespace tandem::sla_timer
