// Looking into the topic without joining a group, for `event tail` and for tests.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_LOG_READER_H_
#define TANDEM_COMMON_KAFKA_KAFKA_LOG_READER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/log_reader.h"
#include "common/kafka/kafka_client.h"
#include "common/time/clock.h"

namespace tandem::bus {

struct KafkaLogReaderOptions {
  KafkaClientOptions client;
  std::string topic = "tandem.lifecycle.v1";
  const time::Clock* clock = nullptr;               // outlives the reader
  absl::Duration ask_timeout = absl::Seconds(3);    // one question to a broker
  absl::Duration read_timeout = absl::Seconds(10);  // one ReadRange
};

// Callable from any thread, one call at a time; each method asks a broker and waits for it.
class KafkaLogReader : public LogReader {
 public:
  // The topic's number, as it was at the start.
  virtual int partitions() const = 0;
  // As LogReader; where no broker answers, the bounds that were asked for last (0 and 0 at first).
  Bounds BoundsOf(int partition) const override = 0;
  // The bounds, or UNAVAILABLE where no broker answers. 0 <= partition < partitions().
  virtual absl::StatusOr<Bounds> AskBounds(int partition) = 0;
};

// NOT_FOUND if there is no such topic, UNAVAILABLE if no broker answers. Its settings are not
// judged.
absl::StatusOr<std::unique_ptr<KafkaLogReader>> OpenKafkaLogReader(
    const KafkaLogReaderOptions& options);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_LOG_READER_H_
