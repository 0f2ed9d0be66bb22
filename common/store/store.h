// The store port: reads, then one conditional batch that applies whole or names what failed. There
// are no interactive transactions, so no lock is ever held across a step.
#ifndef TANDEM_COMMON_STORE_STORE_H_
#define TANDEM_COMMON_STORE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::store {

// Bytes, as opposed to text.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

// NULL, integer, text or bytes. Instants are microseconds since the Unix epoch, UTC; booleans 0
// and 1.
using Value = std::variant<std::monostate, int64_t, std::string, Blob>;

// The text of a statement: one that lasts (a literal, a table's own), which is neither copied nor
// read again once it is prepared, or one made at run time. Cheap to copy; any thread.
class Sql {
 public:
  Sql() = default;
  template <size_t N>
  consteval Sql(const char (&literal)[N]) : text_(literal, N - 1) {}  // NOLINT: as a string is
  Sql(std::string made)                                               // NOLINT
      : made_(std::make_shared<const std::string>(std::move(made))), text_(*made_) {}
  // `text` outlives every statement that is made of it.
  static Sql Lasting(std::string_view text) {
    Sql sql;
    sql.text_ = text;
    return sql;
  }

  std::string_view text() const { return text_; }
  bool lasts() const { return made_ == nullptr; }
  friend bool operator==(const Sql& a, std::string_view b) { return a.text_ == b; }
  friend std::ostream& operator<<(std::ostream& out, const Sql& sql) { return out << sql.text_; }

 private:
  std::shared_ptr<const std::string> made_;
  std::string_view text_;
};

// SQL with $1, $2 … parameters, the same text for both engines. In SQLite these are names and are
// bound by name, never by position of appearance.
struct Statement {
  Sql sql;
  std::vector<Value> params;
};

// One row of an answer; valid only during the callback. Columns count from 0.
class RowView {
 public:
  virtual ~RowView() = default;
  virtual bool IsNull(int column) const = 0;
  virtual int64_t Int(int column) const = 0;            // NULL reads as 0
  virtual std::string_view Text(int column) const = 0;  // text or bytes; NULL reads as empty
};

// Reads committed state. One thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  // Calls `on_row` for each row. INTERNAL for SQL that does not fit the schema, UNAVAILABLE when
  // the database cannot be asked now, DATA_LOSS when the file is corrupt.
  virtual absl::Status Query(const Statement& statement,
                             absl::FunctionRef<void(const RowView&)> on_row) = 0;
};

enum class Expect {
  kOneRow,   // a conditional write: exactly one row changes, else the batch fails
  kAnyRows,  // housekeeping: any number of rows may change
  kFinds,    // a check: the SELECT returns exactly one row, else the batch fails
};

// One line of a batch. `table` and `key` order the batch (so that two batches never lock
// crosswise).
struct Write {
  std::string table;
  std::string key;
  Statement statement;
  Expect expect = Expect::kOneRow;
};

struct CommitResult {
  enum class Kind {
    kCommitted,  // all of it, durably
    kMissed,     // nothing; `missed` names at least one line that did not find its row
    kConflict,   // nothing; the engine names nobody (serialisation failure, deadlock, lock timeout)
    kUnknown,    // perhaps all, perhaps nothing: read the marks to find out
    kFailed,  // nothing; `status` says why (disk full: RESOURCE_EXHAUSTED, corrupt: DATA_LOSS, …)
  };
  Kind kind = Kind::kCommitted;
  std::vector<size_t> missed;  // indexes into the batch as given
  absl::Status status;
};

// A database of one service. Commit and reader() belong to one thread at a time, each reader of
// OpenReader to one of its own.
class Store {
 public:
  virtual ~Store() = default;
  // Applies the lines in the order of lock_order.h, lines of one key as given; all or nothing.
  // A line that would insert a key that exists is a miss, not an error.
  virtual CommitResult Commit(const std::vector<Write>& batch) = 0;
  // The committer's own reader: sees every commit of this store.
  virtual Reader& reader() = 0;
  // A further reader, on a connection of its own where the engine has such; sees every commit that
  // returned before its query began.
  virtual absl::StatusOr<std::unique_ptr<Reader>> OpenReader() = 0;

  // Whether others may write to the same database: further stores of this process, other processes.
  // Such a database has the SQL function database_now(), microseconds by its own clock.
  virtual bool is_shared() const { return false; }
  // What a SELECT ends with, so that it finds only rows that nobody else is about to change; those
  // it finds are the caller's until its commit.
  virtual std::string_view SkipLocked() const { return ""; }
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_STORE_H_
