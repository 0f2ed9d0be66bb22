// Any number of executors that run in one thread under simulated time: the same program with the
// same input takes the same steps, every time. Replay, simulation and tests of state machines run
// on it.
//
//   DeterministicScheduler scheduler({.start = Monday()});
//   auto lane = scheduler.NewExecutor("lane");
//   lane->PostAt(scheduler.clock()->Now() + absl::Hours(1), [] { … });
//   ASSERT_TRUE(scheduler.RunUntilIdle().ok());   // an hour of simulated time later
#ifndef TANDEM_COMMON_EXECUTOR_DETERMINISTIC_H_
#define TANDEM_COMMON_EXECUTOR_DETERMINISTIC_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/executor/executor.h"
#include "common/executor/ring.h"
#include "common/time/clock.h"

namespace tandem::executor {

// Time that only its scheduler moves, and never back.
class SimulatedClock : public time::Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixMicros(micros_); }

 private:
  friend class DeterministicScheduler;
  int64_t micros_ = 0;
};

// One thread owns the scheduler, its clock and all its executors; nothing here may be called from
// another. It outlives its executors.
//
// Time moves only when no executor has anything to run, and then straight to the next instant asked
// for. Steps run in the order of posting over all executors; with a shuffle seed, each step is that
// of an executor drawn among those that could run (within one executor the order stays).
class DeterministicScheduler {
 public:
  struct Options {
    absl::Time start = absl::UnixEpoch();
    std::optional<uint64_t> shuffle_seed = std::nullopt;
    // Steps without time moving, after which the run counts as a livelock.
    int64_t max_steps_per_instant = 1'000'000;
    // Steps of one Run… call: catches what goes on for ever while time moves, such as polling.
    int64_t max_steps_per_run = 1'000'000'000;
  };

  DeterministicScheduler() : DeterministicScheduler(Options()) {}
  explicit DeterministicScheduler(const Options& options);
  ~DeterministicScheduler();
  DeterministicScheduler(const DeterministicScheduler&) = delete;
  DeterministicScheduler& operator=(const DeterministicScheduler&) = delete;

  const SimulatedClock* clock() const { return &clock_; }

  // An executor named `name` in messages; names need not differ. Its end drops its waiting tasks;
  // it may end inside a step, also its own.
  std::unique_ptr<Executor> NewExecutor(std::string name);

  // Takes the next step, moving time to it if nothing can run now; false when nothing waits at all.
  bool Step();

  // Take steps until nothing waits at all; until nothing waits up to and at `instant`, where the
  // clock then stands (not before now); the same for now + `duration`. RESOURCE_EXHAUSTED when a
  // limit of the options is met: it names the executor that took most of those steps. Not from
  // inside a step.
  absl::Status RunUntilIdle();
  absl::Status RunUntil(absl::Time instant);
  absl::Status RunFor(absl::Duration duration);

  // When the next step is: now if one can run, InfiniteFuture if nothing waits.
  absl::Time NextInstant() const;

  // Steps taken since the start.
  int64_t steps() const { return steps_; }

 private:
  struct Lane;  // an executor's own state; stays when the executor ends, as the order refers to it
  class Handle;

  // A timed task lies still in a slot while the heap moves these.
  struct Timed {
    int64_t instant;
    uint64_t order;
    uint32_t slot;
  };
  struct Slot {
    Task task;
    Lane* lane = nullptr;
  };
  static bool Later(const Timed& a, const Timed& b);

  void Post(Lane* lane, Task task);
  void PostAt(Lane* lane, absl::Time instant, Task task);
  void End(Lane* lane);
  Lane* PopRunnable();
  bool AnyRunnable() const { return runnable_count_ > 0; }
  // Moves time to the earliest timed task and makes all of that instant runnable; false if there is
  // none up to `limit`.
  bool Advance(int64_t limit);
  void RunNext();
  absl::Status Run(int64_t limit);
  absl::Status Livelock(const char* what, int64_t steps, bool this_instant) const;

  const Options options_;
  SimulatedClock clock_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  int64_t runnable_count_ = 0;  // tasks, over all lanes

  // Without a seed: a ring of lanes in the order of posting. With one: the lanes that have a task.
  Ring<Lane*> order_;
  std::vector<Lane*> drawable_;
  std::mt19937_64 dice_;

  std::vector<Timed> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t next_order_ = 0;

  int64_t steps_ = 0;
  int64_t steps_at_instant_ = 0;
  int64_t instants_ = 0;  // how often time has moved
  int64_t runs_ = 0;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_DETERMINISTIC_H_
