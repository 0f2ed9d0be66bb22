// Policy files into running services: YAML, in the shape of the service's policy message.
#ifndef TANDEM_COMMON_POLICY_POLICY_FILE_H_
#define TANDEM_COMMON_POLICY_POLICY_FILE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/yaml_to_proto.h"
#include "common/corridor/endpoint.h"
#include "google/protobuf/message.h"

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

// The file as a request of its service: "ValidatePolicy" or "ApplyPolicy". INVALID_ARGUMENT names
// file, line and key of everything that is wrong. `lines` gets where each value stands.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> PolicyRequest(
    const PolicyFile& file, const std::string& method, config::SourceLines* lines);

// What the service says against the file, a line for each bad value: "FILE:LINE: key: problem".
std::string Refusal(const PolicyFile& file, const absl::Status& refused,
                    const config::SourceLines& lines);

struct AppliedPolicy {
  std::string kind;
  std::string name;
  int64_t version = 0;
  bool is_new = false;
};

// Applies each file whose content is not in force already.
absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call);

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_POLICY_FILE_H_
