#include "common/postgres/countdown.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

namespace tandem::store {

Countdown::Countdown() : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {}

Countdown::~Countdown() {
  if (fd_ >= 0) close(fd_);
}

void Countdown::Start(absl::Duration span) {
  started_ = true;
  itimerspec spec = {};
  // All zero would stop the timer instead.
  spec.it_value = absl::ToTimespec(std::max(span, absl::Nanoseconds(1)));
  if (fd_ >= 0) timerfd_settime(fd_, 0, &spec, nullptr);
}

void Countdown::Stop() {
  started_ = false;
  const itimerspec spec = {};
  if (fd_ >= 0) timerfd_settime(fd_, 0, &spec, nullptr);
}

bool Countdown::Passed() const {
  if (!started_) return false;
  if (fd_ < 0) return true;
  pollfd timer{fd_, POLLIN, 0};
  return poll(&timer, 1, 0) > 0;
}

}  // namespace tandem::store
