#include "common/corridor/local_peer.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::corridor {
namespace {

// A question under way. The endpoint's answer and the deadline race for it; the first one wins.
class Pending {
 public:
  explicit Pending(ReplyCallback done) : done_(std::move(done)) {}

  void Answer(absl::StatusOr<MessagePtr> reply) {
    if (answered_.exchange(true)) return;
    // Moved out first: the deadline's task keeps this object for a while, and what the callback
    // holds must not be kept with it.
    ReplyCallback done = std::move(done_);
    std::move(done)(std::move(reply));
  }

 private:
  std::atomic<bool> answered_ = false;
  ReplyCallback done_;
};

}  // namespace

void LocalPeer::Add(Endpoint* endpoint) {
  for (const auto* service : endpoint->services()) endpoints_[service] = endpoint;
}

void LocalPeer::Ask(const CallContext& context, std::string_view method, MessagePtr request,
                    ReplyCallback done) {
  const google::protobuf::MethodDescriptor* descriptor = FindMethod(method);
  const auto endpoint =
      descriptor == nullptr ? endpoints_.end() : endpoints_.find(descriptor->service());
  if (endpoint == endpoints_.end()) {
    std::move(done)(
        absl::UnimplementedError(absl::StrCat("nobody here answers ", std::string(method))));
    return;
  }
  auto pending = std::make_shared<Pending>(std::move(done));
  if (context.deadline != absl::InfiniteFuture()) {
    executor_->PostAt(context.deadline, [pending, name = std::string(method)] {
      pending->Answer(absl::DeadlineExceededError(absl::StrCat(name, " did not answer in time")));
    });
  }
  endpoint->second->Call(
      context, descriptor, std::move(request),
      [pending](absl::StatusOr<MessagePtr> reply) { pending->Answer(std::move(reply)); });
}

}  // namespace tandem::corridor
