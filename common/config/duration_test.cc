#include "common/config/duration.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tandem::config {
namespace {

TEST(ParseDuration, ReadsWhatPeopleWrite) {
  const std::vector<std::pair<std::string, absl::Duration>> cases = {
      {"0", absl::ZeroDuration()},  {"30m", absl::Minutes(30)},         {"4h", absl::Hours(4)},
      {"1h30m", absl::Minutes(90)}, {"5d", absl::Hours(120)},           {"1d12h", absl::Hours(36)},
      {"-1d12h", -absl::Hours(36)}, {"250ms", absl::Milliseconds(250)}, {"1.5h", absl::Minutes(90)},
  };
  for (const auto& [text, expected] : cases) {
    const auto parsed = ParseDuration(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, expected) << text;
  }
}

TEST(ParseDuration, RefusesWhatIsNotOne) {
  for (const std::string text :
       {"", "-", "+", "h", "4", "4 h", "4h ", "inf", "-inf", "d", "1.5d", "1d-2h", "1d2d", "--4h",
        "1h1d", "4weeks", "99999999999999999999d", "9999999999h", "abc"}) {
    const auto parsed = ParseDuration(text);
    EXPECT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DurationText, IsReadBackAsTheSame) {
  for (const absl::Duration duration :
       {absl::ZeroDuration(), absl::Seconds(90), absl::Hours(36), absl::Hours(48),
        -absl::Minutes(1445), absl::Microseconds(1500), absl::Nanoseconds(1)}) {
    const auto parsed = ParseDuration(DurationText(duration));
    ASSERT_TRUE(parsed.ok()) << DurationText(duration);
    EXPECT_EQ(*parsed, duration);
  }
  EXPECT_EQ(DurationText(absl::Hours(36)), "1d12h");
}

TEST(ParseSpan, TakesDurationsAndWorkingDays) {
  EXPECT_EQ(ParseSpan("4h")->duration, absl::Hours(4));
  EXPECT_FALSE(ParseSpan("4h")->has_days);
  EXPECT_EQ(ParseSpan("1d12h")->duration, absl::Hours(36));
  EXPECT_TRUE(ParseSpan("1d12h")->has_days);
  EXPECT_EQ(ParseSpan("5 working days")->working_days, 5);
  EXPECT_EQ(ParseSpan("1 working day")->working_days, 1);
  EXPECT_EQ(ParseSpan("366 working days")->working_days, 366);
}

TEST(ParseSpan, RefusesWhatIsNeither) {
  for (const std::string text :
       {"", "5", "5 days", "0 working days", "367 working days", "-1 working days",
        "5  working days", "5 working days ", "five working days", "99999999999 working days"}) {
    EXPECT_FALSE(ParseSpan(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tandem::config
