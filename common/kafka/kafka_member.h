// One member of a consumer group.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_MEMBER_H_
#define TANDEM_COMMON_KAFKA_KAFKA_MEMBER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/kafka/kafka_client.h"
#include "common/kafka/kafka_offsets.h"
#include "common/time/clock.h"

namespace tandem::bus {

// How far a member is in a partition that it has.
struct KafkaLag {
  std::string group;
  int partition = 0;
  std::optional<int64_t> position;  // as last reported by ReportPosition
  // The end as the last fetch saw it: for gauges, never for decisions. None before the first fetch.
  std::optional<int64_t> end;
};

// As bus::Consumer says. A thread of its own polls the group and the partitions' queues and calls
// the listener. Membership is dynamic and cooperative; a partition that is assigned is fetched only
// after its Seek, into a bounded queue of its own, and taken out of it only against credit.
class KafkaMember {
 public:
  struct Settings {
    std::string topic;
    int partitions = 0;
    std::string group;     // as the caller named it
    std::string group_id;  // as the brokers know it
    absl::Duration session_timeout;
    absl::Duration end_within;
    size_t prefetch_bytes = 0;  // of a partition
    const time::Clock* clock = nullptr;
    // Told, once, that this member cannot go on. May be empty.
    std::function<void(absl::Status)> fatal;
    std::shared_ptr<KafkaAccess> access;
  };

  // `listener` is called until End returns. `offsets` is asked what the log holds where a broker
  // says that an offset is not in it.
  static absl::StatusOr<std::shared_ptr<KafkaMember>> Join(
      std::shared_ptr<const KafkaConfig> config, Settings settings, Listener* listener,
      std::weak_ptr<KafkaOffsets> offsets);
  ~KafkaMember();

  void Seek(int partition, int64_t offset, int64_t generation);
  void More(int partition, int max_records);
  void ReportPosition(int partition, int64_t next_offset);

  // No call to the listener after it, and it waits for the one under way, so that it may not be
  // called inside one. The member leaves the group within end_within, or is left to itself: the
  // brokers miss it after the session timeout. Once; any thread.
  void End();

  std::vector<KafkaLag> Lags() const;
  // Records whose headers were not an event's, since the start.
  int64_t unreadable() const;

 private:
  struct State;
  explicit KafkaMember(std::shared_ptr<State> state);

  const std::shared_ptr<State> state_;
  Worker worker_;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_MEMBER_H_
