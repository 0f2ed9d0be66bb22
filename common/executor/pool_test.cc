#include "common/executor/pool.h"

#include <memory>

#include "absl/synchronization/notification.h"
#include "common/executor/deterministic.h"
#include "gtest/gtest.h"

namespace tandem::executor {
namespace {

constexpr absl::Duration kPoolDeadline = absl::Seconds(10);

TEST(ThreadPool, RunsAsManyTasksAtATimeAsItHasThreads) {
  absl::Notification first_in;
  absl::Notification second_in;
  bool both_at_once = false;
  {
    ThreadPoolExecutor pool("test", 2, 10);
    absl::Notification done;
    ASSERT_TRUE(pool.TryPost([&] {
      first_in.Notify();
      both_at_once = second_in.WaitForNotificationWithTimeout(kPoolDeadline);
      done.Notify();
    }));
    ASSERT_TRUE(pool.TryPost([&] {
      first_in.WaitForNotificationWithTimeout(kPoolDeadline);
      second_in.Notify();
    }));
    ASSERT_TRUE(done.WaitForNotificationWithTimeout(kPoolDeadline));
  }
  EXPECT_TRUE(both_at_once);
}

TEST(ThreadPool, TurnsATaskAwayWhenTooManyWait) {
  absl::Notification running;
  absl::Notification go_on;
  ThreadPoolExecutor pool("test", 1, 2);
  ASSERT_TRUE(pool.TryPost([&] {
    running.Notify();
    go_on.WaitForNotificationWithTimeout(kPoolDeadline);
  }));
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kPoolDeadline));
  EXPECT_TRUE(pool.TryPost([] {}));
  absl::Notification last;
  EXPECT_TRUE(pool.TryPost([&] { last.Notify(); }));
  EXPECT_FALSE(pool.TryPost([] {}));
  go_on.Notify();
  ASSERT_TRUE(last.WaitForNotificationWithTimeout(kPoolDeadline));
  EXPECT_TRUE(pool.TryPost([] {}));
}

TEST(ThreadPool, DropsWhatWaitsWhenItEnds) {
  const auto held = std::make_shared<int>(0);
  absl::Notification running;
  absl::Notification go_on;
  auto pool = std::make_unique<ThreadPoolExecutor>("test", 1, 2);
  ASSERT_TRUE(pool->TryPost([&, held] {
    running.Notify();
    go_on.WaitForNotificationWithTimeout(kPoolDeadline);
  }));
  ASSERT_TRUE(running.WaitForNotificationWithTimeout(kPoolDeadline));
  ASSERT_TRUE(pool->TryPost([held] {}));
  go_on.Notify();
  pool.reset();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ExecutorPool, RunsItsTasksAsStepsOfItsExecutor) {
  DeterministicScheduler scheduler;
  const auto executor = scheduler.NewExecutor("reads");
  ExecutorPool pool(executor.get());
  int ran = 0;
  EXPECT_TRUE(pool.TryPost([&] { ++ran; }));
  EXPECT_EQ(ran, 0);
  ASSERT_TRUE(scheduler.RunUntilIdle().ok());
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace tandem::executor
