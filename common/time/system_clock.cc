#include "common/time/system_clock.h"

#include "absl/time/clock.h"
#include "common/time/micros.h"

namespace tandem::time {

absl::Time SystemClock::Now() const { return TruncateToMicros(absl::Now()); }

}  // namespace tandem::time
