// Filling a topic from another log, partition by partition: for a move, not for services.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_LOG_WRITER_H_
#define TANDEM_COMMON_KAFKA_KAFKA_LOG_WRITER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/kafka/kafka_client.h"
#include "common/kafka/kafka_topic.h"
#include "common/time/clock.h"

namespace tandem::bus {

struct KafkaLogWriterOptions {
  KafkaClientOptions client;
  KafkaTopicOptions topic;
  const time::Clock* clock = nullptr;  // outlives the writer
  // To find or make the topic.
  absl::Duration open_within = absl::Seconds(30);
  // Without one acknowledgement, while some are due.
  absl::Duration patience = absl::Minutes(1);
};

// One thread, which it blocks. The producer is idempotent and asks for the acknowledgement of all
// replicas in sync, so what stands in a partition is at any time a beginning of what was appended
// to it, in that order, also after a kill.
class KafkaLogWriter {
 public:
  virtual ~KafkaLogWriter() = default;
  virtual int partitions() const = 0;
  // Puts the event behind what was appended to `partition`, whatever its key; waits while too many
  // are under way. INVALID_ARGUMENT as Validate (headers.h), UNAVAILABLE after `patience`; an error
  // is of this event or of an earlier one, and the last answer of this writer.
  virtual absl::Status Append(int partition, const Event& event) = 0;
  // Until all that was appended is acknowledged. Errors as Append.
  virtual absl::Status Flush() = 0;
};

// Errors as ReadKafkaConfig (kafka_client.h) and OpenKafkaTopic (kafka_topic.h).
absl::StatusOr<std::unique_ptr<KafkaLogWriter>> OpenKafkaLogWriter(
    const KafkaLogWriterOptions& options);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_LOG_WRITER_H_
