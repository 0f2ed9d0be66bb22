// Asks peers for a piece of work, off the lane: all its questions at once, each with its deadline.
#ifndef TANDEM_COMMON_LANE_GATHERER_H_
#define TANDEM_COMMON_LANE_GATHERER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/corridor/decision.h"
#include "common/corridor/endpoint.h"
#include "common/lane/work.h"
#include "common/time/clock.h"

namespace tandem::lane {

// Callable from any thread.
class Gatherer {
 public:
  // `peer` may be null: then every question is answered UNAVAILABLE. `caller` is the service's
  // name.
  Gatherer(std::string caller, corridor::Peer* peer, const time::Clock* clock);

  // Puts the questions and calls `done` once with `gathered` and their answers, on whatever thread
  // the last answer came. In the fourth round and later nobody is asked: the answer is UNAVAILABLE.
  void Ask(Gathered gathered, std::vector<corridor::Question> questions, std::string traceparent,
           absl::AnyInvocable<void(Gathered)> done);

 private:
  const std::string caller_;
  corridor::Peer* const peer_;
  const time::Clock* const clock_;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_GATHERER_H_
