// The versions of the triage policy.
#ifndef TANDEM_SERVICES_TRIAGE_POLICIES_H_
#define TANDEM_SERVICES_TRIAGE_POLICIES_H_

#include "common/policy/policy.h"
#include "services/triage/rules.h"
#include "tandem/triage/v1/triage_policy.pb.h"

namespace tandem::triage {

// Any thread.
using Policies = policy::Book<v1::TriagePolicy, Rules>;
using PolicyInForce = Policies::InForce;

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_POLICIES_H_
