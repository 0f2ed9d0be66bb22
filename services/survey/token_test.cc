#include "services/survey/token.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using ::testing::MatchesRegex;
using ::testing::Optional;

const std::string kKey(TokenKeys::kKeyBytes, 'k');
const std::string kOtherKey(TokenKeys::kKeyBytes, 'o');

TEST(Token, NamesItsSurveyInCharactersThatNeedNoEscapingInALink) {
  const std::string token = TokenKeys({kKey}).Make("svy_1", 1);
  EXPECT_THAT(token, MatchesRegex("svy_1\\.1\\.[A-Za-z0-9_-]+"));
  EXPECT_EQ(token.size(), std::string("svy_1.1.").size() + 43);
  EXPECT_THAT(TokenKeys({kKey}).SurveyOf(token), Optional(std::string("svy_1")));
}

TEST(Token, IsTheSameWhenItIsMadeAgain) {
  EXPECT_EQ(TokenKeys({kKey}).Make("svy_1", 1), TokenKeys({kKey}).Make("svy_1", 1));
}

TEST(Token, DiffersByKeySurveyAndOrdinal) {
  const std::set<std::string> tokens = {
      TokenKeys({kKey}).Make("svy_1", 1), TokenKeys({kKey}).Make("svy_1", 2),
      TokenKeys({kKey}).Make("svy_2", 1), TokenKeys({kOtherKey}).Make("svy_1", 1)};
  EXPECT_EQ(tokens.size(), 4u);
}

TEST(Token, IsCheckedByBothKeysWhileOneReplacesTheOther) {
  const std::string old_token = TokenKeys({kOtherKey}).Make("svy_1", 1);
  const TokenKeys rotating({kKey, kOtherKey});
  EXPECT_THAT(rotating.SurveyOf(old_token), Optional(std::string("svy_1")));
  EXPECT_EQ(rotating.Make("svy_1", 1), TokenKeys({kKey}).Make("svy_1", 1));
  EXPECT_EQ(TokenKeys({kKey}).SurveyOf(old_token), std::nullopt);
}

TEST(Token, ThatIsChangedAnywhereIsNone) {
  const TokenKeys keys({kKey});
  const std::string token = keys.Make("svy_1", 1);
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    EXPECT_EQ(keys.SurveyOf(changed), std::nullopt) << changed;
    EXPECT_EQ(keys.SurveyOf(token.substr(0, i)), std::nullopt) << i;
    EXPECT_EQ(keys.SurveyOf(token.substr(i + 1)), std::nullopt) << i;
  }
  EXPECT_EQ(keys.SurveyOf(absl::StrCat(token, "=")), std::nullopt);
  for (const std::string& hostile :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        std::string(1 << 20, '.'), std::string("\0\xff'; --", 7), std::string("../..")}) {
    EXPECT_EQ(keys.SurveyOf(hostile), std::nullopt);
  }
}

TEST(TokenHash, IsTheOneUnderWhichEarlierReleasesStoredTokens) {
  // Stored rows have such keys: a change here makes their tokens void.
  EXPECT_EQ(TokenHash("token").size(), 64u);
  EXPECT_NE(TokenHash("token"), TokenHash("Token"));
}

}  // namespace
}  // namespace tandem::survey
