#include "common/runtime/event_page.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace tandem::runtime {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
namespace v1 = tandem::admin::v1;

// Two partitions: 0 has offsets 10 to 19, for retention took the others; 1 has 0 to 4.
class PrunedLog : public bus::LogReader {
 public:
  bus::Bounds BoundsOf(int partition) const override {
    return partition == 0 ? bus::Bounds{10, 20} : bus::Bounds{0, 5};
  }
  absl::StatusOr<std::vector<bus::RecordPtr>> ReadRange(int partition, int64_t from,
                                                        int max_records) override {
    std::vector<bus::RecordPtr> records;
    for (int64_t offset = from;
         offset < BoundsOf(partition).end && static_cast<int>(records.size()) < max_records;
         ++offset) {
      bus::Record record;
      record.partition = partition;
      record.offset = offset;
      record.event.id = absl::StrCat(partition, "/", offset);
      records.push_back(std::make_shared<const bus::Record>(std::move(record)));
    }
    return records;
  }
};

absl::StatusOr<v1::ReadEventsResponse> Read(const v1::ReadEventsRequest& request) {
  PrunedLog log;
  return ReadEventPage(
      log, 2, [&](int partition) { return log.BoundsOf(partition); }, request);
}

v1::ReadEventsRequest From(int64_t first, int64_t second) {
  v1::ReadEventsRequest request;
  (*request.mutable_offsets())[0] = first;
  (*request.mutable_offsets())[1] = second;
  return request;
}

TEST(EventPage, ReadsOnFromTheOffsetsOfTheLastAnswerWithoutGapOrRepetition) {
  v1::ReadEventsRequest request;
  request.set_from_beginning(true);
  request.set_page_size(4);
  std::vector<std::string> ids;
  for (int page = 0; page < 10; ++page) {
    const auto read = Read(request);
    ASSERT_TRUE(read.ok()) << read.status();
    for (const v1::BusEvent& event : read->events()) ids.push_back(event.event_id());
    *request.mutable_offsets() = read->next_offsets();
  }
  ASSERT_EQ(ids.size(), 15u);
  EXPECT_EQ(ids.front(), "0/10");
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 15u);
}

TEST(EventPage, TellsBothEndsOfEachPartition) {
  const auto read = Read(From(12, 5));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->first_offsets(), UnorderedElementsAre(Pair(0, 10), Pair(1, 0)));
  EXPECT_THAT(read->end_offsets(), UnorderedElementsAre(Pair(0, 20), Pair(1, 5)));
}

TEST(EventPage, AnOffsetThatRetentionHasPassedIsRefusedWithBothEnds) {
  const absl::Status status = Read(From(9, 0)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("offsets 0=9 are not in the log"), HasSubstr("begins at 0=10"),
                    HasSubstr("ends before 0=20")));
}

TEST(EventPage, AnOffsetBeyondTheEndIsRefusedAndTheEndItselfIsNot) {
  EXPECT_TRUE(Read(From(20, 5)).ok());
  EXPECT_EQ(Read(From(21, 5)).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(EventPage, EveryOffsetOutsideTheLogIsNamedAtOnceForPeopleAndForPrograms) {
  const absl::Status status = Read(From(3, 6)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("offsets 0=3,1=6"));
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  ASSERT_TRUE(payload.has_value());
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(std::string(*payload)));
  EXPECT_EQ(info.reason(), "OFFSET_OUTSIDE_LOG");
  EXPECT_THAT(info.metadata(),
              UnorderedElementsAre(Pair("offsets", "0=3,1=6"), Pair("first_offsets", "0=10,1=0"),
                                   Pair("end_offsets", "0=20,1=5")));
}

}  // namespace
}  // namespace tandem::runtime
