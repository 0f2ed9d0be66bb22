// Reads the bus for a service: claims partitions, keeps each one's events in order, asks peers
// ahead for what they need, and sends runs to the lane. The position lives in the service's own
// database and moves in the commit that applies the events; another owner's epoch fences this one
// off.
#ifndef TANDEM_COMMON_INBOX_CONSUMER_H_
#define TANDEM_COMMON_INBOX_CONSUMER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/bus/event.h"
#include "common/corridor/definition.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/inbox/abandoned.h"
#include "common/lane/gatherer.h"
#include "common/lane/lanes.h"
#include "common/store/store.h"
#include "common/time/clock.h"

namespace tandem::inbox {

struct ConsumerOptions {
  int max_run = 128;                               // events in one run
  int max_waiting = 512;                           // events of a partition kept in memory
  absl::Duration skipped_wait = absl::Seconds(1);  // a position over skipped types moves this late
  absl::Duration first_back_off = absl::Milliseconds(20);
  absl::Duration last_back_off = absl::Seconds(5);
  // Another owner took the partition while the bus still gives it to us: how long to wait for the
  // bus to say otherwise, a member's session there.
  absl::Duration reclaim_after = absl::ZeroDuration();
};

// What one partition is like now.
struct PartitionState {
  int partition = 0;
  int64_t next_offset = 0;  // stored
  std::string stopped;      // why it is not read any more; empty = it is
  int64_t backlog = 0;      // events received and not applied
};

// Start, and the methods that say so, in steps of the executor; bus calls come from anywhere.
class Consumer : private bus::Listener {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    store::Reader* reader = nullptr;  // the consumer's own
    bus::Bus* bus = nullptr;
    const lane::Lanes* lanes = nullptr;
    lane::Gatherer* gatherer = nullptr;
  };
  // Told in steps of the executor; each may be empty.
  struct Observer {
    std::function<void(int partition, int64_t next_offset)> moved;  // a stored position moved
    // A partition is not read any more.
    std::function<void(int partition, const absl::Status& why)> stopped;
    // An event of a type that the service uses was applied, or parked, and that is committed.
    std::function<void(const bus::Event&)> applied;
  };
  Consumer(const corridor::ServiceDefinition* definition, std::string owner, Ports ports,
           ConsumerOptions options, Observer observer);
  ~Consumer() override;
  // Leaves the group at once; no step starts after it, and the executor may end. Not from inside a
  // step.
  void Close();

  // Joins the group named after the service. Any thread, once.
  absl::Status Start();
  // Leaves the group; what is in the lane may still be applied. Any thread.
  void Stop();

  // Steps of the executor only.
  int64_t NextOffset(int partition) const;
  // A waiting timer needs the position to be as far as it can be: moves it over skipped types now.
  void MoveSkippedNow(int partition);
  std::vector<PartitionState> Partitions() const;
  // Why the last run had to be tried again.
  const absl::Status& trouble() const { return trouble_; }

 private:
  struct Partition {
    int64_t next_offset = -1;  // stored; -1 = not claimed yet
    int64_t epoch = 0;
    int64_t generation = 0;
    std::deque<lane::RunEvent> waiting;
    size_t in_flight = 0;    // events of the run under way
    bool requested = false;  // More was called and not answered
    bool claiming = false;
    bool backing_off = false;
    bool move_skipped_now = false;
    bool skipped_step_set = false;
    int asking = 0;  // events whose questions are under way
    absl::Duration back_off;
    absl::Status stopped;
  };

  // bus::Listener
  void Assigned(std::vector<int> partitions) override;
  void Revoked(std::vector<int> partitions) override;
  void Records(int partition, int64_t generation, std::vector<bus::RecordPtr> records) override;
  void Stopped(int partition, absl::Status why) override;

  void GiveUp(int number, const absl::Status& why);
  void Claim(int number);
  void Claimed(int number, const absl::Status& status);
  void Receive(int number, int64_t generation, std::vector<bus::RecordPtr> records);
  void RequestMore(int number);
  void Pump(int number);
  void SendRun(int number, size_t size);
  void Ran(int number, int64_t generation, lane::RunResult result);
  void BackOff(int number);
  void AskFront(int number, std::vector<corridor::Question> questions);
  void Ask(int number, size_t index, std::vector<corridor::Question> questions);
  void Refence(int number);

  const corridor::ServiceDefinition* const definition_;
  const std::string owner_;
  const Ports ports_;
  const ConsumerOptions options_;
  const Observer observer_;
  std::map<int, Partition> partitions_;
  int64_t generations_ = 0;
  Abandoned abandoned_;                     // as of the last claim
  std::unique_ptr<bus::Consumer> joining_;  // from Start to the step that it posts
  std::unique_ptr<bus::Consumer> member_;
  absl::Status trouble_;
  executor::Scope scope_;
};

}  // namespace tandem::inbox

#endif  // TANDEM_COMMON_INBOX_CONSUMER_H_
