#include "common/rpc/call_metrics.h"

namespace tandem::rpc {

void MethodMetrics::Finished(absl::StatusCode code, absl::Duration took) const {
  if (code == absl::StatusCode::kOk) {
    answered_.Increment();
  } else {
    requests_.At({method_, absl::StatusCodeToString(code)}).Increment();
  }
  duration_.Observe(took);
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
  metrics.duration_ = duration_.At({metrics.method_});
  metrics.in_flight_ = in_flight_.At({metrics.method_});
  return metrics;
}

}  // namespace tandem::rpc
