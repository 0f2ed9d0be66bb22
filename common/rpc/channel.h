// The Peer port between processes: a question goes over a gRPC channel to whoever serves its
// package.
#ifndef TANDEM_COMMON_RPC_CHANNEL_H_
#define TANDEM_COMMON_RPC_CHANNEL_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"
#include "common/rpc/tls.h"
#include "common/time/clock.h"

namespace tandem::rpc {

struct ChannelOptions {
  std::string caller;  // what the other side sees as tandem-caller: this service's name
  // By protobuf package ("tandem.intake.v1") or full service name, the latter first: a gRPC target
  // ("127.0.0.1:7400", "dns:///tandem-triage:7400"; of several addresses each call takes the next).
  std::map<std::string, std::string, std::less<>> targets;
  TlsFiles tls;
  absl::Duration deadline = absl::Seconds(5);  // of a question that states none, or a later one
  int max_message_bytes = 4 << 20;
  // UNAVAILABLE is tried again: safe, for every mutation carries a request_id.
  int max_retries = 2;
  int retry_percent = 10;                                 // of the calls may be repeated
  int retry_burst = 10;                                   // beyond that share
  absl::Duration first_backoff = absl::Milliseconds(20);  // doubled each time, half of it by chance
  // Told of each question, once, how it was answered and after how long, retries included; `target`
  // is its key in `targets`. Before the answer, on its thread; it returns at once. May be empty.
  std::function<void(std::string_view target, absl::StatusCode code, absl::Duration took)>
      answered = nullptr;
};

// Callable from any thread.
class ChannelPeer : public corridor::Peer {
 public:
  // Connects when first asked. `executor` runs the retries, by the time of `clock`; both outlive
  // the result. INVALID_ARGUMENT: a TLS file that is none.
  static absl::StatusOr<std::unique_ptr<ChannelPeer>> Create(ChannelOptions options,
                                                             executor::Executor* executor,
                                                             const time::Clock* clock);
  // Cancels what is under way and blocks until it has been answered, so not from a `done`.
  ~ChannelPeer() override;

  // `done` is called on a thread of gRPC's, or before this returns: it must not block.
  // UNIMPLEMENTED: the method is unknown or has no target. What was not answered within the
  // deadline is DEADLINE_EXCEEDED.
  void Ask(const corridor::CallContext& context, std::string_view method,
           corridor::MessagePtr request, corridor::ReplyCallback done) override;

  // Asks every target whether it serves, by gRPC's health protocol, without retries and untold to
  // `answered`. `done` as Ask's, once a target, by its key in `targets`: UNAVAILABLE where it says
  // NOT_SERVING.
  void CheckHealth(const std::function<void(std::string_view target, absl::Status status)>& done);

 private:
  class Core;
  explicit ChannelPeer(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  const std::shared_ptr<Core> core_;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_CHANNEL_H_
