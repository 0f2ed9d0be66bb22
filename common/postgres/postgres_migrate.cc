#include "common/postgres/postgres_migrate.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/store/migration_plan.h"

namespace tandem::store {
namespace {

using Result = PostgresConnection::Result;
using Plan = std::vector<std::pair<const Schema*, const Migration*>>;

// The text of each applied step is kept, so that a changed one is noticed and can be read.
constexpr char kCreateRecord[] = R"sql(
CREATE TABLE IF NOT EXISTS schema_migrations (
  component   TEXT COLLATE "C" NOT NULL,
  number      BIGINT           NOT NULL,
  serves_from BIGINT           NOT NULL,
  name        TEXT             NOT NULL,
  sql         TEXT             NOT NULL,
  applied_at  BIGINT           NOT NULL,  -- microseconds since the epoch by the database's own clock
  PRIMARY KEY (component, number)
)
)sql";

constexpr char kRecordStep[] =
    "INSERT INTO schema_migrations (component, number, serves_from, name, sql, applied_at) VALUES "
    "($1, CAST($2 AS BIGINT), CAST($3 AS BIGINT), $4, $5, "
    "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT))";

// One lock a schema of a database, so that two services of one database do not wait for each other.
constexpr char kLock[] =
    "SELECT pg_advisory_lock(hashtextextended('tandem schema_migrations ' || $1, 0))";
constexpr char kUnlock[] =
    "SELECT pg_advisory_unlock(hashtextextended('tandem schema_migrations ' || $1, 0))";

// What the role $1 may not use of the schema $2, though a service must.
constexpr char kFirstLack[] = R"sql(
SELECT 'schema ' || CAST($2 AS text)
WHERE NOT has_schema_privilege(CAST($1 AS name), CAST($2 AS text), 'USAGE')
UNION ALL
SELECT 'table ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = CAST($2 AS text) AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations'
  AND NOT (has_table_privilege(CAST($1 AS name), c.oid, 'SELECT')
           AND has_table_privilege(CAST($1 AS name), c.oid, 'INSERT')
           AND has_table_privilege(CAST($1 AS name), c.oid, 'UPDATE')
           AND has_table_privilege(CAST($1 AS name), c.oid, 'DELETE'))
LIMIT 1
)sql";

std::string Cell(const Result& result, int row, int column) {
  return {PQgetvalue(result.get(), row, column),
          static_cast<size_t>(PQgetlength(result.get(), row, column))};
}

int Number(const Result& result, int row, int column) {
  int number = 0;
  return absl::SimpleAtoi(Cell(result, row, column), &number) ? number : 0;
}

// What a session over one connection for kMigrates does, each statement within the same time.
class Migrator {
 public:
  Migrator(const PostgresOptions& options, std::string database, PostgresConnection& connection)
      : options_(options), database_(std::move(database)), connection_(connection) {}

  absl::StatusOr<Result> Run(const std::string& sql, const std::vector<std::string>& params = {}) {
    // The server gives up after migrate_timeout and says why; that is waited for.
    return connection_.Execute(sql, params, options_.migrate_timeout + options_.connect_timeout);
  }

  absl::StatusOr<bool> Holds(const std::string& question, const std::string& param) {
    absl::StatusOr<Result> answer = Run(question, {param});
    if (!answer.ok()) return answer.status();
    return Cell(*answer, 0, 0) == "t";
  }

  absl::StatusOr<Plan> MakePlan() {
    std::map<std::string, std::vector<Migration>> recorded;
    absl::StatusOr<bool> has_record = Holds(
        "SELECT to_regclass(quote_ident($1) || '.schema_migrations') IS NOT NULL", options_.schema);
    if (!has_record.ok()) return has_record.status();
    if (*has_record) {
      absl::StatusOr<Result> rows =
          Run("SELECT component, number, serves_from, name, sql FROM schema_migrations "
              "ORDER BY component, number");
      if (!rows.ok()) return rows.status();
      for (int i = 0; i < PQntuples(rows->get()); ++i) {
        recorded[Cell(*rows, i, 0)].push_back(
            {Number(*rows, i, 1), Number(*rows, i, 2), Cell(*rows, i, 3), Cell(*rows, i, 4)});
      }
    }
    Plan plan;
    for (const Schema& schema : options_.schemas) {
      const auto missing = PlanMigrations(database_, schema, recorded[schema.component]);
      if (!missing.ok()) return missing.status();
      for (const Migration* step : *missing) plan.emplace_back(&schema, step);
      recorded.erase(schema.component);
    }
    for (const auto& [component, steps] :
         recorded) {  // of components that this binary does not know
      const auto refused = PlanMigrations(database_, Schema{component, {}}, steps);
      if (!refused.ok()) return refused.status();
    }
    return plan;
  }

  absl::Status Transaction(absl::FunctionRef<absl::Status()> body) {
    absl::Status status = Run("BEGIN").status();
    if (status.ok()) status = body();
    if (status.ok()) return Run("COMMIT").status();
    if (!connection_.lost()) Run("ROLLBACK").IgnoreError();
    return status;
  }

  absl::Status Apply(const Schema& schema, const Migration& step) {
    const absl::Status applied = Transaction([&]() -> absl::Status {
      if (absl::Status s = Run(step.sql).status(); !s.ok()) return s;
      if (!connection_.in_transaction()) {
        return absl::InternalError("the step ends the transaction that it runs in");
      }
      return Run(kRecordStep, {schema.component, absl::StrCat(step.number),
                               absl::StrCat(step.serves_from), step.name, step.sql})
          .status();
    });
    if (applied.ok()) return applied;
    return absl::Status(applied.code(), absl::StrCat(database_, ": step ", step.number,
                                                     " of schema ", schema.component, " (",
                                                     step.name, ") failed: ", applied.message()));
  }

  absl::Status MakeSchema() {
    absl::StatusOr<bool> there =
        Holds("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)", options_.schema);
    if (!there.ok()) return there.status();
    if (*there) return absl::OkStatus();
    return Run(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", connection_.Quoted(options_.schema)))
        .status();
  }

  absl::Status Grant() {
    absl::StatusOr<bool> there =
        Holds("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", options_.runtime_role);
    if (!there.ok()) return there.status();
    if (!*there) {
      return absl::FailedPreconditionError(
          absl::StrCat(database_, ": there is no role ", options_.runtime_role,
                       " to grant the service's rights to; make it with CREATE ROLE"));
    }
    const std::string schema = connection_.Quoted(options_.schema);
    const std::string role = connection_.Quoted(options_.runtime_role);
    const absl::Status granted = Transaction([&] {
      return Run(absl::StrCat("GRANT USAGE ON SCHEMA ", schema, " TO ", role,
                              "; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ",
                              schema, " TO ", role, "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA ",
                              schema, " TO ", role,
                              "; REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM ", role))
          .status();
    });
    if (!granted.ok()) return granted;
    // A right that the migrator may not give is only a warning to the server.
    const absl::StatusOr<Result> lacks = Run(kFirstLack, {options_.runtime_role, options_.schema});
    if (!lacks.ok()) return lacks.status();
    if (PQntuples(lacks->get()) == 0) return absl::OkStatus();
    return absl::PermissionDeniedError(absl::StrCat(
        database_, ": this role may not give ", options_.runtime_role, " its rights to ",
        Cell(*lacks, 0, 0), "; let it own the schema and all that is in it"));
  }

  absl::Status Lock() {
    absl::Status locked = Run(kLock, {options_.schema}).status();
    if (absl::IsUnavailable(locked) && !connection_.lost()) {
      return absl::UnavailableError(
          absl::StrCat(database_, ": another migrator has been at work for ",
                       absl::FormatDuration(options_.migrate_timeout),
                       "; wait until it has ended, or look for it in pg_stat_activity"));
    }
    return locked;
  }
  void Unlock() { Run(kUnlock, {options_.schema}).IgnoreError(); }

 private:
  const PostgresOptions& options_;
  const std::string database_;
  PostgresConnection& connection_;
};

}  // namespace

absl::Status CheckMigrated(const PostgresOptions& options, PostgresConnection& connection) {
  if (options.schemas.empty()) return absl::OkStatus();
  if (absl::Status s = CheckSchemas(options.schemas); !s.ok()) return s;
  const absl::StatusOr<std::string> database = NameOfDatabase(options);
  if (!database.ok()) return database.status();
  Migrator migrator(options, *database, connection);
  const absl::StatusOr<Plan> plan = migrator.MakePlan();
  if (!plan.ok()) return plan.status();
  if (plan->empty()) return absl::OkStatus();
  const auto& [schema, step] = plan->front();
  return absl::FailedPreconditionError(absl::StrCat(
      *database, ": step ", step->number, " of schema ", schema->component, " (", step->name, ")",
      plan->size() > 1 ? absl::StrCat(" and ", plan->size() - 1, " more") : "",
      " were not applied. Run ", options.migrate_command, " as the role that owns the tables."));
}

absl::Status Migrate(const PostgresOptions& options, PostgresConnection& connection) {
  if (options.schemas.empty()) return absl::OkStatus();
  if (absl::Status s = CheckSchemas(options.schemas); !s.ok()) return s;
  const absl::StatusOr<std::string> database = NameOfDatabase(options);
  if (!database.ok()) return database.status();
  Migrator migrator(options, *database, connection);
  if (absl::Status s = migrator.Lock(); !s.ok()) return s;
  const absl::Cleanup unlock = [&] { migrator.Unlock(); };
  if (absl::Status s = migrator.MakeSchema(); !s.ok()) return s;
  // All is refused before anything is changed.
  const absl::StatusOr<Plan> plan = migrator.MakePlan();
  if (!plan.ok()) return plan.status();
  if (absl::Status s = migrator.Run(kCreateRecord).status(); !s.ok()) return s;
  for (const auto& [schema, step] : *plan) {
    if (absl::Status s = migrator.Apply(*schema, *step); !s.ok()) return s;
  }
  return options.runtime_role.empty() ? absl::OkStatus() : migrator.Grant();
}

}  // namespace tandem::store
