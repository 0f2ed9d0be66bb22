#include "common/executor/threaded.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace tandem::executor {
namespace {

// How long a wall clock that was set stays unnoticed.
constexpr absl::Duration kLongestWait = absl::Seconds(1);
// A clock that stands still or runs slow just before an instant must not turn the wait into a spin.
constexpr absl::Duration kShortestWait = absl::Microseconds(100);

}  // namespace

ThreadedExecutor::ThreadedExecutor(const std::string& name, const time::Clock* clock)
    : clock_(clock), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ThreadedExecutor::~ThreadedExecutor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
  // What a dropped task owned may post while it ends: nothing is locked here, and ending_ turns it
  // away.
  std::deque<Task> waiting;
  std::vector<Timed> timed;
  const std::lock_guard lock(mutex_);
  waiting.swap(waiting_);
  timed.swap(timed_);
}

bool ThreadedExecutor::Later(const Timed& a, const Timed& b) {
  return a.instant != b.instant ? a.instant > b.instant : a.order > b.order;
}

void ThreadedExecutor::Post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    waiting_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void ThreadedExecutor::PostAt(absl::Time instant, Task task) {
  bool earliest = false;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    timed_.push_back({instant, next_order_++, std::move(task)});
    std::push_heap(timed_.begin(), timed_.end(), Later);
    earliest = timed_.front().order == next_order_ - 1;
  }
  if (earliest) changed_.notify_one();
}

void ThreadedExecutor::TakeDue(absl::Time now) {
  while (!timed_.empty() && timed_.front().instant <= now) {
    std::pop_heap(timed_.begin(), timed_.end(), Later);
    waiting_.push_back(std::move(timed_.back().task));
    timed_.pop_back();
  }
}

void ThreadedExecutor::Run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (!timed_.empty()) TakeDue(clock_->Now());
    if (!waiting_.empty()) {
      Task task = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it owned ends outside the lock, too
      lock.lock();
    } else if (timed_.empty()) {
      changed_.wait(lock);
    } else {
      const absl::Duration wait =
          std::clamp(timed_.front().instant - clock_->Now(), kShortestWait, kLongestWait);
      changed_.wait_for(lock, absl::ToChronoMicroseconds(wait));
    }
  }
}

}  // namespace tandem::executor
