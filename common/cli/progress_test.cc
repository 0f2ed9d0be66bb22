#include "common/cli/progress.h"

#include <sstream>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class ProgressTest : public testing::Test {
 protected:
  Progress On(bool is_terminal, int64_t total, int columns = 80) {
    return Progress({&out_, is_terminal, columns}, "incidents", total, [this] { return now_; });
  }
  std::vector<std::string> Parts(char separator) const {
    return absl::StrSplit(out_.str(), separator, absl::SkipEmpty());
  }

  std::ostringstream out_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(ProgressTest, IsALineForEachTenthInAFile) {
  Progress progress = On(false, 50);
  for (int i = 0; i < 50; ++i) {
    progress.Advance();
    now_ += absl::Milliseconds(100);
  }
  progress.Finish();
  progress.Finish();
  const auto lines = Parts('\n');
  ASSERT_THAT(lines, SizeIs(10));
  EXPECT_EQ(lines.front(), "incidents 10 %  5 of 50");
  EXPECT_EQ(lines[4], "incidents 50 %  25 of 50  10/s  3s left");
  EXPECT_EQ(lines.back(), "incidents 100 %  50 of 50  10/s");
}

TEST_F(ProgressTest, IsABarOnATerminal) {
  Progress progress = On(true, 100);
  now_ += absl::Seconds(5);
  progress.Advance(50);
  EXPECT_EQ(out_.str(),
            "\rincidents [##################------------------] 50 %  50 of 100  10/s  5s left");
  EXPECT_EQ(out_.str().size(),
            80u);  // with the carriage return, so that the last column stays free
}

TEST_F(ProgressTest, IsDrawnAtMostTenTimesASecond) {
  Progress progress = On(true, 1000);
  for (int i = 0; i < 1000; ++i) {
    progress.Advance();
    now_ += absl::Milliseconds(1);
  }
  EXPECT_THAT(Parts('\r'), SizeIs(10));
}

TEST_F(ProgressTest, LeavesNothingOfALongerLine) {
  Progress progress = On(true, 1000);
  now_ += absl::Seconds(2);
  progress.Advance(1);
  now_ += absl::Seconds(1);
  progress.Advance(999);
  const auto draws = Parts('\r');
  ASSERT_THAT(draws, SizeIs(2));
  EXPECT_GE(draws[1].size(), draws[0].size());
}

TEST_F(ProgressTest, FitsANarrowTerminal) {
  Progress progress = On(true, 1'000'000, 20);
  now_ += absl::Seconds(2);
  progress.Advance(1);
  EXPECT_EQ(out_.str(), "\rincidents 0 %  1 o\xE2\x80\xA6");
}

TEST_F(ProgressTest, CountsWithoutAKnownEnd) {
  Progress progress = On(false, 0);
  progress.Advance(9'999);
  EXPECT_EQ(out_.str(), "");
  progress.Advance(1);
  EXPECT_THAT(Parts('\n'), ElementsAre("incidents 10,000"));
}

TEST_F(ProgressTest, EndsItsLineWhenTheWorkIsGivenUp) {
  {
    Progress progress = On(true, 10);
    progress.Advance();
  }
  EXPECT_EQ(out_.str().back(), '\n');
}

}  // namespace
}  // namespace tandem::cli
