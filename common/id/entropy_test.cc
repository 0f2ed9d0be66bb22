#include "common/id/entropy.h"

#include <set>

#include "common/id/seeded_entropy.h"
#include "common/id/system_entropy.h"
#include "gtest/gtest.h"

namespace tandem::id {
namespace {

TEST(SeededEntropy, RepeatsItselfForTheSameSeed) {
  SeededEntropy first(7);
  SeededEntropy second(7);
  SeededEntropy other(8);
  const std::string bytes = first.Bytes(100);
  EXPECT_EQ(bytes.size(), 100U);
  EXPECT_EQ(bytes, second.Bytes(100));
  EXPECT_NE(bytes, other.Bytes(100));
}

TEST(SeededEntropy, NeverGivesTheSameBytesTwice) {
  SeededEntropy entropy(7);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(entropy.Bytes(16)).second);
}

TEST(Entropy, GivesAsManyBytesAsAsked) {
  SystemEntropy system;
  SeededEntropy seeded(1);
  for (const size_t size : {0U, 1U, 31U, 32U, 33U, 1000U}) {
    EXPECT_EQ(system.Bytes(size).size(), size);
    EXPECT_EQ(seeded.Bytes(size).size(), size);
  }
}

TEST(SystemEntropy, DoesNotRepeatItself) {
  SystemEntropy entropy;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(entropy.Bytes(16)).second);
}

}  // namespace
}  // namespace tandem::id
