#include "services/survey/scale.h"

#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using type::v1::SURVEY_KIND_CES;
using type::v1::SURVEY_KIND_CSAT;
using type::v1::SURVEY_KIND_NPS;
using type::v1::SURVEY_KIND_UNSPECIFIED;

TEST(Scale, OfSatisfactionIsOneToFiveAndGoodFromFour) {
  for (int score = -1; score <= 8; ++score) {
    EXPECT_EQ(IsOnScale(SURVEY_KIND_CSAT, score), score >= 1 && score <= 5) << score;
    EXPECT_EQ(IsGood(SURVEY_KIND_CSAT, score), score == 4 || score == 5) << score;
  }
}

TEST(Scale, OfEffortIsOneToSevenAndGoodFromFive) {
  for (int score = -1; score <= 9; ++score) {
    EXPECT_EQ(IsOnScale(SURVEY_KIND_CES, score), score >= 1 && score <= 7) << score;
    EXPECT_EQ(IsGood(SURVEY_KIND_CES, score), score >= 5 && score <= 7) << score;
  }
}

TEST(Scale, IsEmptyForWhatIsNotAskedAfterATicket) {
  for (const auto kind : {SURVEY_KIND_NPS, SURVEY_KIND_UNSPECIFIED}) {
    for (int score = -1; score <= 11; ++score) {
      EXPECT_FALSE(IsOnScale(kind, score)) << kind << " " << score;
      EXPECT_FALSE(IsGood(kind, score)) << kind << " " << score;
    }
  }
}

}  // namespace
}  // namespace tandem::survey
