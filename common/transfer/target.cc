#include "common/transfer/target.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/store/migration_plan.h"

namespace tandem::transfer {
namespace {

using store::TextRow;

// Long enough for a program that ends or an autovacuum, which makes way.
constexpr absl::Duration kLockWait = absl::Seconds(10);
// One step of a copy, or the server's sorting before the first row.
constexpr absl::Duration kPatience = absl::Minutes(10);

// A row of schema_migrations that every program passes by (serves_from 0).
constexpr char kMoved[] = "moved";

constexpr char kTables[] =
    "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attidentity <> '', "
    "pg_has_role(c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace "
    "JOIN pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') "
    "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum";

const std::string& Text(const TextRow& row, size_t column) {
  static const std::string* const nothing = new std::string();
  return row[column].has_value() ? *row[column] : *nothing;
}

absl::Status With(const absl::Status& status, const std::string& way_out) {
  return absl::Status(status.code(), absl::StrCat(status.message(), ". ", way_out));
}

}  // namespace

std::string NotEmpty(const std::string& schema, const std::string& table) {
  return absl::StrCat("schema ", schema, " is not empty: table ", table,
                      " holds rows. Only empty schemas are moved into: stop the programs that use "
                      "them, drop the schemas if nothing in them is needed, and make them anew");
}

std::string Target::Name(const std::string& schema, const std::string& table) const {
  return absl::StrCat(session_->Quoted(schema), ".", session_->Quoted(table));
}

absl::StatusOr<Target> Target::Open(const store::PostgresOptions& options,
                                    const std::vector<std::string>& schemas,
                                    absl::FunctionRef<std::string(const std::string&)> command) {
  auto session = store::PostgresSession::Open(options, kLockWait, kPatience);
  if (!session.ok()) return session.status();
  // Until the session ends, however that ends.
  const auto locked =
      (*session)->Run("SELECT pg_advisory_lock(hashtextextended('tandem move', 0))");
  if (!locked.ok()) {
    return With(locked.status(),
                "Another move into this database seems to be at work; look for it in "
                "pg_stat_activity, and wait until it has ended");
  }
  Target target(*std::move(session));
  for (const std::string& schema : schemas) {
    if (absl::Status s = target.ReadSchema(schema, command(schema)); !s.ok()) return s;
  }
  return target;
}

absl::Status Target::ReadSchema(const std::string& name, const std::string& command) {
  Schema schema;
  schema.name = name;
  const auto columns = session_->Run(kTables, {name});
  if (!columns.ok()) return columns.status();
  bool is_made = false;
  for (const TextRow& row : *columns) {
    const std::string& table = Text(row, 0);
    if (Text(row, 4) != "t") {
      return absl::PermissionDeniedError(
          absl::StrCat(session_->name(), ": this role does not own ", name, ".", table,
                       "; name the role in --store that ran ", command));
    }
    if (table == "schema_migrations") {
      is_made = true;
      continue;
    }
    if (schema.tables.empty() || schema.tables.back().name != table) {
      schema.tables.emplace_back().name = table;
    }
    Table& last = schema.tables.back();
    last.columns.push_back({Text(row, 1), Text(row, 2)});
    if (Text(row, 3) == "t") last.identity = Text(row, 1);
  }
  if (!is_made) {
    return absl::FailedPreconditionError(absl::StrCat(session_->name(), ": there is no schema ",
                                                      name, " of ours. Run ", command,
                                                      ", then this again"));
  }
  const auto steps =
      session_->Run(absl::StrCat("SELECT component, number, name, sql FROM ",
                                 Name(name, "schema_migrations"), " ORDER BY component, number"));
  if (!steps.ok()) return steps.status();
  for (const TextRow& row : *steps) {
    const std::string& component = Text(row, 0);
    int64_t number = 0;
    if (component == store::kUnfinished) {
      schema.is_unfinished = true;
    } else if (component == kMoved) {
      schema.moved_at = Text(row, 2);
      schema.moved = Text(row, 3);
    } else if (absl::SimpleAtoi(Text(row, 1), &number)) {
      schema.steps[component] = number;
    }
  }
  const auto filled = FirstFilled(schema);
  if (!filled.ok()) return filled.status();
  schema.first_filled = *filled;
  schemas_.push_back(std::move(schema));
  return absl::OkStatus();
}

absl::StatusOr<std::string> Target::FirstFilled(const Schema& schema) {
  if (schema.tables.empty()) return std::string();
  const auto filled = session_->Run(absl::StrJoin(
      schema.tables, " UNION ALL ", [&, i = 0](std::string* out, const Table& table) mutable {
        absl::StrAppend(out, "SELECT ", i++, " WHERE EXISTS (SELECT 1 FROM ",
                        Name(schema.name, table.name), ")");
      }));
  if (!filled.ok()) return filled.status();
  if (filled->empty()) return std::string();
  size_t index = 0;
  if (!absl::SimpleAtoi(Text(filled->front(), 0), &index) || index >= schema.tables.size()) {
    return absl::InternalError(absl::StrCat(session_->name(), ": no answer about tables"));
  }
  return schema.tables[index].name;
}

absl::Status Target::LockEmpty() {
  for (const Schema& schema : schemas_) {
    if (schema.tables.empty()) continue;
    // A program that starts may read how far the schema is, and that it is not to be served.
    const auto locked = session_->Run(
        absl::StrCat("LOCK TABLE ", Name(schema.name, "schema_migrations"),
                     " IN SHARE ROW EXCLUSIVE MODE; LOCK TABLE ",
                     absl::StrJoin(schema.tables, ", ",
                                   [&](std::string* out, const Table& table) {
                                     absl::StrAppend(out, Name(schema.name, table.name));
                                   }),
                     " IN ACCESS EXCLUSIVE MODE"));
    if (!locked.ok()) {
      return With(locked.status(), absl::StrCat("Somebody uses schema ", schema.name,
                                                ": stop the programs that do (pg_stat_activity "
                                                "shows them), and run this again"));
    }
    const auto filled = FirstFilled(schema);
    if (!filled.ok()) return filled.status();
    if (!filled->empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(session_->name(), ": ", NotEmpty(schema.name, *filled)));
    }
  }
  return absl::OkStatus();
}

absl::Status Target::Mark(const std::string& way_out) {
  return session_->Transaction([&]() -> absl::Status {
    if (absl::Status s = LockEmpty(); !s.ok()) return s;
    for (const Schema& schema : schemas_) {
      const auto marked = session_->Run(
          absl::StrCat("INSERT INTO ", Name(schema.name, "schema_migrations"),
                       " (component, number, serves_from, name, sql, applied_at) VALUES ($1, 1, 1, "
                       "'the move of data into schema ' || $2, $3, CAST(EXTRACT(EPOCH FROM "
                       "clock_timestamp()) * 1000000 AS BIGINT)) "
                       "ON CONFLICT (component, number) DO NOTHING"),
          {store::kUnfinished, schema.name, way_out});
      if (!marked.ok()) return marked.status();
    }
    return absl::OkStatus();
  });
}

absl::Status Target::Commit(const std::string& identity, absl::FunctionRef<absl::Status()> fill) {
  return session_->Transaction([&]() -> absl::Status {
    if (absl::Status s = LockEmpty(); !s.ok()) return s;
    if (absl::Status s = fill(); !s.ok()) return s;
    for (const Schema& schema : schemas_) {
      const std::string record = Name(schema.name, "schema_migrations");
      const auto ended = session_->Run(
          absl::StrCat("DELETE FROM ", record, " WHERE component = $1"), {store::kUnfinished});
      if (!ended.ok()) return ended.status();
      const auto noted = session_->Run(
          absl::StrCat("INSERT INTO ", record,
                       " (component, number, serves_from, name, sql, applied_at) VALUES ($1, 1, 0, "
                       "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), $2, "
                       "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))"),
          {kMoved, identity});
      if (!noted.ok()) return noted.status();
      // Or the first plans would be those of empty tables.
      if (schema.tables.empty()) continue;
      const auto analysed = session_->Run(absl::StrCat(
          "ANALYZE ", absl::StrJoin(schema.tables, ", ", [&](std::string* out, const Table& table) {
            absl::StrAppend(out, Name(schema.name, table.name));
          })));
      if (!analysed.ok()) return analysed.status();
    }
    return absl::OkStatus();
  });
}

absl::Status Target::Fill(const std::string& schema, const TablePlan& table,
                          absl::FunctionRef<absl::Status(const AddRow&)> rows) {
  const std::string name = Name(schema, table.name);
  const std::string columns =
      absl::StrJoin(table.columns, ", ", [&](std::string* out, const PlannedColumn& column) {
        absl::StrAppend(out, session_->Quoted(column.name));
      });
  const absl::Status copied = session_->CopyIn(
      absl::StrCat("COPY ", name, " (", columns, ") FROM STDIN (FORMAT binary)"), rows);
  if (!copied.ok()) return copied;
  if (table.identity.empty()) return absl::OkStatus();
  // Above what the file has ever given, also to rows that are gone: who has seen an id takes a
  // lower one for old. Not setval, which is no part of a transaction.
  const std::string id = session_->Quoted(table.identity);
  const auto highest = session_->Run(absl::StrCat("SELECT COALESCE(max(", id, "), 0) FROM ", name));
  if (!highest.ok()) return highest.status();
  int64_t last = 0;
  if (highest->size() != 1 || !absl::SimpleAtoi(Text(highest->front(), 0), &last)) {
    return absl::InternalError(absl::StrCat(session_->name(), ": no answer about ", name));
  }
  return session_
      ->Run(absl::StrCat("ALTER TABLE ", name, " ALTER COLUMN ", id, " RESTART WITH ",
                         std::max(last, table.last_id) + 1))
      .status();
}

absl::StatusOr<Content> Target::Read(const std::string& schema, const TablePlan& table) {
  const std::string columns =
      absl::StrJoin(table.columns, ", ", [&](std::string* out, const PlannedColumn& column) {
        absl::StrAppend(out, session_->Quoted(column.name));
      });
  const std::string key =
      absl::StrJoin(table.key, ", ", [&](std::string* out, const std::string& column) {
        absl::StrAppend(out, session_->Quoted(column));
      });
  Content content;
  const absl::Status copied =
      session_->CopyOut(absl::StrCat("COPY (SELECT ", columns, " FROM ", Name(schema, table.name),
                                     " ORDER BY ", key, ") TO STDOUT (FORMAT binary)"),
                        [&](std::string_view row) { content.Add(row); });
  if (!copied.ok()) return copied;
  return content;
}

}  // namespace tandem::transfer
