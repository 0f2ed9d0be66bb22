#include "common/executor/deterministic.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::executor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

class DeterministicSchedulerTest : public testing::Test {
 protected:
  Task Say(std::string text) {
    return [this, text = std::move(text)] { story_.push_back(text); };
  }

  DeterministicScheduler scheduler_{{.start = kStart}};
  std::unique_ptr<Executor> a_ = scheduler_.NewExecutor("a");
  std::unique_ptr<Executor> b_ = scheduler_.NewExecutor("b");
  std::vector<std::string> story_;
};

TEST_F(DeterministicSchedulerTest, RunsInTheOrderOfPostingOverAllExecutors) {
  a_->Post(Say("a1"));
  b_->Post(Say("b1"));
  b_->Post(Say("b2"));
  a_->Post(Say("a2"));
  ASSERT_TRUE(scheduler_.RunUntilIdle().ok());
  EXPECT_THAT(story_, ElementsAre("a1", "b1", "b2", "a2"));
  EXPECT_EQ(scheduler_.clock()->Now(), kStart);
}

TEST_F(DeterministicSchedulerTest, MovesTimeOnlyWhenNothingCanRun) {
  a_->PostAt(kStart + absl::Hours(1), Say("in an hour"));
  a_->Post([&] {
    story_.push_back("now");
    b_->Post(Say("still now"));
  });
  EXPECT_EQ(scheduler_.NextInstant(), kStart);
  EXPECT_TRUE(scheduler_.Step());
  EXPECT_TRUE(scheduler_.Step());
  EXPECT_THAT(story_, ElementsAre("now", "still now"));
  EXPECT_EQ(scheduler_.clock()->Now(), kStart);
  EXPECT_EQ(scheduler_.NextInstant(), kStart + absl::Hours(1));
  EXPECT_TRUE(scheduler_.Step());
  EXPECT_EQ(scheduler_.clock()->Now(), kStart + absl::Hours(1));
  EXPECT_FALSE(scheduler_.Step());
  EXPECT_EQ(scheduler_.NextInstant(), absl::InfiniteFuture());
  EXPECT_EQ(scheduler_.steps(), 3);
}

TEST_F(DeterministicSchedulerTest, RunsUpToAndAtAnInstantAndStandsThere) {
  a_->PostAt(kStart + absl::Seconds(1), Say("at one"));
  a_->PostAt(kStart + absl::Seconds(2), Say("at two"));
  a_->PostAt(kStart + absl::Seconds(2) + absl::Microseconds(1), Say("after two"));
  ASSERT_TRUE(scheduler_.RunUntil(kStart + absl::Seconds(2)).ok());
  EXPECT_THAT(story_, ElementsAre("at one", "at two"));
  ASSERT_TRUE(scheduler_.RunFor(absl::Seconds(5)).ok());
  EXPECT_THAT(story_, ElementsAre("at one", "at two", "after two"));
  EXPECT_EQ(scheduler_.clock()->Now(), kStart + absl::Seconds(7));
}

TEST_F(DeterministicSchedulerTest, NeverMovesTimeBack) {
  ASSERT_TRUE(scheduler_.RunUntil(kStart - absl::Hours(1)).ok());
  EXPECT_EQ(scheduler_.clock()->Now(), kStart);
  a_->PostAt(kStart - absl::Hours(1), Say("late"));
  ASSERT_TRUE(scheduler_.RunUntil(kStart - absl::Hours(1)).ok());
  EXPECT_THAT(story_, ElementsAre("late"));
  EXPECT_EQ(scheduler_.clock()->Now(), kStart);
}

TEST_F(DeterministicSchedulerTest, StaysWhereItIsWhenOnlyTheInfiniteFutureWaits) {
  a_->PostAt(absl::InfiniteFuture(), Say("never"));
  EXPECT_FALSE(scheduler_.Step());
  ASSERT_TRUE(scheduler_.RunUntilIdle().ok());
  ASSERT_TRUE(scheduler_.RunUntil(absl::InfiniteFuture()).ok());
  EXPECT_EQ(scheduler_.clock()->Now(), kStart);
  EXPECT_TRUE(story_.empty());
}

TEST_F(DeterministicSchedulerTest, NamesTheExecutorThatDoesNotComeToRest) {
  DeterministicScheduler scheduler({.start = kStart, .max_steps_per_instant = 1000});
  const auto quiet = scheduler.NewExecutor("quiet");
  const auto busy = scheduler.NewExecutor("busy relay");
  std::function<void()> again = [&] { busy->Post(again); };
  quiet->Post([] {});
  busy->Post(again);
  const absl::Status status = scheduler.RunUntilIdle();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("busy relay"));
  EXPECT_EQ(scheduler.steps(), 1000);
}

TEST_F(DeterministicSchedulerTest, NamesTheExecutorThatPollsForEver) {
  DeterministicScheduler scheduler({.start = kStart, .max_steps_per_run = 1000});
  const auto quiet = scheduler.NewExecutor("quiet");
  const auto polling = scheduler.NewExecutor("polling gate");
  std::function<void()> again = [&] {
    polling->PostAt(scheduler.clock()->Now() + absl::Milliseconds(100), again);
  };
  quiet->Post([] {});
  polling->Post(again);
  const absl::Status status = scheduler.RunUntilIdle();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("polling gate"));
  // The same executor is welcome where the end is given.
  EXPECT_TRUE(scheduler.RunFor(absl::Seconds(10)).ok());
}

TEST_F(DeterministicSchedulerTest, DropsTheTasksOfAnExecutorThatEndsAndKeepsTheOthers) {
  a_->Post(Say("a now"));
  b_->Post(Say("b now"));
  a_->PostAt(kStart + absl::Seconds(1), Say("a later"));
  b_->PostAt(kStart + absl::Seconds(2), Say("b later"));
  a_.reset();
  EXPECT_EQ(scheduler_.NextInstant(), kStart);
  ASSERT_TRUE(scheduler_.Step());
  EXPECT_EQ(scheduler_.NextInstant(), kStart + absl::Seconds(2));
  ASSERT_TRUE(scheduler_.RunUntilIdle().ok());
  EXPECT_THAT(story_, ElementsAre("b now", "b later"));
}

TEST_F(DeterministicSchedulerTest, LetsAnExecutorEndInsideItsOwnStep) {
  a_->Post([&] {
    a_->Post(Say("never"));
    a_.reset();
    story_.push_back("ended");
  });
  b_->Post(Say("b"));
  ASSERT_TRUE(scheduler_.RunUntilIdle().ok());
  EXPECT_THAT(story_, ElementsAre("ended", "b"));
}

// A small crowd of executors that post to each other, now and later; returns what ran, in order.
std::vector<std::string> Crowd(const DeterministicScheduler::Options& options) {
  DeterministicScheduler scheduler(options);
  std::vector<std::string> story;
  std::vector<std::unique_ptr<Executor>> executors;
  for (int i = 0; i < 5; ++i)
    executors.push_back(scheduler.NewExecutor(std::string(1, 'a' + static_cast<char>(i))));
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 5; ++i) {
      executors[static_cast<size_t>(i)]->PostAt(
          options.start + absl::Milliseconds(round / 4), [&, i, round] {
            const std::string said =
                std::string(1, 'a' + static_cast<char>(i)) + std::to_string(round);
            story.push_back(said);
            const auto next = static_cast<size_t>((i + round) % 5);
            executors[next]->Post([&story, said] { story.push_back(said + "'"); });
          });
    }
    // Crashes and restarts are part of what must repeat.
    if (round == 10) {
      executors[2].reset();
      executors[2] = scheduler.NewExecutor("c");
    }
  }
  EXPECT_TRUE(scheduler.RunUntilIdle().ok());
  return story;
}

TEST(Shuffle, RepeatsItselfForTheSameSeed) {
  EXPECT_EQ(Crowd({.shuffle_seed = 1}), Crowd({.shuffle_seed = 1}));
}

TEST(Shuffle, DiffersBySeed) {
  const auto one = Crowd({.shuffle_seed = 1});
  const auto two = Crowd({.shuffle_seed = 2});
  EXPECT_NE(one, two);
  EXPECT_NE(one, Crowd({}));
  EXPECT_THAT(one, testing::UnorderedElementsAreArray(two));
}

TEST(Shuffle, KeepsTheOrderWithinAnExecutor) {
  DeterministicScheduler scheduler({.shuffle_seed = 3});
  const auto a = scheduler.NewExecutor("a");
  const auto b = scheduler.NewExecutor("b");
  std::vector<int> ran_a;
  std::vector<int> ran_b;
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i) {
    a->Post([&ran_a, i] { ran_a.push_back(i); });
    b->Post([&ran_b, i] { ran_b.push_back(i); });
    expected.push_back(i);
  }
  ASSERT_TRUE(scheduler.RunUntilIdle().ok());
  EXPECT_EQ(ran_a, expected);
  EXPECT_EQ(ran_b, expected);
}

TEST(Ring, KeepsItsOrderWhileItGrowsAndWraps) {
  Ring<int> ring;
  int pushed = 0;
  int popped = 0;
  for (int round = 1; round < 60; ++round) {
    for (int i = 0; i < round; ++i) ring.Push(pushed++);
    for (int i = 0; i < round - (round % 3); ++i) ASSERT_EQ(ring.Pop(), popped++);
  }
  while (!ring.empty()) ASSERT_EQ(ring.Pop(), popped++);
  EXPECT_EQ(popped, pushed);
}

}  // namespace
}  // namespace tandem::executor
