#include "common/id/mac.h"

#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace tandem::id {
namespace {

TEST(Mac, IsHmacSha256OverLengthPrefixedParts) {
  // From an independent implementation: HMAC-SHA256 of "1:a2:bc" under 32 bytes of "k".
  EXPECT_EQ(absl::BytesToHexString(Mac(std::string(32, 'k'), {"a", "bc"})),
            "1dcff2d1060d09252dc7d858713a26f3c23c47c330fb82df4de465dff9569c7b");
  EXPECT_NE(Mac("key", {"a", "bc"}), Mac("key", {"ab", "c"}));
}

}  // namespace
}  // namespace tandem::id
