#include "common/policy/policy_file.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::policy {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

absl::StatusOr<std::unique_ptr<Message>> NewRequest(const std::string& method) {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) return absl::InternalError(absl::StrCat("there is no ", method));
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()
                                      ->GetPrototype(descriptor->input_type())
                                      ->New());
}

std::string Method(const PolicyFile& file, const std::string& name) {
  return absl::StrCat(file.service, "/", name);
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

absl::StatusOr<std::unique_ptr<Message>> PolicyRequest(const PolicyFile& file,
                                                       const std::string& method,
                                                       config::SourceLines* lines) {
  absl::StatusOr<std::unique_ptr<Message>> request = NewRequest(Method(file, method));
  if (!request.ok()) return request.status();
  const FieldDescriptor* field = (*request)->GetDescriptor()->FindFieldByName("policy");
  Message* const policy = (*request)->GetReflection()->MutableMessage(request->get(), field);
  if (absl::Status read = config::YamlToProto(file.text, file.name, policy, lines); !read.ok())
    return read;
  return request;
}

std::string Refusal(const PolicyFile& file, const absl::Status& refused,
                    const config::SourceLines& lines) {
  const std::string message(refused.message());
  const auto payload = refused.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  google::rpc::BadRequest bad;
  if (!payload.has_value() || !bad.ParseFromString(std::string(*payload)) ||
      bad.field_violations().empty()) {
    return absl::StrCat(file.name, ": ", message);
  }
  std::vector<std::string> told;
  for (const google::rpc::BadRequest::FieldViolation& violation : bad.field_violations()) {
    // A check of the request as a whole begins above the policy.
    const absl::string_view key = absl::StripPrefix(violation.field(), "policy.");
    told.push_back(absl::StrCat(lines.At(std::string_view(key.data(), key.size())), ": ", key, ": ",
                                violation.description()));
  }
  // Where the list was cut the message ends with how many more there are.
  if (absl::EndsWith(message, " more bad fields")) {
    told.push_back(absl::StrCat(file.name, ": ", message.substr(message.rfind("; ") + 2)));
  }
  return absl::StrJoin(told, "\n");
}

absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call) {
  std::vector<AppliedPolicy> applied;
  for (const PolicyFile& file : files) {
    absl::StatusOr<std::unique_ptr<Message>> get = NewRequest(Method(file, "GetPolicy"));
    if (!get.ok()) return get.status();
    absl::StatusOr<corridor::MessagePtr> current =
        call(Method(file, "GetPolicy"), corridor::MessagePtr(*std::move(get)));
    if (!current.ok()) return current.status();
    const Message& version = MessageField(**current, "version");

    config::SourceLines lines;
    absl::StatusOr<std::unique_ptr<Message>> request = PolicyRequest(file, "ApplyPolicy", &lines);
    if (!request.ok()) return request.status();
    // The same file on the same version is the same request, however often a start is tried.
    const std::string request_id =
        absl::StrCat("policy-file:", IntegerField(version, "version"), ":",
                     StringField(version, "content_hash").substr(0, 16));
    const FieldDescriptor* field = (*request)->GetDescriptor()->FindFieldByName("request_id");
    (*request)->GetReflection()->SetString(request->get(), field, request_id);
    absl::StatusOr<corridor::MessagePtr> reply =
        call(Method(file, "ApplyPolicy"), corridor::MessagePtr(*std::move(request)));
    if (!reply.ok()) {
      return absl::Status(reply.status().code(), Refusal(file, reply.status(), lines));
    }
    const FieldDescriptor* is_new = (*reply)->GetDescriptor()->FindFieldByName("is_new");
    applied.push_back({file.kind, file.name, IntegerField(**reply, "version"),
                       (*reply)->GetReflection()->GetBool(**reply, is_new)});
  }
  return applied;
}

}  // namespace tandem::policy
