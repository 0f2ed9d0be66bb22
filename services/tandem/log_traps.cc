#include "services/tandem/log_traps.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::programs {
namespace {

// An incident's rows as they stand in the file: some traps lie in their order.
using Rows = std::vector<const LogRow*>;

template <typename Holds>
bool Any(const Rows& rows, Holds holds) {
  return std::any_of(rows.begin(), rows.end(), [&](const LogRow* row) { return holds(*row); });
}

// Whether two rows that stand one after another are so.
template <typename Holds>
bool AnyPair(const Rows& rows, Holds holds) {
  return std::adjacent_find(rows.begin(), rows.end(), [&](const LogRow* a, const LogRow* b) {
           return holds(*a, *b);
         }) != rows.end();
}

// The different values of a column, the missing one left out.
template <typename Value>
std::set<std::string_view> Known(const Rows& rows, Value value) {
  std::set<std::string_view> known;
  for (const LogRow* row : rows) known.insert(value(*row));
  known.erase(std::string_view());
  return known;
}

void Fill(const std::map<std::string_view, int>& counts,
          google::protobuf::RepeatedPtrField<ValueCount>* values) {
  for (const auto& [value, incidents] : counts) {
    ValueCount* const entry = values->Add();
    entry->set_value(std::string(value));
    entry->set_incidents(incidents);
  }
}

}  // namespace

LogTraps CountTraps(const IncidentLog& log) {
  LogTraps traps;
  const auto count = [&](auto set, auto get, bool holds) {
    if (holds) (traps.*set)((traps.*get)() + 1);
  };
#define TANDEM_COUNT(field, holds) count(&LogTraps::set_##field, &LogTraps::field, holds)

  std::set<std::string_view> locations, callers, groups, assignees;
  std::map<std::string_view, std::set<std::string_view>> appears, opens;
  std::map<std::string_view, int> by_state, by_priority;
  for (const Incident& incident : log.incidents()) {
    Rows rows;
    for (const LogRow& row : incident.rows) rows.push_back(&row);
    std::sort(rows.begin(), rows.end(),
              [](const LogRow* a, const LogRow* b) { return a->line < b->line; });
    const LogRow& first = *rows.front();
    const LogRow& last = *rows.back();

    const auto own_locations = Known(rows, [](const LogRow& row) { return row.location; });
    const auto own_callers = Known(rows, [](const LogRow& row) { return row.caller; });
    const auto own_groups = Known(rows, [](const LogRow& row) { return row.group; });
    const auto own_assignees = Known(rows, [](const LogRow& row) { return row.assignee; });
    const auto own_priorities =
        Known(rows, [](const LogRow& row) { return row.hindsight.priority; });
    locations.insert(own_locations.begin(), own_locations.end());
    callers.insert(own_callers.begin(), own_callers.end());
    groups.insert(own_groups.begin(), own_groups.end());
    assignees.insert(own_assignees.begin(), own_assignees.end());
    for (const LogRow* row : rows) {
      if (!row->caller.empty() && !row->location.empty())
        appears[row->caller].insert(row->location);
      TANDEM_COUNT(rows_without_state, row->state == LOG_STATE_NO_CHANGE);
    }
    if (!first.caller.empty() && !first.location.empty())
      opens[first.caller].insert(first.location);
    for (const auto& state : Known(rows, [](const LogRow& row) { return row.hindsight.state; })) {
      ++by_state[state];
    }
    for (const auto& priority : own_priorities) ++by_priority[priority];

    const auto in_state = [](LogState state) {
      return [state](const LogRow& row) { return row.state == state; };
    };
    TANDEM_COUNT(day_above_12, Any(rows, [](const LogRow& r) { return r.hindsight.day > 12; }));
    TANDEM_COUNT(day_or_month, Any(rows, [](const LogRow& r) {
                   return r.hindsight.day <= 12 && r.hindsight.day != r.hindsight.month;
                 }));
    TANDEM_COUNT(no_created_at,
                 !Any(rows, [](const LogRow& r) { return r.hindsight.has_created_at; }));
    TANDEM_COUNT(no_resolved_at,
                 !Any(rows, [](const LogRow& r) { return r.hindsight.resolved_at.has_value(); }));
    TANDEM_COUNT(no_group_at_the_end, last.group.empty());
    TANDEM_COUNT(no_group, own_groups.empty());
    TANDEM_COUNT(no_assignee, own_assignees.empty());
    TANDEM_COUNT(no_group_and_no_assignee, own_groups.empty() && own_assignees.empty());
    TANDEM_COUNT(assignee_named_later, first.assignee.empty() && !own_assignees.empty());
    TANDEM_COUNT(no_resolution_code, last.resolution_code.empty());
    TANDEM_COUNT(no_category, Any(rows, [](const LogRow& r) { return r.category.empty(); }));
    TANDEM_COUNT(without_state, Any(rows, in_state(LOG_STATE_NO_CHANGE)));
    TANDEM_COUNT(rows_out_of_order, AnyPair(rows, [](const LogRow& a, const LogRow& b) {
                   return a.updated_at > b.updated_at;
                 }));
    TANDEM_COUNT(order_not_rising, AnyPair(rows, [](const LogRow& a, const LogRow& b) {
                   return a.order >= b.order;
                 }));
    TANDEM_COUNT(row_before_opening,
                 Any(rows, [](const LogRow& r) { return r.updated_at < r.opened_at; }));
    TANDEM_COUNT(several_rows_in_a_minute, AnyPair(rows, [](const LogRow& a, const LogRow& b) {
                   return a.updated_at == b.updated_at;
                 }));
    TANDEM_COUNT(resolution_told_early, first.hindsight.resolved_at.has_value() &&
                                            *first.hindsight.resolved_at > first.updated_at);
    TANDEM_COUNT(first_row_not_new, first.state != LOG_STATE_NEW);
    TANDEM_COUNT(reopened, Any(rows, [](const LogRow& r) { return r.hindsight.reopenings > 0; }));
    TANDEM_COUNT(reopened_repeatedly,
                 Any(rows, [](const LogRow& r) { return r.hindsight.reopenings > 1; }));
    TANDEM_COUNT(never_resolved, !Any(rows, in_state(LOG_STATE_RESOLVED)));
    TANDEM_COUNT(open_after_closed, AnyPair(rows, [](const LogRow& a, const LogRow& b) {
                   return a.state == LOG_STATE_CLOSED && b.state == LOG_STATE_OPEN;
                 }));
    TANDEM_COUNT(closed_repeatedly, AnyPair(rows, [](const LogRow& a, const LogRow& b) {
                   return a.state == LOG_STATE_CLOSED && b.state == LOG_STATE_CLOSED;
                 }));
    const bool priority_changes = Any(
        rows, [&](const LogRow& r) { return r.hindsight.priority != first.hindsight.priority; });
    TANDEM_COUNT(priority_changes, priority_changes);
    TANDEM_COUNT(impact_changes_alone, !priority_changes && Any(rows, [&](const LogRow& r) {
                   return r.impact != first.impact || r.urgency != first.urgency;
                 }));
    TANDEM_COUNT(location_changes, own_locations.size() > 1);
    TANDEM_COUNT(location_named_later, first.location.empty() && !own_locations.empty());
    TANDEM_COUNT(no_location, own_locations.empty());
    TANDEM_COUNT(no_caller, own_callers.empty());
    TANDEM_COUNT(caller_changes, own_callers.size() > 1);
    TANDEM_COUNT(verdict_changes, Any(rows, [&](const LogRow& r) {
                   return r.hindsight.met != first.hindsight.met;
                 }));
    TANDEM_COUNT(verdict_missed, last.hindsight.met == false);
  }
#undef TANDEM_COUNT

  const auto several = [](const auto& by_caller) {
    return static_cast<int>(
        std::count_if(by_caller.begin(), by_caller.end(),
                      [](const auto& entry) { return entry.second.size() > 1; }));
  };
  traps.set_incidents(static_cast<int>(log.incidents().size()));
  traps.set_rows(static_cast<int>(log.rows()));
  if (log.blank_lines() > 0) traps.set_blank_lines(static_cast<int>(log.blank_lines()));
  if (log.rows_in_a_repeated_hour() > 0) {
    traps.set_rows_in_a_repeated_hour(static_cast<int>(log.rows_in_a_repeated_hour()));
  }
  traps.set_locations(static_cast<int>(locations.size()));
  traps.set_callers(static_cast<int>(callers.size()));
  traps.set_groups(static_cast<int>(groups.size()));
  traps.set_assignees(static_cast<int>(assignees.size()));
  traps.set_callers_at_several_locations(several(appears));
  traps.set_callers_opening_at_several_locations(several(opens));
  Fill(by_state, traps.mutable_by_state());
  Fill(by_priority, traps.mutable_by_priority());
  for (const auto& [column, missing] : log.missing()) {
    MissingCount* const entry = traps.add_missing();
    entry->set_column(column);
    entry->set_rows(static_cast<int>(missing));
  }
  return traps;
}

}  // namespace tandem::programs
