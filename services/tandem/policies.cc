#include "services/tandem/policies.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/text_file.h"
#include "common/config/yaml.h"
#include "common/config/yaml_to_proto.h"
#include "google/protobuf/message.h"
#include "services/tandem/built_in_policies.h"

namespace tandem::programs {
namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

absl::StatusOr<std::unique_ptr<Message>> NewRequest(const std::string& method) {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) return absl::InternalError(absl::StrCat("there is no ", method));
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()
                                      ->GetPrototype(descriptor->input_type())
                                      ->New());
}

std::string Method(const std::string& kind, const std::string& name) {
  return absl::StrCat("tandem.", kind, ".v1.PolicyService/", name);
}

// Every policy service has the same fields, in messages of its own.
int64_t IntegerField(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return message.GetReflection()->GetInt64(message, field);
}

std::string StringField(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return message.GetReflection()->GetString(message, field);
}

const Message& MessageField(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return message.GetReflection()->GetMessage(message, field);
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
    files.push_back({kind, absl::StrCat("built-in ", name), BuiltInPolicyText(name)});
  }
  return files;
}

std::vector<PolicyFile> BuiltInReplayPolicies() {
  std::vector<PolicyFile> files;
  for (const std::string& kind : PolicyKinds()) {
    const std::string name = absl::StrCat(kind, ".yaml");
    files.push_back({kind, absl::StrCat("built-in replay ", name), BuiltInReplayPolicyText(name)});
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

absl::StatusOr<std::unique_ptr<Message>> PolicyRequest(const PolicyFile& file,
                                                       const std::string& method) {
  absl::StatusOr<std::unique_ptr<Message>> request = NewRequest(Method(file.kind, method));
  if (!request.ok()) return request.status();
  const FieldDescriptor* field = (*request)->GetDescriptor()->FindFieldByName("policy");
  Message* const policy = (*request)->GetReflection()->MutableMessage(request->get(), field);
  if (absl::Status read = config::YamlToProto(file.text, file.name, policy); !read.ok())
    return read;
  return request;
}

absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call) {
  std::vector<AppliedPolicy> applied;
  for (const PolicyFile& file : files) {
    absl::StatusOr<std::unique_ptr<Message>> get = NewRequest(Method(file.kind, "GetPolicy"));
    if (!get.ok()) return get.status();
    absl::StatusOr<corridor::MessagePtr> current =
        call(Method(file.kind, "GetPolicy"), corridor::MessagePtr(*std::move(get)));
    if (!current.ok()) return current.status();
    const Message& version = MessageField(**current, "version");

    absl::StatusOr<std::unique_ptr<Message>> request = PolicyRequest(file, "ApplyPolicy");
    if (!request.ok()) return request.status();
    // The same file on the same version is the same request, however often a start is tried.
    const std::string request_id =
        absl::StrCat("policy-file:", IntegerField(version, "version"), ":",
                     StringField(version, "content_hash").substr(0, 16));
    const FieldDescriptor* field = (*request)->GetDescriptor()->FindFieldByName("request_id");
    (*request)->GetReflection()->SetString(request->get(), field, request_id);
    absl::StatusOr<corridor::MessagePtr> reply =
        call(Method(file.kind, "ApplyPolicy"), corridor::MessagePtr(*std::move(request)));
    if (!reply.ok()) {
      return absl::Status(reply.status().code(),
                          absl::StrCat(file.name, ": ", std::string(reply.status().message())));
    }
    const FieldDescriptor* is_new = (*reply)->GetDescriptor()->FindFieldByName("is_new");
    applied.push_back({file.kind, file.name, IntegerField(**reply, "version"),
                       (*reply)->GetReflection()->GetBool(**reply, is_new)});
  }
  return applied;
}

}  // namespace tandem::programs
