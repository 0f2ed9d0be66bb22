// One SQLite connection: its prepared statements, its parameters by name, its errors as
// absl::Status. Only common/store includes this; programs use sqlite.h.
#ifndef TANDEM_COMMON_STORE_SQLITE_CONNECTION_H_
#define TANDEM_COMMON_STORE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/store/store.h"

namespace tandem::store {

// One thread at a time. SqliteStore and its readers own these.
class SqliteConnection {
 public:
  struct Options {
    std::string path;  // absolute, or ":memory:"
    bool read_only = false;
    int64_t cache_bytes = 0;
    std::string vfs;  // empty: the system's
  };

  // Opens and sets what every connection needs. Reads nothing yet: a corrupt file shows itself
  // later.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const Options& options);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // Runs several statements without parameters, their rows dropped.
  absl::Status Execute(const std::string& sql);

  // Makes database_now() answer what `now` says. Once.
  absl::Status AddClock(std::function<int64_t()> now);

  // As Reader::Query.
  absl::Status Query(const Statement& statement, absl::FunctionRef<void(const RowView&)> on_row);

  // Runs one line inside the caller's transaction.
  struct LineResult {
    enum class Kind { kDone, kMissed, kFailed };
    Kind kind = Kind::kDone;
    int code = SQLITE_OK;  // SQLite's own, when kFailed and SQLite refused
    absl::Status status;   // when kFailed
  };
  LineResult Run(const Statement& statement, Expect expect);

  // A statement of transactions, kept prepared; SQLITE_OK or the extended error code. A step is a
  // savepoint within a transaction; a step undone has still to be ended.
  enum class Transaction {
    kBegin,
    kBeginReading,
    kCommit,
    kRollback,
    kBeginStep,
    kEndStep,
    kUndoStep
  };
  int Run(Transaction what);
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

  // Makes this database a copy of `source`, which is in a read transaction, page by page. `go_on`
  // is told how many bytes are there after each `pages_a_step` pages; false ends it with CANCELLED.
  absl::Status CopyFrom(SqliteConnection& source, int pages_a_step,
                        absl::FunctionRef<bool(int64_t bytes_done)> go_on);

  // The status of the last failed call, which returned `code`. Names the file and what was done,
  // never a parameter's value: those may be personal data.
  absl::Status Error(int code, std::string_view doing) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  struct Prepared {
    std::string sql;
    std::unique_ptr<sqlite3_stmt, Finalize> statement;
    std::vector<int> slots;  // slots[i] is SQLite's index of $(i+1)
    bool reads = false;      // returns rows and changes nothing
    bool writes = false;
    std::vector<const char*> addresses;  // of lasting texts that were found to be this one
  };

  SqliteConnection(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  // Finds or prepares, then binds. `code` gets SQLite's own error, if it was SQLite that refused.
  absl::StatusOr<Prepared*> Bind(const Statement& statement, int* code);
  absl::StatusOr<Prepared*> Find(const Sql& sql, int* code);
  absl::StatusOr<Prepared*> Prepare(std::string_view sql, int* code);

  const std::string path_;
  sqlite3* const db_;
  std::function<int64_t()> now_;
  // Prepared statements, the last used first; the index points into the list's own strings.
  std::list<Prepared> prepared_;
  absl::flat_hash_map<absl::string_view, std::list<Prepared>::iterator> by_sql_;
  // Lasting texts by where they stand: to compare two equal ones costs less than to hash one.
  absl::flat_hash_map<const char*, std::list<Prepared>::iterator> by_address_;
  std::unique_ptr<sqlite3_stmt, Finalize> transactions_[7];
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_SQLITE_CONNECTION_H_
