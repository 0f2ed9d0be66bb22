// The durable bus of one process, in a database of its own.
//
//   store::SqliteOptions file{.path = "…/log.db", .schemas = {bus::SqliteSchema()}};
//   auto store = store::OpenSqlite(file);                       // Durability::kFull
//   auto log = bus::LocalLog::Open(store->get(), &clock, &executor, {});
#ifndef TANDEM_COMMON_BUS_LOCAL_LOG_H_
#define TANDEM_COMMON_BUS_LOCAL_LOG_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/bus.h"
#include "common/bus/groups.h"
#include "common/bus/log_reader.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/store/store.h"
#include "common/time/clock.h"

namespace tandem::bus {

struct LocalLogOptions {
  // Stored when the log is made; another number refuses to open it.
  int partitions = 8;
  // How long records stay, counted from their append.
  absl::Duration retention = absl::Hours(7 * 24);
  // Looked at by the first append after this long. A log that nobody appends to does not grow.
  absl::Duration prune_every = absl::Minutes(1);
  // Appends that wait for their commit; beyond it Append answers RESOURCE_EXHAUSTED. One append is
  // always taken, however large.
  size_t max_waiting_events = 65'536;
  size_t max_waiting_bytes = 64 << 20;
  // The latest records kept in memory, shared by all groups; older ones are read from the store.
  size_t tail_bytes = 16 << 20;
  // An append that finds the queue this long starts the next commit.
  size_t max_commit_events = 8'192;
};

// Callable from any thread. Commits, `done`s and listeners run in steps of `executor`, to which the
// store belongs while the log is open. Store, clock and executor outlive it. The log ends outside
// its own steps; appends that have not been committed by then are dropped without an answer.
//
// What queued up since the last commit goes into the next one, whoever appended it: at any load one
// flush to the disk is under way, and each is as large as the load makes it.
//
// A record is kept for the retention, and longer until every group that ever joined has reported a
// position beyond it. Positions are not stored: after a start nothing goes before every group has
// reported again.
class LocalLog : public Bus, public LogReader, private Source {
 public:
  // FAILED_PRECONDITION if the log was made with another number of partitions; else as the store
  // answers.
  static absl::StatusOr<std::unique_ptr<LocalLog>> Open(store::Store* store,
                                                        const time::Clock* clock,
                                                        executor::Executor* executor,
                                                        LocalLogOptions options);
  ~LocalLog() override;

  int partitions() const override { return options_.partitions; }
  // INVALID_ARGUMENT as Validate (headers.h); RESOURCE_EXHAUSTED if too much waits or the disk is
  // full; UNAVAILABLE or ABORTED if it may help to try again; else as the store answers.
  void Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) override;
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override;
  // The group is stored before it gets partitions.
  absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string group, Listener* listener) override;

  Bounds BoundsOf(int partition) const override;
  absl::StatusOr<std::vector<RecordPtr>> ReadRange(int partition, int64_t from,
                                                   int max_records) override;

  std::vector<GroupPosition> Positions() const { return groups_->Positions(); }

 private:
  struct Request {
    std::vector<Event> events;
    size_t bytes = 0;
    absl::AnyInvocable<void(absl::Status)> done;
  };
  struct Partition {
    Bounds bounds;
    std::deque<RecordPtr> tail;  // the last records, without holes, up to bounds.end
    size_t tail_bytes = 0;
  };

  LocalLog(store::Store* store, const time::Clock* clock, executor::Executor* executor,
           LocalLogOptions options, std::vector<Bounds> bounds, std::set<std::string> known_groups,
           std::unique_ptr<store::Reader> reader);

  // The records from `from` on that are in the tail; none if it begins later.
  std::vector<RecordPtr> ReadTail(int partition, int64_t from, int max_records) const;

  // Steps.
  absl::Status Admit(const std::string& group) override;
  absl::StatusOr<Batch> Read(int partition, int64_t from, int max_records) override;
  void CommitWaiting();
  absl::Status Commit(std::vector<Request>& requests);
  absl::Status Reload();
  void Remember(std::vector<std::vector<RecordPtr>> appended);
  void Prune(int partition);

  store::Store* const store_;
  const time::Clock* const clock_;
  const LocalLogOptions options_;

  mutable absl::Mutex mutex_;
  std::deque<Request> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_events_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool commit_posted_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Partition> partitions_ ABSL_GUARDED_BY(mutex_);

  // Touched by steps alone.
  std::set<std::string> known_groups_;
  bool reload_ = false;  // a commit's outcome is unknown: the bounds are whatever the store says
  absl::Time prune_at_;

  absl::Mutex reader_mutex_;
  const std::unique_ptr<store::Reader> reader_ ABSL_GUARDED_BY(reader_mutex_);

  const std::shared_ptr<Groups> groups_;
  executor::Scope scope_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_LOCAL_LOG_H_
