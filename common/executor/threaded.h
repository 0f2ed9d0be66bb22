// One thread that runs tasks one after another.
#ifndef TANDEM_COMMON_EXECUTOR_THREADED_H_
#define TANDEM_COMMON_EXECUTOR_THREADED_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/executor/executor.h"
#include "common/time/clock.h"

namespace tandem::executor {

// Post and PostAt from any thread, also from its own tasks. A timed task is never run before its
// instant by `clock`; when the clock is set, it is found out within a second. Never full: who posts
// bounds what is under way. It ends on another thread than its own: waits for the running task,
// drops the others.
class ThreadedExecutor : public Executor {
 public:
  // `name` is seen in debuggers and top (its first 15 bytes). `clock` outlives the executor.
  ThreadedExecutor(const std::string& name, const time::Clock* clock);
  ~ThreadedExecutor() override;
  ThreadedExecutor(const ThreadedExecutor&) = delete;
  ThreadedExecutor& operator=(const ThreadedExecutor&) = delete;

  void Post(Task task) override;
  void PostAt(absl::Time instant, Task task) override;

 private:
  struct Timed {
    absl::Time instant;
    uint64_t order = 0;
    Task task;
  };
  static bool Later(const Timed& a, const Timed& b);

  void Run();
  // Moves what is due into waiting_.
  void TakeDue(absl::Time now);

  const time::Clock* const clock_;
  // Not absl's: its condition variable waits until an instant of the wall clock, and would sit
  // through a wall clock that is set back. This one waits by the monotonic clock.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;
  std::vector<Timed> timed_;  // a heap, earliest on top
  uint64_t next_order_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_THREADED_H_
