// A record: one versioned row that holds a protobuf message under a text key, beside columns that
// queries use. Every table of a service has this shape, so loading by key, the overlay of a batch,
// the version check and the conditional write are written once:
//
//   CREATE TABLE tickets (key TEXT PRIMARY KEY, version BIGINT NOT NULL, body BLOB NOT NULL,
//                         account_id TEXT, opened_at BIGINT);
//
// The body is the truth; the columns are derived from it at each save. The message's fields follow
// protobuf's rules for change, so a new field needs no migration.
#ifndef TANDEM_COMMON_STORE_RECORD_H_
#define TANDEM_COMMON_STORE_RECORD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/store/store.h"
#include "google/protobuf/message.h"

namespace tandem::store {

// Whether rows of a table are ever erased. The version of a row that stays counts its changes from
// 1 on and may be shown to callers. A row that comes back after it was erased must not have a
// version again that it had before, or whoever still remembers the old one would take it for the
// same: such rows begin with a number of their own.
enum class Rows { kStay, kMayGo };

// A table of records, its SQL made once. Immutable; any thread.
class RecordTable {
 public:
  struct Column {
    std::string name;
    std::function<Value(const google::protobuf::Message&)> value;
  };

  RecordTable(std::string name, const google::protobuf::Message& prototype,
              std::vector<Column> columns, Rows rows = Rows::kStay);

  const std::string& name() const { return name_; }
  Rows rows() const { return rows_; }
  std::unique_ptr<google::protobuf::Message> New() const {
    return std::unique_ptr<google::protobuf::Message>(prototype_->New());
  }

  // SELECT version, body … WHERE key=$1.
  Statement SelectByKey(std::string_view key) const;
  // SELECT key, version, body FROM <table> <tail>; `tail` is the caller's WHERE … ORDER BY … LIMIT.
  Statement SelectWhere(std::string_view tail, std::vector<Value> params) const;
  // The conditional lines. `base` is the version that was loaded, 0 = absent.
  Write Insert(std::string_view key, int64_t version, const google::protobuf::Message& body) const;
  // `before`: the body of version `base`. Columns that are the same are not set, so that indexes
  // which the change does not concern are left alone. So a migration that adds a column fills
  // it.
  Write Update(std::string_view key, int64_t base, int64_t version,
               const google::protobuf::Message& before,
               const google::protobuf::Message& body) const;
  Write Delete(std::string_view key, int64_t base) const;
  // base > 0: the row still has that version; base = 0: the row is still absent.
  Write Check(std::string_view key, int64_t base) const;

 private:
  std::string name_;
  const google::protobuf::Message* prototype_;
  std::vector<Column> columns_;
  Rows rows_;
  std::string select_by_key_, select_where_, insert_, delete_, check_present_, check_absent_;
  // UPDATEs by the columns that they set (bit i = columns_[i]), each made when it is first needed.
  const std::string& UpdateOf(uint64_t set) const;
  mutable absl::Mutex mutex_;
  mutable std::map<uint64_t, std::string> updates_ ABSL_GUARDED_BY(mutex_);
};

// The typed face of it: `inline const Table<TicketRecord> kTickets("tickets", {…})` in records.h.
template <typename M>
class Table : public RecordTable {
 public:
  struct Column {
    std::string name;
    std::function<Value(const M&)> value;
  };
  Table(std::string name, std::vector<Column> columns, Rows rows = Rows::kStay)
      : RecordTable(std::move(name), M::default_instance(), Erase(std::move(columns)), rows) {}

 private:
  static std::vector<RecordTable::Column> Erase(std::vector<Column> columns) {
    std::vector<RecordTable::Column> erased;
    erased.reserve(columns.size());
    for (Column& column : columns) {
      erased.push_back({std::move(column.name),
                        [value = std::move(column.value)](const google::protobuf::Message& m) {
                          return value(static_cast<const M&>(m));
                        }});
    }
    return erased;
  }
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_RECORD_H_
