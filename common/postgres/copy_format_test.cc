#include "common/postgres/copy_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace tandem::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Row(int64_t number, std::string_view text) {
  CopyRow row;
  row.Start(3);
  row.AddInt(number);
  row.AddNull();
  row.AddBytes(text);
  return std::string(row.bytes());
}

std::vector<std::string> Parse(CopyParser& parser, std::string_view piece) {
  std::vector<std::string> rows;
  const absl::Status status =
      parser.Take(piece, [&](std::string_view row) { rows.emplace_back(row); });
  EXPECT_TRUE(status.ok()) << status;
  return rows;
}

TEST(CopyFormat, IsAsTheManualSays) {
  EXPECT_EQ(Row(258, "ab"),
            std::string("\0\3\0\0\0\10\0\0\0\0\0\0\1\2\377\377\377\377\0\0\0\2ab", 24));
}

TEST(CopyFormat, TellsNullFromNothing) {
  CopyRow null, empty;
  null.Start(1);
  null.AddNull();
  empty.Start(1);
  empty.AddBytes("");
  EXPECT_NE(null.bytes(), empty.bytes());
}

TEST(CopyFormat, ARowThatIsBegunAnewForgetsTheLast) {
  CopyRow row;
  row.Start(1);
  row.AddInt(1);
  const std::string first(row.bytes());
  row.Start(1);
  row.AddInt(1);
  EXPECT_EQ(row.bytes(), first);
}

TEST(CopyParser, GivesTheRowsWhateverThePieces) {
  const std::vector<std::string> rows = {Row(1, "one"),
                                         Row(std::numeric_limits<int64_t>::min(), ""),
                                         Row(-1, std::string(70'000, 'x'))};
  std::string stream(CopyHeader());
  for (const std::string& row : rows) stream += row;
  stream += CopyTrailer();
  for (const size_t size : {size_t{1}, size_t{7}, size_t{4096}, stream.size()}) {
    CopyParser parser;
    std::vector<std::string> parsed;
    for (size_t at = 0; at < stream.size(); at += size) {
      EXPECT_FALSE(parser.is_complete());
      for (std::string& row : Parse(parser, std::string_view(stream).substr(at, size))) {
        parsed.push_back(std::move(row));
      }
    }
    EXPECT_TRUE(parser.is_complete());
    EXPECT_EQ(parsed, rows) << "pieces of " << size;
  }
}

TEST(CopyParser, IsNotCompleteWithoutTheTrailer) {
  CopyParser parser;
  EXPECT_THAT(Parse(parser, CopyHeader()), IsEmpty());
  EXPECT_THAT(Parse(parser, Row(1, "a")), ElementsAre(Row(1, "a")));
  EXPECT_FALSE(parser.is_complete());
}

TEST(CopyParser, RefusesWhatIsNoSuchStream) {
  const auto ignore = [](std::string_view) {};
  CopyParser other;
  EXPECT_EQ(other.Take(std::string(19, 'x'), ignore).code(), absl::StatusCode::kDataLoss);
  CopyParser negative;
  EXPECT_TRUE(negative.Take(CopyHeader(), ignore).ok());
  EXPECT_EQ(negative.Take("\377\376", ignore).code(), absl::StatusCode::kDataLoss);
  CopyParser length;
  EXPECT_TRUE(length.Take(CopyHeader(), ignore).ok());
  EXPECT_EQ(length.Take(std::string_view("\0\1\377\377\377\376", 6), ignore).code(),
            absl::StatusCode::kDataLoss);
  CopyParser behind;
  EXPECT_EQ(
      behind.Take(std::string(CopyHeader()) + std::string(CopyTrailer()) + "xx", ignore).code(),
      absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tandem::store
