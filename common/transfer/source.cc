#include "common/transfer/source.h"

#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/bus/log_segments.h"
#include "common/id/id.h"
#include "common/postgres/copy_format.h"
#include "common/store/sqlite.h"

namespace tandem::transfer {
namespace {

using store::CopyRow;
using store::Reader;
using store::RowView;

constexpr char kPositions[] = "positions";

std::string Quoted(const std::string& name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

absl::StatusOr<std::unique_ptr<store::Store>> OpenFile(const std::string& folder,
                                                       const std::string& name) {
  store::SqliteOptions options;
  options.path = absl::StrCat(folder, "/", name, ".db");
  // It would be made.
  std::error_code error;
  if (!std::filesystem::exists(options.path, error)) {
    return absl::NotFoundError(
        absl::StrCat(options.path,
                     " is not there; name the folder of a program that had all services and their "
                     "log in it"));
  }
  return store::OpenSqlite(std::move(options));
}

absl::StatusOr<std::vector<Table>> ReadTables(Reader& reader) {
  std::map<std::string, Table> tables;
  absl::Status status = reader.Query(
      {"SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
       "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'schema_migrations'",
       {}},
      [&](const RowView& row) {
        Table& table = tables[std::string(row.Text(0))];
        table.name = row.Text(0);
        table.has_rowid = row.Int(1) == 0;
      });
  if (!status.ok()) return status;
  for (auto& [name, table] : tables) {
    std::map<int64_t, std::string> key;
    status = reader.Query({"SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", {name}},
                          [&](const RowView& row) {
                            const std::string column(row.Text(0));
                            table.columns.push_back({column, std::string(row.Text(1))});
                            if (row.Int(2) > 0) key[row.Int(2)] = column;
                          });
    if (!status.ok()) return status;
    for (auto& [place, column] : key) table.key.push_back(column);
  }
  // The table exists once one that counts has been made.
  bool counts = false;
  status = reader.Query({"SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'", {}},
                        [&](const RowView&) { counts = true; });
  if (status.ok() && counts) {
    status = reader.Query({"SELECT name, seq FROM sqlite_sequence", {}}, [&](const RowView& row) {
      if (const auto found = tables.find(std::string(row.Text(0))); found != tables.end()) {
        found->second.last_id = row.Int(1);
      }
    });
  }
  if (!status.ok()) return status;
  std::vector<Table> all;
  for (auto& [name, table] : tables) all.push_back(std::move(table));
  return all;
}

// A type is only a preference to SQLite where a table is not STRICT.
absl::Status CheckTypes(Reader& reader, const TablePlan& table) {
  const std::string condition =
      absl::StrJoin(table.columns, " OR ", [](std::string* out, const PlannedColumn& column) {
        const char* const type = column.kind == Kind::kInteger ? "integer"
                                 : column.kind == Kind::kText  ? "text"
                                                               : "blob";
        absl::StrAppend(out, "typeof(", Quoted(column.name), ") NOT IN ('", type, "', 'null')");
      });
  int64_t wrong = 0;
  absl::Status status = reader.Query(
      {absl::StrCat("SELECT count(*) FROM ", Quoted(table.name), " WHERE ", condition), {}},
      [&](const RowView& row) { wrong = row.Int(0); });
  if (!status.ok()) return status;
  if (wrong == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      wrong,
      " rows hold a value of another type than its column's; restore the file from a backup"));
}

absl::Status PutRow(const RowView& from, const TablePlan& table, const OffsetMap* offsets,
                    CopyRow& row) {
  row.Start(static_cast<int>(table.columns.size()));
  for (int i = 0; i < static_cast<int>(table.columns.size()); ++i) {
    const PlannedColumn& column = table.columns[static_cast<size_t>(i)];
    if (from.IsNull(i)) {
      row.AddNull();
    } else if (column.rewrite == Rewrite::kClear) {
      column.kind == Kind::kInteger ? row.AddInt(0) : row.AddBytes("");
    } else if (column.rewrite == Rewrite::kOffset) {
      const int partition = static_cast<int>(from.Int(table.partition_column));
      if (table.name == kPositions) {
        const absl::StatusOr<int64_t> place = offsets->NextOffset(partition, from.Int(i));
        if (!place.ok()) return place.status();
        row.AddInt(*place);
      } else {
        row.AddInt(offsets->RecordOffset(partition, from.Int(i)));
      }
    } else if (column.kind == Kind::kInteger) {
      row.AddInt(from.Int(i));
    } else {
      row.AddBytes(from.Text(i));
    }
  }
  return absl::OkStatus();
}

// Of a partition that the service never read: it begins with the log.
class NewPosition : public RowView {
 public:
  NewPosition(const TablePlan& table, int partition, int64_t next_offset)
      : table_(table), partition_(partition), next_offset_(next_offset) {}
  bool IsNull(int) const override { return false; }
  int64_t Int(int column) const override {
    if (column == table_.partition_column) return partition_;
    const bool is_offset = table_.columns[static_cast<size_t>(column)].rewrite == Rewrite::kOffset;
    return is_offset ? next_offset_ : 0;
  }
  std::string_view Text(int) const override { return ""; }

 private:
  const TablePlan& table_;
  const int partition_;
  const int64_t next_offset_;
};

}  // namespace

void Content::Add(std::string_view row) {
  ++count;
  hash = id::Hash({hash, row});
}

absl::StatusOr<bus::RecordPtr> Records::Next() {
  if (at_ == read_.size()) {
    absl::StatusOr<std::vector<bus::RecordPtr>> more =
        bus::ReadSegments(reader_, partition_, next_);
    if (!more.ok()) return more.status();
    read_ = *std::move(more);
    at_ = 0;
    if (read_.empty()) return bus::RecordPtr();
    next_ = read_.back()->offset + 1;
  }
  return std::move(read_[at_++]);
}

absl::StatusOr<Source> Source::Open(const std::string& folder,
                                    const std::vector<std::string>& services) {
  Source source;
  absl::StatusOr<std::unique_ptr<store::Store>> log = OpenFile(folder, "log");
  if (!log.ok()) return log.status();
  source.log_ = *std::move(log);
  const absl::StatusOr<std::optional<int64_t>> partitions =
      bus::ReadPartitions(source.log_->reader());
  if (!partitions.ok()) return partitions.status();
  if (!partitions->has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(folder, "/log.db was never written to"));
  }
  absl::StatusOr<std::vector<bus::Bounds>> bounds =
      bus::ReadBounds(source.log_->reader(), static_cast<int>(**partitions));
  if (!bounds.ok()) return bounds.status();
  source.bounds_ = *std::move(bounds);
  absl::StatusOr<FolderMark> mark = ReadMark(source.log_->reader());
  if (!mark.ok()) return mark.status();
  source.mark_ = *std::move(mark);

  for (const std::string& name : services) {
    absl::StatusOr<std::unique_ptr<store::Store>> opened = OpenFile(folder, name);
    if (!opened.ok()) return opened.status();
    Reader& reader = (*opened)->reader();
    Service& service = source.services_.emplace_back();
    service.name = name;
    absl::StatusOr<std::vector<Table>> tables = ReadTables(reader);
    if (!tables.ok()) return tables.status();
    service.tables = *std::move(tables);
    absl::Status status = reader.Query(
        {"SELECT component, max(number) FROM schema_migrations GROUP BY component", {}},
        [&](const RowView& row) { service.steps[std::string(row.Text(0))] = row.Int(1); });
    if (!status.ok()) return status;
    int64_t known = 0;
    status = reader.Query({"SELECT partitions FROM bus_shape WHERE key = 'bus'", {}},
                          [&](const RowView& row) { known = row.Int(0); });
    if (!status.ok()) return status;
    if (known != **partitions) {
      return absl::FailedPreconditionError(absl::StrCat(
          folder, "/", name, ".db belongs to a log of ", known, " partitions, and ", folder,
          "/log.db has ", **partitions, "; name a folder whose files belong together"));
    }
    source.stores_.push_back(*std::move(opened));
  }
  return source;
}

absl::Status Source::SetMark(FolderMark mark) {
  if (absl::Status s = WriteMark(*log_, mark); !s.ok()) return s;
  mark_ = std::move(mark);
  return absl::OkStatus();
}

absl::StatusOr<FolderMark> ReleaseFolder(const std::string& folder) {
  const absl::StatusOr<std::unique_ptr<store::Store>> log = OpenFile(folder, "log");
  if (!log.ok()) return log.status();
  absl::StatusOr<FolderMark> mark = ReadMark((*log)->reader());
  if (!mark.ok() || mark->state == FolderMark::State::kNone) return mark;
  if (absl::Status s = WriteMark(**log, {}); !s.ok()) return s;
  return mark;
}

absl::Status Source::ReadRows(size_t service, const TablePlan& table, const OffsetMap* offsets,
                              absl::FunctionRef<absl::Status(std::string_view row)> take) {
  Reader& reader = stores_[service]->reader();
  const std::string where = absl::StrCat(services_[service].name, ", table ", table.name, ": ");
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(where, status.message()));
  };
  if (absl::Status s = CheckTypes(reader, table); !s.ok()) return named(s);
  const auto quoted = [](std::string* out, const std::string& name) {
    absl::StrAppend(out, Quoted(name));
  };
  const std::string columns = absl::StrJoin(
      table.columns, ", ",
      [&](std::string* out, const PlannedColumn& column) { quoted(out, column.name); });
  CopyRow row;
  absl::Status failed;
  const auto give = [&](const RowView& from) {
    if (!failed.ok()) return;
    if (failed = PutRow(from, table, offsets, row); !failed.ok()) {
      failed = named(failed);
    } else {
      failed = take(row.bytes());
    }
  };
  // Rows of positions come in order of their partition, and so do those that are missing.
  const bool is_positions = table.name == kPositions;
  int next_partition = 0;
  const auto give_missing = [&](int end) {
    for (; is_positions && next_partition < end; ++next_partition) {
      give(NewPosition(table, next_partition, bounds(next_partition).first));
    }
  };
  const absl::Status read =
      reader.Query({absl::StrCat("SELECT ", columns, " FROM ", Quoted(table.name), " ORDER BY ",
                                 absl::StrJoin(table.key, ", ", quoted)),
                    {}},
                   [&](const RowView& from) {
                     if (is_positions) {
                       const int partition = static_cast<int>(from.Int(table.partition_column));
                       give_missing(partition);
                       next_partition = partition + 1;
                     }
                     give(from);
                   });
  if (!read.ok()) return named(read);
  give_missing(partitions());
  return failed;
}

}  // namespace tandem::transfer
