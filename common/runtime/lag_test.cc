#include "common/runtime/lag.h"

#include <gtest/gtest.h>

namespace tandem::runtime {
namespace {

absl::Time At(int seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }

TEST(Lag, IsNoneAtTheEnd) {
  Lag lag;
  lag.Saw(0, At(0), 10);
  EXPECT_EQ(lag.Of(0, 10, At(5)).events, 0);
  EXPECT_EQ(lag.Of(0, 10, At(5)).time, absl::ZeroDuration());
  // Read further than the last look went.
  EXPECT_EQ(lag.Of(0, 12, At(5)).events, 0);
}

TEST(Lag, OfAPartitionNeverSeenIsNone) {
  Lag lag;
  EXPECT_EQ(lag.Of(3, 0, At(5)).events, 0);
  EXPECT_EQ(lag.Of(3, 0, At(5)).time, absl::ZeroDuration());
}

TEST(Lag, GrowsWithTheClockWhileNothingIsRead) {
  Lag lag;
  lag.Saw(0, At(0), 10);
  EXPECT_EQ(lag.Of(0, 4, At(0)).events, 6);
  lag.Saw(0, At(5), 10);
  EXPECT_EQ(lag.Of(0, 4, At(60)).time, absl::Seconds(60));
}

TEST(Lag, OfOneThatKeepsPaceBehindStaysTheTimeThatItIsBehind) {
  // Ten events a second, read twenty seconds later.
  Lag lag;
  for (int now = 0; now < 600; now += 5) {
    lag.Saw(0, At(now), now * 10);
    const Lag::Behind behind = lag.Of(0, (now - 20) * 10, At(now));
    if (now < 60) continue;
    EXPECT_EQ(behind.events, 200);
    EXPECT_GE(behind.time, absl::Seconds(15)) << now;
    EXPECT_LE(behind.time, absl::Seconds(20)) << now;
  }
}

TEST(Lag, KnowsSinceWhenHoweverManyInstantsWereSeen) {
  Lag lag;
  for (int now = 0; now < 10'000; ++now) lag.Saw(0, At(now), now + 1);
  EXPECT_EQ(lag.Of(0, 0, At(10'000)).time, absl::Seconds(10'000));
  for (const int reached : {100, 5'000, 9'000}) {
    const absl::Duration time = lag.Of(0, reached, At(10'000)).time;
    EXPECT_LE(time, absl::Seconds(10'000 - reached));
    EXPECT_GE(time, absl::Seconds(10'000 - reached - 10'000 / 32)) << reached;
  }
}

TEST(Lag, OfALogMadeAnewCountsAnew) {
  Lag lag;
  lag.Saw(0, At(0), 1'000);
  lag.Saw(0, At(50), 3);
  EXPECT_EQ(lag.Of(0, 0, At(60)).events, 3);
  EXPECT_EQ(lag.Of(0, 0, At(60)).time, absl::Seconds(10));
}

TEST(Lag, OfAPartitionThatWentAndCameBackCountsAnew) {
  Lag lag;
  lag.Saw(0, At(0), 10);
  lag.Saw(1, At(0), 10);
  lag.KeepOnly({1});
  EXPECT_EQ(lag.Of(0, 0, At(60)).time, absl::ZeroDuration());
  EXPECT_EQ(lag.Of(1, 0, At(60)).time, absl::Seconds(60));
}

}  // namespace
}  // namespace tandem::runtime
