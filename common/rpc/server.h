// The gRPC door: every method of the endpoints' protobuf services, bound by descriptor, beside
// health and reflection. It parses, tells the endpoint who calls and until when, and maps the
// answer; it never blocks and decides nothing.
#ifndef TANDEM_COMMON_RPC_SERVER_H_
#define TANDEM_COMMON_RPC_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/rpc/tls.h"

namespace tandem::rpc {

struct ServerOptions {
  std::string address;  // "127.0.0.1:7400", "[::1]:7400", "0.0.0.0:7400"; port 0 = any free one
  TlsFiles tls;         // with `ca`, clients must show a certificate
  bool allow_insecure = false;                  // lets a non-loopback address go without TLS
  int max_message_bytes = 4 << 20;              // of a request, and of a reply
  int max_concurrent_streams = 1024;            // of one connection; 1 or more
  size_t max_memory_bytes = size_t{256} << 20;  // of all connections' buffers
  absl::Duration keepalive = absl::Minutes(1);  // silence after which a connection is probed
  // Where an endpoint's internal errors are logged; empty = the server's logger.
  std::function<log::Logger*(const corridor::Endpoint*)> log_of;
  // A connection that has not said by then that it speaks HTTP/2 (and TLS) is closed.
  absl::Duration handshake_timeout = absl::Seconds(10);
  // A connection without a call for so long is told to go; its client makes another when it calls.
  absl::Duration max_idle = absl::Minutes(5);
};

// Callable from any thread, but Drain and the end from one that is not gRPC's.
class Server {
 public:
  // Listens at once; health says NOT_SERVING until SetServing(true). The endpoints, the logger and
  // the registry outlive the server. INVALID_ARGUMENT: a broken address or TLS file, an address
  // beyond loopback without TLS, a protobuf service twice. UNAVAILABLE: nothing can listen there
  // (the port is in use, …), with the address and the reason.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options,
                                                       std::vector<corridor::Endpoint*> endpoints,
                                                       log::Logger* logger,
                                                       metrics::Registry* registry);
  // Drains with no time left.
  virtual ~Server() = default;

  // The address listened on, with the real port.
  virtual const std::string& address() const = 0;
  virtual int port() const = 0;

  // What the health service answers, for "" and for every served protobuf service.
  virtual void SetServing(bool serving) = 0;

  // Makes a health call to this server over a connection of its own, which needs no port, no
  // certificate and no store; `answered` is called, on a thread of gRPC's, with whatever answer,
  // also a refusal, for it shows that calls are answered at all. One at a time.
  virtual void CallItself(absl::AnyInvocable<void()> answered) = 0;

  // Says NOT_SERVING, accepts no call any more, lets the calls under way finish until `deadline`,
  // then cancels them, and cuts connections on which nothing is under way. Blocks until the last
  // one is answered; endpoints may still be at work afterwards, their late answers are dropped.
  // Later calls return at once.
  virtual void Drain(absl::Time deadline) = 0;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_SERVER_H_
