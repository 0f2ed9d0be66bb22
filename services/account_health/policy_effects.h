// What a new account policy would do to the accounts that are there.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_EFFECTS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_EFFECTS_H_

#include "absl/status/status.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/policy/outlook.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {

// How many accounts would be judged anew and for what, how many clearances that may end, and the
// roles that lose their stand-in. Nothing that is stored names a part of the policy, so nothing in
// use can be dropped. Two counts from indexes.
absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_EFFECTS_H_
