#include "common/program/engine_metrics.h"

#include <algorithm>

namespace tandem::program {
namespace {

metrics::Label RightLabel() {
  metrics::Label label{"right", {}};
  for (const bus::KafkaRight right : bus::AllKafkaRights()) {
    label.values.emplace_back(bus::NameOf(right));
  }
  return label;
}

// A member that ended takes its count along, so the sum may fall; a counter does not.
void Raise(const metrics::Counter& counter, int64_t now, int64_t* told) {
  counter.Increment(static_cast<double>(std::max<int64_t>(0, now - *told)));
  *told = now;
}

}  // namespace

BusMetrics::BusMetrics(const metrics::Scope& scope)
    : refused_(scope.Gauges("tandem_bus_refused",
                            "1 while the brokers' access lists refuse this right, else 0.",
                            {RightLabel()})),
      unreachable_(scope.OneGauge("tandem_bus_unreachable_seconds",
                                  "For how long no broker has answered; 0 while one does.")),
      brokers_(scope.OneGauge("tandem_bus_brokers", "Brokers that the cluster named last.")),
      waiting_events_(scope.OneGauge("tandem_bus_waiting_events",
                                     "Events appended and not acknowledged by the brokers.")),
      waiting_bytes_(
          scope.OneGauge("tandem_bus_waiting_bytes", "Bytes of the events not acknowledged.")),
      given_up_(scope.OneCounter("tandem_bus_producers_given_up_total",
                                 "Producers that were replaced after a refusal.")),
      unreadable_(scope.OneCounter("tandem_bus_unreadable_records_total",
                                   "Records whose headers are not an event's.")) {}

void BusMetrics::Tell(const bus::KafkaHealth& health, const bus::KafkaGauges& gauges,
                      absl::Time now) {
  const absl::Duration unreachable =
      health.unreachable_since.has_value() ? now - *health.unreachable_since : absl::ZeroDuration();
  unreachable_.Set(absl::ToDoubleSeconds(std::max(absl::ZeroDuration(), unreachable)));
  brokers_.Set(health.brokers);
  for (const bus::KafkaRight right : bus::AllKafkaRights()) {
    const bool is_refused =
        std::any_of(health.refusals.begin(), health.refusals.end(),
                    [&](const bus::KafkaRefusal& refusal) { return refusal.right == right; });
    refused_.At({bus::NameOf(right)}).Set(is_refused ? 1 : 0);
  }
  waiting_events_.Set(static_cast<double>(gauges.waiting_events));
  waiting_bytes_.Set(static_cast<double>(gauges.waiting_bytes));
  Raise(given_up_, gauges.producers_given_up, &told_given_up_);
  Raise(unreadable_, gauges.unreadable_records, &told_unreadable_);
}

StoreMetrics::StoreMetrics(const metrics::Scope& scope)
    : oldest_(scope.OneGauge("tandem_store_oldest_snapshot_seconds",
                             "For how long the oldest snapshot of the database has been held.")) {
  const metrics::CounterFamily reconnects = scope.Counters(
      "tandem_store_reconnects_total", "Attempts to open a lost connection to the database again.",
      {{"result", {"connected", "failed"}}});
  connected_ = reconnects.At({"connected"});
  refused_ = reconnects.At({"failed"});
}

void StoreMetrics::Reconnected(const absl::Status& status) const {
  (status.ok() ? connected_ : refused_).Increment();
}

void StoreMetrics::Measure(store::Reader& reader, absl::Time now) {
  const absl::StatusOr<absl::Duration> oldest = snapshots_.Ask(reader, now);
  if (oldest.ok()) oldest_.Set(absl::ToDoubleSeconds(*oldest));
}

}  // namespace tandem::program
