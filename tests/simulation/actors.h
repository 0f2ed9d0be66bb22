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
#include "common/policy/policy.pb.h"
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
  // Between two steps. An operator restarts a service with a folder of policies, another one, a
  // broken one or none, and starts it once more.
  void RollOut(Dice& dice);
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
    std::string address;  // that it was opened from; empty = from none
    int messages = 0;
  };
  struct Contact {
    std::string contact_id, account_id;
    std::vector<std::string> addresses;  // as they were put last
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
  // From that address; empty = from whoever is drawn.
  void Open(const Action& action, Dice& dice, std::string address = "");
  void WriteFrom(const Action& action, Dice& dice);
  void MoveAddress(Dice& dice);
  void PutAddresses(size_t contact, Then then = nullptr);
  void Write(const Action& action, Dice& dice, const std::string& text, bool by_agent, bool waits);
  // On that topic; unspecified = on one that is drawn.
  void Check(const std::string& account_id, const std::string& contact_id, Dice& dice,
             type::v1::OutreachTopic topic = type::v1::OUTREACH_TOPIC_UNSPECIFIED);
  void Touch(const Contact& contact, type::v1::OutreachTopic topic, bool inbound);
  void UseException(Dice& dice);
  // Of that kind; empty = of one that is drawn.
  void ApplyPolicy(Dice& dice, std::string kind = "", Then then = nullptr);
  void DropInUse(Dice& dice);
  std::shared_ptr<Message> PolicyOf(const std::string& kind);
  policy::StoredPolicy PolicyInForce(Service service);
  // Whether a later version than that one was applied by another caller than a start.
  bool AreOthersAtWork(Service service, int64_t since);
  absl::StatusOr<corridor::MessagePtr> AskAt(Service service, const std::string& method,
                                             corridor::MessagePtr request);
  std::string NewText(const std::string& about);
  std::string Agent(Dice& dice) const;

  World& world_;
  const Plan& plan_;
  std::vector<Story> stories_;
  std::vector<Contact> contacts_;
  std::vector<std::string> strangers_;     // addresses of nobody's that tickets were opened from
  std::string moved_;                      // the address that moved last
  std::string nuisance_;                   // the address that spam comes from
  std::vector<triage::v1::Staff> agents_;  // as they were put last
  Dice jitter_;
  int64_t requests_ = 0;
  int64_t texts_ = 0;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_ACTORS_H_
