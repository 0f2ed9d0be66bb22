#include "common/executor/threaded.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/time/system_clock.h"
#include "gtest/gtest.h"

namespace tandem::executor {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(10);

// Stands still until it is set.
class SetClock : public time::Clock {
 public:
  absl::Time Now() const override {
    ++reads_;
    return absl::FromUnixMicros(micros_);
  }
  void Set(absl::Time now) { micros_ = absl::ToUnixMicros(now); }
  // Waits for `more` reads from now on; false after the deadline.
  bool WaitForReads(int64_t more) const {
    const int64_t until = reads_ + more;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (reads_ < until) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  std::atomic<int64_t> micros_ = 1'795'000'000'000'000;
  mutable std::atomic<int64_t> reads_ = 0;
};

TEST(ThreadedExecutor, RunsOneTaskAtATimeForManyThreads) {
  const time::SystemClock clock;
  int64_t ran = 0;  // no lock: the executor is the lock
  absl::Notification done;
  std::vector<std::thread> posters;
  ThreadedExecutor executor("test", &clock);
  for (int thread = 0; thread < 4; ++thread) {
    posters.emplace_back([&] {
      for (int i = 0; i < 2500; ++i) {
        const auto count = [&] {
          if (++ran == 10'000) done.Notify();
        };
        if (i % 2 == 0) {
          executor.Post(count);
        } else {
          executor.PostAt(clock.Now() + absl::Microseconds(i), count);
        }
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kDeadline));
}

TEST(ThreadedExecutor, NoticesAClockThatJumpsForward) {
  SetClock clock;
  absl::Notification done;
  ThreadedExecutor executor("test", &clock);
  const absl::Time instant = clock.Now() + absl::Hours(1);
  executor.PostAt(instant, [&] { done.Notify(); });
  // One look at what is due, one at how long to wait: now it waits for an hour, or so it was told.
  ASSERT_TRUE(clock.WaitForReads(2));
  clock.Set(instant);
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kDeadline));
}

TEST(ThreadedExecutor, WaitsAgainForAClockThatJumpedBack) {
  SetClock clock;
  const absl::Time instant = clock.Now() + absl::Milliseconds(1);
  absl::Notification done;
  absl::Time ran;
  ThreadedExecutor executor("test", &clock);
  executor.PostAt(instant, [&] {
    ran = clock.Now();
    done.Notify();
  });
  clock.Set(instant - absl::Hours(1));
  // Each pass over the queue reads the clock, so the executor has looked at the earlier hour by
  // now.
  absl::Notification looked;
  executor.PostAt(instant - absl::Hours(1), [&] { looked.Notify(); });
  ASSERT_TRUE(looked.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_FALSE(done.HasBeenNotified());
  clock.Set(instant);
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(kDeadline));
  EXPECT_GE(ran, instant);
}

TEST(ThreadedExecutor, DoesNotSpinWhileAClockStandsStillJustBeforeAnInstant) {
  SetClock clock;
  absl::Notification done;
  ThreadedExecutor executor("test", &clock);
  const auto start = std::chrono::steady_clock::now();
  executor.PostAt(clock.Now() + absl::Microseconds(1), [&] { done.Notify(); });
  // Two reads a wait, each wait at least 100 us: so many reads cannot come quicker.
  ASSERT_TRUE(clock.WaitForReads(200));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(9));
  clock.Set(clock.Now() + absl::Seconds(1));
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(kDeadline));
}

TEST(ThreadedExecutor, WaitsForTheRunningTaskWhenItEnds) {
  const time::SystemClock clock;
  absl::Notification started;
  absl::Notification go_on;
  bool finished = false;
  auto executor = std::make_unique<ThreadedExecutor>("test", &clock);
  executor->Post([&] {
    started.Notify();
    go_on.WaitForNotificationWithTimeout(kDeadline);
    finished = true;
  });
  ASSERT_TRUE(started.WaitForNotificationWithTimeout(kDeadline));
  std::thread ender([&] { executor.reset(); });
  go_on.Notify();
  ender.join();
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace tandem::executor
