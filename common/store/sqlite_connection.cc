#include "common/store/sqlite_connection.h"

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace tandem::store {
namespace {

// A service has a few dozen texts; the bound is for a text that is composed anew each time.
constexpr size_t kMaxPrepared = 256;
// Nobody else writes (the file lock), except an operator's shell: wait that long, then say
// kConflict.
constexpr int kBusyTimeoutMs = 1000;

class SqliteRow final : public RowView {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  bool IsNull(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }
  int64_t Int(int column) const override { return sqlite3_column_int64(statement_, column); }
  std::string_view Text(int column) const override {
    // For text, column_blob gives the UTF-8 bytes without adding a terminator. Numbers become text.
    const void* bytes = sqlite3_column_blob(statement_, column);
    if (bytes == nullptr) return {};  // NULL, or empty
    const int size = sqlite3_column_bytes(statement_, column);
    return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
  }

 private:
  sqlite3_stmt* statement_;
};

// The values outlive the step, so nothing is copied.
int BindValue(sqlite3_stmt* statement, int slot, const Value& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(statement, slot, *number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, slot, text->data(), text->size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<Blob>(&value)) {
    return sqlite3_bind_blob64(statement, slot, blob->bytes.data(), blob->bytes.size(),
                               SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, slot);
}

bool IsDiskFull(int error) { return error == ENOSPC || error == EDQUOT; }

absl::StatusCode CodeOf(int code, int system_error) {
  switch (code) {
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA:
      return absl::StatusCode::kDataLoss;
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return IsDiskFull(system_error) ? absl::StatusCode::kResourceExhausted
                                      : absl::StatusCode::kUnavailable;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return absl::StatusCode::kUnavailable;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

bool IsKeyTaken(int code) {
  return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
         code == SQLITE_CONSTRAINT_ROWID;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const Options& options) {
  sqlite3* db = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const int code = sqlite3_open_v2(options.path.c_str(), &db, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(options.path, db));
  if (code != SQLITE_OK) return connection->Error(code, "open");
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  // cell_size_check finds a damaged page when it is first read, at no cost that could be measured.
  // secure_delete overwrites what is deleted, so that an erased text is gone from the file.
  // mmap stays off: it turns an I/O error into SIGBUS.
  const absl::Status set = connection->Execute(
      absl::StrCat("PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; "
                   "PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON; PRAGMA mmap_size=0; "
                   "PRAGMA cache_size=-",
                   options.cache_bytes / 1024));
  if (!set.ok()) return set;
  return connection;
}

SqliteConnection::~SqliteConnection() {
  by_address_.clear();
  by_sql_.clear();
  prepared_.clear();
  for (auto& statement : transactions_) statement.reset();
  sqlite3_close(db_);
}

absl::Status SqliteConnection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, sql);
}

absl::StatusOr<SqliteConnection::Prepared*> SqliteConnection::Find(const Sql& sql, int* code) {
  const std::string_view text = sql.text();
  if (sql.lasts()) {
    const auto found = by_address_.find(text.data());
    // Equal, and not only at the same place: what lasted may have ended after all.
    if (found != by_address_.end() && found->second->sql == text) {
      prepared_.splice(prepared_.begin(), prepared_, found->second);
      return &prepared_.front();
    }
  }
  if (auto found = by_sql_.find(absl::string_view(text.data(), text.size()));
      found != by_sql_.end()) {
    prepared_.splice(prepared_.begin(), prepared_, found->second);
  } else if (absl::StatusOr<Prepared*> prepared = Prepare(text, code); !prepared.ok()) {
    return prepared;
  }
  if (sql.lasts()) {
    by_address_[text.data()] = prepared_.begin();
    prepared_.front().addresses.push_back(text.data());
  }
  return &prepared_.front();
}

absl::StatusOr<SqliteConnection::Prepared*> SqliteConnection::Prepare(std::string_view sql,
                                                                      int* code) {
  sqlite3_stmt* raw = nullptr;
  const char* rest = nullptr;
  *code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                             SQLITE_PREPARE_PERSISTENT, &raw, &rest);
  Prepared prepared;
  prepared.sql = sql;
  prepared.statement.reset(raw);
  if (*code != SQLITE_OK) return Error(*code, sql);
  if (raw == nullptr ||
      std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    return absl::InternalError(absl::StrCat(path_, ": not one statement: ", std::string(sql)));
  }
  const int parameters = sqlite3_bind_parameter_count(raw);
  for (int i = 1; i <= parameters; ++i) {
    const int slot = sqlite3_bind_parameter_index(raw, absl::StrCat("$", i).c_str());
    if (slot == 0) {
      return absl::InternalError(absl::StrCat(path_, ": parameters are not just $1 to $",
                                              parameters, ": ", std::string(sql)));
    }
    prepared.slots.push_back(slot);
  }
  // BEGIN and its like count as read-only and have no columns; neither door lets them through.
  const bool read_only = sqlite3_stmt_readonly(raw) != 0;
  prepared.reads = read_only && sqlite3_column_count(raw) > 0;
  prepared.writes = !read_only;
  if (prepared_.size() == kMaxPrepared) {
    by_sql_.erase(prepared_.back().sql);
    for (const char* address : prepared_.back().addresses) {
      const auto found = by_address_.find(address);
      // The place may have got another text since.
      if (found != by_address_.end() && &*found->second == &prepared_.back()) {
        by_address_.erase(found);
      }
    }
    prepared_.pop_back();
  }
  prepared_.push_front(std::move(prepared));
  by_sql_.emplace(prepared_.front().sql, prepared_.begin());
  return &prepared_.front();
}

absl::StatusOr<SqliteConnection::Prepared*> SqliteConnection::Bind(const Statement& statement,
                                                                   int* code) {
  absl::StatusOr<Prepared*> prepared = Find(statement.sql, code);
  if (!prepared.ok()) return prepared;
  const std::vector<int>& slots = (*prepared)->slots;
  if (slots.size() != statement.params.size()) {
    return absl::InternalError(absl::StrCat(path_, ": ", statement.params.size(), " values for ",
                                            slots.size(),
                                            " parameters: ", std::string(statement.sql.text())));
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    *code = BindValue((*prepared)->statement.get(), slots[i], statement.params[i]);
    if (*code != SQLITE_OK) return Error(*code, statement.sql.text());
  }
  return prepared;
}

absl::Status SqliteConnection::AddClock(std::function<int64_t()> now) {
  now_ = std::move(now);
  const int code = sqlite3_create_function_v2(
      db_, "database_now", 0, SQLITE_UTF8, this,
      [](sqlite3_context* context, int, sqlite3_value**) {
        const auto* self = static_cast<const SqliteConnection*>(sqlite3_user_data(context));
        sqlite3_result_int64(context, self->now_());
      },
      nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, "adding database_now()");
}

absl::Status SqliteConnection::Query(const Statement& statement,
                                     absl::FunctionRef<void(const RowView&)> on_row) {
  int code = SQLITE_OK;
  const absl::StatusOr<Prepared*> prepared = Bind(statement, &code);
  if (!prepared.ok()) return prepared.status();
  if (!(*prepared)->reads) {
    return absl::InternalError(
        absl::StrCat(path_, ": not a query: ", std::string(statement.sql.text())));
  }
  sqlite3_stmt* const raw = (*prepared)->statement.get();
  // Ends the read transaction: a reader that kept it would see an old state and hold back
  // checkpoints.
  const auto reset = absl::MakeCleanup([raw] { sqlite3_reset(raw); });
  const SqliteRow row(raw);
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) on_row(row);
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code, statement.sql.text());
}

SqliteConnection::LineResult SqliteConnection::Run(const Statement& statement, Expect expect) {
  using Kind = LineResult::Kind;
  int code = SQLITE_OK;
  const absl::StatusOr<Prepared*> prepared = Bind(statement, &code);
  if (!prepared.ok()) return {Kind::kFailed, code, prepared.status()};
  const bool finds = expect == Expect::kFinds;
  if (!(finds ? (*prepared)->reads : (*prepared)->writes)) {
    return {Kind::kFailed, SQLITE_OK,
            absl::InternalError(absl::StrCat(path_, ": not a ", finds ? "check" : "write", ": ",
                                             std::string(statement.sql.text())))};
  }
  sqlite3_stmt* const raw = (*prepared)->statement.get();
  const auto reset = absl::MakeCleanup([raw] { sqlite3_reset(raw); });
  int rows = 0;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    ++rows;
    if (finds && rows > 1) return {Kind::kMissed, SQLITE_OK, {}};
  }
  if (code != SQLITE_DONE) {
    if (IsKeyTaken(code)) return {Kind::kMissed, SQLITE_OK, {}};
    return {Kind::kFailed, code, Error(code, statement.sql.text())};
  }
  switch (expect) {
    case Expect::kFinds:
      return {rows == 1 ? Kind::kDone : Kind::kMissed, SQLITE_OK, {}};
    case Expect::kOneRow:
      return {sqlite3_changes64(db_) == 1 ? Kind::kDone : Kind::kMissed, SQLITE_OK, {}};
    case Expect::kAnyRows:
      return {};
  }
  return {};
}

int SqliteConnection::Run(Transaction what) {
  // IMMEDIATE takes the write lock at once: a read that turns into a write could be refused
  // half-way.
  static constexpr const char* kSql[] = {"BEGIN IMMEDIATE", "BEGIN",          "COMMIT",
                                         "ROLLBACK",        "SAVEPOINT step", "RELEASE step",
                                         "ROLLBACK TO step"};
  const auto index = static_cast<size_t>(what);
  auto& statement = transactions_[index];
  if (statement == nullptr) {
    sqlite3_stmt* raw = nullptr;
    const int code =
        sqlite3_prepare_v3(db_, kSql[index], -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    statement.reset(raw);
    if (code != SQLITE_OK) return code;
  }
  const int code = sqlite3_step(statement.get());
  sqlite3_reset(statement.get());
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

absl::Status SqliteConnection::CopyFrom(SqliteConnection& source, int pages_a_step,
                                        absl::FunctionRef<bool(int64_t bytes_done)> go_on) {
  sqlite3_backup* const backup = sqlite3_backup_init(db_, "main", source.db_, "main");
  if (backup == nullptr) return Error(sqlite3_errcode(db_), "copying");
  int64_t page_bytes = 0;
  absl::Status copied =
      source.Query({"PRAGMA page_size", {}}, [&](const RowView& row) { page_bytes = row.Int(0); });
  int code = SQLITE_OK;
  while (copied.ok() && code == SQLITE_OK) {
    code = sqlite3_backup_step(backup, pages_a_step);
    const int64_t done = sqlite3_backup_pagecount(backup) - sqlite3_backup_remaining(backup);
    if (!go_on(done * page_bytes)) copied = absl::CancelledError(path_ + ": the copying was ended");
  }
  // Also tells what went wrong in a step.
  const int finished = sqlite3_backup_finish(backup);
  if (!copied.ok()) return copied;
  if (code == SQLITE_DONE && finished == SQLITE_OK) return absl::OkStatus();
  return Error(finished == SQLITE_OK ? code : finished, "copying");
}

absl::Status SqliteConnection::Error(int code, std::string_view doing) const {
  if (db_ == nullptr) return absl::ResourceExhaustedError(path_ + ": out of memory");
  const int system_error = sqlite3_system_errno(db_);
  std::string message = absl::StrCat(path_, ": ", sqlite3_errmsg(db_));
  const int primary = code & 0xff;
  if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system_error != 0) {
    absl::StrAppend(&message, " (", absl::ErrnoToStatus(system_error, "").ToString(), ")");
  }
  absl::StrAppend(&message, " [SQLite ", code, "] in: ", std::string(doing));
  return absl::Status(CodeOf(code, system_error), message);
}

}  // namespace tandem::store
