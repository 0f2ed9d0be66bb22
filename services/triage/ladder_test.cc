#include "services/triage/ladder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::triage {
namespace {

using ::testing::ElementsAre;

v1::EscalationPolicy Policy(int levels, int repeats) {
  v1::EscalationPolicy policy;
  for (int i = 0; i < levels; ++i) policy.add_levels();
  policy.set_repeats(repeats);
  return policy;
}

TEST(Ladder, GoesUpLevelByLevelThenRepeats) {
  const v1::EscalationPolicy policy = Policy(2, 1);
  EXPECT_EQ(After(policy, {1, 0}), (Rung{2, 0}));
  EXPECT_EQ(After(policy, {2, 0}), (Rung{1, 1}));
  EXPECT_EQ(After(policy, {1, 1}), (Rung{2, 1}));
  EXPECT_EQ(After(policy, {2, 1}), std::nullopt);
}

TEST(Ladder, EndsWithoutRepeats) { EXPECT_EQ(After(Policy(1, 0), {1, 0}), std::nullopt); }

TEST(Ladder, SkipsAnEmptyLevel) {
  const auto ring = FirstRing(Policy(3, 0), {1, 0}, [](int level) {
    return level == 1 ? std::vector<std::string>() : std::vector<std::string>{"lead"};
  });
  ASSERT_TRUE(ring.has_value());
  EXPECT_EQ(ring->rung, (Rung{2, 0}));
  EXPECT_THAT(ring->staff_ids, ElementsAre("lead"));
}

TEST(Ladder, SkipsAnEmptyLastLevelIntoTheRepeat) {
  const auto staff = [](int level) {
    return level == 1 ? std::vector<std::string>{"agent"} : std::vector<std::string>();
  };
  const auto ring = FirstRing(Policy(2, 1), {2, 0}, staff);
  ASSERT_TRUE(ring.has_value());
  EXPECT_EQ(ring->rung, (Rung{1, 1}));
  EXPECT_FALSE(FirstRing(Policy(2, 1), {2, 1}, staff).has_value());
}

TEST(Ladder, IsUsedUpWhenNobodyIsThereAtAll) {
  EXPECT_FALSE(FirstRing(Policy(10, 10), {1, 0}, [](int) {
                 return std::vector<std::string>();
               }).has_value());
}

}  // namespace
}  // namespace tandem::triage
