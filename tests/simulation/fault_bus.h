// A bus with partitions and groups in memory, and with what goes wrong on the way to it: appends
// that are refused, late, done although they were said to have failed; a broker that is down;
// partitions that change hands, sessions that end, and members that go on getting records of what
// is no longer theirs. Never what a bus promises not to do: the records of a partition keep their
// order and their offsets.
#ifndef TANDEM_TESTS_SIMULATION_FAULT_BUS_H_
#define TANDEM_TESTS_SIMULATION_FAULT_BUS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/bus/bus.h"
#include "common/executor/executor.h"
#include "common/time/clock.h"
#include "tests/simulation/process.h"
#include "tests/simulation/weather.h"

namespace tandem::simulation {

// The brokers of a world. One thread; ends after every consumer.
class Broker {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    Weather* weather = nullptr;
    // Told of each record at the instant at which it is durable.
    std::function<void(const bus::RecordPtr&)> appended;
  };
  Broker(Ports ports, int partitions, absl::Duration session, Dice dice)
      : ports_(std::move(ports)),
        session_(session),
        dice_(dice),
        log_(static_cast<size_t>(partitions)) {}

  // The bus as `process`, which outlives the result, sees it.
  std::unique_ptr<bus::Bus> PortOf(Process* process);

  int partitions() const { return static_cast<int>(log_.size()); }
  const std::vector<bus::RecordPtr>& Log(int partition) const {
    return log_[static_cast<size_t>(partition)];
  }
  // Puts an event on the bus at once, whoever it comes from.
  void Land(bus::Event event);

  void SetDown(bool is_down);
  // Shares every group's partitions out anew.
  void Shuffle();
  // The process was stopped, or goes on: after a session without it, others get its partitions.
  void Stopped(Process* process);
  void WentOn(Process* process);

 private:
  class Port;
  class Member;
  struct Cursor {
    bool is_owned = false;
    absl::Time zombie_until = absl::InfinitePast();  // gets records although it is not owned
    bool is_sought = false;
    bool is_posted = false;  // a delivery
    int64_t generation = 0;
    int64_t next = 0;
    std::vector<int> credits;
  };
  using Group = std::vector<std::shared_ptr<Member>>;

  void Append(Process* process, std::vector<bus::Event> events,
              absl::AnyInvocable<void(absl::Status)> done);
  // Lands up to `most[partition]` of each partition's events.
  void LandAll(const std::vector<bus::Event>& events, const std::vector<size_t>& most);
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done);
  void After(absl::Duration delay, executor::Task task) {
    ports_.executor->PostAt(ports_.clock->Now() + delay, std::move(task));
  }
  absl::Duration Latency() { return dice_.Between(absl::Microseconds(50), absl::Milliseconds(3)); }
  void ShareOut(const std::string& group, bool from_scratch);
  void Take(const std::shared_ptr<Member>& member, const std::vector<int>& partitions);
  void PostShareOut(const std::string& group);
  void PostDelivery(const std::shared_ptr<Member>& member, int partition);
  void Deliver(const std::shared_ptr<Member>& member, int partition);

  const Ports ports_;
  const absl::Duration session_;
  Dice dice_;
  std::vector<std::vector<bus::RecordPtr>> log_;
  std::map<std::string, Group> groups_;
  bool is_down_ = false;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_FAULT_BUS_H_
