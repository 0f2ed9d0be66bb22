// Those outside: customers, agents, success managers and operators, who know the services by their
// RPCs alone. A call that is not answered is sent again under its id until the caller loses
// patience.
#ifndef TANDEM_TESTS_SIMULATION_ACTORS_H_
#define TANDEM_TESTS_SIMULATION_ACTORS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {

// One thread; outlived by the world.
class Actors {
 public:
  explicit Actors(World* world);

  // Policies, staff, accounts and contacts, before any fault.
  void SetUp();
  // Each action of the plan at its instant, from now on.
  void Begin();
  // The operator settles what is parked: poison goes, the rest is tried again.
  void SettleDeadLetters();
  // Agents answer and resolve whatever is open; follow-ups are closed.
  void ResolveAll();

 private:
  using Message = google::protobuf::Message;
  // Told of the reply; null = refused, or nobody knows.
  using Then = std::function<void(const Message* reply)>;

  // A ticket as those who are concerned with it know it.
  struct Story {
    std::string ticket_id;  // empty = its opening is not acknowledged
    std::string account_id, contact_id, requester_id;
    int messages = 0;
  };
  struct Contact {
    std::string contact_id, account_id, address;
  };

  // `message` has a field request_id, if it changes anything; it is filled in here.
  template <typename M>
  void Call(const std::string& method, const M& message, int ticket = -1, Then then = nullptr) {
    Send(method, std::make_shared<M>(message), ticket, std::move(then));
  }
  struct Sending;
  void Send(const std::string& method, std::shared_ptr<Message> message, int ticket, Then then);
  void Attempt(const std::shared_ptr<Sending>& sending);
  void Answered(const std::shared_ptr<Sending>& sending,
                absl::StatusOr<corridor::MessagePtr> reply);
  // Runs until every call is answered.
  void Await();

  void Do(const Action& action);
  void Open(const Action& action, Dice& dice, bool stranger);
  void Write(const Action& action, Dice& dice, const std::string& text, bool by_agent, bool waits);
  void Check(const std::string& account_id, const std::string& contact_id, Dice& dice);
  void ApplyPolicy(Dice& dice);
  std::shared_ptr<Message> PolicyOf(const std::string& kind);
  std::string NewText(const std::string& about);
  std::string Agent(Dice& dice) const;

  World& world_;
  const Plan& plan_;
  std::vector<Story> stories_;
  std::vector<Contact> contacts_;
  std::vector<triage::v1::Staff> agents_;  // as they were put last
  Dice jitter_;
  int64_t requests_ = 0;
  int64_t texts_ = 0;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_ACTORS_H_
