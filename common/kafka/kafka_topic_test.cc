#include "common/kafka/kafka_topic.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using testing::AllOf;
using testing::HasSubstr;

KafkaTopicSettings Safe() {
  return {.partitions = 12,
          .replication_factor = 3,
          .min_insync_replicas = 2,
          .unclean_leader_election = false,
          .cleanup_policy = "delete",
          .retention_ms = 604'800'000,
          .retention_bytes = -1,
          .max_message_bytes = 1'048'588};
}

std::string Fault(const std::function<void(KafkaTopicSettings&)>& change) {
  KafkaTopicSettings settings = Safe();
  change(settings);
  const absl::Status status = CheckKafkaTopic("log", settings);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("topic log"), HasSubstr("--allow-unsafe-topic")));
  return std::string(status.message());
}

TEST(KafkaTopic, IsSafeWithThreeReplicasTwoInSyncAndSevenDays) {
  EXPECT_EQ(CheckKafkaTopic("log", Safe()), absl::OkStatus());
  KafkaTopicSettings for_ever = Safe();
  for_ever.retention_ms = -1;
  EXPECT_EQ(CheckKafkaTopic("log", for_ever), absl::OkStatus());
}

TEST(KafkaTopic, NamesEachUnsafeSettingItsValueAndWhatItShouldBe) {
  EXPECT_THAT(Fault([](auto& s) { s.replication_factor = 2; }),
              HasSubstr("the replication factor is 2 and should be 3 or more"));
  EXPECT_THAT(Fault([](auto& s) { s.min_insync_replicas = 1; }),
              HasSubstr("min.insync.replicas is 1 and should be 2 or more"));
  EXPECT_THAT(Fault([](auto& s) { s.min_insync_replicas = 4; }),
              HasSubstr("min.insync.replicas is 4 and should be no more than the replication"));
  EXPECT_THAT(Fault([](auto& s) { s.unclean_leader_election = true; }),
              HasSubstr("unclean.leader.election.enable is true and should be false"));
  EXPECT_THAT(Fault([](auto& s) { s.cleanup_policy = "compact,delete"; }),
              HasSubstr("cleanup.policy is compact,delete and should be delete"));
  EXPECT_THAT(Fault([](auto& s) { s.retention_ms = 604'799'999; }),
              HasSubstr("retention.ms is 604799999 and should be 604800000"));
  EXPECT_THAT(Fault([](auto& s) { s.retention_bytes = 1 << 30; }),
              HasSubstr("retention.bytes is 1073741824 and should be -1"));
  EXPECT_THAT(Fault([](auto& s) { s.max_message_bytes = 1'000'000; }),
              HasSubstr("max.message.bytes is 1000000 and should be 1048588 or more"));
}

TEST(KafkaTopic, NamesAllUnsafeSettingsAtOnce) {
  EXPECT_THAT(Fault([](auto& s) {
                s.replication_factor = 1;
                s.min_insync_replicas = 1;
                s.retention_ms = 1000;
              }),
              AllOf(HasSubstr("replication factor"), HasSubstr("min.insync.replicas"),
                    HasSubstr("retention.ms")));
}

}  // namespace
}  // namespace tandem::bus
