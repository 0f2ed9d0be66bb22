#include <utility>

#include "absl/synchronization/notification.h"
#include "common/executor/deterministic.h"
#include "common/executor/threaded.h"
#include "common/time/system_clock.h"
#include "tests/contract/executor_contract.h"

namespace tandem::contract {
namespace {

class ThreadedWorld : public ExecutorWorld {
 public:
  executor::Executor& executor() override { return *executor_; }
  const time::Clock& clock() override { return clock_; }
  bool RunUntilCalled(std::function<void(std::function<void()>)> start) override {
    // Shared, as a task that comes after the deadline must not call into what is gone.
    const auto called = std::make_shared<absl::Notification>();
    start([called] { called->Notify(); });
    return called->WaitForNotificationWithTimeout(absl::Seconds(10));
  }
  void EndExecutor() override { executor_.reset(); }

 private:
  time::SystemClock clock_;
  std::unique_ptr<executor::ThreadedExecutor> executor_ =
      std::make_unique<executor::ThreadedExecutor>("contract", &clock_);
};

class DeterministicWorld : public ExecutorWorld {
 public:
  explicit DeterministicWorld(std::optional<uint64_t> seed)
      : scheduler_({.start = absl::FromUnixSeconds(1'795'000'000), .shuffle_seed = seed}) {}
  executor::Executor& executor() override { return *executor_; }
  const time::Clock& clock() override { return *scheduler_.clock(); }
  bool RunUntilCalled(std::function<void(std::function<void()>)> start) override {
    bool called = false;
    start([&called] { called = true; });
    const absl::Time deadline = clock().Now() + absl::Seconds(10);
    while (!called && scheduler_.NextInstant() <= deadline) scheduler_.Step();
    return called;
  }
  void EndExecutor() override { executor_.reset(); }

 private:
  executor::DeterministicScheduler scheduler_;
  std::unique_ptr<executor::Executor> executor_ = scheduler_.NewExecutor("contract");
};

INSTANTIATE_TEST_SUITE_P(
    , ExecutorContract,
    testing::Values(
        ExecutorParam{"Threaded", [] { return std::make_unique<ThreadedWorld>(); }},
        ExecutorParam{"Deterministic",
                      [] { return std::make_unique<DeterministicWorld>(std::nullopt); }},
        ExecutorParam{"Shuffled", [] { return std::make_unique<DeterministicWorld>(7); }}),
    [](const auto& world) { return world.param.name; });

}  // namespace
}  // namespace tandem::contract
