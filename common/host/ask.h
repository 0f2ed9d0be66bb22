// Questions of a process to its own services, at the start, before there is a door.
#ifndef TANDEM_COMMON_HOST_ASK_H_
#define TANDEM_COMMON_HOST_ASK_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/corridor/endpoint.h"
#include "common/time/clock.h"

namespace tandem::host {

using AskAndWait = std::function<absl::StatusOr<corridor::MessagePtr>(
    const std::string& method, corridor::MessagePtr request)>;

// Asks in the name of `caller` and blocks the thread that asks until the answer is there, at most
// 30 s. Peer and clock outlive it.
AskAndWait AskThrough(corridor::Peer* peer, const time::Clock* clock, std::string caller);

}  // namespace tandem::host

#endif  // TANDEM_COMMON_HOST_ASK_H_
