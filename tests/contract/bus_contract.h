// What every bus promises (common/bus/bus.h), as suites. A bus's test program includes this, says
// how its worlds are made, and instantiates BusContract; SharedGroupContract too where a group may
// have several members; HoleyBusContract where a log can have holes; DurableBusContract where
// records outlive the process.
#ifndef TANDEM_TESTS_CONTRACT_BUS_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_BUS_CONTRACT_H_

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/executor/executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {

// One bus of 4 partitions or more, and the executor that runs its steps.
class BusWorld {
 public:
  virtual ~BusWorld() = default;
  virtual Bus& bus() = 0;
  // Lets steps run until `reached`; false after a deadline (10 s, or what the bus needs), or when
  // nothing is left to run.
  // `reached` must not change while it is false and nothing happens on the bus.
  virtual bool RunUntil(std::function<bool()> reached) = 0;
  // Lets everything happen that was asked for so far.
  virtual void Settle() = 0;
  // Leaves an offset without a record, where the bus can have such.
  virtual void SkipOffset(int /*partition*/) {}
  // Whether an append that was not answered is in the log whole or not at all. Where it is not, its
  // caller appends all of it again.
  virtual bool KeepsAppendsWhole() const { return true; }
  // Ends the bus and opens it again over the same records, where they outlive it.
  virtual void Restart() {}
  // Ends the bus; a child process opens it and calls `go`, which does not return. The bus stays
  // closed here until Restart. The child's id. Where records outlive the process.
  virtual pid_t Fork(const std::function<void()>& /*go*/) { return -1; }
};

struct BusEngine {
  std::string name;
  std::function<std::unique_ptr<BusWorld>()> make;
  // ctest names each test by it.
  friend void PrintTo(const BusEngine& engine, std::ostream* out) { *out << engine.name; }
};

inline std::string BusEngineName(const testing::TestParamInfo<BusEngine>& engine) {
  return engine.param.name;
}

// Writes down what it is told. Any thread.
class Notes : public Listener {
 public:
  void Assigned(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    for (const int p : partitions) assigned_.insert(p);
    history_.push_back({true, std::move(partitions)});
  }
  void Revoked(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    for (const int p : partitions) assigned_.erase(p);
    history_.push_back({false, std::move(partitions)});
  }
  void Records(int partition, int64_t generation, std::vector<RecordPtr> records) override {
    const absl::MutexLock lock(&mutex_);
    EXPECT_FALSE(records.empty());
    deliveries_.push_back({partition, generation, std::move(records)});
  }
  void Stopped(int partition, absl::Status why) override {
    const absl::MutexLock lock(&mutex_);
    stops_.push_back({partition, std::move(why)});
  }

  struct Delivery {
    int partition;
    int64_t generation;
    std::vector<RecordPtr> records;
  };
  struct Change {
    bool assigned;
    std::vector<int> partitions;
  };
  std::set<int> assigned() const {
    const absl::MutexLock lock(&mutex_);
    return assigned_;
  }
  std::vector<Change> history() const {
    const absl::MutexLock lock(&mutex_);
    return history_;
  }
  std::vector<Delivery> deliveries() const {
    const absl::MutexLock lock(&mutex_);
    return deliveries_;
  }
  std::vector<std::pair<int, absl::Status>> stops() const {
    const absl::MutexLock lock(&mutex_);
    return stops_;
  }
  // The ids delivered of one partition, in the order of delivery, of one generation or of all.
  std::vector<std::string> Ids(int partition, std::optional<int64_t> generation = {}) const {
    std::vector<std::string> ids;
    for (const Delivery& delivery : deliveries()) {
      if (delivery.partition != partition) continue;
      if (generation.has_value() && delivery.generation != *generation) continue;
      for (const RecordPtr& record : delivery.records) ids.push_back(record->event.id);
    }
    return ids;
  }
  size_t records() const {
    size_t count = 0;
    for (const Delivery& delivery : deliveries()) count += delivery.records.size();
    return count;
  }

 private:
  mutable absl::Mutex mutex_;
  std::set<int> assigned_;
  std::vector<Change> history_;
  std::vector<Delivery> deliveries_;
  std::vector<std::pair<int, absl::Status>> stops_;
};

inline Event ContractEvent(const std::string& id, const std::string& key) {
  return {.id = id,
          .source = "contract",
          .type = "tandem.contract.Happened",
          .subject = absl::StrCat("subject of ", key),
          .key = key,
          .time = absl::FromUnixMicros(1'795'000'000'000'001),
          .sequence = 1,
          .cause = absl::StrCat("cause of ", id),
          .traceparent = "",
          .body = absl::StrCat("body of ", id, std::string("\0\xff", 2))};
}

class BusContract : public testing::TestWithParam<BusEngine> {
 protected:
  // A key that lands in `partition`; `nth` tells several apart.
  std::string KeyIn(int partition, int nth = 0) {
    for (int i = 0;; ++i) {
      std::string key = absl::StrCat("key-", i);
      if (PartitionOf(key, bus().partitions()) == partition && nth-- == 0) return key;
    }
  }

  // Appends one event per id, all of one key, and waits until they are durable.
  void Append(const std::string& key, const std::vector<std::string>& ids) {
    std::vector<Event> events;
    for (const std::string& id : ids) events.push_back(ContractEvent(id, key));
    EXPECT_EQ(AppendAll(std::move(events)), absl::OkStatus());
  }

  absl::Status AppendAll(std::vector<Event> events) {
    // Shared: an answer after the deadline must not write into what is gone.
    struct Answer {
      absl::Mutex mutex;
      std::vector<absl::Status> statuses;
    };
    const auto answer = std::make_shared<Answer>();
    bus().Append(std::move(events), [answer](absl::Status status) {
      const absl::MutexLock lock(&answer->mutex);
      answer->statuses.push_back(std::move(status));
    });
    const auto count = [&] {
      const absl::MutexLock lock(&answer->mutex);
      return answer->statuses.size();
    };
    if (!world_->RunUntil([&] { return count() > 0; })) {
      return absl::DeadlineExceededError("the append was not answered");
    }
    const absl::MutexLock lock(&answer->mutex);
    EXPECT_EQ(answer->statuses.size(), 1U);
    return answer->statuses.front();
  }

  absl::StatusOr<int64_t> EndOffset(int partition) {
    struct Answer {
      absl::Mutex mutex;
      std::optional<absl::StatusOr<int64_t>> end;
    };
    const auto answer = std::make_shared<Answer>();
    bus().EndOffset(partition, [answer](absl::StatusOr<int64_t> end) {
      const absl::MutexLock lock(&answer->mutex);
      answer->end = std::move(end);
    });
    const auto done = [&] {
      const absl::MutexLock lock(&answer->mutex);
      return answer->end.has_value();
    };
    if (!world_->RunUntil(done)) return absl::DeadlineExceededError("no end offset");
    const absl::MutexLock lock(&answer->mutex);
    return *answer->end;
  }

  // Joins and waits for all partitions.
  std::unique_ptr<Consumer> JoinAlone(const std::string& group, Notes& notes) {
    auto consumer = bus().Join(group, &notes);
    EXPECT_TRUE(consumer.ok()) << consumer.status();
    EXPECT_TRUE(world_->RunUntil(
        [&] { return notes.assigned().size() == static_cast<size_t>(bus().partitions()); }));
    return *std::move(consumer);
  }

  // Reads on until `count` records in all have come.
  bool ReadUntil(Consumer& consumer, Notes& notes, int partition, size_t count, int max = 1000) {
    while (notes.records() < count) {
      const size_t before = notes.deliveries().size();
      consumer.More(partition, max);
      // The rest may have come before the last look, for credit of earlier.
      if (!world_->RunUntil(
              [&] { return notes.deliveries().size() > before || notes.records() >= count; })) {
        return false;
      }
    }
    return notes.records() == count;
  }

  static std::vector<std::string> Numbered(const std::string& prefix, int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) ids.push_back(absl::StrCat(prefix, i));
    return ids;
  }

  Bus& bus() { return world_->bus(); }

  std::unique_ptr<BusWorld> world_ = GetParam().make();
};

TEST_P(BusContract, AppendsEachEventToThePartitionOfItsKeyInTheOrderGiven) {
  std::vector<Event> events;
  std::map<int, std::vector<std::string>> expected;
  for (int i = 0; i < 200; ++i) {
    const std::string id = absl::StrCat("e", i);
    const std::string key = absl::StrCat("k", i % 17);
    events.push_back(ContractEvent(id, key));
    expected[PartitionOf(key, bus().partitions())].push_back(id);
  }
  ASSERT_EQ(AppendAll(std::move(events)), absl::OkStatus());
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  size_t read = 0;
  for (const auto& [partition, ids] : expected) {
    consumer->Seek(partition, 0, 1);
    read += ids.size();
    ASSERT_TRUE(ReadUntil(*consumer, notes, partition, read));
    EXPECT_EQ(notes.Ids(partition), ids);
  }
}

TEST_P(BusContract, DeliversTheWholeEvent) {
  const Event event = ContractEvent("e", KeyIn(2));
  ASSERT_EQ(AppendAll({event}), absl::OkStatus());
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(2, 0, 7);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 2, 1));
  const Notes::Delivery delivery = notes.deliveries().front();
  EXPECT_EQ(delivery.partition, 2);
  EXPECT_EQ(delivery.generation, 7);
  EXPECT_EQ(delivery.records.front()->partition, 2);
  EXPECT_EQ(delivery.records.front()->offset, 0);
  EXPECT_EQ(delivery.records.front()->event, event);
}

TEST_P(BusContract, KeepsTheOrderOfAppendsThatWereNotWaitedFor) {
  const std::string key = KeyIn(1);
  const std::vector<std::string> ids = Numbered("e", 100);
  for (const std::string& id : ids) bus().Append({ContractEvent(id, key)}, [](absl::Status) {});
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(1, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 1, ids.size()));
  EXPECT_EQ(notes.Ids(1), ids);
}

TEST_P(BusContract, RaisesOffsetsWithinAPartition) {
  Append(KeyIn(0), Numbered("e", 20));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 20, 3));
  int64_t last = -1;
  for (const Notes::Delivery& delivery : notes.deliveries()) {
    EXPECT_LE(delivery.records.size(), 3U);
    for (const RecordPtr& record : delivery.records) {
      EXPECT_GT(record->offset, last);
      last = record->offset;
    }
  }
  EXPECT_LT(last, EndOffset(0).value());
}

TEST_P(BusContract, ShowsEveryGroupEveryRecord) {
  Notes early_notes;
  const auto early = JoinAlone("early", early_notes);
  early->Seek(3, 0, 1);
  Append(KeyIn(3), Numbered("e", 10));
  Notes late_notes;
  const auto late = JoinAlone("late", late_notes);
  late->Seek(3, 0, 1);
  ASSERT_TRUE(ReadUntil(*early, early_notes, 3, 10));
  ASSERT_TRUE(ReadUntil(*late, late_notes, 3, 10));
  EXPECT_EQ(early_notes.Ids(3), Numbered("e", 10));
  EXPECT_EQ(late_notes.Ids(3), Numbered("e", 10));
}

TEST_P(BusContract, DeliversNothingWithoutCredit) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  Append(KeyIn(0), {"another"});
  world_->Settle();
  EXPECT_EQ(notes.records(), 0U);
  consumer->More(0, 4);
  ASSERT_TRUE(world_->RunUntil([&] { return notes.records() > 0; }));
  Append(KeyIn(0), {"and another"});
  world_->Settle();
  EXPECT_EQ(notes.deliveries().size(), 1U);
  EXPECT_LE(notes.records(), 4U);
}

TEST_P(BusContract, DeliversOncePerCredit) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  for (int i = 0; i < 3; ++i) consumer->More(0, 2);
  ASSERT_TRUE(world_->RunUntil([&] { return notes.deliveries().size() == 3; }));
  world_->Settle();
  EXPECT_EQ(notes.deliveries().size(), 3U);
  EXPECT_LE(notes.records(), 6U);
}

TEST_P(BusContract, KeepsACreditUntilARecordComes) {
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  consumer->More(0, 10);
  world_->Settle();
  EXPECT_EQ(notes.deliveries().size(), 0U);
  Append(KeyIn(0), {"e"});
  ASSERT_TRUE(world_->RunUntil([&] { return notes.records() == 1; }));
}

TEST_P(BusContract, ForgetsCreditAtASeek) {
  Append(KeyIn(0), Numbered("e", 3));
  const int64_t end = EndOffset(0).value();
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, end, 1);
  consumer->More(0, 10);
  world_->Settle();
  consumer->Seek(0, 0, 2);
  Append(KeyIn(0), {"another"});
  world_->Settle();
  EXPECT_EQ(notes.deliveries().size(), 0U);
}

TEST_P(BusContract, ForgetsWhatItReadAheadAtASeek) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes all;
  const auto first = JoinAlone("first", all);
  first->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*first, all, 0, 10));
  const int64_t seventh = all.deliveries().back().records.back()->offset - 3;
  Notes notes;
  const auto second = JoinAlone("second", notes);
  second->Seek(0, 0, 1);
  second->More(0, 2);
  ASSERT_TRUE(world_->RunUntil([&] { return notes.records() == 2; }));
  second->Seek(0, seventh, 2);
  ASSERT_TRUE(ReadUntil(*second, notes, 0, 6));
  EXPECT_EQ(notes.Ids(0, 2), (std::vector<std::string>{"e6", "e7", "e8", "e9"}));
}

TEST_P(BusContract, StartsWhereItWasToldTo) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 10));
  const int64_t fifth = notes.deliveries().front().records.at(4)->offset;
  consumer->Seek(0, fifth, 2);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 16));
  EXPECT_EQ(notes.Ids(0, 2), (std::vector<std::string>{"e4", "e5", "e6", "e7", "e8", "e9"}));
}

TEST_P(BusContract, DeliversAgainWhatIsSoughtAgainUnderTheNewGeneration) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  size_t read = 0;
  for (int64_t generation = 1; generation <= 3; ++generation) {
    consumer->Seek(0, 0, generation);
    read += 10;
    ASSERT_TRUE(ReadUntil(*consumer, notes, 0, read, 4));
    EXPECT_EQ(notes.Ids(0, generation), Numbered("e", 10));
  }
}

TEST_P(BusContract, KeepsPartitionsApart) {
  Append(KeyIn(0), Numbered("a", 5));
  Append(KeyIn(1), Numbered("b", 5));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  consumer->Seek(1, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 1, 5));
  EXPECT_TRUE(notes.Ids(0).empty());
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 10));
  EXPECT_EQ(notes.Ids(0), Numbered("a", 5));
  EXPECT_EQ(notes.Ids(1), Numbered("b", 5));
}

TEST_P(BusContract, DeliversNothingAfterAConsumerEnds) {
  Append(KeyIn(0), Numbered("e", 10));
  Notes notes;
  auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  for (int i = 0; i < 10; ++i) consumer->More(0, 1);
  consumer.reset();
  const size_t then = notes.records();
  Append(KeyIn(0), {"another"});
  world_->Settle();
  EXPECT_EQ(notes.records(), then);
}

TEST_P(BusContract, LetsAGroupComeBack) {
  Append(KeyIn(0), Numbered("e", 4));
  Notes first_notes;
  auto consumer = JoinAlone("g", first_notes);
  consumer->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, first_notes, 0, 4));
  consumer.reset();
  Notes second_notes;
  consumer = JoinAlone("g", second_notes);
  consumer->Seek(0, first_notes.deliveries().front().records.at(1)->offset, 2);
  ASSERT_TRUE(ReadUntil(*consumer, second_notes, 0, 3));
  EXPECT_EQ(second_notes.Ids(0), (std::vector<std::string>{"e1", "e2", "e3"}));
}

TEST_P(BusContract, StopsAPartitionWhoseOffsetIsBeyondTheEnd) {
  Append(KeyIn(0), Numbered("e", 3));
  Append(KeyIn(1), Numbered("f", 3));
  const int64_t beyond = EndOffset(0).value() + 7;
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, beyond, 1);
  consumer->More(0, 10);
  ASSERT_TRUE(world_->RunUntil([&] { return !notes.stops().empty(); }));
  EXPECT_EQ(notes.stops().front().first, 0);
  const absl::Status why = notes.stops().front().second;
  EXPECT_EQ(why.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(why.message()), testing::HasSubstr("partition 0"));
  EXPECT_THAT(std::string(why.message()), testing::HasSubstr(absl::StrCat(beyond)));
  // It stays stopped while others go on, and a Seek to what is there starts it again.
  consumer->More(0, 10);
  consumer->Seek(1, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 1, 3));
  EXPECT_EQ(notes.stops().size(), 1U);
  consumer->Seek(0, 0, 2);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 6));
  EXPECT_EQ(notes.Ids(0), Numbered("e", 3));
}

TEST_P(BusContract, StopsAPartitionWhoseOffsetIsBelowTheFirst) {
  Append(KeyIn(0), Numbered("e", 3));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, -1, 1);
  consumer->More(0, 10);
  ASSERT_TRUE(world_->RunUntil([&] { return !notes.stops().empty(); }));
  EXPECT_EQ(notes.stops().front().second.code(), absl::StatusCode::kOutOfRange);
}

TEST_P(BusContract, NeverTakesTheEndOfTheLogForAnOffsetOutsideIt) {
  Append(KeyIn(0), Numbered("e", 3));
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, EndOffset(0).value(), 1);
  consumer->More(0, 10);
  consumer->Seek(1, 0, 1);  // empty as yet
  consumer->More(1, 10);
  world_->Settle();
  EXPECT_TRUE(notes.stops().empty());
  Append(KeyIn(0), {"next"});
  Append(KeyIn(1), {"first"});
  ASSERT_TRUE(world_->RunUntil([&] { return notes.records() == 2; }));
  EXPECT_EQ(notes.Ids(0), std::vector<std::string>{"next"});
  EXPECT_EQ(notes.Ids(1), std::vector<std::string>{"first"});
}

TEST_P(BusContract, NamesTheEndAfterTheLastDurableRecord) {
  const int64_t empty = EndOffset(0).value();
  for (int i = 1; i <= 3; ++i) {
    Append(KeyIn(0), {absl::StrCat("e", i)});
    Notes notes;
    const auto consumer = JoinAlone("g", notes);
    consumer->Seek(0, 0, 1);
    ASSERT_TRUE(ReadUntil(*consumer, notes, 0, static_cast<size_t>(i), 1));
    EXPECT_EQ(EndOffset(0).value(), notes.deliveries().back().records.back()->offset + 1);
  }
  EXPECT_GT(EndOffset(0).value(), empty);
  EXPECT_EQ(EndOffset(1).value(), empty);
}

TEST_P(BusContract, RefusesAPartitionThatIsNotThere) {
  EXPECT_EQ(EndOffset(-1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EndOffset(bus().partitions()).status().code(), absl::StatusCode::kInvalidArgument);
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  for (const int partition : {-1, bus().partitions()}) {
    consumer->Seek(partition, 0, 1);
    consumer->More(partition, 1);
    consumer->ReportPosition(partition, 0);
  }
  world_->Settle();
  EXPECT_EQ(notes.records(), 0U);
}

TEST_P(BusContract, RefusesAnEventThatIsNotWholeAndEveryOtherOfItsAppend) {
  Event broken = ContractEvent("broken", KeyIn(0));
  broken.id.clear();
  EXPECT_EQ(AppendAll({ContractEvent("good", KeyIn(0)), broken}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EndOffset(0).value(), 0);
}

TEST_P(BusContract, AnswersAnAppendOfNothing) { EXPECT_EQ(AppendAll({}), absl::OkStatus()); }

TEST_P(BusContract, RefusesAGroupWithoutAName) {
  Notes notes;
  EXPECT_EQ(bus().Join("", &notes).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(BusContract, CarriesOnWhileGroupsComeReadSeekAndGo) {
  constexpr int kEvents = 300;
  Notes notes[4];
  std::unique_ptr<Consumer> consumers[4];
  for (int i = 0; i < 4; ++i) consumers[i] = JoinAlone(absl::StrCat("g", i), notes[i]);
  for (int i = 0; i < 4; ++i) consumers[i]->Seek(2, 0, 1);
  for (int i = 0; i < kEvents; ++i) {
    bus().Append({ContractEvent(absl::StrCat("e", i), KeyIn(2))}, [](absl::Status) {});
    for (int c = 0; c < 4; ++c) {
      if (consumers[c] != nullptr) consumers[c]->More(2, 1 + (i + c) % 5);
    }
    if (i == 100) consumers[3].reset();
    if (i == 200) consumers[2]->Seek(2, 0, 2);
  }
  const auto all = Numbered("e", kEvents);
  for (int c = 0; c < 2; ++c) {
    ASSERT_TRUE(ReadUntil(*consumers[c], notes[c], 2, kEvents));
    EXPECT_EQ(notes[c].Ids(2), all);
  }
  const auto again = [&] { return notes[2].Ids(2, 2).size(); };
  while (again() < all.size()) {
    const size_t before = again();
    consumers[2]->More(2, 1000);
    ASSERT_TRUE(world_->RunUntil([&] { return again() > before || again() == all.size(); }));
  }
  EXPECT_EQ(notes[2].Ids(2, 2), all);
}

// ---- A group with several members.

class SharedGroupContract : public BusContract {
 protected:
  size_t all() { return static_cast<size_t>(bus().partitions()); }
  static std::set<int> Union(const std::vector<const Notes*>& members) {
    std::set<int> held;
    for (const Notes* member : members) {
      for (const int p : member->assigned()) held.insert(p);
    }
    return held;
  }
  static size_t Sum(const std::vector<const Notes*>& members) {
    size_t sum = 0;
    for (const Notes* member : members) sum += member->assigned().size();
    return sum;
  }
};

TEST_P(SharedGroupContract, NeverGivesAPartitionToTwoMembersAndNeverLeavesOneOut) {
  Notes a;
  Notes b;
  Notes c;
  auto first = JoinAlone("g", a);
  auto second = bus().Join("g", &b);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(world_->RunUntil([&] {
    return b.assigned().size() >= all() / 2 && Sum({&a, &b}) == all();
  }));
  EXPECT_EQ(Union({&a, &b}).size(), all());
  auto third = bus().Join("g", &c);
  ASSERT_TRUE(third.ok());
  ASSERT_TRUE(world_->RunUntil([&] {
    return c.assigned().size() >= all() / 3 && Sum({&a, &b, &c}) == all();
  }));
  EXPECT_EQ(Union({&a, &b, &c}).size(), all());
  first.reset();
  ASSERT_TRUE(world_->RunUntil([&] { return Sum({&b, &c}) == all(); }));
  EXPECT_EQ(Union({&b, &c}).size(), all());
}

TEST_P(SharedGroupContract, MovesNoPartitionThatNeedNotMove) {
  Notes a;
  Notes b;
  const auto first = JoinAlone("g", a);
  const auto second = bus().Join("g", &b);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(world_->RunUntil([&] { return !b.assigned().empty(); }));
  // What the first lost is what the second won, and nothing else moved.
  const auto history = a.history();
  ASSERT_EQ(history.size(), 2U);
  EXPECT_FALSE(history.back().assigned);
  EXPECT_EQ(std::set<int>(history.back().partitions.begin(), history.back().partitions.end()),
            b.assigned());
}

TEST_P(SharedGroupContract, DeliversNoPartitionToAMemberThatLostIt) {
  Append(KeyIn(0), Numbered("x", 1));
  Notes a;
  Notes b;
  const auto first = JoinAlone("g", a);
  for (int p = 0; p < bus().partitions(); ++p) first->Seek(p, 0, 1);
  const auto second = bus().Join("g", &b);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(world_->RunUntil([&] { return !b.assigned().empty(); }));
  const int lost = *b.assigned().begin();
  Append(KeyIn(lost), {"e"});
  first->More(lost, 10);
  (*second)->Seek(lost, 0, 1);
  ASSERT_TRUE(ReadUntil(**second, b, lost, lost == 0 ? 2 : 1));
  world_->Settle();
  EXPECT_TRUE(a.Ids(lost).empty());
}

TEST_P(SharedGroupContract, DeliversNothingOfAPartitionThatCameBackBeforeItIsSought) {
  Notes a;
  Notes b;
  const auto first = JoinAlone("g", a);
  for (int p = 0; p < bus().partitions(); ++p) {
    first->Seek(p, 0, 1);
    first->More(p, 10);
  }
  auto second = bus().Join("g", &b);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(world_->RunUntil([&] { return !b.assigned().empty(); }));
  const int moved = *b.assigned().begin();
  second->reset();
  ASSERT_TRUE(world_->RunUntil([&] { return a.assigned().size() == all(); }));
  Append(KeyIn(moved), {"e"});
  first->More(moved, 10);
  world_->Settle();
  EXPECT_TRUE(a.Ids(moved).empty());
  first->Seek(moved, 0, 2);
  ASSERT_TRUE(ReadUntil(*first, a, moved, 1));
  EXPECT_EQ(a.Ids(moved, 2), std::vector<std::string>{"e"});
}

// ---- Offsets that no record has.

class HoleyBusContract : public BusContract {};

TEST_P(HoleyBusContract, ReadsOverOffsetsThatHaveNoRecord) {
  world_->SkipOffset(0);
  Append(KeyIn(0), {"a"});
  for (int i = 0; i < 50; ++i) world_->SkipOffset(0);
  Append(KeyIn(0), {"b"});
  world_->SkipOffset(0);
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 2, 1));
  EXPECT_EQ(notes.deliveries().back().records.back()->offset, 52);
  EXPECT_EQ(EndOffset(0).value(), 54);
  // A credit outlasts a hole at the end of the log.
  consumer->More(0, 1);
  world_->Settle();
  EXPECT_EQ(notes.records(), 2U);
  Append(KeyIn(0), {"c"});
  ASSERT_TRUE(world_->RunUntil([&] { return notes.records() == 3; }));
  EXPECT_EQ(notes.Ids(0), (std::vector<std::string>{"a", "b", "c"}));
}

// ---- Records that outlive the process.

class DurableBusContract : public BusContract {};

TEST_P(DurableBusContract, KeepsRecordsAndOffsetsOverARestart) {
  Append(KeyIn(0), Numbered("e", 5));
  const int64_t end = EndOffset(0).value();
  world_->Restart();
  EXPECT_EQ(EndOffset(0).value(), end);
  Append(KeyIn(0), {"e5"});
  EXPECT_GT(EndOffset(0).value(), end);
  Notes notes;
  const auto consumer = JoinAlone("g", notes);
  consumer->Seek(0, 0, 1);
  ASSERT_TRUE(ReadUntil(*consumer, notes, 0, 6));
  EXPECT_EQ(notes.Ids(0), Numbered("e", 6));
}

// A child appends, many at a time, and says which appends were answered; it is killed in the
// middle. Everything that it was told is durable is there, in order and once; where the bus keeps
// appends whole, whole appends only.
TEST_P(DurableBusContract, KeepsWhatItAnsweredForWhenTheProcessIsKilled) {
  constexpr int kRounds = 3;
  constexpr size_t kAnswersBeforeKill = 300;
  std::set<std::string> answered;
  for (int round = 0; round < kRounds; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = world_->Fork([&] {
      close(pipe_ends[0]);
      // 32 appends under way, each followed by the next when it is answered.
      struct Appender {
        Bus* bus;
        int out;
        std::string prefix;
        int next = 0;
        void Go() {
          const std::string id = absl::StrCat(prefix, next++);
          bus->Append({ContractEvent(absl::StrCat(id, ".0"), id),
                       ContractEvent(absl::StrCat(id, ".1"), id)},
                      [this, id](absl::Status status) {
                        if (!status.ok()) _exit(1);
                        const std::string line = id + "\n";
                        if (write(out, line.data(), line.size()) < 0) _exit(1);
                        Go();
                      });
        }
      };
      std::vector<std::unique_ptr<Appender>> appenders;
      for (int i = 0; i < 32; ++i) {
        appenders.push_back(std::make_unique<Appender>(
            Appender{&bus(), pipe_ends[1], absl::StrCat("r", round, "-", i, "-")}));
        appenders.back()->Go();
      }
      world_->RunUntil([] { return false; });
      _exit(2);  // not killed within the deadline
    });
    ASSERT_GT(child, 0);
    close(pipe_ends[1]);
    std::string text;
    bool killed = false;
    while (true) {
      pollfd waiting{pipe_ends[0], POLLIN, 0};
      ASSERT_GT(poll(&waiting, 1, 20'000), 0) << "the child says nothing";
      char buffer[4096];
      const ssize_t got = read(pipe_ends[0], buffer, sizeof(buffer));
      ASSERT_GE(got, 0);
      if (got == 0) break;
      text.append(buffer, static_cast<size_t>(got));
      const auto answers = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
      if (!killed && answers >= kAnswersBeforeKill) {
        ASSERT_EQ(kill(child, SIGKILL), 0);
        killed = true;
      }
    }
    close(pipe_ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(killed && WIFSIGNALED(status)) << "the child ended by itself: " << status;
    text.resize(text.rfind('\n') + 1);
    for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      answered.insert(std::string(line));
    }

    world_->Restart();
    const bool whole = world_->KeepsAppendsWhole();
    std::map<std::string, int> present;
    for (int p = 0; p < bus().partitions(); ++p) {
      const int64_t end = EndOffset(p).value();
      if (end == 0) continue;
      Notes notes;
      const auto consumer = JoinAlone("g", notes);
      consumer->Seek(p, 0, 1);
      std::string previous;
      while (notes.deliveries().empty() ||
             notes.deliveries().back().records.back()->offset + 1 < end) {
        const size_t before = notes.deliveries().size();
        consumer->More(p, 1000);
        ASSERT_TRUE(world_->RunUntil([&] { return notes.deliveries().size() > before; }));
      }
      for (const std::string& id : notes.Ids(p)) {
        const std::string append = id.substr(0, id.size() - 2);
        // The second of an append stands right after its first: nothing between, nothing halved.
        if (present[append]++ == 0) {
          EXPECT_EQ(id, append + ".0");
          EXPECT_TRUE(previous.empty() || !whole) << previous << " lacks its second event";
          previous = append;
        } else {
          EXPECT_EQ(id, append + ".1");
          EXPECT_EQ(append, previous);
          previous.clear();
        }
      }
      EXPECT_TRUE(previous.empty() || !whole) << previous << " lacks its second event";
    }
    for (const std::string& append : answered) {
      ASSERT_EQ(present[append], 2) << append << " was answered for";
    }
  }
  EXPECT_GE(answered.size(), kRounds * kAnswersBeforeKill);
}

}  // namespace tandem::bus

#endif  // TANDEM_TESTS_CONTRACT_BUS_CONTRACT_H_
