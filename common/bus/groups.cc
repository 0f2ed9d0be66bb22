#include "common/bus/groups.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/joined.h"

namespace tandem::bus {

class Groups::Member {
 public:
  Member(std::shared_ptr<Groups> groups, std::string group, Listener* listener, size_t partitions)
      : groups_(std::move(groups)),
        group_(std::move(group)),
        listener_(listener),
        cursors_(partitions) {}

  void Seek(int partition, int64_t offset, int64_t generation) {
    const absl::MutexLock lock(&groups_->mutex_);
    Cursor* cursor = CursorOf(partition);
    if (cursor == nullptr) return;
    cursor->sought = true;
    ++cursor->seeks;
    cursor->generation = generation;
    cursor->next = offset;
    cursor->credits.clear();
    cursor->ahead.clear();
    if (groups_->IsOutside(*cursor, partition)) groups_->PostDelivery(partition);
  }

  void More(int partition, int max_records) {
    const absl::MutexLock lock(&groups_->mutex_);
    Cursor* cursor = CursorOf(partition);
    if (cursor == nullptr || !cursor->sought || max_records < 1) return;
    cursor->credits.push_back(max_records);
    if (groups_->IsReady(*cursor, partition)) groups_->PostDelivery(partition);
  }

  void ReportPosition(int partition, int64_t next_offset) {
    const absl::MutexLock lock(&groups_->mutex_);
    if (CursorOf(partition) == nullptr) return;
    groups_->groups_.at(group_).positions[static_cast<size_t>(partition)] = next_offset;
  }

  void End() {
    {
      const absl::MutexLock lock(&groups_->mutex_);
      ended_ = true;
      Group& group = groups_->groups_.at(group_);
      std::erase_if(group.members, [this](const auto& member) { return member.get() == this; });
      std::replace(group.owners.begin(), group.owners.end(), this, static_cast<Member*>(nullptr));
      groups_->PostRebalance(group_);
    }
    groups_->scope_.Quiesce();
  }

  // Null if this member may not read the partition now.
  Cursor* CursorOf(int partition) {
    if (ended_ || partition < 0 || static_cast<size_t>(partition) >= cursors_.size())
      return nullptr;
    Cursor& cursor = cursors_[static_cast<size_t>(partition)];
    return cursor.assigned ? &cursor : nullptr;
  }

  Listener& listener() { return *listener_; }
  bool ended() const { return ended_; }
  std::vector<Cursor>& cursors() { return cursors_; }

 private:
  const std::shared_ptr<Groups> groups_;
  const std::string group_;
  Listener* const listener_;
  // Guarded by the groups' mutex.
  bool ended_ = false;
  std::vector<Cursor> cursors_;
};

Groups::Groups(executor::Executor* executor, Source* source, std::vector<Bounds> bounds)
    : source_(source),
      bounds_(std::move(bounds)),
      delivery_posted_(bounds_.size(), false),
      scope_(executor) {}

Groups::Group& Groups::GroupNamed(const std::string& name) {
  Group& group = groups_[name];
  group.owners.resize(bounds_.size(), nullptr);
  group.positions.resize(bounds_.size());
  return group;
}

absl::StatusOr<std::unique_ptr<Consumer>> Groups::Join(std::string name, Listener* listener) {
  if (name.empty()) return absl::InvalidArgumentError("a consumer group needs a name");
  const absl::MutexLock lock(&mutex_);
  if (closed_) return absl::CancelledError("the bus is ending");
  if (!groups_.contains(name) && groups_.size() >= kMaxGroups) {
    return absl::ResourceExhaustedError(
        absl::StrCat("consumer group \"", name, "\" would be more than ", kMaxGroups));
  }
  auto member = std::make_shared<Member>(shared_from_this(), name, listener, bounds_.size());
  GroupNamed(name).members.push_back(member);
  PostRebalance(name);
  return std::make_unique<Joined<Member>>(std::move(member));
}

void Groups::Rebalance(const std::string& name) {
  const absl::MutexLock lock(&mutex_);
  PostRebalance(name);
}

void Groups::Know(const std::string& name) {
  const absl::MutexLock lock(&mutex_);
  GroupNamed(name);
}

void Groups::PostRebalance(const std::string& name) {
  Group& group = groups_.at(name);
  if (closed_ || group.members.empty() || std::exchange(group.rebalance_posted, true)) return;
  scope_.Post([this, name] { ShareOut(name); });
}

void Groups::PostDelivery(int partition) {
  const auto p = static_cast<size_t>(partition);
  if (closed_ || delivery_posted_[p]) return;
  delivery_posted_[p] = true;
  scope_.Post([this, partition] { Deliver(partition); });
}

void Groups::Appended(int partition, int64_t end) {
  const absl::MutexLock lock(&mutex_);
  const auto p = static_cast<size_t>(partition);
  bounds_[p].end = std::max(bounds_[p].end, end);
  for (const auto& [name, group] : groups_) {
    Member* const owner = group.owners[p];
    if (owner != nullptr && IsReady(owner->cursors()[p], partition)) return PostDelivery(partition);
  }
}

void Groups::Pruned(int partition, int64_t first) {
  const absl::MutexLock lock(&mutex_);
  Bounds& bounds = bounds_[static_cast<size_t>(partition)];
  bounds.first = std::max(bounds.first, first);
}

Bounds Groups::BoundsOf(int partition) const {
  const absl::MutexLock lock(&mutex_);
  return bounds_[static_cast<size_t>(partition)];
}

std::optional<int64_t> Groups::LowestPosition(int partition) const {
  const absl::MutexLock lock(&mutex_);
  int64_t lowest = std::numeric_limits<int64_t>::max();
  for (const auto& [name, group] : groups_) {
    const auto& position = group.positions[static_cast<size_t>(partition)];
    if (!position.has_value()) return std::nullopt;
    lowest = std::min(lowest, *position);
  }
  return lowest;
}

std::vector<GroupPosition> Groups::Positions() const {
  const absl::MutexLock lock(&mutex_);
  std::vector<GroupPosition> positions;
  for (const auto& [name, group] : groups_) {
    for (size_t p = 0; p < bounds_.size(); ++p) {
      positions.push_back({name, static_cast<int>(p), group.positions[p], bounds_[p].end});
    }
  }
  return positions;
}

void Groups::Close() {
  {
    const absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  scope_.Close();
}

bool Groups::IsOutside(const Cursor& cursor, int partition) const {
  const Bounds& bounds = bounds_[static_cast<size_t>(partition)];
  return cursor.sought && cursor.ahead.empty() &&
         (cursor.next < bounds.first || cursor.next > bounds.end);
}

bool Groups::IsReady(const Cursor& cursor, int partition) const {
  if (!cursor.assigned || !cursor.sought) return false;
  if (IsOutside(cursor, partition)) return true;
  return !cursor.credits.empty() &&
         (!cursor.ahead.empty() || cursor.next < bounds_[static_cast<size_t>(partition)].end);
}

void Groups::ShareOut(const std::string& name) {
  Assignment all;
  size_t partitions = 0;
  {
    const absl::MutexLock lock(&mutex_);
    Group& group = groups_.at(name);
    group.rebalance_posted = false;
    partitions = bounds_.size();
    for (const auto& member : group.members) all.push_back({member, {}});
  }
  const auto is_live = [this](const Member& member) {
    const absl::MutexLock lock(&mutex_);
    return !member.ended();
  };
  if (const absl::Status admitted = source_->Admit(name); !admitted.ok()) {
    for (const auto& [member, none] : all) {
      for (size_t p = 0; p < partitions && is_live(*member); ++p) {
        member->listener().Stopped(static_cast<int>(p), admitted);
      }
    }
    return;
  }

  // Each member keeps what it has up to its share, and those who have most get the odd partitions,
  // so that as little as possible changes hands.
  Assignment lost;
  Assignment won;
  {
    const absl::MutexLock lock(&mutex_);
    Group& group = groups_.at(name);
    if (group.members.empty()) return;
    std::vector<std::pair<std::shared_ptr<Member>, std::vector<int>>> holdings;
    for (const auto& member : group.members) {
      holdings.push_back({member, {}});
      for (size_t p = 0; p < partitions; ++p) {
        if (group.owners[p] == member.get()) holdings.back().second.push_back(static_cast<int>(p));
      }
    }
    std::stable_sort(holdings.begin(), holdings.end(), [](const auto& a, const auto& b) {
      return a.second.size() > b.second.size();
    });
    const auto share = [&](size_t rank) {
      return partitions / holdings.size() + (rank < partitions % holdings.size() ? 1 : 0);
    };
    for (size_t rank = 0; rank < holdings.size(); ++rank) {
      auto& [member, held] = holdings[rank];
      std::vector<int> revoked;
      while (held.size() > share(rank)) {
        const auto p = static_cast<size_t>(held.back());
        revoked.insert(revoked.begin(), held.back());
        held.pop_back();
        group.owners[p] = nullptr;
        member->cursors()[p] = Cursor();
      }
      if (!revoked.empty()) lost.push_back({member, std::move(revoked)});
    }
    size_t free = 0;
    for (size_t rank = 0; rank < holdings.size(); ++rank) {
      auto& [member, held] = holdings[rank];
      std::vector<int> assigned;
      while (held.size() + assigned.size() < share(rank)) {
        while (group.owners[free] != nullptr) ++free;
        group.owners[free] = member.get();
        member->cursors()[free].assigned = true;
        assigned.push_back(static_cast<int>(free));
      }
      if (!assigned.empty()) won.push_back({member, std::move(assigned)});
    }
  }
  for (auto& [member, list] : lost) {
    if (is_live(*member)) member->listener().Revoked(std::move(list));
  }
  for (auto& [member, list] : won) {
    if (is_live(*member)) member->listener().Assigned(std::move(list));
  }
}

void Groups::Deliver(int partition) {
  const auto p = static_cast<size_t>(partition);
  std::vector<std::shared_ptr<Member>> ready;
  const auto collect = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ready.clear();
    for (const auto& [name, group] : groups_) {
      for (const auto& member : group.members) {
        if (member.get() == group.owners[p] && IsReady(member->cursors()[p], partition)) {
          ready.push_back(member);
        }
      }
    }
  };
  {
    const absl::MutexLock lock(&mutex_);
    delivery_posted_[p] = false;
    collect();
  }
  // One delivery each, then the others' turn: appends and other partitions are not held up by a
  // member that reads a long way back.
  for (const auto& member : ready) DeliverTo(*member, partition);
  const absl::MutexLock lock(&mutex_);
  collect();
  if (!ready.empty()) PostDelivery(partition);
}

void Groups::DeliverTo(Member& member, int partition) {
  const auto p = static_cast<size_t>(partition);
  int64_t seeks = 0;
  int64_t from = 0;
  int max_records = 0;
  absl::Status outside;
  Source::Batch batch;
  bool have_batch = false;
  {
    const absl::MutexLock lock(&mutex_);
    Cursor* cursor = member.CursorOf(partition);
    if (cursor == nullptr || !IsReady(*cursor, partition)) return;
    seeks = cursor->seeks;
    from = cursor->next;
    if (IsOutside(*cursor, partition)) {
      outside = absl::OutOfRangeError(
          absl::StrCat("partition ", partition, ": offset ", from, " is not in the log, which has ",
                       bounds_[p].first, " up to, not including, ", bounds_[p].end));
    } else {
      max_records = cursor->credits.front();
      have_batch = !cursor->ahead.empty();
    }
  }
  if (!outside.ok()) return Stop(member, partition, seeks, std::move(outside));
  if (!have_batch) {
    absl::StatusOr<Source::Batch> read = source_->Read(partition, from, max_records);
    if (!read.ok()) return Stop(member, partition, seeks, read.status());
    batch = *std::move(read);
  }

  int64_t generation = 0;
  std::vector<RecordPtr> records;
  {
    const absl::MutexLock lock(&mutex_);
    Cursor* cursor = member.CursorOf(partition);
    if (cursor == nullptr || cursor->seeks != seeks || !cursor->sought) return;
    if (!have_batch) {
      cursor->next = batch.next;
      cursor->ahead = std::move(batch.records);
      std::reverse(cursor->ahead.begin(), cursor->ahead.end());
    }
    if (cursor->ahead.empty()) return;  // nothing but holes: Deliver looks further on
    generation = cursor->generation;
    cursor->credits.erase(cursor->credits.begin());
    while (!cursor->ahead.empty() && records.size() < static_cast<size_t>(max_records)) {
      records.push_back(std::move(cursor->ahead.back()));
      cursor->ahead.pop_back();
    }
  }
  member.listener().Records(partition, generation, std::move(records));
}

void Groups::Stop(Member& member, int partition, int64_t seeks, absl::Status why) {
  {
    const absl::MutexLock lock(&mutex_);
    Cursor* cursor = member.CursorOf(partition);
    if (cursor == nullptr || cursor->seeks != seeks) return;
    cursor->sought = false;
    cursor->credits.clear();
    cursor->ahead.clear();
  }
  member.listener().Stopped(partition, std::move(why));
}

}  // namespace tandem::bus
