// The account policy: what is sound, and what holds before any was applied. Pure; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/corridor/errors.h"
#include "common/policy/policy.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

inline constexpr char kPolicyKind[] = "account";

// The product's defaults; deploy/policies/account.yaml says the same.
const account::v1::AccountPolicy& DefaultPolicy();

// Names every problem by its field.
void CheckPolicy(const account::v1::AccountPolicy& policy, corridor::Violations& violations);

// The versions of the policy; what is made of one is the policy itself.
using Policies = policy::Book<account::v1::AccountPolicy, account::v1::AccountPolicy>;
// A book with that policy built in; an empty one means the default. It has to be sound.
std::unique_ptr<Policies> MakePolicies(const account::v1::AccountPolicy& built_in,
                                       Policies::Weigh weigh, Policies::OnApplied on_applied);

// Every role of the team in the order of the roles. The policy's stand-ins fill empty places and
// those of staff who left; who of them left too fills none.
std::vector<account::v1::Counterpart> FillTeam(const records::TeamRecord& team,
                                               const std::set<std::string>& left,
                                               const account::v1::AccountPolicy& policy);
// The counterparts of a contact level out of a filled team, in the order of the matrix.
std::vector<account::v1::Counterpart> CounterpartsOf(
    type::v1::ContactLevel level, const std::vector<account::v1::Counterpart>& team,
    const account::v1::AccountPolicy& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_POLICY_H_
