// Publishes what decisions wrote into the outbox: in id order, one append under way at a time,
// deleting a row only after the bus has it for good. A crash between the two publishes a row twice;
// consumers drop the second by its sequence.
#ifndef TANDEM_COMMON_OUTBOX_RELAY_H_
#define TANDEM_COMMON_OUTBOX_RELAY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/lane/lane.h"
#include "common/store/store.h"
#include "common/time/clock.h"

namespace tandem::outbox {

struct RelayOptions {
  size_t max_events = 512;  // one append
  absl::Duration first_back_off = absl::Milliseconds(50);
  absl::Duration last_back_off = absl::Seconds(5);
  // Where the database is shared: who asks for the lease, unlike any other; how long it lasts
  // without being renewed; how soon others' rows are looked for, from busy to idle.
  std::string owner;
  absl::Duration lease = absl::Seconds(3);
  absl::Duration first_poll = absl::Milliseconds(5);
  absl::Duration last_poll = absl::Milliseconds(200);
};

// Start once, Wake from any thread; the rest in steps of the executor.
//
// One process with a database of its own: ids become visible in their order, so the cursor is the
// last acknowledged id, and nothing polls. Where the database is shared, one relay of the service
// publishes, by a lease that the database's clock judges, and a lower id may become visible after a
// higher one. Every look therefore begins at the oldest row. A look that began behind the last id
// would publish a subject's next event before one that became visible late, and consumers would
// take the late one for a duplicate. Of one subject, ids become visible in their order, for a
// decision begins after it has seen the one before. A relay that was stopped and goes on publishes
// what another has published, in the same order: consumers drop it.
class Relay {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    store::Reader* reader = nullptr;  // the relay's own
    const store::Store* store = nullptr;
    bus::Bus* bus = nullptr;
    lane::Lane* lane = nullptr;  // deletes and the lease go through it
  };
  // Told in a step after each attempt: how many events the bus has for good now, or why the outbox
  // could not be read or the bus did not take them. May be empty.
  using Observer = std::function<void(int64_t published, const absl::Status& status)>;
  Relay(std::string source, Ports ports, RelayOptions options, Observer observer = nullptr);
  ~Relay() { scope_.Close(); }
  // No step starts after it; the executor may end. Not from inside a step.
  void Close() { scope_.Close(); }

  void Start();
  // There may be new rows.
  void Wake();

  // Events acknowledged by the bus since the start; why the last append failed (OK = it did not).
  // Steps of the relay's executor only.
  int64_t published() const { return published_; }
  const absl::Status& trouble() const { return trouble_; }
  // Gives the lease up, for another to take at once; publishes nothing any more. Any thread.
  void Release();
  // Whether this relay is the one that publishes: always, where the database is not shared.
  bool leads() const { return leads_ && ports_.clock->Now() < leads_until_; }
  // Nothing under way and nothing known to wait.
  bool Idle() const { return !appending_ && !again_ && !backing_off_; }

 private:
  void Step(bool has_polled = false);
  void AskForLease();
  void GotLease(absl::Time asked_at, const absl::Status& status);
  void Poll();
  absl::Status ReadUnpublished(std::vector<int64_t>& ids, std::vector<bus::Event>& events);
  absl::Status ScanIds(std::vector<int64_t>& fresh);
  void Appended(std::vector<int64_t> ids, const absl::Status& status);

  const std::string source_;
  const Ports ports_;
  const RelayOptions options_;
  const Observer observer_;
  int64_t last_acknowledged_ = 0;  // cursor
  // Where the database is shared.
  bool leads_ = true;
  absl::Time leads_until_ = absl::InfiniteFuture();
  std::set<int64_t> acknowledged_;  // and perhaps not deleted yet
  absl::Duration poll_;
  bool polling_ = false;
  bool released_ = false;
  bool appending_ = false;
  bool again_ = false;  // woken while appending
  bool backing_off_ = false;
  absl::Duration back_off_;
  int64_t published_ = 0;
  absl::Status trouble_;
  std::atomic<bool> wake_posted_{false};
  executor::Scope scope_;
};

}  // namespace tandem::outbox

#endif  // TANDEM_COMMON_OUTBOX_RELAY_H_
