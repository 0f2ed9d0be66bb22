#include "common/postgres/countdown.h"

#include <poll.h>

#include "gtest/gtest.h"

namespace tandem::store {
namespace {

TEST(Countdown, HasNotPassedUntilItWasStarted) {
  const Countdown countdown;
  EXPECT_FALSE(countdown.Passed());
  EXPECT_FALSE(countdown.Runs());
}

TEST(Countdown, CanBeWaitedFor) {
  Countdown countdown;
  countdown.Start(absl::Milliseconds(20));
  EXPECT_TRUE(countdown.Runs());
  pollfd file{countdown.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&file, 1, 20'000), 1);
  EXPECT_TRUE(countdown.Passed());
  EXPECT_FALSE(countdown.Runs());
}

TEST(Countdown, StartsAnewAndStops) {
  Countdown countdown;
  countdown.Start(absl::ZeroDuration());
  pollfd file{countdown.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&file, 1, 20'000), 1);
  countdown.Start(absl::Hours(1));
  EXPECT_FALSE(countdown.Passed());
  EXPECT_TRUE(countdown.Runs());
  countdown.Start(-absl::Seconds(1));
  ASSERT_EQ(poll(&file, 1, 20'000), 1);
  countdown.Stop();
  EXPECT_FALSE(countdown.Passed());
  EXPECT_FALSE(countdown.Runs());
}

}  // namespace
}  // namespace tandem::store
