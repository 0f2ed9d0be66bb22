// The machine's wall clock. Only a program's main.cc names it.
#ifndef TANDEM_COMMON_TIME_SYSTEM_CLOCK_H_
#define TANDEM_COMMON_TIME_SYSTEM_CLOCK_H_

#include "common/time/clock.h"

namespace tandem::time {

// Callable from any thread.
class SystemClock : public Clock {
 public:
  absl::Time Now() const override;
};

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_SYSTEM_CLOCK_H_
