#include "common/transfer/offset_map.h"

#include <gtest/gtest.h>

namespace tandem::transfer {
namespace {

// Offsets 5 to 9 of this log stand at 0 to 2 and, behind a hole, at 4 and 5 of the other.
OffsetMap Example() {
  OffsetMap map(2);
  map.Add(1, 5, 0);
  map.Add(1, 6, 1);
  map.Add(1, 7, 2);
  map.Add(1, 8, 4);
  map.Add(1, 9, 5);
  map.End(1, 10, 6);
  map.End(0, 3, 7);  // all its records are pruned
  return map;
}

TEST(OffsetMap, APositionStaysAtTheSameRecord) {
  const OffsetMap map = Example();
  EXPECT_EQ(map.NextOffset(1, 5).value(), 0);
  EXPECT_EQ(map.NextOffset(1, 7).value(), 2);
  EXPECT_EQ(map.NextOffset(1, 8).value(), 4);
  EXPECT_EQ(map.NextOffset(1, 9).value(), 5);
}

TEST(OffsetMap, APositionAtTheEndStaysThere) {
  EXPECT_EQ(Example().NextOffset(1, 10).value(), 6);
  EXPECT_EQ(Example().NextOffset(0, 3).value(), 7);
}

TEST(OffsetMap, APositionOutsideTheLogIsLost) {
  for (const int64_t offset : {4, 11, -1}) {
    EXPECT_EQ(Example().NextOffset(1, offset).status().code(), absl::StatusCode::kOutOfRange)
        << offset;
  }
  EXPECT_EQ(Example().NextOffset(0, 2).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Example().NextOffset(2, 5).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Example().NextOffset(-1, 5).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(OffsetMap, ARecordThatIsGoneIsNowhere) {
  EXPECT_EQ(Example().RecordOffset(1, 8), 4);
  EXPECT_EQ(Example().RecordOffset(1, 4), -1);
  EXPECT_EQ(Example().RecordOffset(1, 10), -1);
  EXPECT_EQ(Example().RecordOffset(0, 0), -1);
  EXPECT_EQ(Example().RecordOffset(-1, -1), -1);
}

}  // namespace
}  // namespace tandem::transfer
