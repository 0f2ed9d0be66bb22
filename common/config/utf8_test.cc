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

TEST(Utf8, SeesWhatNobodySees) {
  // Blanks of several scripts, line ends, zero-width and joining characters, marks that turn the
  // direction, fillers, a variation selector, a C1 control, the braille blank.
  for (const std::string_view text :
       {"", " ", "\t\r\n", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\x8B", "\xE2\x80\x8D",
        "\xE2\x81\xA0", "\xEF\xBB\xBF", "\xE2\x80\xAE", "\xE2\x80\xA8", "\xC2\xAD", "\xE3\x85\xA4",
        "\xEF\xB8\x8F", "\xC2\x85", "\xE2\xA0\x80", "\xF3\xA0\x80\x81"}) {
    EXPECT_FALSE(HasVisible(text)) << testing::PrintToString(std::string(text));
  }
  for (const std::string_view text :
       {"a", " .", "\xE2\x80\x8B!", "\xC3\xBC", "\xF0\x9F\x98\x80", "\xE0\xA4\x95"}) {
    EXPECT_TRUE(HasVisible(text)) << testing::PrintToString(std::string(text));
  }
}

}  // namespace
}  // namespace tandem::config
