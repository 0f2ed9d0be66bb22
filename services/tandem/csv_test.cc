#include "services/tandem/csv.h"

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::programs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<std::string>> Rows(std::string_view text) {
  CsvReader reader(text, "log.csv");
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string_view> fields;
  for (;;) {
    absl::StatusOr<bool> read = reader.Next(fields);
    EXPECT_TRUE(read.ok()) << read.status();
    if (!read.ok() || !*read) return rows;
    rows.emplace_back(fields.begin(), fields.end());
  }
}

std::string Fault(std::string_view text) {
  CsvReader reader(text, "log.csv");
  std::vector<std::string_view> fields;
  for (;;) {
    absl::StatusOr<bool> read = reader.Next(fields);
    if (!read.ok()) return std::string(read.status().message());
    if (!*read) return "";
  }
}

TEST(Csv, RefusesWhatIsNotUtf8WithItsPlace) {
  EXPECT_THAT(Fault("a,b\nx,S\xE3o Paulo\n"), HasSubstr("log.csv:2: column 2: is not UTF-8"));
  EXPECT_THAT(Fault("a,\"\xFF\"\n"), HasSubstr("log.csv:1: column 2: is not UTF-8"));
  EXPECT_EQ(Fault("a,S\xC3\xA3o Paulo\n"), "");
}

TEST(Csv, PassesOverAByteOrderMark) {
  EXPECT_THAT(Rows("\xEF\xBB\xBFnumber,state\n"), ElementsAre(ElementsAre("number", "state")));
}

TEST(Csv, TakesPlainAndQuotedFields) {
  EXPECT_THAT(Rows("a,b,c\n1,\"x,y\",3\n"),
              ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("1", "x,y", "3")));
}

TEST(Csv, HalvesDoubledQuotesAndKeepsLineEndsInside) {
  EXPECT_THAT(Rows("\"say \"\"hi\"\"\",\"two\nlines\"\nnext,row\n"),
              ElementsAre(ElementsAre("say \"hi\"", "two\nlines"), ElementsAre("next", "row")));
}

TEST(Csv, TakesWindowsLineEndsAndALastLineWithoutOne) {
  EXPECT_THAT(Rows("a,b\r\n\"1\",\"2\"\r\n3,4"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2"), ElementsAre("3", "4")));
}

TEST(Csv, KeepsEmptyFields) {
  EXPECT_THAT(Rows(",\n\"\",x\n,,"),
              ElementsAre(ElementsAre("", ""), ElementsAre("", "x"), ElementsAre("", "", "")));
}

TEST(Csv, CountsLinesOverFieldsOfSeveralLines) {
  CsvReader reader("\"1\n2\",x\ny,z\n", "log.csv");
  std::vector<std::string_view> fields;
  ASSERT_TRUE(*reader.Next(fields));
  EXPECT_EQ(reader.line(), 1);
  ASSERT_TRUE(*reader.Next(fields));
  EXPECT_EQ(reader.line(), 3);
}

TEST(Csv, NamesFileLineAndColumnOfWhatIsWrong) {
  EXPECT_EQ(Fault("a,b\n1,2\"3\n"),
            "log.csv:2: column 2: a quote inside a field that is not quoted");
  EXPECT_EQ(Fault("a,b\n\"1\"2,3\n"), "log.csv:2: column 1: text after the closing quote");
  EXPECT_EQ(Fault("a,b\n1,\"2\n3\n"), "log.csv:2: column 2: a quoted field does not end");
  EXPECT_EQ(Fault(std::string_view("a\0b\n", 4)), "log.csv:1: column 1: a NUL byte");
}

TEST(Csv, PassesOverBlankLinesAndCountsThem) {
  const std::string text = "\na,b\n\n1,2\r\n \t\r\n\n3,\"4\n\n5\"\n\n  ";
  CsvReader reader(text, "log.csv");
  std::vector<std::string_view> fields;
  std::vector<std::string> rows;
  std::vector<int> lines;
  for (;;) {
    const absl::StatusOr<bool> read = reader.Next(fields);
    ASSERT_TRUE(read.ok()) << read.status();
    if (!*read) break;
    rows.push_back(absl::StrJoin(std::vector<std::string>(fields.begin(), fields.end()), "|"));
    lines.push_back(reader.line());
  }
  EXPECT_THAT(rows, ElementsAre("a|b", "1|2", "3|4\n\n5"));
  EXPECT_THAT(lines, ElementsAre(2, 4, 7));
  EXPECT_EQ(reader.blank_lines(), 6);
}

}  // namespace
}  // namespace tandem::programs
