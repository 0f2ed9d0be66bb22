// Appends events to the topic in the order given, and never behind their successors.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_PRODUCER_H_
#define TANDEM_COMMON_KAFKA_KAFKA_PRODUCER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/kafka/kafka_access.h"
#include "common/kafka/kafka_client.h"
#include "common/time/clock.h"

namespace tandem::bus {

// Callable from any thread; `done`s are called on the producer's own. It is idempotent and never
// times an event out: while no broker answers, what was appended waits. Only a refusal ends the
// wait (the topic is gone, an event is too long for it, the broker lost the producer's sequence):
// then nothing behind the refused event may be written before it is appended again, so the producer
// purges what waits, ends its client, makes another, and only then answers all that was outstanding
// with the reason.
class KafkaProducer {
 public:
  struct Settings {
    std::string topic;
    int partitions = 0;
    absl::Duration linger;
    size_t max_waiting_events = 0;
    size_t max_waiting_bytes = 0;
    const time::Clock* clock = nullptr;
    std::shared_ptr<KafkaAccess> access;
  };
  struct Gauges {
    int64_t waiting_events = 0;  // appended and not acknowledged
    int64_t waiting_bytes = 0;
    int64_t replacements = 0;  // clients given up since the start
  };
  using Done = absl::AnyInvocable<void(absl::Status)>;

  static absl::StatusOr<std::unique_ptr<KafkaProducer>> Start(
      std::shared_ptr<const KafkaConfig> config, Settings settings);
  // What is not acknowledged is dropped without an answer; it may be written all the same.
  ~KafkaProducer();

  // INVALID_ARGUMENT as Validate (headers.h), or too long for the wire: then nothing of it is
  // written. RESOURCE_EXHAUSTED if too much waits; UNAVAILABLE or as the brokers refuse, after
  // which all of it is appended again.
  void Append(std::vector<Event> events, Done done);
  Gauges Now() const;

 private:
  struct State;
  explicit KafkaProducer(std::shared_ptr<State> state);

  const std::shared_ptr<State> state_;
  Worker worker_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_PRODUCER_H_
