// What a new SLA policy would do to the clocks that are there.
#ifndef TANDEM_SERVICES_SLA_TIMER_POLICY_EFFECTS_H_
#define TANDEM_SERVICES_SLA_TIMER_POLICY_EFFECTS_H_

#include "absl/status/status.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/policy/outlook.h"
#include "services/sla_timer/reactions.h"

namespace tandem::sla_timer {

// For a policy that takes open tickets: how many clocks would end, be overdue at once, move or
// start, by metric. Exact for up to 1,000 tickets with live clocks; how many more there are is
// said. Every clock keeps the calendar of the version that it goes by, so nothing in use can be
// dropped.
absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_POLICY_EFFECTS_H_
