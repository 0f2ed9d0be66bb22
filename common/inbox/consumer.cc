#include "common/inbox/consumer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::inbox {

Consumer::Consumer(const corridor::ServiceDefinition* definition, std::string owner, Ports ports,
                   ConsumerOptions options, Observer observer)
    : definition_(definition),
      owner_(std::move(owner)),
      ports_(ports),
      options_(options),
      observer_(std::move(observer)),
      scope_(ports.executor) {}

Consumer::~Consumer() { Close(); }

void Consumer::Close() {
  scope_.Close();
  joining_.reset();
  member_.reset();
}

absl::Status Consumer::Start() {
  absl::StatusOr<std::unique_ptr<bus::Consumer>> member =
      ports_.bus->Join(definition_->name(), this);
  if (!member.ok()) return member.status();
  // Not inside the step: one that never runs would keep the membership, and the bus would go on
  // telling a listener that is gone.
  joining_ = *std::move(member);
  scope_.Post([this] {
    member_ = std::move(joining_);
    for (auto& [number, partition] : partitions_) Claim(number);
  });
  return absl::OkStatus();
}

void Consumer::Stop() {
  scope_.Post([this] { member_.reset(); });
}

void Consumer::Assigned(std::vector<int> partitions) {
  scope_.Post([this, partitions = std::move(partitions)] {
    for (const int number : partitions) {
      // Answers to questions of an earlier time here belong to no generation of this one.
      partitions_[number] = Partition();
      partitions_[number].generation = ++generations_;
      partitions_[number].back_off = options_.first_back_off;
      if (member_ != nullptr) Claim(number);
    }
  });
}

void Consumer::Revoked(std::vector<int> partitions) {
  scope_.Post([this, partitions = std::move(partitions)] {
    for (const int number : partitions) partitions_.erase(number);
  });
}

void Consumer::Records(int partition, int64_t generation, std::vector<bus::RecordPtr> records) {
  scope_.Post([this, partition, generation, records = std::move(records)]() mutable {
    Receive(partition, generation, std::move(records));
  });
}

void Consumer::Stopped(int partition, absl::Status why) {
  scope_.Post([this, partition, why = std::move(why)] {
    if (partitions_.contains(partition)) GiveUp(partition, why);
  });
}

void Consumer::GiveUp(int number, const absl::Status& why) {
  partitions_[number].stopped = why;
  if (observer_.stopped) observer_.stopped(number, why);
}

// Taking a partition over raises its epoch in one commit: from then on a former owner's commits
// miss.
void Consumer::Claim(int number) {
  Partition& partition = partitions_[number];
  if (partition.claiming) return;
  partition.claiming = true;
  partition.waiting.clear();
  partition.in_flight = 0;
  partition.asking = 0;
  const std::string key = absl::StrCat(number);
  lane::Writes writes;
  writes.lines.push_back(
      {"positions",
       key,
       {"INSERT INTO positions (partition, next_offset, epoch, owner) VALUES ($1, 0, 0, '') "
        "ON CONFLICT (partition) DO NOTHING",
        {int64_t{number}}},
       store::Expect::kAnyRows});
  writes.lines.push_back(
      {"positions",
       key,
       {"UPDATE positions SET epoch = epoch + 1, owner = $2 WHERE partition = $1",
        {int64_t{number}, owner_}},
       store::Expect::kOneRow});
  writes.done = scope_.Callback<absl::Status>(
      [this, number](const absl::Status& status) { Claimed(number, status); });
  ports_.lanes->OfPartition(number).Submit(std::move(writes));
}

void Consumer::Claimed(int number, const absl::Status& status) {
  const auto it = partitions_.find(number);
  if (it == partitions_.end() || member_ == nullptr) return;
  Partition& partition = it->second;
  partition.claiming = false;
  absl::Status read = status;
  if (read.ok()) {
    read = ports_.reader->Query(
        {"SELECT next_offset, epoch FROM positions WHERE partition = $1", {int64_t{number}}},
        [&](const store::RowView& row) {
          partition.next_offset = row.Int(0);
          partition.epoch = row.Int(1);
        });
  }
  if (read.ok()) {
    absl::StatusOr<Abandoned> abandoned = Abandoned::Read(*ports_.reader);
    read = abandoned.status();
    if (abandoned.ok()) abandoned_ = *std::move(abandoned);
  }
  if (!read.ok()) {
    scope_.PostAt(ports_.clock->Now() + partition.back_off, [this, number] {
      if (partitions_.contains(number) && member_ != nullptr) Claim(number);
    });
    partition.back_off = std::min(partition.back_off * 2, options_.last_back_off);
    return;
  }
  partition.back_off = options_.first_back_off;
  partition.generation = ++generations_;
  partition.requested = false;
  member_->Seek(number, partition.next_offset, partition.generation);
  member_->ReportPosition(number, partition.next_offset);
  if (observer_.moved) observer_.moved(number, partition.next_offset);
  RequestMore(number);
}

void Consumer::RequestMore(int number) {
  Partition& partition = partitions_[number];
  if (member_ == nullptr || partition.requested || partition.claiming || !partition.stopped.ok()) {
    return;
  }
  const int room = options_.max_waiting - static_cast<int>(partition.waiting.size());
  if (room < options_.max_waiting / 2) return;
  partition.requested = true;
  member_->More(number, room);
}

void Consumer::Receive(int number, int64_t generation, std::vector<bus::RecordPtr> records) {
  const auto it = partitions_.find(number);
  if (it == partitions_.end() || it->second.generation != generation) return;
  Partition& partition = it->second;
  partition.requested = false;
  for (bus::RecordPtr& record : records) {
    const bool is_abandoned = abandoned_.Contains(record->event);
    partition.waiting.push_back(lane::Parsed(*definition_, std::move(record)));
    // As one of a type that is not used here: nothing is asked for it, and the position passes it.
    if (is_abandoned) partition.waiting.back().reaction = nullptr;
  }
  Pump(number);
  RequestMore(number);
}

// Sends the next run, if none is under way. Only types that are not used here: the position may
// wait for something to ride along with.
void Consumer::Pump(int number) {
  Partition& partition = partitions_[number];
  if (partition.in_flight > 0 || partition.asking > 0 || partition.claiming ||
      partition.backing_off || partition.waiting.empty() || !partition.stopped.ok()) {
    return;
  }
  const size_t limit = std::min(partition.waiting.size(), static_cast<size_t>(options_.max_run));
  size_t used = 0;
  size_t size = 0;
  std::vector<corridor::Question> questions;
  while (size < limit) {
    lane::RunEvent& event = partition.waiting[size];
    if (event.reaction != nullptr) {
      // An event whose questions are known ahead asks before its run; those before it go first.
      if (event.reaction->gather && event.body != nullptr && event.gathered.rounds == 0) {
        questions = event.reaction->gather(*event.body, event.record->event);
        if (!questions.empty()) break;
      }
      ++used;
    }
    ++size;
  }
  if (size == 0) {
    AskFront(number, std::move(questions));
    return;
  }
  const bool only_skipped = used == 0 && size == partition.waiting.size();
  if (only_skipped && !partition.move_skipped_now) {
    if (partition.skipped_step_set) return;
    partition.skipped_step_set = true;
    scope_.PostAt(ports_.clock->Now() + options_.skipped_wait, [this, number] {
      const auto it = partitions_.find(number);
      if (it == partitions_.end()) return;
      it->second.skipped_step_set = false;
      MoveSkippedNow(number);
    });
    return;
  }
  partition.move_skipped_now = false;
  SendRun(number, size);
}

void Consumer::MoveSkippedNow(int number) {
  const auto it = partitions_.find(number);
  if (it == partitions_.end()) return;
  it->second.move_skipped_now = true;
  Pump(number);
}

void Consumer::SendRun(int number, size_t size) {
  Partition& partition = partitions_[number];
  auto run = std::make_unique<lane::Run>();
  run->partition = number;
  run->stored = partition.next_offset;
  run->epoch = partition.epoch;
  // Copies (of shared pointers): what the lane cuts off is sent again from here.
  run->events.assign(partition.waiting.begin(),
                     partition.waiting.begin() + static_cast<std::ptrdiff_t>(size));
  run->done = scope_.Callback<lane::RunResult>(
      [this, number, generation = partition.generation](lane::RunResult result) {
        Ran(number, generation, std::move(result));
      });
  partition.in_flight = size;
  ports_.lanes->OfPartition(number).Submit(std::move(run));
}

void Consumer::Ran(int number, int64_t generation, lane::RunResult result) {
  const auto it = partitions_.find(number);
  if (it == partitions_.end() || it->second.generation != generation) return;
  Partition& partition = it->second;
  partition.in_flight = 0;
  if (result.kind == lane::RunResult::Kind::kFenced) {
    Refence(number);
    return;
  }
  if (result.applied > 0) {
    for (size_t i = 0; observer_.applied && i < result.applied; ++i) {
      const lane::RunEvent& event = partition.waiting[i];
      if (event.reaction != nullptr) observer_.applied(event.record->event);
    }
    partition.next_offset = partition.waiting[result.applied - 1].record->offset + 1;
    partition.waiting.erase(
        partition.waiting.begin(),
        partition.waiting.begin() + static_cast<std::ptrdiff_t>(result.applied));
    partition.back_off = options_.first_back_off;
    if (member_ != nullptr) member_->ReportPosition(number, partition.next_offset);
    if (observer_.moved) observer_.moved(number, partition.next_offset);
  }
  switch (result.kind) {
    case lane::RunResult::Kind::kAsks:
      AskFront(number, std::move(result.questions));
      break;
    case lane::RunResult::Kind::kRetry:
      trouble_ = result.why;
      BackOff(number);
      break;
    case lane::RunResult::Kind::kStopped:
      GiveUp(number, result.why);
      break;
    default:
      Pump(number);
  }
  RequestMore(number);
}

// The position row did not match. With our epoch still there our own commit went through without
// our knowing: go on from the stored offset. With another epoch somebody else owns the partition:
// drop what was fetched; if the bus still says that it is ours, claim it again. Who has left the
// group reads no more.
void Consumer::Refence(int number) {
  if (member_ == nullptr) return;
  Partition& partition = partitions_[number];
  int64_t epoch = -1;
  int64_t next_offset = 0;
  const absl::Status status = ports_.reader->Query(
      {"SELECT next_offset, epoch FROM positions WHERE partition = $1", {int64_t{number}}},
      [&](const store::RowView& row) {
        next_offset = row.Int(0);
        epoch = row.Int(1);
      });
  if (!status.ok() || epoch != partition.epoch) {
    partition.waiting.clear();
    partition.claiming = false;
    partition.generation = ++generations_;
    const bool is_anothers = status.ok();
    const absl::Duration wait =
        is_anothers ? std::max(partition.back_off, options_.reclaim_after) : partition.back_off;
    // If it is revoked and comes back meanwhile, it is claimed then, and this is overtaken.
    scope_.PostAt(ports_.clock->Now() + wait, [this, number, generation = partition.generation] {
      const auto it = partitions_.find(number);
      if (it == partitions_.end() || it->second.generation != generation) return;
      if (member_ != nullptr) Claim(number);
    });
    partition.back_off = std::min(partition.back_off * 2, options_.last_back_off);
    return;
  }
  partition.waiting.clear();
  partition.next_offset = next_offset;
  partition.requested = false;
  partition.generation = ++generations_;
  member_->Seek(number, next_offset, partition.generation);
  if (observer_.moved) observer_.moved(number, next_offset);
  RequestMore(number);
}

void Consumer::BackOff(int number) {
  Partition& partition = partitions_[number];
  partition.backing_off = true;
  scope_.PostAt(ports_.clock->Now() + partition.back_off,
                [this, number, generation = partition.generation] {
                  const auto it = partitions_.find(number);
                  if (it == partitions_.end() || it->second.generation != generation) return;
                  it->second.backing_off = false;
                  Pump(number);
                });
  partition.back_off = std::min(partition.back_off * 2, options_.last_back_off);
}

void Consumer::AskFront(int number, std::vector<corridor::Question> questions) {
  Partition& partition = partitions_[number];
  Ask(number, 0, std::move(questions));
  // While the front asks, so may those behind it whose questions are known ahead.
  for (size_t i = 1; i < partition.waiting.size() && i < static_cast<size_t>(options_.max_run);
       ++i) {
    lane::RunEvent& event = partition.waiting[i];
    if (event.reaction == nullptr || !event.reaction->gather || event.body == nullptr ||
        event.gathered.rounds > 0) {
      continue;
    }
    std::vector<corridor::Question> ahead =
        event.reaction->gather(*event.body, event.record->event);
    if (!ahead.empty()) Ask(number, i, std::move(ahead));
  }
}

void Consumer::Ask(int number, size_t index, std::vector<corridor::Question> questions) {
  Partition& partition = partitions_[number];
  ++partition.asking;
  lane::RunEvent& event = partition.waiting[index];
  ports_.gatherer->Ask(
      event.gathered, std::move(questions), event.record->event.traceparent,
      scope_.Callback<lane::Gathered>([this, number, generation = partition.generation,
                                       offset = event.record->offset](lane::Gathered gathered) {
        const auto it = partitions_.find(number);
        if (it == partitions_.end() || it->second.generation != generation) return;
        --it->second.asking;
        for (lane::RunEvent& waiting : it->second.waiting) {
          if (waiting.record->offset == offset) {
            waiting.gathered = std::move(gathered);
            break;
          }
        }
        Pump(number);
      }));
}

int64_t Consumer::NextOffset(int partition) const {
  const auto it = partitions_.find(partition);
  return it == partitions_.end() ? -1 : it->second.next_offset;
}

std::vector<PartitionState> Consumer::Partitions() const {
  std::vector<PartitionState> states;
  for (const auto& [number, partition] : partitions_) {
    states.push_back({number, partition.next_offset,
                      partition.stopped.ok() ? "" : std::string(partition.stopped.message()),
                      static_cast<int64_t>(partition.waiting.size())});
  }
  return states;
}

}  // namespace tandem::inbox
