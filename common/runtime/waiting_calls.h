// Calls that name a record of another service before its event has arrived: a caller who has just
// made a record may be faster than the log. The owner is asked once; if the record exists there,
// the call waits for the event and is decided again.
#ifndef TANDEM_COMMON_RUNTIME_WAITING_CALLS_H_
#define TANDEM_COMMON_RUNTIME_WAITING_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/definition.h"
#include "common/corridor/endpoint.h"
#include "common/corridor/errors.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/time/clock.h"

namespace tandem::runtime {

struct WaitingOptions {
  size_t most = 1000;                               // calls that wait at one time
  absl::Duration longest = absl::Seconds(5);        // and no longer than their own deadline
  absl::Duration owner_answers = absl::Seconds(1);  // the owner's time to answer
  // Where another process applies the event, nobody tells: the state is looked at again, first
  // soon, then ever less often.
  absl::Duration first_look = absl::Milliseconds(50);
  absl::Duration last_look = absl::Seconds(1);
};

// How a call that did not hear of something ended.
enum class WaitingEnd {
  kAnswered,          // with its record here, whatever the answer was
  kUnknown,           // its owner does not know the record either
  kTimedOut,          // the record exists; its event did not come in time
  kOwnerUnavailable,  // nobody could say whether it exists
  kRefused,           // too many wait already
};

// No thread waits. Steps of the executor, but for what is said to be for any thread.
class WaitingCalls {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    corridor::Peer* peer = nullptr;  // null = everybody else is down
  };
  struct Call {
    corridor::CallContext context;
    // Decides the call again and gives the answer to the callback, on whatever thread.
    absl::AnyInvocable<void(corridor::ReplyCallback)> decide;
    corridor::ReplyCallback done;
  };
  // `ended` is told in a step of the executor.
  WaitingCalls(const corridor::ServiceDefinition* definition, Ports ports, WaitingOptions options,
               std::function<void(WaitingEnd)> ended);
  // No step starts after it, and the executor may end. Not from inside a step.
  void Close() { scope_.Close(); }

  // `call` was decided and did not hear of `missing`. Any thread.
  void Add(Call call, corridor::Unheard missing);
  // An event was applied by this process: who waits for its subject or its key is decided again.
  void Applied(const bus::Event& event);
  // From now on nobody waits. Any thread.
  void Drain();

  size_t size() const { return calls_.size(); }

 private:
  struct Waiting {
    Call call;
    corridor::Unheard missing;
    // Kind and id: what owners were asked for, and what of it they know.
    std::set<std::pair<std::string, std::string>> asked, known;
    absl::Time until;
    absl::Duration next_look;
    int64_t looks = 0;  // the look that is set, others are overtaken
    bool deciding = false;
    bool woken = false;  // an event came while it was being decided
    bool expired = false;
    // The owner's answer, while the call is being decided: why it ends unless that goes well.
    std::optional<std::pair<absl::Status, WaitingEnd>> verdict;
  };
  using Calls = std::map<int64_t, Waiting>;

  void Ask(int64_t number);
  void OwnerAnswered(int64_t number, const corridor::Unheard& about,
                     const absl::StatusOr<corridor::MessagePtr>& reply);
  void Decide(int64_t number);
  void Decided(int64_t number, absl::StatusOr<corridor::MessagePtr> reply);
  void LookLater(int64_t number);
  void Expire(int64_t number);
  void End(int64_t number, absl::StatusOr<corridor::MessagePtr> reply, WaitingEnd end);
  void Await(int64_t number, corridor::Unheard missing);
  void Forget(int64_t number);

  const corridor::ServiceDefinition* const definition_;
  const Ports ports_;
  const WaitingOptions options_;
  const std::function<void(WaitingEnd)> ended_;
  Calls calls_;
  std::map<std::string, std::set<int64_t>, std::less<>> by_id_;
  int64_t numbers_ = 0;
  bool draining_ = false;
  executor::Scope scope_;
};

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_WAITING_CALLS_H_
