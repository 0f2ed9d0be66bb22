#include "common/host/ask.h"

#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace tandem::host {

AskAndWait AskThrough(corridor::Peer* peer, const time::Clock* clock, std::string caller) {
  return [peer, clock, caller = std::move(caller)](
             const std::string& method,
             corridor::MessagePtr request) -> absl::StatusOr<corridor::MessagePtr> {
    absl::Notification answered;
    absl::StatusOr<corridor::MessagePtr> answer;
    corridor::CallContext context;
    context.caller = caller;
    context.deadline = clock->Now() + absl::Seconds(30);
    peer->Ask(context, method, std::move(request), [&](absl::StatusOr<corridor::MessagePtr> reply) {
      answer = std::move(reply);
      answered.Notify();
    });
    answered.WaitForNotification();
    return answer;
  };
}

}  // namespace tandem::host
