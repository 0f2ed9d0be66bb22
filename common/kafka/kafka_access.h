// What the brokers' access lists refuse this client, until they allow it again. librdkafka tells
// most refusals once and goes on trying in silence, so they are remembered here.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_ACCESS_H_
#define TANDEM_COMMON_KAFKA_KAFKA_ACCESS_H_

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/kafka/kafka_client.h"

namespace tandem::bus {

enum class KafkaRight {
  kGroup,       // Read on the consumer group: to join it, and to commit positions for it
  kDescribe,    // Describe on the topic
  kRead,        // Read on the topic
  kWrite,       // Write on the topic
  kIdempotent,  // IdempotentWrite on the cluster, or, since Kafka 2.8, Write on any topic
};

// Every right, and its name: "group", "describe", "read", "write", "idempotent".
const std::vector<KafkaRight>& AllKafkaRights();
std::string_view NameOf(KafkaRight right);

// A right that is refused now.
struct KafkaRefusal {
  KafkaRight right;
  absl::Time since;
  absl::Status why;  // in the broker's and librdkafka's words
};

// The right that a broker's or librdkafka's code refuses; none if it speaks of something else.
// `on_topic` is what a refusal of the topic means where the code came from.
std::optional<KafkaRight> RefusedRight(rd_kafka_resp_err_t code, KafkaRight on_topic);

// Callable from any thread.
class KafkaAccess {
 public:
  // A refusal that is always told again counts as over when it has not been for this long.
  static constexpr absl::Duration kRepeatedWithin = absl::Seconds(15);

  void Refused(KafkaRight right, const absl::Status& why, absl::Time now);
  // Something succeeded for which the right is needed.
  void Allowed(KafkaRight right);
  std::vector<KafkaRefusal> At(absl::Time now) const;

 private:
  struct Known {
    absl::Time since, last;
    absl::Status why;
  };
  mutable absl::Mutex mutex_;
  std::map<KafkaRight, Known> refused_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_ACCESS_H_
