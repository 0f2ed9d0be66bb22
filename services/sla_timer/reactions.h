// What sla_timer does when a lifecycle event arrives or a timer fires. Each is called on the lane.
#ifndef TANDEM_SERVICES_SLA_TIMER_REACTIONS_H_
#define TANDEM_SERVICES_SLA_TIMER_REACTIONS_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/policy/policy.h"
#include "services/sla_timer/records.pb.h"
#include "services/sla_timer/sla_rules.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/sla/v1/sla_policy.pb.h"

namespace tandem::sla_timer {

using Policies = policy::Book<sla::v1::SlaPolicy, SlaRules>;

inline constexpr std::string_view kSweepTimer = "policy_sweep";
inline constexpr std::string_view kVerifyTimer = "verify";

// What a reaction may use beside the state.
struct Context {
  const Policies& policies;
  const bus::Event& event;
  const corridor::Inputs& in;
  corridor::View& view;
};

// An event about a ticket whose opening was not seen changes nothing.
absl::StatusOr<corridor::Decision> OnOpened(const events::v1::TicketOpened& event, const Context&);
absl::StatusOr<corridor::Decision> OnUpdated(const events::v1::TicketUpdated& event,
                                             const Context&);
absl::StatusOr<corridor::Decision> OnRequesterResolved(
    const events::v1::TicketRequesterResolved& event, const Context&);
absl::StatusOr<corridor::Decision> OnMessageAdded(const events::v1::TicketMessageAdded& event,
                                                  const Context&);
absl::StatusOr<corridor::Decision> OnStateChanged(const events::v1::TicketStateChanged& event,
                                                  const Context&);
absl::StatusOr<corridor::Decision> OnResolved(const events::v1::TicketResolved& event,
                                              const Context&);
absl::StatusOr<corridor::Decision> OnReopened(const events::v1::TicketReopened& event,
                                              const Context&);
absl::StatusOr<corridor::Decision> OnClosed(const events::v1::TicketClosed& event, const Context&);
absl::StatusOr<corridor::Decision> OnTriaged(const events::v1::TicketTriaged& event,
                                             const Context&);
absl::StatusOr<corridor::Decision> OnSeverityChanged(const events::v1::SeverityChanged& event,
                                                     const Context&);
absl::StatusOr<corridor::Decision> OnAssignmentAccepted(const events::v1::AssignmentAccepted& event,
                                                        const Context&);

// A clock's timer: a warning or a breach, unless it was set anew meanwhile.
absl::StatusOr<corridor::Decision> OnClockTimer(const corridor::FiredTimer& timer,
                                                const records::ClockTimer& payload,
                                                const Policies& policies,
                                                const corridor::Inputs& in, corridor::View& view);

// A new version of the policy: notes it and, if it takes open tickets, sets out to reach them all.
absl::Status OnPolicyApplied(const Policies::InForce& in_force, const corridor::Inputs& in,
                             corridor::View& view, corridor::Decision& decision);
// Takes the next `most` open tickets to it.
absl::StatusOr<corridor::Decision> OnSweepTimer(const records::PolicySweep& payload, int most,
                                                const Policies& policies,
                                                const corridor::Inputs& in, corridor::View& view);

// Compares the stored clocks of the next tickets with a full recomputation, notes how many differ,
// and sets itself again, at the pace of the policy in force. It reads no bus: stored facts alone.
absl::StatusOr<corridor::Decision> OnVerifyTimer(const Policies& policies,
                                                 const corridor::Inputs& in, corridor::View& view);

// The rules of all versions that a ticket's facts name.
absl::StatusOr<PolicyVersions> LoadVersions(const records::TicketRecord& record,
                                            const Policies& policies, corridor::View& view);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_REACTIONS_H_
