#include "services/survey/token.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

const std::string kSecret(32, 's');

TEST(Token, HasFortyThreeCharactersThatNeedNoEscapingInALink) {
  const std::string token = MintToken(kSecret, "svy_1/invitation");
  EXPECT_EQ(token.size(), 43u);
  EXPECT_EQ(
      token.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
      std::string::npos);
}

TEST(Token, DiffersBySecretAndByPurpose) {
  const std::set<std::string> tokens = {
      MintToken(kSecret, "svy_1/invitation"), MintToken(kSecret, "svy_1/reminder"),
      MintToken(kSecret, "svy_2/invitation"), MintToken(std::string(32, 't'), "svy_1/invitation")};
  EXPECT_EQ(tokens.size(), 4u);
}

TEST(Token, IsNotItsHash) {
  const std::string token = MintToken(kSecret, "svy_1/invitation");
  EXPECT_EQ(TokenHash(token).size(), 64u);
  EXPECT_EQ(TokenHash(token), TokenHash(token));
  EXPECT_NE(TokenHash(token), token);
  EXPECT_EQ(TokenHash(token).find(token), std::string::npos);
}

TEST(Token, OfAnySizeOrShapeHasAHash) {
  for (const std::string& hostile : {std::string(), std::string(1 << 20, 'x'),
                                     std::string("\0\xff'; --", 7), std::string("../..")}) {
    EXPECT_EQ(TokenHash(hostile).size(), 64u);
  }
}

}  // namespace
}  // namespace tandem::survey
