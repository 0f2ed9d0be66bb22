// Rate, errors and duration of the RPCs served: tandem_rpc_requests_total{service,method,code},
// tandem_rpc_duration_seconds{service,method}, tandem_rpc_in_flight{service,method}. `service` is
// the protobuf service's full name; only methods of served descriptors are counted. Of the
// questions asked of others: tandem_peer_requests_total{peer,code},
// tandem_peer_duration_seconds{peer}.
#ifndef TANDEM_COMMON_RPC_CALL_METRICS_H_
#define TANDEM_COMMON_RPC_CALL_METRICS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/call_once.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/metrics/metrics.h"
#include "google/protobuf/descriptor.h"

namespace tandem::rpc {

// One method's series. Callable from any thread; a copy counts into the same series.
class MethodMetrics {
 public:
  void Started() const { in_flight_.Add(1); }
  void Finished(absl::StatusCode code, absl::Duration took) const;

 private:
  friend class ServiceMetrics;
  // Made at the first call: most methods are never called, and each would show all its buckets.
  struct First {
    absl::once_flag once;
    metrics::Histogram duration;
  };
  std::string method_;
  metrics::CounterFamily requests_;
  metrics::HistogramFamily durations_;
  metrics::Counter answered_;  // the series of code OK: looked up once
  metrics::Gauge in_flight_;
  std::shared_ptr<First> first_;
};

class ServiceMetrics {
 public:
  ServiceMetrics(const google::protobuf::ServiceDescriptor* service, metrics::Registry* registry);
  MethodMetrics Of(const google::protobuf::MethodDescriptor* method) const;

 private:
  metrics::CounterFamily requests_;
  metrics::HistogramFamily duration_;
  metrics::GaugeFamily in_flight_;
};

// What ChannelOptions::answered is told. Callable from any thread.
class PeerMetrics {
 public:
  // The peers' names by their keys in ChannelOptions::targets. `scope` carries the asker's labels.
  PeerMetrics(const metrics::Scope& scope, std::map<std::string, std::string, std::less<>> names);
  void Answered(std::string_view target, absl::StatusCode code, absl::Duration took) const;

 private:
  struct Peer {
    std::string name;
    metrics::Counter answered;  // the series of code OK: looked up once
    metrics::Histogram duration;
  };
  metrics::CounterFamily requests_;
  std::map<std::string, Peer, std::less<>> peers_;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_CALL_METRICS_H_
