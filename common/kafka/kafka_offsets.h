// Where the partitions begin and end, asked of the brokers themselves; and whether any answers.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_OFFSETS_H_
#define TANDEM_COMMON_KAFKA_KAFKA_OFFSETS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/bus/log_reader.h"
#include "common/kafka/kafka_access.h"
#include "common/kafka/kafka_client.h"
#include "common/time/clock.h"

namespace tandem::bus {

// Whether a broker can be reached, for /healthz and metrics.
struct KafkaHealth {
  // Since when no broker has answered; none while one does. It is found out within the options'
  // probe_every and ask_timeout.
  std::optional<absl::Time> unreachable_since;
  absl::Status trouble;  // the last answer that was not one; OK after one that was
  int brokers = 0;       // that the cluster named last
  // What the brokers' access lists refuse; found out within seconds of the first attempt.
  std::vector<KafkaRefusal> refusals;
};

// Callable from any thread. One thread of its own asks and may block on it; answers are given on
// it, but the refusal of a question itself on the caller's.
class KafkaOffsets {
 public:
  struct Settings {
    std::string topic;
    int partitions = 0;
    absl::Duration ask_timeout;
    absl::Duration probe_every;
    const time::Clock* clock = nullptr;
    // Told, once, that the topic has another number of partitions now. May be empty.
    std::function<void(absl::Status)> changed;
    std::shared_ptr<KafkaAccess> access;
  };
  using Answer = absl::AnyInvocable<void(absl::StatusOr<Bounds>)>;

  KafkaOffsets(std::unique_ptr<KafkaClient> client, Settings settings);
  // Questions that are waiting are dropped. Waits for the one under way.
  ~KafkaOffsets();

  // Asks the brokers after this call; questions that wait together are asked together, and those of
  // one partition get one answer. `first` is 0 unless it is wanted. UNAVAILABLE if no broker
  // answers within ask_timeout, RESOURCE_EXHAUSTED if too many wait.
  void Ask(int partition, bool with_first, Answer answer);
  KafkaHealth Health() const;

 private:
  struct State;
  static void Run(State& state);
  static bool AskNow(State& state);
  static void Probe(State& state);
  static void Reached(State& state, const absl::Status& status);

  const std::shared_ptr<State> state_;
  Worker worker_;
};

// The offsets at `where` (RD_KAFKA_OFFSET_BEGINNING or _END) of these partitions, asked in one
// round trip. Blocks, `timeout` at most. UNAVAILABLE also if only one of them has no leader.
absl::StatusOr<std::vector<int64_t>> ListKafkaOffsets(KafkaClient& client, const std::string& topic,
                                                      const std::vector<int>& partitions,
                                                      int64_t where, absl::Duration timeout);

// The client of a KafkaOffsets.
absl::StatusOr<std::unique_ptr<KafkaClient>> NewAskingClient(
    std::shared_ptr<const KafkaConfig> config);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_OFFSETS_H_
