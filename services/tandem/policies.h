// Policy files into running services. A file is YAML, named after its kind: intake.yaml,
// triage.yaml, sla.yaml, survey.yaml, account.yaml.
#ifndef TANDEM_SERVICES_TANDEM_POLICIES_H_
#define TANDEM_SERVICES_TANDEM_POLICIES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/endpoint.h"

namespace tandem::programs {

struct PolicyFile {
  std::string kind;  // "intake", …
  std::string name;  // for messages: the path, or "built-in sla.yaml"
  std::string text;
};

// The kinds, in the order in which they are applied.
const std::vector<std::string>& PolicyKinds();

// The files of deploy/policies, as they were when the program was built.
std::vector<PolicyFile> BuiltInPolicies();
// Those of deploy/replay/policies: under which a historical log is replayed.
std::vector<PolicyFile> BuiltInReplayPolicies();
// Every *.yaml of a folder; NOT_FOUND names the folder, INVALID_ARGUMENT a file that is named after
// no kind.
absl::StatusOr<std::vector<PolicyFile>> ReadPolicies(const std::string& folder);

// Calls a method and waits for the answer, in whatever way the program has.
using CallMethod = std::function<absl::StatusOr<corridor::MessagePtr>(
    const std::string& method, corridor::MessagePtr request)>;

// A policy file as the request of its kind's PolicyService: "ValidatePolicy" or "ApplyPolicy".
// INVALID_ARGUMENT names file, line and key of everything that is wrong.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> PolicyRequest(const PolicyFile& file,
                                                                         const std::string& method);

struct AppliedPolicy {
  std::string kind;
  std::string name;
  int64_t version = 0;
  bool is_new = false;
};

// Applies each file whose content is not in force already.
absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_POLICIES_H_
