#include "common/config/pairs.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Pairs, HaveANameAndAValueOnce) {
  EXPECT_THAT(*ParsePairs("peer", {"a=b", "c=d=e"}), ElementsAre(Pair("a", "b"), Pair("c", "d=e")));
  for (const char* text : {"a", "=b", "a="}) EXPECT_FALSE(ParsePairs("peer", {text}).ok()) << text;
  EXPECT_THAT(std::string(ParsePairs("peer", {"a=b", "a=c"}).status().message()),
              HasSubstr("--peer: a is given twice"));
}

}  // namespace
}  // namespace tandem::config
