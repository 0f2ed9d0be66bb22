#include "services/survey/scores.h"

#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

TEST(Score, IsTheShareOfGoodAnswersWithTheMeanBesideIt) {
  const auto score = MakeScore({"", 8, 4, 3, 15}, 10);
  EXPECT_EQ(score.share(), 0.75);
  EXPECT_EQ(score.mean(), 3.75);
  EXPECT_EQ(score.response_rate(), 0.5);
}

TEST(Score, OfNoAnswersIsNoNumberRatherThanZero) {
  const auto score = MakeScore({"", 5, 0, 0, 0}, 10);
  EXPECT_FALSE(score.has_share());
  EXPECT_FALSE(score.has_mean());
  ASSERT_TRUE(score.has_response_rate());
  EXPECT_EQ(score.response_rate(), 0);
  EXPECT_TRUE(score.few_answers());
}

TEST(Score, OfNothingDeliveredHasNoResponseRate) {
  const auto score = MakeScore({}, 10);
  EXPECT_FALSE(score.has_response_rate());
  EXPECT_FALSE(score.has_share());
}

TEST(Score, OfOnlyBadAnswersIsZero) {
  const auto score = MakeScore({"", 1, 1, 0, 1}, 1);
  ASSERT_TRUE(score.has_share());
  EXPECT_EQ(score.share(), 0);
  EXPECT_FALSE(score.few_answers());
}

TEST(Score, SaysThatAnswersAreFewUpToTheThreshold) {
  EXPECT_TRUE(MakeScore({"", 20, 9, 9, 45}, 10).few_answers());
  EXPECT_FALSE(MakeScore({"", 20, 10, 10, 50}, 10).few_answers());
}

TEST(Group, IsNamedAsPeopleReadIt) {
  EXPECT_EQ(GroupName(survey::v1::SCORE_GROUPING_SEVERITY, "2"), "SEVERITY_URGENT");
  EXPECT_EQ(GroupName(survey::v1::SCORE_GROUPING_SEGMENT, "0"), "SEGMENT_UNSPECIFIED");
  EXPECT_EQ(GroupName(survey::v1::SCORE_GROUPING_CHANNEL, "4"), "CHANNEL_PHONE");
  // An account may be named by digits.
  EXPECT_EQ(GroupName(survey::v1::SCORE_GROUPING_ACCOUNT, "2"), "2");
  EXPECT_EQ(GroupName(survey::v1::SCORE_GROUPING_MONTH, "2026-11"), "2026-11");
}

}  // namespace
}  // namespace tandem::survey
