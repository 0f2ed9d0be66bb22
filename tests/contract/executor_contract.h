// What every executor::Executor promises. A world makes one and lets its time pass; the tests below
// run against each world that contract_executor_test names.
#ifndef TANDEM_TESTS_CONTRACT_EXECUTOR_CONTRACT_H_
#define TANDEM_TESTS_CONTRACT_EXECUTOR_CONTRACT_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::contract {

class ExecutorWorld {
 public:
  virtual ~ExecutorWorld() = default;
  virtual executor::Executor& executor() = 0;
  virtual const time::Clock& clock() = 0;
  // Lets steps run until one of them has called `done`; false after a deadline of 10 s.
  virtual bool RunUntilCalled(std::function<void(std::function<void()> done)> start) = 0;
  virtual void EndExecutor() = 0;
};

struct ExecutorParam {
  std::string name;
  std::function<std::unique_ptr<ExecutorWorld>()> make;
  // ctest names each test by it.
  friend void PrintTo(const ExecutorParam& param, std::ostream* out) { *out << param.name; }
};

class ExecutorContract : public testing::TestWithParam<ExecutorParam> {
 protected:
  // Runs what `start` posts and everything before it, then a last task.
  bool RunAll(std::function<void()> start) {
    return world_->RunUntilCalled([&](std::function<void()> done) {
      start();
      world_->executor().Post(done);
    });
  }
  executor::Executor& executor() { return world_->executor(); }
  absl::Time Now() { return world_->clock().Now(); }

  std::unique_ptr<ExecutorWorld> world_ = GetParam().make();
};

TEST_P(ExecutorContract, RunsTasksInTheOrderOfPosting) {
  std::vector<int> ran;
  std::vector<int> expected;
  ASSERT_TRUE(RunAll([&] {
    for (int i = 0; i < 1000; ++i) {
      expected.push_back(i);
      executor().Post([&ran, i] { ran.push_back(i); });
    }
  }));
  EXPECT_EQ(ran, expected);
}

TEST_P(ExecutorContract, FinishesAStepBeforeItRunsWhatTheStepPosted) {
  std::vector<std::string> story;
  ASSERT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    executor().Post([&, done] {
      executor().Post([&, done] {
        story.push_back("posted by a step");
        done();
      });
      story.push_back("the step's end");
    });
  }));
  EXPECT_THAT(story, testing::ElementsAre("the step's end", "posted by a step"));
}

TEST_P(ExecutorContract, NeverRunsATimedTaskEarly) {
  for (const absl::Duration delay : {absl::Nanoseconds(1), absl::Nanoseconds(1500),
                                     absl::Microseconds(300), absl::Milliseconds(20)}) {
    const absl::Time instant = Now() + delay;
    absl::Time ran;
    ASSERT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
      executor().PostAt(instant, [&, done] {
        ran = Now();
        done();
      });
    }));
    EXPECT_GE(ran, instant);
  }
}

TEST_P(ExecutorContract, RunsTimedTasksByInstantThenInTheOrderOfPosting) {
  std::vector<int> ran;
  const absl::Time base = Now() + absl::Milliseconds(20);
  ASSERT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    for (int i = 0; i < 30; ++i) {
      // 29, 28, … are posted for ever earlier instants, three to each.
      executor().PostAt(base - absl::Microseconds(i / 3), [&ran, i] { ran.push_back(i); });
    }
    executor().PostAt(base + absl::Microseconds(1), done);
  }));
  std::vector<int> expected;
  for (int group = 9; group >= 0; --group) {
    for (int i = 0; i < 3; ++i) expected.push_back(group * 3 + i);
  }
  EXPECT_EQ(ran, expected);
}

TEST_P(ExecutorContract, RunsATaskOfThePastSoon) {
  EXPECT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    executor().PostAt(absl::InfinitePast(), [] {});
    executor().PostAt(Now() - absl::Hours(1), done);
  }));
}

TEST_P(ExecutorContract, IsNotHeldUpByATaskThatNeverComesDue) {
  bool ran = false;
  EXPECT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    executor().PostAt(absl::InfiniteFuture(), [&] { ran = true; });
    executor().PostAt(Now() + absl::Milliseconds(2), done);
  }));
  EXPECT_FALSE(ran);
}

TEST_P(ExecutorContract, DropsWhatWaitsWhenItEnds) {
  // Ends with the tasks that hold it.
  const auto held = std::make_shared<int>(0);
  const auto ran = std::make_shared<bool>(false);
  executor().PostAt(Now() + absl::Hours(24), [held, ran] { *ran = true; });
  executor().PostAt(absl::InfiniteFuture(), [held, ran] { *ran = true; });
  world_->EndExecutor();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(*ran);
}

TEST_P(ExecutorContract, TurnsAwayWhatADroppedTaskPostsAsItEnds) {
  struct PostsAsItEnds {
    executor::Executor* executor;
    bool* ran;
    PostsAsItEnds(executor::Executor* to, bool* mark) : executor(to), ran(mark) {}
    ~PostsAsItEnds() {
      executor->Post([mark = ran] { *mark = true; });
      executor->PostAt(absl::InfiniteFuture(), [mark = ran] { *mark = true; });
    }
  };
  bool ran = false;
  executor().PostAt(Now() + absl::Hours(24),
                    [held = std::make_shared<PostsAsItEnds>(&executor(), &ran)] {});
  world_->EndExecutor();
  EXPECT_FALSE(ran);
}

TEST_P(ExecutorContract, RunsNothingOfAScopeThatIsClosed) {
  bool ran = false;
  auto scope = std::make_unique<executor::Scope>(&executor());
  ASSERT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    scope->PostAt(Now() + absl::Milliseconds(2), [&] { ran = true; });
    executor().PostAt(Now() + absl::Milliseconds(3), done);
    scope.reset();
  }));
  EXPECT_FALSE(ran);
}

TEST_P(ExecutorContract, RunsTheStepsOfAnOpenScope) {
  executor::Scope scope(&executor());
  int ran = 0;
  ASSERT_TRUE(world_->RunUntilCalled([&](std::function<void()> done) {
    scope.Post([&] { ++ran; });
    scope.PostAt(Now() + absl::Milliseconds(2), [&, done] {
      ++ran;
      done();
    });
  }));
  EXPECT_EQ(ran, 2);
}

}  // namespace tandem::contract

#endif  // TANDEM_TESTS_CONTRACT_EXECUTOR_CONTRACT_H_
