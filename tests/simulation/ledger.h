// What happened in a world, as those outside know it: the calls with their instants and answers,
// and the commits and records in their order. The first broken promise is kept here, with its
// instant.
#ifndef TANDEM_TESTS_SIMULATION_LEDGER_H_
#define TANDEM_TESTS_SIMULATION_LEDGER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/endpoint.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/process.h"

namespace tandem::simulation {

// In every name, address and text that the actors use: may not appear on the bus, in logs or in
// metrics.
inline constexpr std::string_view kCanary = "qanarybird";

// A call from outside and what became of it.
struct CallRecord {
  std::string method;
  std::string request_id;  // of the first attempt
  corridor::MessagePtr request;
  absl::Time sent_at;  // the first attempt
  int attempts = 0;
  absl::Time answered_at = absl::InfiniteFuture();  // as the caller saw it
  // OK = acknowledged; another code = refused; UNKNOWN = the caller gave up, it may or may not have
  // happened.
  absl::Status status = absl::UnknownError("not answered");
  corridor::MessagePtr reply;
  int ticket = -1;  // the story that it belongs to

  bool is_acknowledged() const { return status.ok(); }
};

// An event as its service's commit wrote it.
struct CommittedEvent {
  Service service = kIntake;
  std::string id, type, subject, key, cause;
  absl::Time time;
  std::string body;
  absl::Time committed_at;
};

template <typename E>
bool IsA(const CommittedEvent& event) {
  return event.type == E::descriptor()->full_name();
}

template <typename E>
E BodyAs(const CommittedEvent& event) {
  E body;
  body.ParseFromString(event.body);
  return body;
}

// Who says that a promise was broken.
enum class Witness : uint8_t {
  kWorld,       // those who take part: what cannot go on
  kInvariants,  // invariants.h
  kShadows,     // shadow_world.h
};

// One thread.
class Ledger {
 public:
  explicit Ledger(const time::Clock* clock) : clock_(clock) {}

  // A promise was broken; the first time counts.
  void Fail(std::string message, Witness witness = Witness::kWorld);
  // From now on invariants are not believed: what is noticed then the shadows have noticed.
  void BelieveShadowsAlone() { believes_invariants_ = false; }
  const std::optional<std::string>& failure() const { return failure_; }

  // Of everything that was committed and published, in its order.
  uint64_t trace_hash() const { return trace_hash_; }
  void FoldIn(uint64_t number) { trace_hash_ = Fold(trace_hash_, number); }
  void FoldIn(std::string_view bytes) { trace_hash_ = Fold(trace_hash_, bytes); }

  // Tells the story of whatever names `id`; empty = of nothing.
  void Trace(std::string id) { traced_ = std::move(id); }
  bool is_tracing() const { return !traced_.empty(); }
  // Kept if `about` or the line names what is traced.
  void Tell(const std::string& line, std::string_view about = "");
  const std::vector<std::string>& story() const { return story_; }

  CallRecord* NewCall() { return &calls_.emplace_back(); }
  const std::deque<CallRecord>& calls() const { return calls_; }

  std::deque<CommittedEvent> committed;  // in the order of the commits of each service
  absl::flat_hash_map<std::string, size_t> committed_by_id;  // place in `committed`
  std::vector<bus::RecordPtr> published;  // first appearances, in the order of landing
  absl::flat_hash_set<std::string> published_ids;
  absl::flat_hash_set<std::string> poison_ids;
  // Of tickets and accounts with the shadows: how many were made, and how many could not be.
  int64_t comparisons = 0, omissions = 0;

 private:
  const time::Clock* const clock_;
  std::optional<std::string> failure_;
  bool believes_invariants_ = true;
  uint64_t trace_hash_ = kFoldStart;
  std::string traced_;
  std::vector<std::string> story_;
  std::deque<CallRecord> calls_;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_LEDGER_H_
