// Policy files into running services: YAML, in the shape of the service's policy message.
#ifndef TANDEM_COMMON_POLICY_POLICY_FILE_H_
#define TANDEM_COMMON_POLICY_POLICY_FILE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/yaml_to_proto.h"
#include "common/corridor/endpoint.h"
#include "google/protobuf/message.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::policy {

struct PolicyFile {
  std::string service;  // who takes it: "tandem.sla.v1.PolicyService"
  std::string kind;     // for messages: "sla"
  std::string name;     // for messages: the path, or "built-in sla.yaml"
  std::string text;
};

// Calls a method and waits for the answer, in whatever way the program has.
using CallMethod = std::function<absl::StatusOr<corridor::MessagePtr>(
    const std::string& method, corridor::MessagePtr request)>;

// Who applies files, as the services know it: one name for all, so that the same request of two
// processes is one.
inline constexpr char kFileCaller[] = "policy-file";

// The file as a request of its service: "ValidatePolicy" or "ApplyPolicy". The policy may stand in
// it as it is, or in a reply of GetPolicy as it was printed. INVALID_ARGUMENT names file, line and
// key of everything that is wrong. `lines` gets where each value stands.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> PolicyRequest(
    const PolicyFile& file, const std::string& method, config::SourceLines* lines);

// A file that its service finds sound.
struct CheckedPolicy {
  std::unique_ptr<google::protobuf::Message> apply;  // an ApplyPolicyRequest without request_id
  corridor::MessagePtr validated;                    // the ValidatePolicyResponse
};
// Reads the file and asks its service. INVALID_ARGUMENT names everything that is wrong with it at
// once, a line for each problem: "FILE:LINE: key: problem"; what cannot be read as far as it goes
// does not hide what the service says of the rest. Any other error is the call's.
absl::StatusOr<CheckedPolicy> CheckPolicy(const PolicyFile& file, const CallMethod& call);

// The effects in a ValidatePolicyResponse or ApplyPolicyResponse of any service.
std::vector<type::v1::PolicyEffect> EffectsOf(const google::protobuf::Message& response);

struct AppliedPolicy {
  std::string kind;
  std::string name;
  int64_t version = 0;
  bool is_new = false;
};

// Applies each file whose content is not in force already; the first that is refused ends it.
absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call);

// How a service gets its policy at the start.
struct PolicyStart {
  PolicyFile built_in;
  // What a folder declares for it: the file, or why there is none to read. Absent = no folder
  // declares anything, and whatever was applied stays.
  std::optional<absl::StatusOr<PolicyFile>> declared;
  // Other processes of the service may be at work, of other versions and with other files: this one
  // applies what is declared only where nothing was ever applied. Else it compares, and whoever
  // prepares the database for a rollout applies.
  bool compares_only = false;
};

struct StartedPolicy {
  std::string kind;
  int64_t version = 0;  // in force
  bool is_new = false;  // applied just now
  bool is_declared = false;
  std::string declared_hash;  // of the declared content; empty = none could be read
  // Why what is declared is not in force; what was applied last stays in force.
  absl::Status refused, differs;
  std::vector<type::v1::PolicyEffect> effects;
};

// Brings the service's policy into force. A built-in policy is applied only if none ever was; a
// declared one is applied if its content is not in force. What is refused stops nothing. The same
// start on the same content makes the same request, however often and from however many processes
// it is made. An error is one that may pass (UNAVAILABLE and its like), or a fault in the program.
absl::StatusOr<StartedPolicy> StartPolicy(const PolicyStart& start, const CallMethod& call);

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_POLICY_FILE_H_
