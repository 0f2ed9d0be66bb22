#include "common/transfer/table_plan.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::transfer {
namespace {

// Columns of the corridor's own tables (common/lane) that mean something only where they stand:
// who holds a row at present, and places in the log.
struct Rewritten {
  std::string_view table, column;
  Rewrite rewrite;
};
constexpr std::array<Rewritten, 7> kRewritten = {{
    {"positions", "owner", Rewrite::kClear},
    {"positions", "next_offset", Rewrite::kOffset},
    {"timers", "claim", Rewrite::kClear},
    {"timers", "claimed_until", Rewrite::kClear},
    {"leases", "owner", Rewrite::kClear},
    {"leases", "held_until", Rewrite::kClear},
    {"dead_letters", "log_offset", Rewrite::kOffset},
}};
constexpr char kPartition[] = "partition";
constexpr char kRowid[] = "rowid";

std::optional<Kind> KindOfSqlite(const std::string& type) {
  if (type == "INTEGER") return Kind::kInteger;
  if (type == "TEXT") return Kind::kText;
  if (type == "BLOB") return Kind::kBytes;
  return std::nullopt;
}

std::optional<Kind> KindOfPostgres(const std::string& type) {
  if (type == "bigint") return Kind::kInteger;
  if (type == "text") return Kind::kText;
  if (type == "bytea") return Kind::kBytes;
  return std::nullopt;
}

absl::Status Differs(const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(
      what,
      ". Both sides must have been made by one release: see to it that neither was changed by "
      "hand"));
}

const Column* Find(const std::vector<Column>& columns, const std::string& name) {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const Column& column) { return column.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

absl::StatusOr<TablePlan> PlanTable(const Table& source, const Table& target) {
  TablePlan plan;
  plan.name = source.name;
  plan.key = source.key;
  plan.identity = target.identity;
  plan.last_id = source.last_id;
  for (const Column& column : source.columns) {
    if (Find(target.columns, column.name) != nullptr) continue;
    return Differs(absl::StrCat("table ", source.name, " has the column ", column.name,
                                " in the file and not in PostgreSQL"));
  }
  bool has_offsets = false;
  int partition = -1;
  for (const Column& column : target.columns) {
    const Column* same = Find(source.columns, column.name);
    // The order of rows, which SQLite keeps by itself.
    const Column rowid{kRowid, "INTEGER"};
    if (same == nullptr && column.name == kRowid && source.has_rowid) same = &rowid;
    if (same == nullptr) {
      return Differs(absl::StrCat("table ", source.name, " has the column ", column.name,
                                  " in PostgreSQL and not in the file"));
    }
    const std::optional<Kind> from = KindOfSqlite(same->type), to = KindOfPostgres(column.type);
    if (!from.has_value() || from != to) {
      return Differs(absl::StrCat("column ", column.name, " of table ", source.name, " is ",
                                  same->type, " in the file and ", column.type, " in PostgreSQL"));
    }
    PlannedColumn& planned = plan.columns.emplace_back();
    planned.name = column.name;
    planned.kind = *to;
    for (const Rewritten& one : kRewritten) {
      if (one.table == plan.name && one.column == column.name) planned.rewrite = one.rewrite;
    }
    has_offsets = has_offsets || planned.rewrite == Rewrite::kOffset;
    if (column.name == kPartition) partition = static_cast<int>(plan.columns.size()) - 1;
  }
  if (plan.key.empty()) {
    return Differs(absl::StrCat("table ", source.name, " has no primary key in the file"));
  }
  if (has_offsets) {
    if (partition < 0) return Differs(absl::StrCat("table ", source.name, " names no partition"));
    plan.partition_column = partition;
  }
  return plan;
}

std::map<std::string, const Table*> ByName(const std::vector<Table>& tables) {
  std::map<std::string, const Table*> named;
  for (const Table& table : tables) named.emplace(table.name, &table);
  return named;
}

}  // namespace

absl::StatusOr<std::vector<TablePlan>> PlanTables(const std::vector<Table>& source,
                                                  const std::vector<Table>& target) {
  const auto from = ByName(source), to = ByName(target);
  for (const auto& [name, table] : to) {
    if (from.contains(name)) continue;
    return Differs(absl::StrCat("table ", name, " is in PostgreSQL and not in the file"));
  }
  std::vector<TablePlan> plans;
  for (const auto& [name, table] : from) {
    const auto same = to.find(name);
    if (same == to.end()) {
      return Differs(absl::StrCat("table ", name, " is in the file and not in PostgreSQL"));
    }
    absl::StatusOr<TablePlan> plan = PlanTable(*table, *same->second);
    if (!plan.ok()) return plan.status();
    plans.push_back(*std::move(plan));
  }
  return plans;
}

absl::Status CompareSteps(std::string_view service, const Steps& source, const Steps& target,
                          std::string_view source_command, std::string_view target_command) {
  const auto step_of = [](const Steps& steps, const std::string& component) {
    const auto found = steps.find(component);
    return found == steps.end() ? int64_t{0} : found->second;
  };
  Steps all = source;
  all.insert(target.begin(), target.end());
  for (const auto& [component, step] : all) {
    const int64_t from = step_of(source, component), to = step_of(target, component);
    if (from == to) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(std::string(service), ": schema ", component, " is at step ", from,
                     " in the file and at step ", to, " in PostgreSQL. Run ",
                     std::string(from < to ? source_command : target_command),
                     from < to ? " of the newer release once and stop it" : " of the newer release",
                     ", then this again"));
  }
  return absl::OkStatus();
}

}  // namespace tandem::transfer
