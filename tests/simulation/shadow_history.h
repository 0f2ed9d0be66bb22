// Random lives of tickets for the comparison of the shadows with the services: what a seed draws is
// lawful by the product, dense around the edges (due instants, closing times, changes of clocks)
// and the same again.
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_HISTORY_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_HISTORY_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "tandem/sla/v1/sla_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::simulation {

// One thread. The sequence of numbers of std::mt19937_64 is fixed by the standard; its
// distributions are not, so they are not used.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed * 2'654'435'761u + 1) {}
  // 0 to n-1.
  int64_t Below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  bool Percent(int percent) { return Below(100) < percent; }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(Below(static_cast<int64_t>(choices.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

// A fact of a ticket: the event's body, who says it, when it happened and when it comes to the bus.
struct DrawnFact {
  std::string source;
  std::shared_ptr<const google::protobuf::Message> body;
  absl::Time at;
  absl::Time arrives_at;  // not before `at`
  bool twice = false;     // its relay publishes it again
};

struct DrawnTicket {
  std::string ticket_id;
  std::string account_id;
  std::vector<DrawnFact> facts;  // in the order of arrival
};

// A policy with calendars from all over the world, behaviours, conditions and warnings.
sla::v1::SlaPolicy DrawSlaPolicy(Dice& dice);
// A ticket that is opened soon after `from`. With `late` some facts arrive hours after they
// happened.
DrawnTicket DrawTicket(Dice& dice, const std::string& ticket_id, absl::Time from, bool late);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_HISTORY_H_
