#include "common/bus/headers.h"

#include <string>
#include <utility>

#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Event AnEvent() {
  return {.id = "evt_1",
          .source = "triage",
          .type = "tandem.events.v1.TicketTriaged",
          .subject = "tkt_1",
          .key = "acc_1",
          .time = time::FromMicros(1'795'000'000'123'456),
          .sequence = 42,
          .cause = "evt_0",
          .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          .body = std::string("\x08\x00\x12", 3)};
}

TEST(Headers, AreThoseOfCloudEventsInKafkaBinaryMode) {
  EXPECT_THAT(
      ToHeaders(AnEvent()),
      ElementsAre(
          Header{"ce_specversion", "1.0"}, Header{"ce_id", "evt_1"}, Header{"ce_source", "triage"},
          Header{"ce_type", "tandem.events.v1.TicketTriaged"}, Header{"ce_subject", "tkt_1"},
          Header{"ce_time", "2026-11-18T11:06:40.123456Z"}, Header{"ce_partitionkey", "acc_1"},
          Header{"ce_sequence", "42"}, Header{"ce_cause", "evt_0"},
          Header{"content-type", "application/protobuf"},
          Header{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}));
}

TEST(Headers, GiveTheEventBack) {
  const auto event = FromHeaders(ToHeaders(AnEvent()), AnEvent().body);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(*event, AnEvent());
}

TEST(Headers, LeaveOutAnEmptyTraceparent) {
  Event event = AnEvent();
  event.traceparent.clear();
  for (const Header& header : ToHeaders(event)) EXPECT_NE(header.name, "traceparent");
  EXPECT_EQ(FromHeaders(ToHeaders(event), event.body).value(), event);
}

TEST(Headers, MayCarryThoseOfOtherProducers) {
  std::vector<Header> headers = ToHeaders(AnEvent());
  headers.insert(headers.begin(), {"x-origin", "elsewhere"});
  EXPECT_EQ(FromHeaders(headers, AnEvent().body).value(), AnEvent());
}

TEST(Headers, AreNamedWhenOneIsMissingOrDoubled) {
  for (size_t i = 0; i + 1 < ToHeaders(AnEvent()).size(); ++i) {
    std::vector<Header> headers = ToHeaders(AnEvent());
    const std::string name = headers[i].name;
    headers.push_back(headers[i]);
    EXPECT_THAT(std::string(FromHeaders(headers, "").status().message()), HasSubstr(name));
    headers.pop_back();
    headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THAT(std::string(FromHeaders(headers, "").status().message()), HasSubstr(name));
  }
}

TEST(Headers, AreNamedWhenOneIsMalformed) {
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"ce_specversion", "0.3"},
                                    {"ce_time", "yesterday"},
                                    {"ce_sequence", "0"},
                                    {"ce_sequence", "-1"},
                                    {"ce_sequence", "1x"},
                                    {"ce_sequence", "99999999999999999999"},
                                    {"content-type", "application/json"}}) {
    std::vector<Header> headers = ToHeaders(AnEvent());
    for (Header& header : headers) {
      if (header.name == name) header.value = value;
    }
    const absl::Status status = FromHeaders(headers, "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(name)) << value;
  }
}

TEST(Event, TravelsOnlyWhole) {
  EXPECT_TRUE(Validate(AnEvent()).ok());
  const auto broken = [](auto change) {
    Event event = AnEvent();
    change(event);
    return Validate(event).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(broken([](Event& e) { e.id.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.source.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.type.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.subject.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.key.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.cause.clear(); }));
  EXPECT_TRUE(broken([](Event& e) { e.sequence = 0; }));
  EXPECT_TRUE(broken([](Event& e) { e.time = absl::InfiniteFuture(); }));
  EXPECT_TRUE(broken([](Event& e) { e.body.assign(kMaxBodyBytes + 1, 'x'); }));
}

}  // namespace
}  // namespace tandem::bus
