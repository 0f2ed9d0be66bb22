// What an operator must see of the engines that a process stands on: its Kafka and its PostgreSQL.
#ifndef TANDEM_COMMON_PROGRAM_ENGINE_METRICS_H_
#define TANDEM_COMMON_PROGRAM_ENGINE_METRICS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/kafka/kafka_bus.h"
#include "common/metrics/metrics.h"
#include "common/postgres/oldest_snapshot.h"
#include "common/store/store.h"

namespace tandem::program {

// tandem_bus_…: told with each sample. One thread at a time.
class BusMetrics {
 public:
  explicit BusMetrics(const metrics::Scope& scope);
  void Tell(const bus::KafkaHealth& health, const bus::KafkaGauges& gauges, absl::Time now);

 private:
  metrics::GaugeFamily refused_;
  metrics::Gauge unreachable_, brokers_, waiting_events_, waiting_bytes_;
  metrics::Counter given_up_, unreadable_;
  // The bus counts since its start; what was told of it already.
  int64_t told_given_up_ = 0;
  int64_t told_unreadable_ = 0;
};

// tandem_store_…: of a PostgreSQL database.
class StoreMetrics {
 public:
  explicit StoreMetrics(const metrics::Scope& scope);
  // A lost connection was opened again, or was not. Any thread.
  void Reconnected(const absl::Status& status) const;
  // With each sample; one thread at a time. A database that does not answer leaves the number as it
  // was.
  void Measure(store::Reader& reader, absl::Time now);

 private:
  metrics::Counter connected_, refused_;
  metrics::Gauge oldest_;
  store::OldestSnapshot snapshots_;
};

}  // namespace tandem::program

#endif  // TANDEM_COMMON_PROGRAM_ENGINE_METRICS_H_
