// Where reads run: several at a time, in no promised order.
#ifndef TANDEM_COMMON_EXECUTOR_POOL_H_
#define TANDEM_COMMON_EXECUTOR_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/executor/executor.h"

namespace tandem::executor {

// Callable from any thread.
class Pool {
 public:
  virtual ~Pool() = default;
  // Runs `task` soon, beside and in any order with the others; false, and `task` dropped, when too
  // many wait (the caller answers RESOURCE_EXHAUSTED).
  [[nodiscard]] virtual bool TryPost(Task task) = 0;
};

// `threads` threads over one queue of at most `max_waiting` tasks. Ends on another thread than its
// own: waits for the running tasks, drops the others.
class ThreadPoolExecutor : public Pool {
 public:
  ThreadPoolExecutor(const std::string& name, int threads, size_t max_waiting);
  ~ThreadPoolExecutor() override;
  ThreadPoolExecutor(const ThreadPoolExecutor&) = delete;
  ThreadPoolExecutor& operator=(const ThreadPoolExecutor&) = delete;

  bool TryPost(Task task) override;

 private:
  void Run();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> waiting_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

// A pool for replay and simulation: every task is a step of `executor`, which outlives it.
class ExecutorPool : public Pool {
 public:
  explicit ExecutorPool(Executor* executor) : executor_(executor) {}
  bool TryPost(Task task) override;

 private:
  Executor* const executor_;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_POOL_H_
