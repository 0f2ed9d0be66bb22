// A simulated process: a clock of its own, executors that stand still while it is stopped, and an
// end that nobody in it notices.
#ifndef TANDEM_TESTS_SIMULATION_PROCESS_H_
#define TANDEM_TESTS_SIMULATION_PROCESS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/executor/executor.h"
#include "common/time/clock.h"

namespace tandem::simulation {

class ProcessExecutor;

// What a process is made of beside its services. All of a simulation is one thread.
class Process : public time::Clock {
 public:
  // `truth` is the scheduler's clock; `skew` is added to it.
  Process(std::string name, size_t place, const time::Clock* truth, absl::Duration skew)
      : name_(std::move(name)), place_(place), truth_(truth), skew_(skew) {}

  // Unlike that of any other process, also of an earlier start at this place.
  const std::string& name() const { return name_; }
  size_t place() const { return place_; }

  absl::Time Now() const override { return truth_->Now() + skew_; }
  absl::Time Truth(absl::Time own) const { return own - skew_; }
  // Sets the clock.
  void SetSkew(absl::Duration skew);

  // SIGSTOP and SIGCONT. What comes meanwhile waits.
  void Pause() { is_paused_ = true; }
  void Resume();
  bool is_paused() const { return is_paused_; }

  // From now on nothing of it happens any more: no step, no commit, no reply, no append. The world
  // ends it between two steps. `steps` more may run before that.
  void Doom(int64_t steps = 0);
  // Takes back a doom that has not come yet.
  void Spare() {
    if (steps_to_live_ > 0) steps_to_live_ = -1;
  }
  bool is_doomed() const { return steps_to_live_ == 0; }

  std::unique_ptr<executor::Executor> NewExecutor(std::unique_ptr<executor::Executor> inner);

 private:
  friend class ProcessExecutor;

  const std::string name_;
  const size_t place_;
  const time::Clock* const truth_;
  absl::Duration skew_;
  bool is_paused_ = false;
  int64_t steps_to_live_ = -1;  // -1 = no end in sight
  std::vector<ProcessExecutor*> executors_;
};

// The tasks of one thread of a process, on an executor of the scheduler's.
class ProcessExecutor : public executor::Executor {
 public:
  ProcessExecutor(Process* process, std::unique_ptr<executor::Executor> inner)
      : process_(process), inner_(std::move(inner)) {}
  ~ProcessExecutor() override;
  void Post(executor::Task task) override;
  void PostAt(absl::Time instant, executor::Task task) override;
  // The thread waits, for a disk say: nothing runs on it until then (by the scheduler's clock).
  void StandStillUntil(absl::Time truth);

 private:
  friend class Process;
  void Run(executor::Task task);
  bool StandsStill() const;
  void GoOn();
  void Arm();
  void Wake();

  Process* const process_;
  std::deque<executor::Task> held_;
  std::multimap<absl::Time, executor::Task> timed_;  // by the process's own clock
  absl::Time armed_ = absl::InfiniteFuture();        // by the scheduler's
  absl::Time still_until_ = absl::InfinitePast();
  // The last, so that what waits in it ends first.
  const std::unique_ptr<executor::Executor> inner_;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_PROCESS_H_
