#include "common/time/system_clock.h"

#include "absl/time/clock.h"
#include "common/time/micros.h"
#include "gtest/gtest.h"

namespace tandem::time {
namespace {

TEST(SystemClock, ReadsWholeMicrosecondsOfTheWallClock) {
  const SystemClock clock;
  for (int i = 0; i < 1000; ++i) {
    const absl::Time before = absl::Now();
    const absl::Time now = clock.Now();
    EXPECT_EQ(now, TruncateToMicros(now));
    // A wall clock that is set while the test runs would be a fault of the machine, not of the
    // class.
    EXPECT_GT(now, before - absl::Seconds(1));
    EXPECT_LE(now, absl::Now() + absl::Seconds(1));
  }
}

}  // namespace
}  // namespace tandem::time
