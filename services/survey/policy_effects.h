// What a new survey policy would do to the surveys that are there.
#ifndef TANDEM_SERVICES_SURVEY_POLICY_EFFECTS_H_
#define TANDEM_SERVICES_SURVEY_POLICY_EFFECTS_H_

#include "absl/status/status.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/policy/outlook.h"
#include "services/survey/policy.h"

namespace tandem::survey {

// How many surveys are under way: each keeps what the policy said when it was planned, so nothing
// in use can be dropped. One count from an index.
absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs& in,
                         corridor::View& view, policy::Outlook& outlook);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_POLICY_EFFECTS_H_
