#include "common/config/nearest_name.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::config {
namespace {

using ::testing::Eq;
using ::testing::Optional;

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("targts", "targets"), 1u);
  EXPECT_EQ(EditDistance("tragets", "targets"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(EditDistance, IgnoresCaseAndTheKindOfDash) {
  EXPECT_EQ(EditDistance("Lane_Depth", "lane-depth"), 0u);
}

TEST(EditDistance, IsBoundedForVeryLongNames) {
  EXPECT_LE(EditDistance(std::string(1 << 20, 'a'), std::string(1 << 20, 'b')), 64u);
}

TEST(NearestName, IsTheOneWithTheFewestChanges) {
  EXPECT_THAT(NearestName("targts", {"calendar", "targets", "target"}), Optional(Eq("targets")));
}

TEST(NearestName, OfEqualsIsTheFirst) {
  EXPECT_THAT(NearestName("cat", {"bat", "rat"}), Optional(Eq("bat")));
}

TEST(NearestName, IsNothingWhenNoneIsNear) {
  EXPECT_EQ(NearestName("zzzzzz", {"calendar", "targets"}), std::nullopt);
  EXPECT_EQ(NearestName("x", {"id"}), std::nullopt);
}

TEST(Suggestion, ListsTheKnownNamesWhenNoneIsNear) {
  EXPECT_EQ(Suggestion("zzzzzz", {"calendar", "targets"}), "; known: calendar, targets");
  EXPECT_EQ(Suggestion("targts", {"calendar", "targets"}), "; did you mean 'targets'?");
}

}  // namespace
}  // namespace tandem::config
