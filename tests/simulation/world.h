// Five services as processes in a world of faults: one thread, simulated time, everything from one
// seed.
#ifndef TANDEM_TESTS_SIMULATION_WORLD_H_
#define TANDEM_TESTS_SIMULATION_WORLD_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/executor/deterministic.h"
#include "common/id/seeded_entropy.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/runtime/service_runtime.h"
#include "services/survey/mailbox.h"
#include "services/tandem/services.h"
#include "tests/simulation/fault_bus.h"
#include "tests/simulation/fault_peer.h"
#include "tests/simulation/fault_store.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/process.h"
#include "tests/simulation/weather.h"

namespace tandem::simulation {

// How far a process's clock may be from the true time. Two are never further apart than what the
// services allow for (allowed_skew of the account policy, 5 s).
inline constexpr absl::Duration kLargestSkew = absl::Milliseconds(2400);

// Where the survey's letters arrive: outside, so it survives everything. One thread.
class Mailbox : public survey::Mailer {
 public:
  explicit Mailbox(Weather* weather) : weather_(weather) {}
  absl::Status Put(std::string_view name, std::string_view letter) override;
  absl::Status Remove(std::string_view name) override;
  // The token of the ticket's newest letter; empty = there is none.
  std::string TokenFor(const std::string& ticket_id) const;

 private:
  struct Letter {
    std::string name, ticket_id, token;
  };
  Weather* const weather_;
  std::vector<Letter> letters_;
};

// One thread.
class World {
 public:
  explicit World(const Plan& plan);
  ~World();

  // Opens the databases and starts every process, without faults.
  absl::Status Start();
  // Begins the faults of the plan, which last for its length.
  void BeginFaults();
  // All faults end: who is stopped goes on, who is dead is started.
  void EndFaults();
  // Takes steps up to that instant, or until a promise is broken.
  void RunUntil(absl::Time instant);
  void RunFor(absl::Duration duration) { RunUntil(Now() + duration); }
  // Runs until nothing is left to do but to wait for timers that are due later; a failure of the
  // ledger names what is left when that takes too long.
  void Drain();

  const Plan& plan() const { return plan_; }
  absl::Time Now() const { return scheduler_.clock()->Now(); }
  const time::Clock* clock() const { return scheduler_.clock(); }
  Ledger& ledger() { return ledger_; }
  Broker& broker() { return *broker_; }
  Network& network() { return *network_; }
  Weather& weather() { return weather_; }
  Mailbox& mailbox() { return *mailbox_; }
  Watch& watch() { return watch_; }
  const metrics::Registry& metrics() const { return metrics_; }
  int64_t steps() const { return scheduler_.steps(); }
  // An executor of those outside.
  executor::Executor& outside() { return *outside_; }

  // The committed state of a service, past all faults.
  store::Reader& reader(Service service) { return databases_[service].store->reader(); }
  int64_t Number(Service service, const std::string& sql, std::vector<store::Value> params = {});
  // Some runtime of the service that is alive; null = none is.
  runtime::ServiceRuntime* AnyRuntime(Service service, Dice& dice);
  // Kills every process of the service; each is started again.
  void Restart(Service service);
  // Sets all clocks as far ahead or back as they may be; nothing in a world whose clocks do not
  // jump.
  void SetClocks(absl::Duration skew);
  // Why it has not drained; empty = it has.
  std::string WhatIsLeft();
  // Calls of actors that were not answered yet.
  int open_calls = 0;

 private:
  // A service within a process, and what it stands on.
  struct Instance {
    Service service = kIntake;
    std::vector<std::unique_ptr<executor::Executor>> lanes;
    std::unique_ptr<executor::Executor> background, reader;
    std::vector<std::unique_ptr<FaultStore>> stores;
    std::unique_ptr<bus::Bus> bus;
    std::unique_ptr<FaultPeer> peer;
    std::unique_ptr<log::Logger> logger;
    std::unique_ptr<runtime::ServiceRuntime> runtime;
  };
  // Where a process is started again and again.
  struct Place {
    std::vector<Service> services;
    std::shared_ptr<Process> process;  // null = it is down
    std::vector<Instance> instances;
    int starts = 0;
    absl::Duration skew;
    bool is_starting = false;  // a start is on its way
    bool is_draining = false;
  };
  class LogSink;

  absl::Status OpenDatabases();
  absl::Status StartProcess(size_t place);
  absl::StatusOr<Instance> StartInstance(Service service, const std::shared_ptr<Process>& process);
  void StartLater(size_t place, absl::Duration delay);
  void EndProcess(size_t place);
  void EndDoomed();
  absl::Duration DrawSkew(Fault fault);
  // Calls `strike` at instants drawn for an episodic fault.
  void Episodes(Fault fault, int most, std::function<void(Dice&)> strike);
  void Rewind(Dice& dice);
  void Poison(Dice& dice);
  void RestartGently(size_t place);
  void PauseFor(size_t place, absl::Duration duration);

  const Plan plan_;
  executor::DeterministicScheduler scheduler_;
  Weather weather_;
  Dice dice_;
  Ledger ledger_;
  id::SeededEntropy entropy_;
  metrics::Registry metrics_;
  std::shared_ptr<LogSink> log_sink_;
  std::shared_ptr<Mailbox> mailbox_;
  std::unique_ptr<executor::Executor> bus_executor_, network_executor_, outside_, fate_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<Network> network_;
  std::array<Database, kServices> databases_;
  Watch watch_;
  std::vector<programs::Service> services_;
  std::vector<Place> places_;
  int64_t poisons_ = 0;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_WORLD_H_
