// The way between processes: questions and answers that are slow, lost, come twice, or go to a
// process that is not there. It carries the services' questions to each other (the Peer port) and
// the calls of those outside.
#ifndef TANDEM_TESTS_SIMULATION_FAULT_PEER_H_
#define TANDEM_TESTS_SIMULATION_FAULT_PEER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"
#include "common/time/clock.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/process.h"
#include "tests/simulation/weather.h"

namespace tandem::simulation {

// One thread.
class Network {
 public:
  struct Seat {
    std::shared_ptr<Process> process;  // null = nobody is there
    corridor::Endpoint* endpoint = nullptr;
  };
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    Weather* weather = nullptr;
    // Who may serve a service now, whether alive or not.
    std::function<std::vector<Seat>(Service)> seats;
    // Told of each answer as it leaves its process.
    std::function<void(Service, const corridor::CallContext&,
                       const google::protobuf::MethodDescriptor*, const google::protobuf::Message&,
                       const absl::StatusOr<corridor::MessagePtr>&)>
        answered;
  };
  Network(Ports ports, Dice dice) : ports_(std::move(ports)), dice_(dice) {}

  // Asks some process of the service that has `method`; `done` is called once, in a step of the
  // executor, at the latest after `timeout`, unless the asker (null = outside) has ended by then.
  void Send(const std::shared_ptr<Process>& asker, const std::string& caller,
            absl::Duration timeout, std::string_view method, corridor::MessagePtr request,
            corridor::ReplyCallback done);

 private:
  struct Call;
  void Deliver(const std::shared_ptr<Call>& call, const Seat& seat, absl::Time deadline);
  void After(absl::Duration delay, executor::Task task) {
    ports_.executor->PostAt(ports_.clock->Now() + delay, std::move(task));
  }
  absl::Duration Latency() { return dice_.Between(absl::Microseconds(100), absl::Milliseconds(4)); }

  const Ports ports_;
  Dice dice_;
};

// The Peer port of one process.
class FaultPeer : public corridor::Peer {
 public:
  FaultPeer(Network* network, std::weak_ptr<Process> process)
      : network_(network), process_(std::move(process)) {}
  void Ask(const corridor::CallContext& context, std::string_view method,
           corridor::MessagePtr request, corridor::ReplyCallback done) override;

 private:
  Network* const network_;
  const std::weak_ptr<Process> process_;
};

// The service that has "tandem.intake.v1.TicketService/OpenTicket".
Service ServiceOf(std::string_view method);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_FAULT_PEER_H_
