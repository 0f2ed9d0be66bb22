// The bus of several processes: a topic of Kafka.
//
//   bus::KafkaOptions options;
//   options.client.brokers = "kafka-1:9092,kafka-2:9092";
//   options.clock = &clock;
//   options.fatal = [](absl::Status why) { … end the program with `why` … };
//   auto bus = bus::OpenKafka(options);
#ifndef TANDEM_COMMON_KAFKA_KAFKA_BUS_H_
#define TANDEM_COMMON_KAFKA_KAFKA_BUS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/kafka/kafka_client.h"
#include "common/kafka/kafka_member.h"
#include "common/kafka/kafka_offsets.h"
#include "common/kafka/kafka_topic.h"
#include "common/time/clock.h"

namespace tandem::bus {

struct KafkaOptions {
  KafkaClientOptions client;
  KafkaTopicOptions topic;
  const time::Clock* clock = nullptr;  // outlives the bus
  // Told, once a fault and from a thread of the bus, what no waiting mends: a consumer that
  // librdkafka gave up, a topic whose number of partitions changed. It returns at once; the program
  // should end with this message. May be empty.
  std::function<void(absl::Status)> fatal;

  // In front of each group's name: groups are the cluster's, not the topic's.
  std::string group_prefix = "tandem.";
  // A member that falls silent loses its partitions after this long. Above the longest time that
  // its database lets a transaction idle, or a stopped process would block its own fence.
  absl::Duration session_timeout = absl::Seconds(10);
  // How long an event waits for company.
  absl::Duration linger = absl::Milliseconds(1);
  // Appended and not acknowledged; beyond it Append answers RESOURCE_EXHAUSTED. One append is
  // always taken, however large.
  size_t max_waiting_events = 65'536;
  size_t max_waiting_bytes = 64 << 20;
  // Fetched ahead of credit, of each partition and member.
  size_t prefetch_bytes = 4 << 20;
  // To find the topic at the start.
  absl::Duration open_within = absl::Seconds(30);
  // One question to a broker.
  absl::Duration ask_timeout = absl::Seconds(3);
  // How often Health is looked at when nothing else is asked.
  absl::Duration probe_every = absl::Seconds(2);
  // To leave a group; a member that cannot is left to itself.
  absl::Duration end_within = absl::Seconds(3);
};

// For metrics: each number is of now, or of the last second.
struct KafkaGauges {
  int64_t waiting_events = 0;  // appended and not acknowledged
  int64_t waiting_bytes = 0;
  int64_t producers_given_up = 0;  // since the start
  int64_t unreadable_records = 0;  // of the members there are: headers that are not an event's
  std::vector<KafkaLag> lags;      // of the partitions that this process has
};

// Callable from any thread. `done`s and listeners are called on threads of the bus. It ends outside
// them; what it has not answered by then it drops, and its consumers do nothing any more.
//
// A broker that dies and comes back needs no restart: appends wait, members go on, and EndOffset
// answers UNAVAILABLE meanwhile.
class KafkaBus : public Bus {
 public:
  // As bus.h says of Append and EndOffset; their errors are those of kafka_producer.h and
  // kafka_offsets.h. Join answers before the broker has: partitions come when it has.
  virtual KafkaHealth Health() const = 0;
  virtual KafkaGauges Gauges() const = 0;
};

// Whether OpenKafka would try at all: its errors that no broker is asked for, which are
// INVALID_ARGUMENT, and what reading a secret's file says.
absl::Status CheckKafkaOptions(const KafkaOptions& options);

// Blocks until the topic was looked at, options.open_within at most. Errors as ReadKafkaConfig
// (kafka_client.h) and OpenKafkaTopic (kafka_topic.h); INVALID_ARGUMENT for an option out of range,
// PERMISSION_DENIED for a user or a password that the brokers refuse.
absl::StatusOr<std::unique_ptr<KafkaBus>> OpenKafka(const KafkaOptions& options);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_BUS_H_
