#include "common/store/sqlite_migrate.h"

#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/store/migration_plan.h"

namespace tandem::store {
namespace {

// The text of each applied step is kept, so that a changed one is noticed and can be read.
constexpr char kCreateRecord[] = R"sql(
CREATE TABLE IF NOT EXISTS schema_migrations (
  component   TEXT    NOT NULL,
  number      INTEGER NOT NULL,
  serves_from INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  sql         TEXT    NOT NULL,
  applied_at  INTEGER NOT NULL,  -- microseconds since the epoch by the database's own clock
  PRIMARY KEY (component, number)
) STRICT, WITHOUT ROWID
)sql";

constexpr char kRecordStep[] =
    "INSERT INTO schema_migrations (component, number, serves_from, name, sql, applied_at) VALUES "
    "($1, $2, $3, $4, $5, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))";

absl::Status Apply(const std::string& component, const Migration& step,
                   SqliteConnection& connection) {
  if (absl::Status s = connection.Execute(step.sql); !s.ok()) return s;
  if (!connection.in_transaction()) {
    return absl::InternalError("the step ends the transaction that it runs in");
  }
  const SqliteConnection::LineResult recorded = connection.Run(
      Statement{kRecordStep,
                {component, int64_t{step.number}, int64_t{step.serves_from}, step.name, step.sql}},
      Expect::kOneRow);
  if (recorded.kind == SqliteConnection::LineResult::Kind::kFailed) return recorded.status;
  if (recorded.kind == SqliteConnection::LineResult::Kind::kMissed) {
    return absl::InternalError("the step records itself in schema_migrations");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Migrate(const std::string& path, const std::vector<Schema>& schemas,
                     SqliteConnection& connection) {
  if (absl::Status s = CheckSchemas(schemas); !s.ok()) return s;
  if (schemas.empty()) return absl::OkStatus();
  if (absl::Status s = connection.Execute(kCreateRecord); !s.ok()) return s;

  std::map<std::string, std::vector<Migration>> recorded;
  const absl::Status read =
      connection.Query({"SELECT component, number, serves_from, name, sql FROM schema_migrations "
                        "ORDER BY component, number",
                        {}},
                       [&](const RowView& row) {
                         recorded[std::string(row.Text(0))].push_back(
                             {static_cast<int>(row.Int(1)), static_cast<int>(row.Int(2)),
                              std::string(row.Text(3)), std::string(row.Text(4))});
                       });
  if (!read.ok()) return read;

  std::vector<std::pair<const Schema*, const Migration*>> plan;
  for (const Schema& schema : schemas) {
    const auto missing = PlanMigrations(path, schema, recorded[schema.component]);
    if (!missing.ok()) return missing.status();
    for (const Migration* step : *missing) plan.emplace_back(&schema, step);
    recorded.erase(schema.component);
  }
  for (const auto& [component, steps] : recorded) {  // of components that this binary does not know
    const auto refused = PlanMigrations(path, Schema{component, {}}, steps);
    if (!refused.ok()) return refused.status();
  }

  for (const auto& [schema, step] : plan) {
    int code = connection.Run(SqliteConnection::Transaction::kBegin);
    absl::Status applied = code == SQLITE_OK ? Apply(schema->component, *step, connection)
                                             : connection.Error(code, "BEGIN IMMEDIATE");
    if (applied.ok()) {
      code = connection.Run(SqliteConnection::Transaction::kCommit);
      if (code != SQLITE_OK) applied = connection.Error(code, "COMMIT");
    }
    if (!applied.ok()) {
      if (connection.in_transaction()) connection.Run(SqliteConnection::Transaction::kRollback);
      return absl::Status(applied.code(), absl::StrCat(path, ": step ", step->number, " of schema ",
                                                       schema->component, " (", step->name,
                                                       ") failed: ", applied.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace tandem::store
