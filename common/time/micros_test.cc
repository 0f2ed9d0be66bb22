#include "common/time/micros.h"

#include <limits>

#include "gtest/gtest.h"

namespace tandem::time {
namespace {

TEST(Micros, RoundDownAlsoBefore1970) {
  EXPECT_EQ(ToMicros(absl::UnixEpoch() + absl::Nanoseconds(1999)), 1);
  EXPECT_EQ(ToMicros(absl::UnixEpoch() - absl::Nanoseconds(1)), -1);
  EXPECT_EQ(TruncateToMicros(absl::UnixEpoch() - absl::Nanoseconds(1)), FromMicros(-1));
}

TEST(Micros, OfADurationAreCutTowardsZero) {
  EXPECT_EQ(TruncateToMicros(absl::Nanoseconds(1999)), absl::Microseconds(1));
  EXPECT_EQ(TruncateToMicros(absl::Nanoseconds(-1999)), absl::Microseconds(-1));
  EXPECT_EQ(TruncateToMicros(absl::InfiniteDuration()), absl::InfiniteDuration());
}

TEST(Micros, OfInfiniteInstantsAreTheEndsOfTheRange) {
  EXPECT_EQ(ToMicros(absl::InfiniteFuture()), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(ToMicros(absl::InfinitePast()), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(TruncateToMicros(absl::InfiniteFuture()), absl::InfiniteFuture());
}

TEST(Instant, IsWrittenWithoutTrailingZeros) {
  EXPECT_EQ(FormatInstant(FromMicros(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatInstant(FromMicros(1'500'000)), "1970-01-01T00:00:01.5Z");
  EXPECT_EQ(FormatInstant(FromMicros(1)), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(FormatInstant(absl::UnixEpoch() + absl::Nanoseconds(1'500)),
            "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(FormatInstant(FromMicros(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(Instant, IsReadAsItWasWritten) {
  for (const int64_t micros :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1'793'131'200'000'010},
        int64_t{-62'135'596'800'000'000}, int64_t{253'402'300'799'999'999}}) {
    const auto parsed = ParseInstant(FormatInstant(FromMicros(micros)));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(ToMicros(*parsed), micros);
  }
}

TEST(Instant, MayCarryAnOffsetAndLackSeconds) {
  const auto utc = ParseInstant("2026-03-01T17:15Z");
  ASSERT_TRUE(utc.ok());
  EXPECT_EQ(ParseInstant("2026-03-01T23:00:00+05:45").value(), *utc);
  EXPECT_EQ(ParseInstant("2026-03-01T12:15:00.000000-05:00").value(), *utc);
}

TEST(Instant, IsRefusedWhenItIsNotExact) {
  for (const char* text : {"",
                           "2026",
                           "2026-11-25",
                           "2026-11-25T20:00",
                           "2026-11-25 20:00:00Z",
                           "2026-11-25t20:00:00Z",
                           "2026-11-25T20:00:00z",
                           "2026-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-11-25T24:00:00Z",
                           "2026-11-25T20:60:00Z",
                           "2026-11-25T23:59:60Z",
                           "2026-11-25T20:00:00.Z",
                           "2026-11-25T20:00:00.1234567Z",
                           "2026-11-25T20:00:00Z ",
                           " 2026-11-25T20:00:00Z",
                           "0000-01-01T00:00:00Z",
                           "2026-11-25T20:00:00+0545",
                           "2026-11-25T20:00:00+24:00",
                           "2026-11-25T20:00:00+05:60",
                           "infinite-future",
                           "+026-11-25T20:00:00Z",
                           "2026-11-25T20:00:00",
                           "20 6-11-25T20:00:00Z"}) {
    EXPECT_FALSE(ParseInstant(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tandem::time
