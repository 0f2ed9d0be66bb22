#include "common/rpc/call_metrics.h"

namespace tandem::rpc {

void MethodMetrics::Finished(absl::StatusCode code, absl::Duration took) const {
  if (code == absl::StatusCode::kOk) {
    answered_.Increment();
  } else {
    requests_.At({method_, absl::StatusCodeToString(code)}).Increment();
  }
  absl::call_once(first_->once, [this] { first_->duration = durations_.At({method_}); });
  first_->duration.Observe(took);
  in_flight_.Add(-1);
}

ServiceMetrics::ServiceMetrics(const google::protobuf::ServiceDescriptor* service,
                               metrics::Registry* registry) {
  metrics::Label method{"method", {}};
  for (int i = 0; i < service->method_count(); ++i) {
    method.values.push_back(service->method(i)->name());
  }
  const metrics::Scope scope = registry->In({{"service", service->full_name()}});
  requests_ = scope.Counters("tandem_rpc_requests_total", "RPCs answered, by code.",
                             {method, metrics::StatusCodeLabel()});
  duration_ =
      scope.Histograms("tandem_rpc_duration_seconds", "From an RPC's arrival to its answer.",
                       metrics::LatencySeconds(), {method});
  in_flight_ = scope.Gauges("tandem_rpc_in_flight", "RPCs not answered yet.", {method});
}

MethodMetrics ServiceMetrics::Of(const google::protobuf::MethodDescriptor* method) const {
  MethodMetrics metrics;
  metrics.method_ = method->name();
  metrics.requests_ = requests_;
  metrics.answered_ = requests_.At({metrics.method_, "OK"});
  metrics.durations_ = duration_;
  metrics.first_ = std::make_shared<MethodMetrics::First>();
  metrics.in_flight_ = in_flight_.At({metrics.method_});
  return metrics;
}

PeerMetrics::PeerMetrics(const metrics::Scope& scope,
                         std::map<std::string, std::string, std::less<>> names) {
  metrics::Label peer{"peer", {}};
  for (const auto& [target, name] : names) peer.values.push_back(name);
  requests_ = scope.Counters("tandem_peer_requests_total",
                             "Questions to other services, by the answer's code.",
                             {peer, metrics::StatusCodeLabel()});
  const metrics::HistogramFamily duration = scope.Histograms(
      "tandem_peer_duration_seconds", "Time from a question to its answer, retries included.",
      metrics::LatencySeconds(), {peer});
  for (auto& [target, name] : names) {
    peers_.emplace(target, Peer{name, requests_.At({name, "OK"}), duration.At({name})});
  }
}

void PeerMetrics::Answered(std::string_view target, absl::StatusCode code,
                           absl::Duration took) const {
  const auto found = peers_.find(target);
  if (found == peers_.end()) return;
  const Peer& peer = found->second;
  if (code == absl::StatusCode::kOk) {
    peer.answered.Increment();
  } else {
    requests_.At({peer.name, absl::StatusCodeToString(code)}).Increment();
  }
  peer.duration.Observe(took);
}

}  // namespace tandem::rpc
