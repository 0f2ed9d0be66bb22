#include "common/lane/cache.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tandem::lane {
namespace {

using Numbers = LruCache<std::string, std::string_view, int>;

int Found(Numbers& numbers, const std::string& key) {
  const int* const found = numbers.Find(key);
  return found == nullptr ? 0 : *found;
}

TEST(LruCache, ForgetsWhatWasUsedLeastRecently) {
  Numbers numbers(2);
  numbers.Put("one", 1);
  numbers.Put("two", 2);
  EXPECT_EQ(Found(numbers, "one"), 1);
  numbers.Put("three", 3);
  EXPECT_EQ(Found(numbers, "one"), 1);
  EXPECT_EQ(Found(numbers, "two"), 0);
  EXPECT_EQ(Found(numbers, "three"), 3);
}

TEST(LruCache, KeepsItsOwnKeys) {
  Numbers numbers(100);
  for (int i = 1; i <= 200; ++i) {
    // Longer than what a string holds within itself, and gone before it is asked for.
    const std::string key = std::string(40, 'k') + std::to_string(i);
    numbers.Put(key, i);
  }
  for (int i = 101; i <= 200; ++i) {
    EXPECT_EQ(Found(numbers, std::string(40, 'k') + std::to_string(i)), i);
  }
}

TEST(LruCache, PutsInThePlaceOfWhatWasThere) {
  Numbers numbers(2);
  numbers.Put("one", 1);
  numbers.Put("two", 2);
  numbers.Put("one", 11);
  numbers.Put("three", 3);
  EXPECT_EQ(Found(numbers, "one"), 11);
  EXPECT_EQ(Found(numbers, "two"), 0);
}

TEST(LruCache, DropsOneAndKeepsTheOthers) {
  Numbers numbers(3);
  numbers.Put("one", 1);
  numbers.Put("two", 2);
  numbers.Drop("one");
  numbers.Drop("none");
  EXPECT_EQ(Found(numbers, "one"), 0);
  EXPECT_EQ(Found(numbers, "two"), 2);
}

}  // namespace
}  // namespace tandem::lane
