#include "common/bus/memory_bus.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/headers.h"

namespace tandem::bus {
namespace {

// How many records a partition gathers before it looks again for what every group has passed.
constexpr int64_t kPruneEvery = 256;

}  // namespace

MemoryBus::MemoryBus(executor::Executor* executor, MemoryBusOptions options)
    : options_(options),
      log_(static_cast<size_t>(options.partitions)),
      groups_(std::make_shared<Groups>(executor, static_cast<Source*>(this),
                                       std::vector<Bounds>(log_.size()))),
      scope_(executor) {}

MemoryBus::~MemoryBus() { groups_->Close(); }

void MemoryBus::Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) {
  for (const Event& event : events) {
    if (absl::Status status = Validate(event); !status.ok()) {
      scope_.Post([done = std::move(done), status = std::move(status)]() mutable { done(status); });
      return;
    }
  }
  std::vector<bool> grown(log_.size(), false);
  {
    const absl::MutexLock lock(&mutex_);
    for (Event& event : events) {
      const int partition = PartitionOf(event.key, options_.partitions);
      Partition& log = log_[static_cast<size_t>(partition)];
      log.records.push_back(
          std::make_shared<const Record>(Record{partition, log.end(), std::move(event)}));
      grown[static_cast<size_t>(partition)] = true;
    }
    // Under the lock: nobody may read a record that the groups would still call outside the log.
    for (size_t p = 0; p < grown.size(); ++p) {
      if (grown[p]) groups_->Appended(static_cast<int>(p), log_[p].end());
    }
  }
  for (int partition = 0; partition < options_.partitions && !options_.keep_all; ++partition) {
    if (grown[static_cast<size_t>(partition)]) Prune(partition);
  }
  scope_.Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
}

void MemoryBus::SkipOffset(int partition) {
  const absl::MutexLock lock(&mutex_);
  Partition& log = log_[static_cast<size_t>(partition)];
  log.records.push_back(nullptr);
  groups_->Appended(partition, log.end());
}

void MemoryBus::Prune(int partition) {
  {
    const absl::MutexLock lock(&mutex_);
    Partition& log = log_[static_cast<size_t>(partition)];
    if (log.end() < log.prune_at) return;
    log.prune_at = log.end() + kPruneEvery;
  }
  const std::optional<int64_t> lowest = groups_->LowestPosition(partition);
  if (!lowest.has_value()) return;
  const absl::MutexLock lock(&mutex_);
  Partition& log = log_[static_cast<size_t>(partition)];
  while (!log.records.empty() && log.first < *lowest) {
    log.records.pop_front();
    ++log.first;
  }
  groups_->Pruned(partition, log.first);
}

void MemoryBus::EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) {
  scope_.Post([this, partition, done = std::move(done)]() mutable {
    if (partition < 0 || partition >= options_.partitions) {
      done(absl::InvalidArgumentError(absl::StrCat("there is no partition ", partition)));
    } else {
      done(BoundsOf(partition).end);
    }
  });
}

absl::StatusOr<std::unique_ptr<Consumer>> MemoryBus::Join(std::string group, Listener* listener) {
  return groups_->Join(std::move(group), listener);
}

Bounds MemoryBus::BoundsOf(int partition) const {
  const absl::MutexLock lock(&mutex_);
  const Partition& log = log_[static_cast<size_t>(partition)];
  return {log.first, log.end()};
}

absl::StatusOr<std::vector<RecordPtr>> MemoryBus::ReadRange(int partition, int64_t from,
                                                            int max_records) {
  if (partition < 0 || partition >= options_.partitions || max_records < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", max_records, " records of partition ", partition));
  }
  absl::StatusOr<Batch> batch = Read(partition, from, max_records);
  if (!batch.ok()) return batch.status();
  return std::move(batch->records);
}

absl::Status MemoryBus::Admit(const std::string& /*group*/) { return absl::OkStatus(); }

absl::StatusOr<Source::Batch> MemoryBus::Read(int partition, int64_t from, int max_records) {
  const absl::MutexLock lock(&mutex_);
  const Partition& log = log_[static_cast<size_t>(partition)];
  // Between the groups' look at the bounds and this one, a prune may have taken the record.
  if (from < log.first || from > log.end()) {
    return absl::OutOfRangeError(absl::StrCat("partition ", partition, ": offset ", from,
                                              " is not in the log, which has ", log.first,
                                              " up to, not including, ", log.end()));
  }
  Batch batch;
  batch.next = from;
  while (batch.next < log.end() && batch.records.size() < static_cast<size_t>(max_records)) {
    const RecordPtr& record = log.records[static_cast<size_t>(batch.next - log.first)];
    if (record != nullptr) batch.records.push_back(record);
    ++batch.next;
  }
  return batch;
}

}  // namespace tandem::bus
