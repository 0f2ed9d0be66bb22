// The consumer groups of a bus that lives in this process: who has which partition, where each
// member reads, how much it asked for. The bus behind it keeps the records and says when there are
// more.
#ifndef TANDEM_COMMON_BUS_GROUPS_H_
#define TANDEM_COMMON_BUS_GROUPS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/bus/log_reader.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"

namespace tandem::bus {

// Where the records are. Called in steps of the groups' executor, one at a time.
class Source {
 public:
  struct Batch {
    std::vector<RecordPtr> records;  // may be empty where offsets have holes
    int64_t next = 0;                // reading goes on here; above `from`
  };
  virtual ~Source() = default;
  // Asked before a group's members get partitions. If it fails they are told so, and nothing more
  // happens until the source calls Rebalance.
  virtual absl::Status Admit(const std::string& group) = 0;
  // Records from `from` on, which lies within the bounds last told. More than `max_records` are
  // kept for the member's next delivery.
  virtual absl::StatusOr<Batch> Read(int partition, int64_t from, int max_records) = 0;
};

// A group's progress as it reported it, for lag.
struct GroupPosition {
  std::string group;
  int partition = 0;
  std::optional<int64_t> next_offset;  // none since this process started
  int64_t end = 0;
};

// Callable from any thread, except that Close may not be called inside a step. Consumers keep it
// alive; after Close they do nothing any more.
class Groups : public std::enable_shared_from_this<Groups> {
 public:
  static constexpr size_t kMaxGroups = 64;

  // `source` lives until Close, `executor` until Close and until the last consumer ends.
  Groups(executor::Executor* executor, Source* source, std::vector<Bounds> bounds);

  // RESOURCE_EXHAUSTED beyond kMaxGroups groups, INVALID_ARGUMENT for an empty name, CANCELLED
  // after Close.
  absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string name, Listener* listener);
  // Shares the partitions out again, in a step.
  void Rebalance(const std::string& name);
  // A group of an earlier run: its positions count although nobody joined it yet.
  void Know(const std::string& name);

  // The log ends, or begins, here now. Neither ever goes back.
  void Appended(int partition, int64_t end);
  void Pruned(int partition, int64_t first);
  Bounds BoundsOf(int partition) const;

  // The lowest position that any known group reported; none while one of them has not reported
  // since the start; the largest number if there is no group.
  std::optional<int64_t> LowestPosition(int partition) const;
  std::vector<GroupPosition> Positions() const;

  // Waits for the step under way; no listener is called afterwards.
  void Close();

 private:
  class Member;

  struct Cursor {
    bool assigned = false;
    bool sought = false;
    int64_t seeks = 0;  // tells a read that was overtaken by a Seek
    int64_t generation = 0;
    int64_t next = 0;
    std::vector<int> credits;      // one entry per More
    std::vector<RecordPtr> ahead;  // read, not yet delivered, in reverse order
  };
  struct Group {
    std::vector<std::shared_ptr<Member>> members;  // in the order of joining
    std::vector<Member*> owners;                   // by partition; null = nobody
    std::vector<std::optional<int64_t>> positions;
    bool rebalance_posted = false;
  };
  using Assignment = std::vector<std::pair<std::shared_ptr<Member>, std::vector<int>>>;

  Group& GroupNamed(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostRebalance(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostDelivery(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOutside(const Cursor& cursor, int partition) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsReady(const Cursor& cursor, int partition) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Steps.
  void ShareOut(const std::string& name);
  void Deliver(int partition);
  void DeliverTo(Member& member, int partition);
  void Stop(Member& member, int partition, int64_t seeks, absl::Status why);

  Source* const source_;
  mutable absl::Mutex mutex_;
  std::vector<Bounds> bounds_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> delivery_posted_ ABSL_GUARDED_BY(mutex_);
  // By name, as no order of calls may depend on a hash.
  std::map<std::string, Group> groups_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  executor::Scope scope_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_GROUPS_H_
