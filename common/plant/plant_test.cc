#include "common/plant/plant.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::plant {
namespace {

using ::testing::HasSubstr;

TEST(Plant, HasNoneUntilToldAndThenThoseAlone) {
  for (const Mistake mistake : AllMistakes()) EXPECT_FALSE(Has(mistake)) << NameOf(mistake);
  for (const Mistake planted : AllMistakes()) {
    Set({planted});
    for (const Mistake mistake : AllMistakes()) {
      EXPECT_EQ(Has(mistake), mistake == planted) << NameOf(mistake);
    }
  }
  Set({});
  EXPECT_FALSE(Has(AllMistakes().front()));
}

TEST(Plant, KnowsEachByItsName) {
  for (const Mistake mistake : AllMistakes()) {
    const auto known = MistakeOf(NameOf(mistake));
    ASSERT_TRUE(known.ok()) << known.status();
    EXPECT_EQ(*known, mistake);
  }
  EXPECT_THAT(std::string(MistakeOf("no_dedup").status().message()), HasSubstr("no_dedupe"));
}

}  // namespace
}  // namespace tandem::plant
