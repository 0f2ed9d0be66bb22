// What is moved: the folder of a program that has stopped, a database file for each service and the
// log of all.
#ifndef TANDEM_COMMON_TRANSFER_SOURCE_H_
#define TANDEM_COMMON_TRANSFER_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/bus/log_reader.h"
#include "common/store/store.h"
#include "common/transfer/folder_mark.h"
#include "common/transfer/offset_map.h"
#include "common/transfer/table_plan.h"

namespace tandem::transfer {

// Rows and how to tell two lots of them apart.
struct Content {
  int64_t count = 0;
  std::string hash;  // SHA-256 over all of them in order, chained; 32 bytes, empty for none

  void Add(std::string_view row);
  bool operator==(const Content&) const = default;
};

// The records of one partition, one after another. One thread; its source outlives it.
class Records {
 public:
  Records(store::Reader& reader, int partition, int64_t from)
      : reader_(reader), partition_(partition), next_(from) {}
  // Null at the end.
  absl::StatusOr<bus::RecordPtr> Next();

 private:
  store::Reader& reader_;
  const int partition_;
  int64_t next_;
  std::vector<bus::RecordPtr> read_;
  size_t at_ = 0;
};

// Holds the files' locks, so that no other process opens them. One thread.
class Source {
 public:
  struct Service {
    std::string name;
    std::vector<Table> tables;
    Steps steps;
  };

  // FOLDER/SERVICE.db of each service and FOLDER/log.db. NOT_FOUND names a file that is missing;
  // FAILED_PRECONDITION a process that has it open, or a service that belongs to another log; else
  // as OpenSqlite. Nothing is migrated: a file is read at the step at which it is.
  static absl::StatusOr<Source> Open(const std::string& folder,
                                     const std::vector<std::string>& services);

  const std::vector<Service>& services() const { return services_; }
  int partitions() const { return static_cast<int>(bounds_.size()); }
  const bus::Bounds& bounds(int partition) const { return bounds_[static_cast<size_t>(partition)]; }
  const FolderMark& mark() const { return mark_; }
  // From now on no program serves the folder, or one may again (FolderMark::State::kNone).
  absl::Status SetMark(FolderMark mark);
  Records ReadLog(int partition, int64_t from) { return {log_->reader(), partition, from}; }

  // Calls `take` with each row of the table in order of its key, as CopyRow's bytes, rewritten as
  // the plan says; where the table has offsets, by `offsets`. A service's position in a partition
  // that it never read becomes a row, too: that of the log's first record. The first error of
  // `take` ends it. DATA_LOSS for a value that is not of its column's type, OUT_OF_RANGE for a
  // position that is not in the log.
  absl::Status ReadRows(size_t service, const TablePlan& table, const OffsetMap* offsets,
                        absl::FunctionRef<absl::Status(std::string_view row)> take);

 private:
  Source() = default;

  std::vector<Service> services_;
  std::vector<std::unique_ptr<store::Store>> stores_;  // of the services
  std::unique_ptr<store::Store> log_;
  FolderMark mark_;
  std::vector<bus::Bounds> bounds_;
};

// Takes away the mark of a folder that nobody has open, and gives the one that stood there. Its
// services' files are not looked at. Errors as Source::Open.
absl::StatusOr<FolderMark> ReleaseFolder(const std::string& folder);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_SOURCE_H_
