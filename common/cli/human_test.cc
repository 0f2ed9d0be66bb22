#include "common/cli/human.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace tandem::cli {
namespace {

TEST(HumanDuration, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(HumanDuration(absl::Minutes(200)), "3h 20m");
  EXPECT_EQ(HumanDuration(absl::Minutes(200) + absl::Seconds(59)), "3h 20m");
  EXPECT_EQ(HumanDuration(absl::Hours(120)), "5d");
  EXPECT_EQ(HumanDuration(absl::Hours(36)), "1d 12h");
  EXPECT_EQ(HumanDuration(absl::Hours(24) + absl::Minutes(5)), "1d");
  EXPECT_EQ(HumanDuration(absl::Seconds(125)), "2m 5s");
  EXPECT_EQ(HumanDuration(absl::Seconds(59)), "59s");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(1550)), "1.5s");
  EXPECT_EQ(HumanDuration(absl::Seconds(2)), "2s");
  EXPECT_EQ(HumanDuration(absl::Microseconds(12'999)), "12ms");
  EXPECT_EQ(HumanDuration(absl::Microseconds(40)), "40us");
  EXPECT_EQ(HumanDuration(absl::Nanoseconds(40)), "0s");
  EXPECT_EQ(HumanDuration(absl::ZeroDuration()), "0s");
  EXPECT_EQ(HumanDuration(-absl::Minutes(200)), "-3h 20m");
  EXPECT_EQ(HumanDuration(absl::InfiniteDuration()), "forever");
}

TEST(HumanBytes, ShowsThreeDigitsAtMost) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1000), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(20 << 20), "20 MiB");
  EXPECT_EQ(HumanBytes(1023 << 10), "1.0 MiB");
  EXPECT_EQ(HumanBytes(-1536), "-1.5 KiB");
  EXPECT_EQ(HumanBytes(std::numeric_limits<int64_t>::max()), "8.0 EiB");
}

TEST(HumanCount, GroupsByThousands) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(24'918), "24,918");
  EXPECT_EQ(HumanCount(-1'000), "-1,000");
  EXPECT_EQ(HumanCount(-100), "-100");
  EXPECT_EQ(HumanCount(1'234'567'890), "1,234,567,890");
}

TEST(HumanShare, IsAPercentage) {
  EXPECT_EQ(HumanShare(7, 8), "87.5 %");
  EXPECT_EQ(HumanShare(0, 8), "0.0 %");
  EXPECT_EQ(HumanShare(0, 0), "-");
}

}  // namespace
}  // namespace tandem::cli
