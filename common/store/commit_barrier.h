// Lets the commits of several stores stand still together for an instant, so that what all of them
// hold at that instant is one state of the whole: what a kill -9 could have left.
#ifndef TANDEM_COMMON_STORE_COMMIT_BARRIER_H_
#define TANDEM_COMMON_STORE_COMMIT_BARRIER_H_

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace tandem::store {

// Any thread. Outlives the stores that it was given to.
class CommitBarrier {
 public:
  // Held for the time of one commit. Null is a barrier that nobody uses.
  class ABSL_SCOPED_LOCKABLE Pass {
   public:
    explicit Pass(CommitBarrier* barrier) ABSL_NO_THREAD_SAFETY_ANALYSIS : barrier_(barrier) {
      if (barrier_ != nullptr) barrier_->mutex_.ReaderLock();
    }
    ~Pass() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (barrier_ != nullptr) barrier_->mutex_.ReaderUnlock();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    CommitBarrier* const barrier_;
  };

  // Waits for the commits under way and calls `instant` before any other begins.
  void StandStill(absl::FunctionRef<void()> instant) {
    const absl::WriterMutexLock lock(&mutex_);
    instant();
  }

 private:
  absl::Mutex mutex_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_COMMIT_BARRIER_H_
