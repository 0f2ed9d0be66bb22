#include "common/bus/local_log.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/bus/headers.h"
#include "common/bus/log_segments.h"
#include "common/bus/segment.h"
#include "common/time/micros.h"

namespace tandem::bus {
namespace {

using store::CommitResult;
using store::Expect;
using store::RowView;
using store::Value;
using store::Write;

// A reader of old records decodes whole segments: these bound what it throws away, and how long one
// read holds up the appends.
constexpr size_t kSegmentEvents = 256;
constexpr size_t kSegmentBytes = 256 << 10;
// One commit of pruning; appends take their turn between two of them.
constexpr int64_t kSegmentsPerPrune = 64;

constexpr absl::Duration kAdmitAgain = absl::Seconds(1);

size_t BytesOf(const Event& event) {
  return sizeof(Record) + event.id.size() + event.source.size() + event.type.size() +
         event.subject.size() + event.key.size() + event.cause.size() + event.traceparent.size() +
         event.body.size();
}

// Lines of one batch must not meet each other's order by chance: a partition's segments are
// ascending.
std::string SegmentKey(int partition, int64_t last_offset) {
  return absl::StrCat(absl::Dec(partition, absl::kZeroPad5), "/",
                      absl::Dec(last_offset, absl::kZeroPad20));
}

absl::Status StatusOf(const CommitResult& result) {
  switch (result.kind) {
    case CommitResult::Kind::kCommitted:
      return absl::OkStatus();
    case CommitResult::Kind::kMissed:
      return absl::AbortedError("the log's rows are not as this process left them");
    case CommitResult::Kind::kConflict:
      return absl::AbortedError("the log's store is busy");
    case CommitResult::Kind::kUnknown:
      return absl::UnavailableError(absl::StrCat("whether the log took the events is unknown: ",
                                                 std::string(result.status.message())));
    case CommitResult::Kind::kFailed:
      return result.status;
  }
  return absl::InternalError("unknown commit result");
}

absl::Status Outside(int partition, int64_t offset, const Bounds& bounds) {
  return absl::OutOfRangeError(absl::StrCat("partition ", partition, ": offset ", offset,
                                            " is not in the log, which has ", bounds.first,
                                            " up to, not including, ", bounds.end));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalLog>> LocalLog::Open(store::Store* store,
                                                         const time::Clock* clock,
                                                         executor::Executor* executor,
                                                         LocalLogOptions options) {
  const absl::StatusOr<std::optional<int64_t>> read = ReadPartitions(store->reader());
  if (!read.ok()) return read.status();
  const std::optional<int64_t> stored = *read;
  if (!stored.has_value()) {
    const CommitResult made =
        store->Commit({{"log_shape",
                        "log",
                        {"INSERT INTO log_shape (key, partitions) VALUES ('log', $1)",
                         {Value(int64_t{options.partitions})}},
                        Expect::kOneRow}});
    if (absl::Status status = StatusOf(made); !status.ok()) return status;
  } else if (*stored != options.partitions) {
    return absl::FailedPreconditionError(
        absl::StrCat("the log has ", *stored, " partitions, not ", options.partitions,
                     "; its keys are spread over them, so their number stays as it was made"));
  }
  absl::StatusOr<std::vector<Bounds>> bounds = ReadBounds(store->reader(), options.partitions);
  if (!bounds.ok()) return bounds.status();
  std::set<std::string> known;
  absl::Status status =
      store->reader().Query({"SELECT name FROM log_groups", {}},
                            [&](const RowView& row) { known.insert(std::string(row.Text(0))); });
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<store::Reader>> reader = store->OpenReader();
  if (!reader.ok()) return reader.status();
  return std::unique_ptr<LocalLog>(new LocalLog(store, clock, executor, options, *std::move(bounds),
                                                std::move(known), *std::move(reader)));
}

LocalLog::LocalLog(store::Store* store, const time::Clock* clock, executor::Executor* executor,
                   LocalLogOptions options, std::vector<Bounds> bounds,
                   std::set<std::string> known_groups, std::unique_ptr<store::Reader> reader)
    : store_(store),
      clock_(clock),
      options_(options),
      partitions_(bounds.size()),
      known_groups_(std::move(known_groups)),
      prune_at_(clock->Now()),
      reader_(std::move(reader)),
      groups_(std::make_shared<Groups>(executor, static_cast<Source*>(this), bounds)),
      scope_(executor) {
  for (size_t p = 0; p < bounds.size(); ++p) partitions_[p].bounds = bounds[p];
  for (const std::string& group : known_groups_) groups_->Know(group);
}

LocalLog::~LocalLog() {
  groups_->Close();
  scope_.Close();
}

void LocalLog::Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) {
  absl::Status refused;
  size_t bytes = 0;
  for (const Event& event : events) {
    if (refused = Validate(event); !refused.ok()) break;
    bytes += BytesOf(event);
  }
  if (refused.ok()) {
    const absl::MutexLock lock(&mutex_);
    if (waiting_.empty() || (waiting_events_ + events.size() <= options_.max_waiting_events &&
                             waiting_bytes_ + bytes <= options_.max_waiting_bytes)) {
      waiting_events_ += events.size();
      waiting_bytes_ += bytes;
      waiting_.push_back({std::move(events), bytes, std::move(done)});
      if (!std::exchange(commit_posted_, true)) {
        scope_.Post([this] { CommitWaiting(); });
      }
      return;
    }
    refused = absl::ResourceExhaustedError(
        absl::StrCat("the log has ", waiting_events_, " events waiting to be written"));
  }
  scope_.Post([done = std::move(done), refused = std::move(refused)]() mutable { done(refused); });
}

void LocalLog::CommitWaiting() {
  std::vector<Request> requests;
  {
    const absl::MutexLock lock(&mutex_);
    size_t events = 0;
    while (!waiting_.empty()) {
      Request& next = waiting_.front();
      if (!requests.empty() && events + next.events.size() > options_.max_commit_events) break;
      events += next.events.size();
      waiting_events_ -= next.events.size();
      waiting_bytes_ -= next.bytes;
      requests.push_back(std::move(next));
      waiting_.pop_front();
    }
    commit_posted_ = !waiting_.empty();
    if (commit_posted_) {
      scope_.Post([this] { CommitWaiting(); });
    }
  }
  const absl::Status status = Commit(requests);
  for (Request& request : requests) request.done(status);
  if (const absl::Time now = clock_->Now(); now >= prune_at_) {
    prune_at_ = now + options_.prune_every;
    scope_.Post([this] { Prune(0); });
  }
}

absl::Status LocalLog::Commit(std::vector<Request>& requests) {
  if (reload_) {
    if (absl::Status status = Reload(); !status.ok()) return status;
  }
  std::vector<std::vector<RecordPtr>> appended(static_cast<size_t>(options_.partitions));
  std::vector<int64_t> ends;
  for (int p = 0; p < options_.partitions; ++p) ends.push_back(BoundsOf(p).end);
  for (Request& request : requests) {
    for (Event& event : request.events) {
      const int partition = PartitionOf(event.key, options_.partitions);
      const auto p = static_cast<size_t>(partition);
      event.time = time::TruncateToMicros(event.time);
      appended[p].push_back(
          std::make_shared<const Record>(Record{partition, ends[p]++, std::move(event)}));
    }
  }

  const int64_t now = time::ToMicros(clock_->Now());
  std::vector<Write> batch;
  for (int partition = 0; partition < options_.partitions; ++partition) {
    absl::Span<const RecordPtr> rest = appended[static_cast<size_t>(partition)];
    while (!rest.empty()) {
      size_t count = 0;
      size_t bytes = 0;
      while (count < rest.size() && count < kSegmentEvents &&
             (count == 0 || bytes < kSegmentBytes)) {
        bytes += BytesOf(rest[count++]->event);
      }
      const absl::Span<const RecordPtr> segment = rest.first(count);
      rest.remove_prefix(count);
      const int64_t last = segment.back()->offset;
      batch.push_back({"log_segments",
                       SegmentKey(partition, last),
                       {"INSERT INTO log_segments (partition, last_offset, first_offset, "
                        "appended_at, events) VALUES ($1, $2, $3, $4, $5)",
                        {Value(int64_t{partition}), Value(last), Value(segment.front()->offset),
                         Value(now), Value(store::Blob{EncodeSegment(segment)})}},
                       Expect::kOneRow});
    }
  }
  if (batch.empty()) return absl::OkStatus();
  const CommitResult result = store_->Commit(batch);
  // A row that is there already was written by a commit that was taken for lost.
  reload_ =
      result.kind == CommitResult::Kind::kUnknown || result.kind == CommitResult::Kind::kMissed;
  if (result.kind == CommitResult::Kind::kCommitted) Remember(std::move(appended));
  return StatusOf(result);
}

void LocalLog::Remember(std::vector<std::vector<RecordPtr>> appended) {
  const size_t budget = options_.tail_bytes / appended.size();
  for (size_t p = 0; p < appended.size(); ++p) {
    if (appended[p].empty()) continue;
    const int64_t end = appended[p].back()->offset + 1;
    const absl::MutexLock lock(&mutex_);
    Partition& partition = partitions_[p];
    for (RecordPtr& record : appended[p]) {
      partition.tail_bytes += BytesOf(record->event);
      partition.tail.push_back(std::move(record));
    }
    while (partition.tail_bytes > budget && !partition.tail.empty()) {
      partition.tail_bytes -= BytesOf(partition.tail.front()->event);
      partition.tail.pop_front();
    }
    partition.bounds.end = end;
    // Under the lock: nobody may learn of an end that the groups would still call outside the log.
    groups_->Appended(static_cast<int>(p), end);
  }
}

absl::Status LocalLog::Reload() {
  const absl::StatusOr<std::vector<Bounds>> bounds =
      ReadBounds(store_->reader(), options_.partitions);
  if (!bounds.ok()) return bounds.status();
  for (size_t p = 0; p < bounds->size(); ++p) {
    {
      const absl::MutexLock lock(&mutex_);
      // The tail has no holes: it starts again behind what was perhaps written.
      if (partitions_[p].bounds.end != (*bounds)[p].end) {
        partitions_[p].tail.clear();
        partitions_[p].tail_bytes = 0;
      }
      partitions_[p].bounds = (*bounds)[p];
    }
    groups_->Appended(static_cast<int>(p), (*bounds)[p].end);
    groups_->Pruned(static_cast<int>(p), (*bounds)[p].first);
  }
  reload_ = false;
  return absl::OkStatus();
}

void LocalLog::Prune(int partition) {
  if (partition >= options_.partitions || reload_) return;
  const auto next = [this](int p) { scope_.Post([this, p] { Prune(p); }); };
  const std::optional<int64_t> lowest = groups_->LowestPosition(partition);
  if (!lowest.has_value()) return next(partition + 1);

  const int64_t kept_from = time::ToMicros(clock_->Now() - options_.retention);
  const Bounds bounds = BoundsOf(partition);
  int64_t cut = -1;
  int64_t looked_at = 0;
  bool stopped = false;
  absl::Status status = store_->reader().Query(
      {"SELECT last_offset, appended_at FROM log_segments WHERE partition=$1 "
       "ORDER BY last_offset LIMIT $2",
       {Value(int64_t{partition}), Value(kSegmentsPerPrune)}},
      [&](const RowView& row) {
        ++looked_at;
        // The newest segment stays: it says where the offsets go on.
        const bool goes =
            row.Int(0) < *lowest && row.Int(1) < kept_from && row.Int(0) + 1 < bounds.end;
        if (!goes) stopped = true;
        if (!stopped) cut = row.Int(0);
      });
  if (!status.ok()) return;  // tried again after prune_every
  if (cut >= 0) {
    const CommitResult result =
        store_->Commit({{"log_segments",
                         SegmentKey(partition, cut),
                         {"DELETE FROM log_segments WHERE partition=$1 AND last_offset<=$2",
                          {Value(int64_t{partition}), Value(cut)}},
                         Expect::kAnyRows}});
    reload_ = result.kind == CommitResult::Kind::kUnknown;
    if (result.kind != CommitResult::Kind::kCommitted) return;
    {
      const absl::MutexLock lock(&mutex_);
      Partition& log = partitions_[static_cast<size_t>(partition)];
      log.bounds.first = cut + 1;
      while (!log.tail.empty() && log.tail.front()->offset <= cut) {
        log.tail_bytes -= BytesOf(log.tail.front()->event);
        log.tail.pop_front();
      }
    }
    groups_->Pruned(partition, cut + 1);
  }
  next(!stopped && looked_at == kSegmentsPerPrune ? partition : partition + 1);
}

void LocalLog::EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) {
  scope_.Post([this, partition, done = std::move(done)]() mutable {
    if (partition < 0 || partition >= options_.partitions) {
      return done(absl::InvalidArgumentError(absl::StrCat("there is no partition ", partition)));
    }
    if (reload_) {
      if (absl::Status status = Reload(); !status.ok()) return done(std::move(status));
    }
    done(BoundsOf(partition).end);
  });
}

absl::StatusOr<std::unique_ptr<Consumer>> LocalLog::Join(std::string group, Listener* listener) {
  return groups_->Join(std::move(group), listener);
}

Bounds LocalLog::BoundsOf(int partition) const {
  const absl::MutexLock lock(&mutex_);
  return partitions_[static_cast<size_t>(partition)].bounds;
}

absl::Status LocalLog::Admit(const std::string& group) {
  if (known_groups_.contains(group)) return absl::OkStatus();
  const CommitResult result = store_->Commit(
      {{"log_groups",
        group,
        {"INSERT INTO log_groups (name, joined_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
         {Value(group), Value(time::ToMicros(clock_->Now()))}},
        Expect::kAnyRows}});
  absl::Status status = StatusOf(result);
  if (status.ok()) {
    known_groups_.insert(group);
  } else {
    scope_.PostAt(clock_->Now() + kAdmitAgain, [this, group] { groups_->Rebalance(group); });
  }
  return status;
}

std::vector<RecordPtr> LocalLog::ReadTail(int partition, int64_t from, int max_records) const {
  const absl::MutexLock lock(&mutex_);
  const std::deque<RecordPtr>& tail = partitions_[static_cast<size_t>(partition)].tail;
  if (tail.empty() || from < tail.front()->offset) return {};
  const auto skipped = static_cast<size_t>(from - tail.front()->offset);
  if (skipped >= tail.size()) return {};
  const size_t count = std::min(tail.size() - skipped, static_cast<size_t>(max_records));
  const auto begin = tail.begin() + static_cast<std::ptrdiff_t>(skipped);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

absl::StatusOr<Source::Batch> LocalLog::Read(int partition, int64_t from, int max_records) {
  Batch batch;
  batch.records = ReadTail(partition, from, max_records);
  if (batch.records.empty()) {
    absl::StatusOr<std::vector<RecordPtr>> stored = ReadSegments(store_->reader(), partition, from);
    if (!stored.ok()) return stored.status();
    batch.records = *std::move(stored);
  }
  const Bounds bounds = BoundsOf(partition);
  if (from < bounds.first) return Outside(partition, from, bounds);
  if (batch.records.empty()) {
    return absl::DataLossError(absl::StrCat("partition ", partition, ": offset ", from,
                                            " is gone from a log that ends at ", bounds.end));
  }
  batch.next = batch.records.back()->offset + 1;
  return batch;
}

absl::StatusOr<std::vector<RecordPtr>> LocalLog::ReadRange(int partition, int64_t from,
                                                           int max_records) {
  if (partition < 0 || partition >= options_.partitions || max_records < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", max_records, " records of partition ", partition));
  }
  std::vector<RecordPtr> records = ReadTail(partition, from, max_records);
  const Bounds bounds = BoundsOf(partition);
  if (from < bounds.first || from > bounds.end) return Outside(partition, from, bounds);
  if (!records.empty() || from == bounds.end) return records;
  const absl::MutexLock lock(&reader_mutex_);
  absl::StatusOr<std::vector<RecordPtr>> stored = ReadSegments(*reader_, partition, from);
  if (stored.ok() && stored->size() > static_cast<size_t>(max_records)) {
    stored->resize(static_cast<size_t>(max_records));
  }
  return stored;
}

}  // namespace tandem::bus
