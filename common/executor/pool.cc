#include "common/executor/pool.h"

#include <pthread.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::executor {

ThreadPoolExecutor::ThreadPoolExecutor(const std::string& name, int threads, size_t max_waiting)
    : max_waiting_(max_waiting) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    const std::string thread_name = absl::StrCat(name.substr(0, 12), "-", i);
    pthread_setname_np(threads_.back().native_handle(), thread_name.substr(0, 15).c_str());
  }
}

ThreadPoolExecutor::~ThreadPoolExecutor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  // As in ThreadedExecutor: dropped tasks end unlocked and may post.
  std::deque<Task> waiting;
  const std::lock_guard lock(mutex_);
  waiting.swap(waiting_);
}

bool ThreadPoolExecutor::TryPost(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || waiting_.size() >= max_waiting_) return false;
    waiting_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void ThreadPoolExecutor::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    Task task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

bool ExecutorPool::TryPost(Task task) {
  executor_->Post(std::move(task));
  return true;
}

}  // namespace tandem::executor
