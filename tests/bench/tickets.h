// The tickets that benchmarks work with: as callers open them, and as the log tells of them.
#ifndef TANDEM_TESTS_BENCH_TICKETS_H_
#define TANDEM_TESTS_BENCH_TICKETS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/endpoint.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"

namespace tandem::bench {

inline constexpr char kOpenTicket[] = "tandem.intake.v1.TicketService/OpenTicket";
inline constexpr char kPutAccount[] = "tandem.account.v1.AccountService/PutAccount";
inline constexpr char kPutContact[] = "tandem.account.v1.AccountService/PutContact";
inline constexpr char kApplySlaPolicy[] = "tandem.sla.v1.PolicyService/ApplyPolicy";
inline constexpr char kGetTimeline[] = "tandem.account.v1.AccountService/GetTimeline";

// Customer `number` and their one contact, who opens the tickets of OpenTicket.
std::string AccountOf(int number);
account::v1::PutAccountRequest PutAccount(int number);
account::v1::PutContactRequest PutContact(int number);
intake::v1::OpenTicketRequest OpenTicket(const std::string& request_id, int account = 0);

// account_health's answer to ResolveRequester and nothing else: what intake alone is measured with.
class KnownRequester : public corridor::Endpoint {
 public:
  std::vector<const google::protobuf::ServiceDescriptor*> services() const override;
  void Call(const corridor::CallContext&, const google::protobuf::MethodDescriptor*,
            corridor::MessagePtr, corridor::ReplyCallback done) override;
};

// A policy with one deadline: the first response is due `budget` after the opening, the resolution
// a day later. Nothing else is timed and nobody is warned, so one timer a ticket is due then.
sla::v1::ApplyPolicyRequest OneDeadline(absl::Duration budget);

// TicketOpened of ticket `number`, of nobody that is known, as intake publishes it.
bus::Event Opened(int64_t number, absl::Time opened_at);

// Event `number` of a log on which tickets live one after another, each for kEventsOfALife:
// opened, taken up, answered, answered back, resolved, closed; all within a minute of `begin`.
inline constexpr int kEventsOfALife = 6;
bus::Event OfALife(int64_t number, absl::Time begin);

}  // namespace tandem::bench

#endif  // TANDEM_TESTS_BENCH_TICKETS_H_
