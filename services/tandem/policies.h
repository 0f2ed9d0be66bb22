// The policy files of the five services, each named after its kind: intake.yaml, triage.yaml,
// sla.yaml, survey.yaml, account.yaml.
#ifndef TANDEM_SERVICES_TANDEM_POLICIES_H_
#define TANDEM_SERVICES_TANDEM_POLICIES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/policy/policy_file.h"

namespace tandem::programs {

// The kinds, in the order in which they are applied.
const std::vector<std::string>& PolicyKinds();

// The files of deploy/policies, as they were when the program was built.
std::vector<policy::PolicyFile> BuiltInPolicies();
// Those of deploy/replay/policies: under which a historical log is replayed.
std::vector<policy::PolicyFile> BuiltInReplayPolicies();
// Every *.yaml of a folder; NOT_FOUND names the folder, INVALID_ARGUMENT a file that is named after
// no kind.
absl::StatusOr<std::vector<policy::PolicyFile>> ReadPolicies(const std::string& folder);

// How each of the five gets its policy, in the order of the kinds. `folder` declares those whose
// files it holds; a folder that cannot be read declares all, and none is taken from it. Empty = no
// folder.
std::vector<policy::PolicyStart> PolicyStarts(const std::string& folder);
// "sla" → "sla_timer".
std::string ServiceOfKind(const std::string& kind);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_POLICIES_H_
