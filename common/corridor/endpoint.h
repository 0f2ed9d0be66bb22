// An RPC as a plain asynchronous function, without gRPC types: what a service serves (Endpoint) and
// how a service asks another one (Peer). In one process a peer is an endpoint; between processes
// the gRPC adapter of common/rpc stands between them.
#ifndef TANDEM_COMMON_CORRIDOR_ENDPOINT_H_
#define TANDEM_COMMON_CORRIDOR_ENDPOINT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tandem::corridor {

using MessagePtr = std::shared_ptr<const google::protobuf::Message>;
// The answer of a call: a message of the method's output type, or why there is none.
using ReplyCallback = absl::AnyInvocable<void(absl::StatusOr<MessagePtr>)>;

struct CallContext {
  std::string caller;       // who calls, as the door knows it; empty = unknown
  std::string traceparent;  // W3C trace context; may be empty
  absl::Time deadline = absl::InfiniteFuture();
};

// Callable from any thread; never blocks. `done` is called once, on a thread of the endpoint's.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // The protobuf services whose every method is served.
  virtual std::vector<const google::protobuf::ServiceDescriptor*> services() const = 0;
  // `request` is of the method's input type.
  virtual void Call(const CallContext& context, const google::protobuf::MethodDescriptor* method,
                    MessagePtr request, ReplyCallback done) = 0;
};

// A question to another service. Callable from any thread; never blocks. UNAVAILABLE or
// DEADLINE_EXCEEDED = the other side is down; any other status is its own answer.
class Peer {
 public:
  virtual ~Peer() = default;
  // `method` is "package.Service/Method".
  virtual void Ask(const CallContext& context, std::string_view method, MessagePtr request,
                   ReplyCallback done) = 0;
};

// The descriptor of "package.Service/Method" among the protos linked in; null when there is none.
const google::protobuf::MethodDescriptor* FindMethod(std::string_view method);
// "package.Service/Method".
std::string MethodName(const google::protobuf::MethodDescriptor* method);

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_ENDPOINT_H_
