// A bus in memory for replay, simulation and tests: an append is durable at once.
#ifndef TANDEM_COMMON_BUS_MEMORY_BUS_H_
#define TANDEM_COMMON_BUS_MEMORY_BUS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/bus/groups.h"
#include "common/bus/log_reader.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"

namespace tandem::bus {

struct MemoryBusOptions {
  int partitions = 8;
  // Otherwise a record goes once every group has reported a position beyond it. A group that joins
  // later does not see it, as it would not see what Kafka's retention took.
  bool keep_all = true;
};

// Callable from any thread. `done`s and listeners are called in steps of `executor`, which outlives
// the bus and its consumers. The bus ends outside its own steps; what it has not answered by then
// it drops.
class MemoryBus : public Bus, public LogReader, private Source {
 public:
  explicit MemoryBus(executor::Executor* executor, MemoryBusOptions options = {});
  ~MemoryBus() override;

  int partitions() const override { return options_.partitions; }
  // INVALID_ARGUMENT as Validate (headers.h), and nothing is appended; no other failure.
  void Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) override;
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override;
  // Any number of members; they share the partitions.
  absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string group, Listener* listener) override;

  Bounds BoundsOf(int partition) const override;
  absl::StatusOr<std::vector<RecordPtr>> ReadRange(int partition, int64_t from,
                                                   int max_records) override;

  // Leaves one offset without a record, as Kafka does for its transaction markers.
  void SkipOffset(int partition);
  std::vector<GroupPosition> Positions() const { return groups_->Positions(); }

 private:
  struct Partition {
    int64_t first = 0;
    std::deque<RecordPtr> records;  // of offset first, first + 1, …; null = a hole
    int64_t prune_at = 0;           // not before the end is here
    int64_t end() const { return first + static_cast<int64_t>(records.size()); }
  };

  absl::Status Admit(const std::string& group) override;
  absl::StatusOr<Batch> Read(int partition, int64_t from, int max_records) override;
  void Prune(int partition);

  const MemoryBusOptions options_;
  mutable absl::Mutex mutex_;
  std::vector<Partition> log_ ABSL_GUARDED_BY(mutex_);
  const std::shared_ptr<Groups> groups_;
  executor::Scope scope_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_MEMORY_BUS_H_
