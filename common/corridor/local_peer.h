// The Peer port inside one process: a question goes straight to the endpoint that serves it.
#ifndef TANDEM_COMMON_CORRIDOR_LOCAL_PEER_H_
#define TANDEM_COMMON_CORRIDOR_LOCAL_PEER_H_

#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"

namespace tandem::corridor {

// Add before the first Ask, from one thread; Ask from any thread. The endpoints and the executor
// outlive it.
class LocalPeer : public Peer {
 public:
  // `executor` keeps the deadlines: by its clock, so that simulated time ends a question too.
  explicit LocalPeer(executor::Executor* executor) : executor_(executor) {}

  // Serves what `endpoint` serves; of two that serve one protobuf service the later stands.
  void Add(Endpoint* endpoint);

  // `done` may be called before this returns, when the endpoint answers at once. After the
  // context's deadline it is called with DEADLINE_EXCEEDED on the executor, and the endpoint's late
  // answer is dropped. UNIMPLEMENTED: no added endpoint serves the method.
  void Ask(const CallContext& context, std::string_view method, MessagePtr request,
           ReplyCallback done) override;

 private:
  executor::Executor* const executor_;
  absl::flat_hash_map<const google::protobuf::ServiceDescriptor*, Endpoint*> endpoints_;
};

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_LOCAL_PEER_H_
