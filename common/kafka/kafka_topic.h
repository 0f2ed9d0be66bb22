// The topic that is the log: made if it is not there, and refused where its settings could lose
// records.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_TOPIC_H_
#define TANDEM_COMMON_KAFKA_KAFKA_TOPIC_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/kafka_client.h"
#include "common/time/clock.h"

namespace tandem::bus {

struct KafkaTopicOptions {
  std::string name = "tandem.lifecycle.v1";
  // Whether a missing topic is made, with the four settings below, cleanup.policy=delete and no
  // unclean leader election. They say nothing about a topic that is there.
  bool create = false;
  int partitions = 12;
  int replication_factor = 3;
  int min_insync_replicas = 2;
  absl::Duration retention = absl::Hours(7 * 24);
  // Takes the topic whatever its settings are; each unsafe one is logged.
  bool allow_unsafe = false;
};

// What a topic is like, as its brokers say.
struct KafkaTopicSettings {
  int partitions = 0;
  int replication_factor = 0;  // of the partition that has fewest replicas
  int64_t min_insync_replicas = 0;
  bool unclean_leader_election = false;
  std::string cleanup_policy;
  int64_t retention_ms = 0;     // -1 = for ever
  int64_t retention_bytes = 0;  // -1 = any number
  int64_t max_message_bytes = 0;
};

// Pure. FAILED_PRECONDITION names each setting under which an acknowledged record could be lost or
// a whole event refused, its value, what it should be, and --allow-unsafe-topic.
absl::Status CheckKafkaTopic(const std::string& name, const KafkaTopicSettings& settings);

// Asks the brokers, makes the topic if it may, and waits until each partition has a leader. Blocks,
// `timeout` in all. UNAVAILABLE if no broker answers; NOT_FOUND if the topic is not there and may
// not be made; FAILED_PRECONDITION as CheckKafkaTopic, or as the brokers refuse to make it.
absl::StatusOr<KafkaTopicSettings> OpenKafkaTopic(KafkaClient& client,
                                                  const KafkaTopicOptions& options,
                                                  const time::Clock& clock, absl::Duration timeout);

// The number of partitions of a topic that is there; nothing is made or judged. Errors as above.
absl::StatusOr<int> FindKafkaTopic(KafkaClient& client, const std::string& name,
                                   const time::Clock& clock, absl::Duration timeout);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_TOPIC_H_
