#include "tests/simulation/fault_bus.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bus/headers.h"
#include "common/bus/joined.h"

namespace tandem::simulation {

class Broker::Member : public std::enable_shared_from_this<Broker::Member> {
 public:
  Member(Broker* broker, std::string group, Process* process, bus::Listener* listener)
      : broker_(broker),
        group_(std::move(group)),
        process_(process),
        listener_(listener),
        cursors_(broker->log_.size()) {}

  void Seek(int partition, int64_t offset, int64_t generation) {
    Cursor* cursor = Readable(partition);
    if (cursor == nullptr) return;
    if (offset < 0 || offset > static_cast<int64_t>(broker_->Log(partition).size())) {
      cursor->is_sought = false;
      listener_->Stopped(partition,
                         absl::OutOfRangeError(absl::StrCat("partition ", partition, ": offset ",
                                                            offset, " is not in the log")));
      return;
    }
    cursor->is_sought = true;
    cursor->generation = generation;
    cursor->next = offset;
    cursor->credits.clear();
  }
  void More(int partition, int max_records) {
    Cursor* cursor = Readable(partition);
    if (cursor == nullptr || !cursor->is_sought) return;
    cursor->credits.push_back(max_records);
    broker_->PostDelivery(shared_from_this(), partition);
  }
  void ReportPosition(int, int64_t) {}
  void End() {
    listener_ = nullptr;
    // Who was killed is missed when its session is over.
    left_at_ = process_->is_doomed() ? broker_->ports_.clock->Now() + broker_->session_
                                     : broker_->ports_.clock->Now();
    process_ = nullptr;
    broker_->After(left_at_ - broker_->ports_.clock->Now(),
                   [broker = broker_, group = group_] { broker->ShareOut(group, false); });
  }

  // Whether the group counts on it.
  bool IsMember(absl::Time now) const {
    return process_ == nullptr ? now < left_at_ : !is_expelled_;
  }
  Cursor* Readable(int partition) {
    if (listener_ == nullptr) return nullptr;
    Cursor& cursor = cursors_[static_cast<size_t>(partition)];
    return cursor.is_owned || cursor.zombie_until > broker_->ports_.clock->Now() ? &cursor
                                                                                 : nullptr;
  }

  Broker* const broker_;
  const std::string group_;
  Process* process_;         // null = it has left
  bus::Listener* listener_;  // likewise
  absl::Time left_at_;
  bool is_expelled_ = false;  // its session ended while it stood still
  std::vector<Cursor> cursors_;
};

class Broker::Port : public bus::Bus {
 public:
  Port(Broker* broker, Process* process) : broker_(broker), process_(process) {}
  int partitions() const override { return broker_->partitions(); }
  void Append(std::vector<bus::Event> events,
              absl::AnyInvocable<void(absl::Status)> done) override {
    broker_->Append(process_, std::move(events), std::move(done));
  }
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    if (!process_->is_doomed()) broker_->EndOffset(partition, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<bus::Consumer>> Join(std::string group,
                                                      bus::Listener* listener) override {
    auto member = std::make_shared<Member>(broker_, group, process_, listener);
    broker_->groups_[group].push_back(member);
    broker_->PostShareOut(group);
    return std::make_unique<bus::Joined<Member>>(std::move(member));
  }

 private:
  Broker* const broker_;
  Process* const process_;
};

std::unique_ptr<bus::Bus> Broker::PortOf(Process* process) {
  return std::make_unique<Port>(this, process);
}

void Broker::Land(bus::Event event) {
  const int partition = bus::PartitionOf(event.key, partitions());
  std::vector<bus::RecordPtr>& log = log_[static_cast<size_t>(partition)];
  log.push_back(std::make_shared<const bus::Record>(
      bus::Record{partition, static_cast<int64_t>(log.size()), std::move(event)}));
  ports_.appended(log.back());
  for (auto& [name, group] : groups_) {
    for (const auto& member : group) PostDelivery(member, partition);
  }
}

void Broker::LandAll(const std::vector<bus::Event>& events, const std::vector<size_t>& most) {
  std::vector<size_t> landed(log_.size(), 0);
  for (const bus::Event& event : events) {
    const auto partition = static_cast<size_t>(bus::PartitionOf(event.key, partitions()));
    if (landed[partition] == most[partition]) continue;
    ++landed[partition];
    Land(event);
  }
}

void Broker::Append(Process* process, std::vector<bus::Event> events,
                    absl::AnyInvocable<void(absl::Status)> done) {
  if (process->is_doomed()) return;
  for (const bus::Event& event : events) {
    if (absl::Status status = bus::Validate(event); !status.ok()) {
      After(Latency(), [done = std::move(done), status]() mutable { done(status); });
      return;
    }
  }
  Weather& weather = *ports_.weather;
  const std::vector<size_t> all(log_.size(), events.size());
  if (is_down_ || weather.Strikes(Fault::kAppendRefused, 0.6)) {
    After(dice_.Between(absl::Milliseconds(1), absl::Seconds(2)),
          [done = std::move(done)]() mutable { done(absl::UnavailableError("no broker")); });
    return;
  }
  if (weather.Strikes(Fault::kAppendDone, 0.5)) {
    Dice& dice = weather.DiceOf(Fault::kAppendDone);
    std::vector<size_t> some = all;
    for (size_t& count : some) {
      if (dice.Chance(0.5)) count = dice.Below(events.size() + 1);
    }
    After(Latency(), [this, events = std::move(events), some, done = std::move(done)]() mutable {
      LandAll(events, some);
      done(absl::UnavailableError("the connection to the broker was lost"));
    });
    return;
  }
  absl::Duration way = Latency(), answer = Latency();
  if (weather.Strikes(Fault::kAppendLate, 0.3)) {
    way = weather.DiceOf(Fault::kAppendLate).Between(absl::ZeroDuration(), absl::Seconds(12));
  }
  if (weather.Strikes(Fault::kAppendDelayed, 0.3)) {
    answer = weather.DiceOf(Fault::kAppendDelayed).Between(absl::ZeroDuration(), absl::Seconds(8));
  }
  After(way, [this, events = std::move(events), all, answer, done = std::move(done)]() mutable {
    if (is_down_) return done(absl::UnavailableError("no broker"));
    LandAll(events, all);
    After(answer, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
  });
}

void Broker::EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) {
  After(Latency(), [this, partition, done = std::move(done)]() mutable {
    if (is_down_) return done(absl::UnavailableError("no broker"));
    done(static_cast<int64_t>(Log(partition).size()));
  });
}

void Broker::SetDown(bool is_down) {
  is_down_ = is_down;
  if (is_down) return;
  for (auto& [name, group] : groups_) {
    for (const auto& member : group) {
      for (int partition = 0; partition < partitions(); ++partition) {
        PostDelivery(member, partition);
      }
    }
  }
}

void Broker::Shuffle() {
  for (auto& [name, group] : groups_) ShareOut(name, true);
}

void Broker::Stopped(Process* process) {
  After(session_, [this, process] {
    for (auto& [name, group] : groups_) {
      for (const auto& member : group) {
        // The process may have ended, and then its members have left.
        if (member->process_ != process || !process->is_paused()) continue;
        member->is_expelled_ = true;
        PostShareOut(name);
      }
    }
  });
}

void Broker::WentOn(Process* process) {
  for (auto& [name, group] : groups_) {
    for (const auto& member : group) {
      if (member->process_ != process || !member->is_expelled_) continue;
      // It learns of it when it asks for the next time, and joins again.
      After(Latency() * 4, [this, member, name = name] {
        if (member->listener_ == nullptr) return;
        std::vector<int> lost;
        for (int partition = 0; partition < partitions(); ++partition) {
          Cursor& cursor = member->cursors_[static_cast<size_t>(partition)];
          if (cursor.is_owned || cursor.zombie_until > absl::InfinitePast())
            lost.push_back(partition);
          cursor = Cursor();
        }
        if (!lost.empty()) member->listener_->Revoked(std::move(lost));
        member->is_expelled_ = false;
        ShareOut(name, false);
      });
    }
  }
}

void Broker::PostShareOut(const std::string& group) {
  After(Latency(), [this, group] { ShareOut(group, false); });
}

void Broker::ShareOut(const std::string& name, bool from_scratch) {
  Group& group = groups_[name];
  const absl::Time now = ports_.clock->Now();
  std::erase_if(group,
                [&](const auto& one) { return one->process_ == nullptr && !one->IsMember(now); });
  std::vector<std::shared_ptr<Member>> members;
  for (const auto& member : group) {
    if (member->IsMember(now)) members.push_back(member);
  }
  if (members.empty()) return;

  const size_t count = log_.size();
  std::vector<size_t> owners(count, members.size());  // members.size() = nobody
  const size_t share = (count + members.size() - 1) / members.size();
  std::vector<size_t> shares(members.size(), 0);
  if (!from_scratch) {
    for (size_t p = 0; p < count; ++p) {
      for (size_t m = 0; m < members.size(); ++m) {
        if (members[m]->cursors_[p].is_owned && shares[m] < share) {
          owners[p] = m;
          ++shares[m];
        }
      }
    }
  }
  for (size_t p = 0; p < count; ++p) {
    if (owners[p] < members.size()) continue;
    size_t m = dice_.Below(members.size());
    while (shares[m] >= share) m = (m + 1) % members.size();
    owners[p] = m;
    ++shares[m];
  }
  std::vector<std::vector<int>> won(members.size());
  // Who has been expelled goes on believing; it has lost all the same.
  for (const auto& member : group) {
    std::vector<int> lost;
    for (size_t p = 0; p < count; ++p) {
      const bool is_its = owners[p] < members.size() && members[owners[p]] == member;
      Cursor& cursor = member->cursors_[p];
      if (is_its && !cursor.is_owned) won[owners[p]].push_back(static_cast<int>(p));
      if (is_its || !cursor.is_owned) continue;
      cursor.is_owned = false;
      if (member->is_expelled_) {
        cursor.zombie_until = absl::InfiniteFuture();  // until it is told
      } else if (ports_.weather->Strikes(Fault::kZombie, 0.9)) {
        const absl::Duration more =
            ports_.weather->DiceOf(Fault::kZombie).Between(absl::ZeroDuration(), session_ * 3);
        cursor.zombie_until = now + more;
        After(more, [this, member, p] {
          Cursor& zombie = member->cursors_[p];
          if (zombie.is_owned || member->listener_ == nullptr ||
              zombie.zombie_until > ports_.clock->Now())
            return;
          zombie = Cursor();
          member->listener_->Revoked({static_cast<int>(p)});
        });
      } else {
        cursor = Cursor();
        lost.push_back(static_cast<int>(p));
      }
    }
    if (!lost.empty() && member->listener_ != nullptr) member->listener_->Revoked(std::move(lost));
  }
  for (size_t m = 0; m < members.size(); ++m) Take(members[m], won[m]);
}

void Broker::Take(const std::shared_ptr<Member>& member, const std::vector<int>& partitions) {
  if (partitions.empty()) return;
  std::vector<int> again;
  for (const int partition : partitions) {
    Cursor& cursor = member->cursors_[static_cast<size_t>(partition)];
    if (cursor.zombie_until > absl::InfinitePast()) again.push_back(partition);
    cursor = Cursor();
    cursor.is_owned = true;
  }
  if (member->listener_ == nullptr) return;
  if (!again.empty()) member->listener_->Revoked(std::move(again));
  member->listener_->Assigned(partitions);
}

void Broker::PostDelivery(const std::shared_ptr<Member>& member, int partition) {
  Cursor* cursor = member->Readable(partition);
  if (cursor == nullptr || !cursor->is_sought || cursor->is_posted || cursor->credits.empty() ||
      cursor->next >= static_cast<int64_t>(Log(partition).size())) {
    return;
  }
  cursor->is_posted = true;
  absl::Duration way = Latency();
  if (ports_.weather->Strikes(Fault::kDeliveryDelayed, 0.3)) {
    way += ports_.weather->DiceOf(Fault::kDeliveryDelayed)
               .Between(absl::ZeroDuration(), absl::Seconds(10));
  }
  After(way, [this, member, partition] { Deliver(member, partition); });
}

void Broker::Deliver(const std::shared_ptr<Member>& member, int partition) {
  Cursor& cursor = member->cursors_[static_cast<size_t>(partition)];
  cursor.is_posted = false;
  const std::vector<bus::RecordPtr>& log = Log(partition);
  if (is_down_ || member->Readable(partition) == nullptr || !cursor.is_sought ||
      cursor.credits.empty() || cursor.next >= static_cast<int64_t>(log.size())) {
    return;
  }
  const auto there = static_cast<size_t>(static_cast<int64_t>(log.size()) - cursor.next);
  size_t count = std::min(there, static_cast<size_t>(cursor.credits.front()));
  if (dice_.Chance(0.3)) count = 1 + dice_.Below(count);
  cursor.credits.erase(cursor.credits.begin());
  const auto from = log.begin() + static_cast<std::ptrdiff_t>(cursor.next);
  std::vector<bus::RecordPtr> records(from, from + static_cast<std::ptrdiff_t>(count));
  cursor.next += static_cast<int64_t>(count);
  member->listener_->Records(partition, cursor.generation, std::move(records));
  PostDelivery(member, partition);
}

}  // namespace tandem::simulation
