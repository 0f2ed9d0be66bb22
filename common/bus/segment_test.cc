#include "common/bus/segment.h"

#include <random>
#include <utility>

#include "common/time/micros.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

std::vector<RecordPtr> RandomRecords(std::mt19937_64& dice) {
  const auto text = [&] {
    // Lengths on both sides of the one-byte varint, bytes of all values.
    std::string bytes(dice() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(dice());
    return bytes;
  };
  std::vector<RecordPtr> records;
  for (uint64_t i = dice() % 5; i > 0; --i) {
    Record record;
    record.event = {.id = text(),
                    .source = text(),
                    .type = text(),
                    .subject = text(),
                    .key = text(),
                    .time = time::FromMicros(static_cast<int64_t>(dice()) >> (dice() % 60)),
                    .sequence = static_cast<int64_t>(dice()) >> (dice() % 60),
                    .cause = text(),
                    .traceparent = text(),
                    .body = text()};
    records.push_back(std::make_shared<const Record>(std::move(record)));
  }
  return records;
}

TEST(Segment, GivesItsEventsBack) {
  std::mt19937_64 dice(1);
  for (int round = 0; round < 500; ++round) {
    const std::vector<RecordPtr> records = RandomRecords(dice);
    const auto events = DecodeSegment(EncodeSegment(records));
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_EQ(events->size(), records.size());
    for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ((*events)[i], records[i]->event);
  }
}

TEST(Segment, IsRefusedWhenItIsCutOrLengthened) {
  std::mt19937_64 dice(2);
  std::vector<RecordPtr> records;
  while (records.size() < 2) records = RandomRecords(dice);
  const std::string bytes = EncodeSegment(records);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeSegment(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(DecodeSegment(bytes + '\0').status().code(), absl::StatusCode::kDataLoss);
}

TEST(Segment, OfAnyBytesIsReadOrRefusedButNeverBeyondThem) {
  std::mt19937_64 dice(3);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = EncodeSegment(RandomRecords(dice));
    for (int i = 0; i < 3; ++i) bytes[dice() % bytes.size()] = static_cast<char>(dice());
    if (!DecodeSegment(bytes).ok()) ++refused;
  }
  EXPECT_GT(refused, 0);
}

TEST(Segment, OfANewerLayoutIsRefused) {
  EXPECT_EQ(DecodeSegment("\x02").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tandem::bus
