#include "common/cli/table.h"

#include <sstream>

#include "absl/strings/str_split.h"
#include "common/cli/text_width.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::cli {
namespace {

using ::testing::Each;
using ::testing::ResultOf;

const Screen kFile;
Screen TerminalOf(int columns) { return {nullptr, true, columns}; }

TEST(Table, AlignsItsColumns) {
  Table table({{"TICKET"}, {"AGE", Align::kRight}, {"SUBJECT"}});
  table.Add({"t-1", "5d", "Printer"});
  table.Add({"t-1000000", "3h 20m", ""});
  EXPECT_EQ(table.Text(kFile),
            "TICKET        AGE  SUBJECT\n"
            "t-1            5d  Printer\n"
            "t-1000000  3h 20m\n");
}

TEST(Table, AlignsByWidthOnTheScreenNotByBytes) {
  Table table({{"NAME"}, {"N"}});
  table.Add({"Zo\xC3\xAB", "1"});                // ë, two bytes
  table.Add({"\xE6\x9D\xB1\xE4\xBA\xAC", "2"});  // 東京, four columns
  table.Add({"e\xCC\x81xyz", "3"});              // e + combining acute
  EXPECT_EQ(table.Text(kFile),
            "NAME  N\n"
            "Zo\xC3\xAB   1\n"
            "\xE6\x9D\xB1\xE4\xBA\xAC  2\n"
            "e\xCC\x81xyz  3\n");
}

TEST(Table, CutsTheWidestColumnOnANarrowTerminal) {
  Table table({{"TICKET", Align::kLeft, true}, {"SUBJECT"}, {"QUEUE"}});
  table.Add({"t-123456789012345", "The printer on the third floor is on fire", "hardware"});
  EXPECT_EQ(table.Text(TerminalOf(40)),
            "TICKET             SUBJECT      QUEUE\n"
            "t-123456789012345  The printe\xE2\x80\xA6  hardware\n");
}

TEST(Table, NeverIsWiderThanTheTerminalThatHoldsItAtAll) {
  Table table({{"A", Align::kLeft, true}, {"B", Align::kRight}, {"C"}});
  table.Add({std::string(50, 'a'), std::string(50, 'b'), std::string(50, 'c')});
  for (int columns = 20; columns < 170; ++columns) {
    const std::vector<std::string> lines = absl::StrSplit(table.Text(TerminalOf(columns)), '\n');
    EXPECT_THAT(lines, Each(ResultOf([](const std::string& line) { return TextWidth(line); },
                                     testing::Le(static_cast<size_t>(columns)))));
  }
}

TEST(Table, IsWrittenWholeToAFile) {
  Table table({{"A"}});
  table.Add({std::string(500, 'a')});
  EXPECT_EQ(table.Text(kFile), "A\n" + std::string(500, 'a') + "\n");
}

TEST(Table, TakesRowsOfAnyLength) {
  Table table({{"A"}, {"B"}});
  table.Add({});
  table.Add({"1", "2", "3"});
  EXPECT_EQ(table.Text(kFile), "A  B\n\n1  2\n");
  EXPECT_EQ(Table({}).Text(kFile), "");
}

TEST(Table, DoesNotLetATextSteerTheTerminal) {
  Table table({{"A"}});
  table.Add(
      {"\x1B]0;owned\x07 a\nb\tc\r\xC2\x9B"
       "2J \xE2\x80\xAE \xFF"});
  EXPECT_EQ(table.Text(kFile),
            "A\n\xEF\xBF\xBD]0;owned\xEF\xBF\xBD a b c\xEF\xBF\xBD\xEF\xBF\xBD"
            "2J "
            "\xEF\xBF\xBD \xEF\xBF\xBD\n");
}

TEST(Table, PrintsToItsScreen) {
  std::ostringstream out;
  Table table({{"A"}});
  table.Print({&out, false, 80});
  EXPECT_EQ(out.str(), "A\n");
}

TEST(CutToWidth, CutsBetweenCharacters) {
  EXPECT_EQ(CutToWidth("abc", 3), "abc");
  EXPECT_EQ(CutToWidth("abcd", 3), "ab\xE2\x80\xA6");
  EXPECT_EQ(CutToWidth("\xE6\x9D\xB1\xE4\xBA\xAC", 3), "\xE6\x9D\xB1\xE2\x80\xA6");
  EXPECT_EQ(CutToWidth("\xE6\x9D\xB1\xE4\xBA\xAC", 2), "\xE2\x80\xA6");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(TextWidth, CountsColumns) {
  EXPECT_EQ(TextWidth(""), 0u);
  EXPECT_EQ(TextWidth("abc"), 3u);
  EXPECT_EQ(TextWidth("\xF0\x9F\x98\x80"), 2u);
  EXPECT_EQ(TextWidth("e\xCC\x81"), 1u);
  EXPECT_EQ(TextWidth("\xE2\x80\xA6"), 1u);
}

}  // namespace
}  // namespace tandem::cli
