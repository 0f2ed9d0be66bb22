// The five services in one process: each with its own store and lane, all on one bus, asking each
// other directly. `serve` gives it threads and files, `replay` the deterministic scheduler.
#ifndef TANDEM_SERVICES_TANDEM_HOUSE_H_
#define TANDEM_SERVICES_TANDEM_HOUSE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/bus.h"
#include "common/bus/log_reader.h"
#include "common/corridor/endpoint.h"
#include "common/corridor/local_peer.h"
#include "common/executor/executor.h"
#include "common/id/entropy.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/runtime/service_runtime.h"
#include "common/store/sqlite.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "services/tandem/services.h"

namespace tandem::programs {

// Made, started and ended by one thread; peer() and the runtimes are for any.
class House {
 public:
  struct Environment {
    const time::Clock* clock = nullptr;
    std::function<std::unique_ptr<executor::Executor>(const std::string& name)> new_executor;
    bus::Bus* bus = nullptr;
    id::Entropy* entropy = nullptr;
    // The log of each service; empty, or null = silent.
    std::function<log::Logger*(const std::string& service)> logger_of;
    metrics::Registry* metrics = nullptr;  // null = uncounted
    // What else is measured every few seconds, on a thread that may wait for a disk. May be empty.
    std::function<void()> measure;
  };
  struct Options {
    // The folder of the database files, which exists; ":memory:" = none.
    std::string data = ":memory:";
    store::Durability durability = store::Durability::kFull;
    store::CommitBarrier* barrier = nullptr;  // passed by every commit; outlives the house
    int readers = 2;                          // threads that answer queries, shared by the services
    runtime::RuntimeOptions runtime;
  };

  // Opens and migrates every store: errors name the file. The environment outlives the house.
  static absl::StatusOr<std::unique_ptr<House>> Open(Options options,
                                                     const std::vector<Service>& services,
                                                     Environment environment);
  ~House();

  // Joins the bus and begins to fire timers.
  absl::Status Start();
  // No new calls, no new events; `done` when nothing is under way in any service.
  void Drain(absl::AnyInvocable<void()> done);

  std::vector<corridor::Endpoint*> endpoints() const;
  std::vector<runtime::ServiceRuntime*> runtimes() const;
  // FAILED_PRECONDITION if a service has applied more than the log holds, or than another has
  // decided: the files are of
  // different instants. Before Start, by the thread that opened the house.
  absl::Status CheckPositions(const bus::LogReader& log, int partitions) const;
  corridor::LocalPeer& peer() { return *peer_; }
  executor::Executor* peer_executor() { return peer_executor_.get(); }

 private:
  struct Room {
    std::unique_ptr<store::Store> store;
    std::unique_ptr<executor::Executor> lane, background;
    std::unique_ptr<runtime::ServiceRuntime> runtime;
  };
  House() = default;

  std::unique_ptr<executor::Executor> peer_executor_;
  std::vector<std::unique_ptr<executor::Executor>> readers_;
  std::unique_ptr<corridor::LocalPeer> peer_;
  std::vector<Room> rooms_;
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_HOUSE_H_
