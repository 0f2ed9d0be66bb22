#include "common/bus/memory_bus.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/executor/deterministic.h"
#include "common/executor/threaded.h"
#include "common/time/system_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

class Deaf : public Listener {
 public:
  void Assigned(std::vector<int> /*partitions*/) override {}
  void Revoked(std::vector<int> /*partitions*/) override {}
  void Records(int /*partition*/, int64_t /*generation*/,
               std::vector<RecordPtr> /*records*/) override {}
  void Stopped(int /*partition*/, absl::Status /*why*/) override {}
};

class MemoryBusTest : public testing::Test {
 protected:
  void Append(MemoryBus& bus, int count) {
    std::vector<Event> events;
    for (int i = 0; i < count; ++i) {
      events.push_back({.id = absl::StrCat("e", i),
                        .source = "source",
                        .type = "type",
                        .subject = "subject",
                        .key = "key",
                        .time = absl::UnixEpoch(),
                        .sequence = 1,
                        .cause = "cause",
                        .traceparent = "",
                        .body = ""});
    }
    bus.Append(std::move(events), [](absl::Status status) { EXPECT_EQ(status, absl::OkStatus()); });
    EXPECT_EQ(scheduler_.RunUntilIdle(), absl::OkStatus());
  }

  executor::DeterministicScheduler scheduler_;
  std::unique_ptr<executor::Executor> executor_ = scheduler_.NewExecutor("bus");
  Deaf deaf_;
};

TEST_F(MemoryBusTest, ForgetsWhatEveryGroupHasPassedIfItMay) {
  MemoryBus bus(executor_.get(), {.partitions = 1, .keep_all = false});
  const auto quick = bus.Join("quick", &deaf_).value();
  const auto slow = bus.Join("slow", &deaf_).value();
  Append(bus, 1000);
  quick->ReportPosition(0, 1000);
  Append(bus, 1000);
  EXPECT_EQ(bus.BoundsOf(0).first, 0) << "slow has not reported";
  slow->ReportPosition(0, 700);
  Append(bus, 1000);
  EXPECT_EQ(bus.BoundsOf(0).first, 700);
  EXPECT_EQ(bus.BoundsOf(0).end, 3000);
  EXPECT_EQ(bus.ReadRange(0, 699, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(bus.ReadRange(0, 700, 1).value().front()->offset, 700);
}

TEST_F(MemoryBusTest, KeepsEverythingOtherwise) {
  MemoryBus bus(executor_.get(), {.partitions = 1, .keep_all = true});
  const auto group = bus.Join("group", &deaf_).value();
  group->ReportPosition(0, 1000);
  for (int i = 0; i < 3; ++i) Append(bus, 1000);
  EXPECT_EQ(bus.BoundsOf(0).first, 0);
}

TEST_F(MemoryBusTest, SaysHowFarEachGroupIs) {
  MemoryBus bus(executor_.get(), {.partitions = 2, .keep_all = true});
  const auto group = bus.Join("group", &deaf_).value();
  Append(bus, 10);
  const int partition = PartitionOf("key", 2);
  group->ReportPosition(partition, 4);
  const auto positions = bus.Positions();
  ASSERT_EQ(positions.size(), 2U);
  const GroupPosition& position = positions[static_cast<size_t>(partition)];
  EXPECT_EQ(position.group, "group");
  EXPECT_EQ(position.partition, partition);
  EXPECT_EQ(position.next_offset, 4);
  EXPECT_EQ(position.end, 10);
  EXPECT_FALSE(positions[static_cast<size_t>(1 - partition)].next_offset.has_value());
}

TEST_F(MemoryBusTest, BoundsTheNumberOfGroups) {
  MemoryBus bus(executor_.get());
  std::vector<std::unique_ptr<Consumer>> consumers;
  for (size_t i = 0; i < Groups::kMaxGroups; ++i) {
    consumers.push_back(bus.Join(absl::StrCat("g", i), &deaf_).value());
  }
  EXPECT_EQ(bus.Join("one more", &deaf_).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(bus.Join("g0", &deaf_).ok());
}

TEST_F(MemoryBusTest, MayEndBeforeItsConsumers) {
  auto bus = std::make_unique<MemoryBus>(executor_.get());
  const auto consumer = bus->Join("group", &deaf_).value();
  Append(*bus, 1);
  bus.reset();
  consumer->Seek(0, 0, 1);
  consumer->More(0, 1);
  EXPECT_EQ(scheduler_.RunUntilIdle(), absl::OkStatus());
}

// Its end waits for the call under way: what the listener stands on may go right afterwards.
TEST(MemoryBusOnAThread, EndsAConsumerOnlyOutsideItsListenersCalls) {
  class Slow : public Deaf {
   public:
    void Records(int /*partition*/, int64_t /*generation*/,
                 std::vector<RecordPtr> /*records*/) override {
      inside = true;
      called.Notify();
      ending.WaitForNotificationWithTimeout(absl::Seconds(10));
      for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
      inside = false;
    }
    absl::Notification called;
    absl::Notification ending;
    std::atomic<bool> inside = false;
  };
  const time::SystemClock clock;
  Slow slow;
  executor::ThreadedExecutor executor("bus", &clock);
  MemoryBus bus(&executor, {.partitions = 1, .keep_all = true});
  auto consumer = bus.Join("group", &slow).value();
  Event event;
  event.id = event.source = event.type = event.subject = event.key = event.cause = "x";
  event.time = absl::UnixEpoch();
  event.sequence = 1;
  bus.Append({event}, [](absl::Status) {});
  // The step that assigns the partition comes first.
  absl::Notification assigned;
  executor.Post([&] { assigned.Notify(); });
  ASSERT_TRUE(assigned.WaitForNotificationWithTimeout(absl::Seconds(10)));
  consumer->Seek(0, 0, 1);
  consumer->More(0, 1);
  ASSERT_TRUE(slow.called.WaitForNotificationWithTimeout(absl::Seconds(10)));
  slow.ending.Notify();
  consumer.reset();
  EXPECT_FALSE(slow.inside);
}

// A record that can be read is inside the bounds that a Seek is judged by, at every instant.
TEST(MemoryBusOnAThread, NeverTakesAFreshRecordForOneOutsideTheLog) {
  constexpr size_t kRecords = 20'000;
  class Reader : public Deaf {
   public:
    void Records(int /*partition*/, int64_t /*generation*/,
                 std::vector<RecordPtr> records) override {
      read += records.size();
      // From where the last delivery ended, as after a pause.
      consumer->Seek(0, records.back()->offset + 1, 1);
      consumer->More(0, 3);
      if (read == kRecords) over.Notify();
    }
    void Stopped(int /*partition*/, absl::Status why) override {
      ADD_FAILURE() << why;
      over.Notify();
    }
    Consumer* consumer = nullptr;
    size_t read = 0;
    absl::Notification over;
  };
  const time::SystemClock clock;
  Reader reader;
  executor::ThreadedExecutor executor("bus", &clock);
  MemoryBus bus(&executor, {.partitions = 1, .keep_all = true});
  const auto consumer = bus.Join("group", &reader).value();
  reader.consumer = consumer.get();
  absl::Notification assigned;
  executor.Post([&] { assigned.Notify(); });
  ASSERT_TRUE(assigned.WaitForNotificationWithTimeout(absl::Seconds(10)));
  consumer->Seek(0, 0, 1);
  consumer->More(0, 3);
  Event event;
  event.id = event.source = event.type = event.subject = event.key = event.cause = "x";
  event.time = absl::UnixEpoch();
  event.sequence = 1;
  std::vector<std::thread> appenders;
  for (int thread = 0; thread < 2; ++thread) {
    appenders.emplace_back([&] {
      for (size_t i = 0; i < kRecords / 2; ++i) bus.Append({event}, [](absl::Status) {});
    });
  }
  for (std::thread& appender : appenders) appender.join();
  EXPECT_TRUE(reader.over.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

}  // namespace
}  // namespace tandem::bus
