#include "common/kafka/kafka_record.h"

#include <google/protobuf/empty.pb.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using testing::HasSubstr;

Event Whole() {
  return {.id = "e1",
          .source = "here",
          .type = "tandem.test.Happened",
          .subject = "s",
          .key = "k",
          .time = absl::FromUnixMicros(1'795'000'000'000'001),
          .sequence = 7,
          .cause = "c",
          .traceparent = "",
          .body = "body"};
}

TEST(KafkaRecord, IsTheEventThatItsHeadersSay) {
  const ReadRecord read = ToRecord(3, 42, ToHeaders(Whole()), "body");
  EXPECT_TRUE(read.headers.ok());
  EXPECT_EQ(read.record->partition, 3);
  EXPECT_EQ(read.record->offset, 42);
  EXPECT_EQ(read.record->event, Whole());
}

TEST(KafkaRecord, WithoutHeadersIsOfNoTypeAndNamedAfterItsPlace) {
  const ReadRecord read = ToRecord(3, 42, {}, "anything");
  EXPECT_THAT(std::string(read.headers.message()), HasSubstr("ce_specversion"));
  EXPECT_EQ(read.record->event.id, "kafka/3/42");
  EXPECT_EQ(read.record->event.subject, "kafka/3/42");
  EXPECT_EQ(read.record->event.type, "");
  EXPECT_EQ(read.record->event.sequence, 43);
  EXPECT_EQ(read.record->event.body, std::string("\x07") + "anything");
}

TEST(KafkaRecord, WithABrokenHeaderKeepsWhatTheOthersSay) {
  std::vector<Header> headers = ToHeaders(Whole());
  for (Header& header : headers) {
    if (header.name == "ce_sequence") header.value = "many";
  }
  const ReadRecord read = ToRecord(0, 5, headers, "body");
  EXPECT_THAT(std::string(read.headers.message()), HasSubstr("ce_sequence"));
  EXPECT_EQ(read.record->event.type, "tandem.test.Happened");
  EXPECT_EQ(read.record->event.subject, "s");
  EXPECT_EQ(read.record->event.key, "k");
  EXPECT_EQ(read.record->event.sequence, 6);
}

// What makes the inbox park it: an empty body is every message's default, so nothing else would.
TEST(KafkaRecord, ThatIsNoEventDoesNotParseAsAnyMessage) {
  for (const std::string body : {"", "anything", "\n\x03"}) {
    google::protobuf::Empty message;
    EXPECT_FALSE(message.ParseFromString(ToRecord(0, 0, {}, body).record->event.body)) << body;
  }
}

TEST(KafkaRecord, CountsKeyBodyAndHeadersAsBytesOnTheWire) {
  const size_t bytes = WireBytes(Whole(), ToHeaders(Whole()));
  Event longer = Whole();
  longer.body += std::string(1000, 'x');
  longer.subject += std::string(10, 'x');
  EXPECT_EQ(WireBytes(longer, ToHeaders(longer)), bytes + 1010);
}

}  // namespace
}  // namespace tandem::bus
