#include "services/tandem/policies.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/text_file.h"
#include "common/config/yaml.h"
#include "deploy/policies/built_in.h"

namespace tandem::programs {
namespace {

namespace fs = std::filesystem;
using policy::PolicyFile;

std::string ServiceOf(const std::string& kind) {
  return absl::StrCat("tandem.", kind, ".v1.PolicyService");
}

}  // namespace

const std::vector<std::string>& PolicyKinds() {
  static const std::vector<std::string>* const kinds =
      new std::vector<std::string>{"intake", "triage", "sla", "survey", "account"};
  return *kinds;
}

std::vector<PolicyFile> BuiltInPolicies() {
  std::vector<PolicyFile> files;
  for (const std::string& kind : PolicyKinds()) {
    const std::string name = absl::StrCat(kind, ".yaml");
    files.push_back(
        {ServiceOf(kind), kind, absl::StrCat("built-in ", name), deploy::BuiltInPolicy(name)});
  }
  return files;
}

std::vector<PolicyFile> BuiltInReplayPolicies() {
  std::vector<PolicyFile> files;
  for (const std::string& kind : PolicyKinds()) {
    const std::string name = absl::StrCat(kind, ".yaml");
    files.push_back({ServiceOf(kind), kind, absl::StrCat("built-in replay ", name),
                     deploy::BuiltInReplayPolicy(name)});
  }
  return files;
}

absl::StatusOr<std::vector<PolicyFile>> ReadPolicies(const std::string& folder) {
  std::vector<PolicyFile> files;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("policies: cannot read the folder ", folder, ": ", error.message()));
  }
  for (const fs::directory_entry& entry : entries) {
    if (entry.path().extension() != ".yaml") continue;
    PolicyFile file;
    file.kind = entry.path().stem().string();
    file.service = ServiceOf(file.kind);
    file.name = entry.path().string();
    const std::vector<std::string>& kinds = PolicyKinds();
    if (std::find(kinds.begin(), kinds.end(), file.kind) == kinds.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          file.name, ": is named after no kind of policy (", absl::StrJoin(kinds, ", "), ")"));
    }
    absl::StatusOr<std::string> text = config::ReadTextFile(file.name, config::kMaxYamlBytes);
    if (!text.ok()) return text.status();
    file.text = *std::move(text);
    files.push_back(std::move(file));
  }
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat("policies: no *.yaml in the folder ", folder));
  }
  const auto rank = [](const PolicyFile& file) {
    const std::vector<std::string>& kinds = PolicyKinds();
    return std::find(kinds.begin(), kinds.end(), file.kind) - kinds.begin();
  };
  std::sort(files.begin(), files.end(),
            [&](const PolicyFile& a, const PolicyFile& b) { return rank(a) < rank(b); });
  return files;
}

std::vector<policy::PolicyStart> PolicyStarts(const std::string& folder) {
  absl::StatusOr<std::vector<PolicyFile>> files = std::vector<PolicyFile>();
  if (!folder.empty()) files = ReadPolicies(folder);
  std::vector<policy::PolicyStart> starts;
  for (PolicyFile& built_in : BuiltInPolicies()) {
    policy::PolicyStart& start = starts.emplace_back();
    if (!files.ok()) start.declared = files.status();
    if (files.ok()) {
      for (const PolicyFile& file : *files) {
        if (file.kind == built_in.kind) start.declared = file;
      }
    }
    start.built_in = std::move(built_in);
  }
  return starts;
}

std::string ServiceOfKind(const std::string& kind) {
  static const std::map<std::string, std::string>* const services =
      new std::map<std::string, std::string>{{"intake", "ticket_intake"},
                                             {"triage", "triage"},
                                             {"sla", "sla_timer"},
                                             {"survey", "survey"},
                                             {"account", "account_health"}};
  const auto found = services->find(kind);
  return found == services->end() ? kind : found->second;
}

}  // namespace tandem::programs
