// The one source of "now". Rules never see it: time reaches them as a parameter.
#ifndef TANDEM_COMMON_TIME_CLOCK_H_
#define TANDEM_COMMON_TIME_CLOCK_H_

#include "absl/time/time.h"

namespace tandem::time {

// Callable from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Now, in whole microseconds. May go back when the system's clock is set.
  virtual absl::Time Now() const = 0;
};

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_CLOCK_H_
