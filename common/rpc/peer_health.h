// Which of the services that a process asks do not answer.
#ifndef TANDEM_COMMON_RPC_PEER_HEALTH_H_
#define TANDEM_COMMON_RPC_PEER_HEALTH_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tandem::rpc {

// Callable from any thread.
class PeerHealth {
 public:
  // The peers' names by their keys in ChannelOptions::targets. A peer is told of once it has not
  // answered for `patience`: shorter is a restart.
  PeerHealth(std::map<std::string, std::string, std::less<>> names, absl::Duration patience);

  // What ChannelPeer::CheckHealth was told.
  void Answered(std::string_view target, const absl::Status& status, absl::Time now);
  // A line a peer that does not answer.
  std::vector<std::string> Silent(absl::Time now) const;

 private:
  struct Trouble {
    absl::Time since;
    absl::Status why;
  };
  const std::map<std::string, std::string, std::less<>> names_;
  const absl::Duration patience_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Trouble> troubles_ ABSL_GUARDED_BY(mutex_);  // by name
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_PEER_HEALTH_H_
