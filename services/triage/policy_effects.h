// What a new triage policy would do to the people, queues and escalations that are there.
#ifndef TANDEM_SERVICES_TRIAGE_POLICY_EFFECTS_H_
#define TANDEM_SERVICES_TRIAGE_POLICY_EFFECTS_H_

#include "absl/status/status.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/policy/outlook.h"
#include "services/triage/policies.h"

namespace tandem::triage {

// Refuses a policy that no longer has a queue, shift calendar, escalation policy or product's
// skills that are in use; warns of queues that nobody serves, of skills that nobody has and of
// people who are named and not here. One walk over the staff, and counts of what is open.
absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_POLICY_EFFECTS_H_
