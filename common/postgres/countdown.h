// A span of time that the kernel counts down and that poll() can wait for, beside a socket. No
// clock is read, so that one that is set neither shortens nor lengthens a wait.
#ifndef TANDEM_COMMON_POSTGRES_COUNTDOWN_H_
#define TANDEM_COMMON_POSTGRES_COUNTDOWN_H_

#include "absl/time/time.h"

namespace tandem::store {

// One thread at a time.
class Countdown {
 public:
  Countdown();
  ~Countdown();
  Countdown(const Countdown&) = delete;
  Countdown& operator=(const Countdown&) = delete;

  // Counts from now. A span of zero or less has passed at once.
  void Start(absl::Duration span);
  void Stop();
  // Whether it was started, not stopped, and is over. Where the process has no descriptor left for
  // a timer it is over from the start: nothing then waits without end.
  bool Passed() const;
  // Started and not over.
  bool Runs() const { return started_ && !Passed(); }
  // Readable once it is over; -1 where the process had no descriptor left.
  int fd() const { return fd_; }

 private:
  const int fd_;
  bool started_ = false;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_COUNTDOWN_H_
