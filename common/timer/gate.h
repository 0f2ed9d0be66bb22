// One gate a store sleeps until the earliest known timer is due and hands due rows to the lane, in
// order of their due instants. A timer whose verdict depends on facts of the bus is handed over
// only when every fact published up to its due instant has been applied: the stored position has
// reached an end offset that was asked for at or after due + settle. So each partition has a
// watermark, the latest due instant that is ready, and rows that are not ready never stand in front
// of others.
//
// Where several processes share the database, a row is claimed before it is handed out, by one
// committed statement and by the database's clock: only the claim's holder deletes the row, and who
// dies with a claim is followed by another when it has ended. Fact-bound rows are fired by the
// process that has their partition, for it knows the stored position.
#ifndef TANDEM_COMMON_TIMER_GATE_H_
#define TANDEM_COMMON_TIMER_GATE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/corridor/definition.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/inbox/consumer.h"
#include "common/lane/lanes.h"
#include "common/store/store.h"
#include "common/time/clock.h"

namespace tandem::timer {

struct GateOptions {
  absl::Duration settle = absl::Seconds(1);              // see above
  absl::Duration ask_spacing = absl::Milliseconds(100);  // between two questions of one partition
  // After this long without readiness a fact-bound timer fires marked judged_while_lagging.
  absl::Duration lag_limit = absl::Minutes(10);
  size_t max_handed_out = 1024;  // firings under way
  size_t max_scan = 512;         // rows of one query
  absl::Duration first_back_off =
      absl::Milliseconds(20);  // for a firing that has to be tried again
  absl::Duration last_back_off = absl::Seconds(30);
  // Where the database is shared: whose claims are this process's, unlike any other's; how long one
  // lasts; how much longer for a row whose effect waits for a peer; how often others' rows are
  // looked for.
  std::string owner;
  absl::Duration claim = absl::Seconds(5);
  absl::Duration effect_claim = absl::Seconds(15);
  absl::Duration look_anyway = absl::Seconds(1);
};

// How late firings were decided after their due instants.
struct GateStats {
  int64_t fired = 0;
  int64_t judged_while_lagging = 0;
  absl::Duration last_lateness;
};

// Firings of one key enter the lane in order of their due instants; one that has to be tried again,
// asks a peer, or is held while events of its subject are parked, may be overtaken by the next.
class Gate {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    store::Reader* reader = nullptr;  // the gate's own
    const store::Store* store = nullptr;
    bus::Bus* bus = nullptr;
    const lane::Lanes* lanes = nullptr;
    inbox::Consumer* consumer = nullptr;  // on the same executor
  };
  Gate(const corridor::ServiceDefinition* definition, Ports ports, GateOptions options,
       std::function<void(absl::Duration lateness)> fired);
  ~Gate() { scope_.Close(); }
  // No step starts after it; the executor may end. Not from inside a step.
  void Close() { scope_.Close(); }

  // Looks at what is there; any thread, once.
  void Start();
  // A timer due at `earliest` was set. Any thread.
  void Wake(absl::Time earliest);
  // A stored position moved. Steps of the executor only.
  void Moved(int partition, int64_t next_offset);
  // Nothing is handed out any more; what is in the lane may still be decided. Any thread.
  void Stop();

  const GateStats& stats() const { return stats_; }

 private:
  struct Bound {
    // Ready: every row due at or before it.
    absl::Time watermark = absl::InfinitePast();
    bool asking = false;
    absl::Time asked_at = absl::InfinitePast();  // the last question
    std::optional<int64_t> end_offset;  // its answer, while the position has not reached it
    // Since when a due row waits without the position having caught up with an answer.
    absl::Time trying_since = absl::InfiniteFuture();
  };
  // Rows of one bound, due at or before `ready`.
  struct Page {
    int bound = -1;  // -1 = plain
    absl::Time ready;
    bool lagging = false;
  };
  struct Row {
    corridor::FiredTimer timer;
    std::string kind;
    std::string payload;
    std::string traceparent;
    absl::Time claimed_until = absl::InfiniteFuture();  // where the database is shared
  };

  void Arm(absl::Time instant);
  void Look();
  void HandOut(const Page& page);
  // Claims as many rows as there is room for, and hands out those that it got.
  void Claim(const Page& page);
  void HandOutClaimed(const Page& page, size_t asked_for);
  // Reads rows by `statement` and hands them out, at most `room` of them; how many.
  size_t HandOutRows(const Page& page, const store::Statement& statement, size_t room,
                     bool are_claimed);
  void Dispatch(Row row);
  void Perform(std::unique_ptr<lane::TimerFiring> firing);
  void Done(const corridor::FiredTimer& timer, lane::TimerOutcome outcome);
  // Due rows of a key that has fired may have waited behind the one that is gone now.
  void LookBehindFired();
  void ClockWentBack(absl::Time now);
  void Question(int partition);
  void Advance(int partition);

  const corridor::ServiceDefinition* const definition_;
  const Ports ports_;
  const GateOptions options_;
  const std::function<void(absl::Duration)> fired_;

  const std::string plain_rows_, bound_rows_, due_of_keys_;  // the queries
  std::string claim_;                                        // where the database is shared

  std::vector<Bound> bounds_;                    // by partition
  absl::flat_hash_set<std::string> handed_out_;  // timer ids under way
  struct BackOff {
    absl::Duration wait;
    absl::Time until;
  };
  absl::flat_hash_map<std::string, BackOff> backing_off_;  // those that wait to be tried again
  absl::Time looked_at_ = absl::InfinitePast();
  absl::Time armed_ = absl::InfiniteFuture();
  bool more_ = false;                    // a page was full: there may be more
  absl::flat_hash_set<int> claiming_;    // bounds with a claim under way
  std::vector<std::string> fired_keys_;  // not looked behind yet
  bool stopped_ = false;
  GateStats stats_;
  std::atomic<int64_t> wake_at_;  // earliest instant of the wakes not yet seen
  executor::Scope scope_;
};

}  // namespace tandem::timer

#endif  // TANDEM_COMMON_TIMER_GATE_H_
