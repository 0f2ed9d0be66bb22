// Under the tsan preset: correctly locked data is not reported, unlocked data is.

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace {

constexpr int kRounds = 300;
constexpr absl::Duration kSoon = absl::Milliseconds(1);

TEST(AbslMutex, OrdersWhatItGuards) {
  absl::Mutex mutex;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < kRounds; ++i) {
      const absl::MutexLock lock(&mutex);
      ++count;
    }
  };
  std::thread other(add);
  add();
  other.join();
  const absl::ReaderMutexLock lock(&mutex);
  EXPECT_EQ(count, 2 * kRounds);
}

TEST(AbslMutex, OrdersAcrossConditions) {
  for (int i = 0; i < kRounds; ++i) {
    absl::Mutex mutex;
    bool ready = false;
    int value = 0;
    std::thread other([&] {
      const absl::Condition is_ready(&ready);
      if (i % 3 == 0) {
        mutex.LockWhen(is_ready);
      } else {
        mutex.Lock();
        if (i % 3 == 1) mutex.Await(is_ready);
        while (!mutex.AwaitWithTimeout(is_ready, kSoon)) {
        }
      }
      value = 2;
      ready = false;
      mutex.Unlock();
    });
    {
      const absl::MutexLock lock(&mutex);
      value = 1;
      ready = true;
    }
    other.join();
    EXPECT_EQ(value, 2);
  }
}

TEST(AbslMutex, OrdersAcrossConditionVariables) {
  for (int i = 0; i < kRounds; ++i) {
    absl::Mutex mutex;
    absl::CondVar changed;
    bool ready = false;
    int value = 0;
    std::thread other([&] {
      const absl::MutexLock lock(&mutex);
      while (!ready) {
        if (i % 2 == 0) {
          changed.Wait(&mutex);
        } else {
          changed.WaitWithTimeout(&mutex, kSoon);
        }
      }
      value = 2;
    });
    {
      const absl::MutexLock lock(&mutex);
      value = 1;
      ready = true;
      changed.Signal();
    }
    other.join();
    EXPECT_EQ(value, 2);
  }
}

TEST(AbslNotification, OrdersWhatCameBefore) {
  for (int i = 0; i < kRounds; ++i) {
    absl::Notification done;
    int value = 0;
    std::thread other([&] {
      value = 1;
      done.Notify();
    });
    if (i % 2 == 0) {
      done.WaitForNotification();
    } else {
      while (!done.HasBeenNotified()) std::this_thread::yield();
    }
    EXPECT_EQ(++value, 2);
    other.join();
  }
}

TEST(AbslBlockingCounter, OrdersWhatCameBefore) {
  for (int i = 0; i < kRounds; ++i) {
    absl::BlockingCounter left(2);
    int values[2] = {0, 0};
    std::thread first([&] {
      values[0] = 1;
      left.DecrementCount();
    });
    std::thread second([&] {
      values[1] = 1;
      left.DecrementCount();
    });
    left.Wait();
    EXPECT_EQ(values[0] + values[1], 2);
    first.join();
    second.join();
  }
}

// Each thread holds a lock, but not the same one.
void WriteUnderTwoLocks() {
  absl::Mutex one;
  absl::Mutex another;
  int value = 0;
  std::thread other([&] {
    const absl::MutexLock lock(&one);
    value = 1;
  });
  {
    const absl::MutexLock lock(&another);
    value = 2;
  }
  other.join();
  std::exit(value > 0 ? 0 : 1);
}

TEST(AbslMutexDeathTest, DoesNotOrderWhatAnotherMutexGuards) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  constexpr int kThreadSanitizerExitCode = 66;
  EXPECT_EXIT(WriteUnderTwoLocks(), testing::ExitedWithCode(kThreadSanitizerExitCode), "data race");
}

}  // namespace
