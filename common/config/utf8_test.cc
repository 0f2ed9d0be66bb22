#include "common/config/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace tandem::config {
namespace {

TEST(Utf8, TakesOneCodePointAfterAnother) {
  std::string_view text = "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(TakeCodePoint(&text), 'a');
  EXPECT_EQ(TakeCodePoint(&text), 0xFC);
  EXPECT_EQ(TakeCodePoint(&text), 0x20AC);
  EXPECT_EQ(TakeCodePoint(&text), 0x1F600);
  EXPECT_TRUE(text.empty());
}

TEST(Utf8, RefusesBrokenForms) {
  for (const std::string_view text : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80", "\xFF", "\xE2\x82", "ok\xE2(\xA1"}) {
    EXPECT_FALSE(IsValidUtf8(text)) << testing::PrintToString(std::string(text));
  }
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("Zo\xC3\xAB"));
}

}  // namespace
}  // namespace tandem::config
