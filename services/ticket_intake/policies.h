// The versions of the intake policy.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_POLICIES_H_
#define TANDEM_SERVICES_TICKET_INTAKE_POLICIES_H_

#include "common/policy/policy.h"
#include "services/ticket_intake/rules.h"
#include "tandem/intake/v1/intake_policy.pb.h"

namespace tandem::ticket_intake {

// Any thread.
using Policies = policy::Book<intake::v1::IntakePolicy, Rules>;
using PolicyInForce = Policies::InForce;

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_POLICIES_H_
