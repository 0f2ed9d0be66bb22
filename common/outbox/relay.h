// Publishes what decisions wrote into the outbox: in id order, one append under way at a time,
// deleting a row only after the bus has it for good. A crash between the two publishes a row twice;
// consumers drop the second by its sequence.
#ifndef TANDEM_COMMON_OUTBOX_RELAY_H_
#define TANDEM_COMMON_OUTBOX_RELAY_H_

#include <cstdint>
#include <memory>
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
};

// Wake from any thread; the rest in steps of the executor. It needs the property of SQLite that ids
// become visible in order (one writer): its cursor is the last acknowledged id. An engine where a
// lower id may appear later needs scans from the oldest undeleted row instead.
class Relay {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    store::Reader* reader = nullptr;  // the relay's own
    bus::Bus* bus = nullptr;
    lane::Lane* lane = nullptr;  // deletes go through it
  };
  Relay(std::string source, Ports ports, RelayOptions options);
  ~Relay() { scope_.Close(); }
  // No step starts after it; the executor may end. Not from inside a step.
  void Close() { scope_.Close(); }

  // There may be new rows.
  void Wake();

  // Events acknowledged by the bus since the start; why the last append failed (OK = it did not).
  // Steps of the relay's executor only.
  int64_t published() const { return published_; }
  const absl::Status& trouble() const { return trouble_; }
  // Nothing under way and nothing known to wait.
  bool Idle() const { return !appending_ && !again_ && !backing_off_; }

 private:
  void Step();
  void Appended(std::vector<int64_t> ids, const absl::Status& status);

  const std::string source_;
  const Ports ports_;
  const RelayOptions options_;
  int64_t last_acknowledged_ = 0;  // cursor
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
