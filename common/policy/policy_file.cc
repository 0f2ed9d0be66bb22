#include "common/policy/policy_file.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/corridor/canonical.h"
#include "common/corridor/errors.h"
#include "common/policy/policy.h"
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

bool BoolField(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return message.GetReflection()->GetBool(message, field);
}

// Fills `request` from the file as far as it can be read.
absl::Status ReadInto(const PolicyFile& file, Message* request, config::SourceLines* lines) {
  const FieldDescriptor* field = request->GetDescriptor()->FindFieldByName("policy");
  Message* const policy = request->GetReflection()->MutableMessage(request, field);
  return config::YamlToProto(file.text, file.name, policy, lines,
                             {.key = "policy", .beside = {"version"}});
}

// What the service says against the file, a line for each bad value, without what may only come of
// something in the file that could not be read. The whole message where it names no values.
std::vector<std::string> Refusals(const PolicyFile& file, const absl::Status& refused,
                                  const config::SourceLines& lines) {
  const std::string message(refused.message());
  const auto payload = refused.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  google::rpc::BadRequest bad;
  if (!payload.has_value() || !bad.ParseFromString(std::string(*payload)) ||
      bad.field_violations().empty()) {
    return {absl::StrCat(file.name, ": ", message)};
  }
  std::vector<std::string> told;
  for (const google::rpc::BadRequest::FieldViolation& violation : bad.field_violations()) {
    // A check of the request as a whole begins above the policy.
    const absl::string_view key = absl::StripPrefix(violation.field(), "policy.");
    const std::string_view path(key.data(), key.size());
    if (lines.MayComeOfUnread(path)) continue;
    told.push_back(absl::StrCat(lines.At(path), ": ", key, ": ", violation.description()));
  }
  // Where the list was cut the message ends with how many more there are.
  if (absl::EndsWith(message, " more bad fields")) {
    told.push_back(absl::StrCat(file.name, ": ", message.substr(message.rfind("; ") + 2)));
  }
  return told;
}

// Whether the same request may be answered otherwise although nobody changes anything.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsAborted(status);
}

struct InForce {
  int64_t version = 0;  // 0 = none was ever applied
  std::string content_hash;
};

absl::StatusOr<InForce> AskInForce(const PolicyFile& file, const CallMethod& call) {
  absl::StatusOr<std::unique_ptr<Message>> get = NewRequest(Method(file, "GetPolicy"));
  if (!get.ok()) return get.status();
  absl::StatusOr<corridor::MessagePtr> reply =
      call(Method(file, "GetPolicy"), corridor::MessagePtr(*std::move(get)));
  if (!reply.ok()) return reply.status();
  const Message& version = MessageField(**reply, "version");
  return InForce{IntegerField(version, "version"), StringField(version, "content_hash")};
}

// Asks the service to replace `before`. The id says what is replaced by what: the same request
// wherever and however often it is made, and never the id of another.
absl::StatusOr<corridor::MessagePtr> Apply(const PolicyFile& file, const InForce& before,
                                           std::unique_ptr<Message> apply, const CallMethod& call) {
  const std::string content = ContentHash(corridor::CanonicalBytes(MessageField(*apply, "policy")));
  const FieldDescriptor* field = apply->GetDescriptor()->FindFieldByName("request_id");
  apply->GetReflection()->SetString(
      apply.get(), field,
      absl::StrCat("policy-file:", before.version, ":", before.content_hash.substr(0, 16), ":",
                   content.substr(0, 32)));
  return call(Method(file, "ApplyPolicy"), corridor::MessagePtr(std::move(apply)));
}

// Takes the file into force if it can be, and says in `started` what became of it.
absl::Status Take(const PolicyFile& file, const InForce& before, CheckedPolicy checked,
                  const CallMethod& call, StartedPolicy& started) {
  absl::StatusOr<corridor::MessagePtr> reply = Apply(file, before, std::move(checked.apply), call);
  if (!reply.ok()) return reply.status();
  started.version = IntegerField(**reply, "version");
  started.is_new = BoolField(**reply, "is_new");
  started.effects = EffectsOf(**reply);
  return absl::OkStatus();
}

absl::Status StartDeclared(const PolicyStart& start, const InForce& before, const CallMethod& call,
                           StartedPolicy& started) {
  started.is_declared = true;
  if (!start.declared->ok()) {
    started.refused = start.declared->status();
    return absl::OkStatus();
  }
  const PolicyFile& file = **start.declared;
  absl::StatusOr<CheckedPolicy> checked = CheckPolicy(file, call);
  if (!checked.ok()) {
    if (MayPass(checked.status())) return checked.status();
    started.refused = checked.status();
    return absl::OkStatus();
  }
  started.declared_hash = StringField(*checked->validated, "content_hash");
  if (before.version > 0 && before.content_hash == started.declared_hash) return absl::OkStatus();
  if (before.version > 0 && start.compares_only) {
    started.effects = EffectsOf(*checked->validated);
    std::vector<std::string> in_use;
    for (const type::v1::PolicyEffect& effect : started.effects) {
      if (IsRefused(effect)) in_use.push_back(effect.text());
    }
    if (!in_use.empty()) {
      started.refused = absl::FailedPreconditionError(absl::StrCat(
          file.name, ": the policy would drop what is in use: ", absl::StrJoin(in_use, "; ")));
    } else {
      started.differs = absl::FailedPreconditionError(
          absl::StrCat(file.name, " is not what is in force, which is version ", before.version,
                       "; the migration of the rollout that brought it applies it"));
    }
    return absl::OkStatus();
  }
  const absl::Status taken = Take(file, before, *std::move(checked), call, started);
  if (taken.ok()) return taken;
  if (MayPass(taken)) return taken;
  started.refused =
      absl::Status(taken.code(), absl::StrCat(file.name, ": ", std::string(taken.message())));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Message>> PolicyRequest(const PolicyFile& file,
                                                       const std::string& method,
                                                       config::SourceLines* lines) {
  absl::StatusOr<std::unique_ptr<Message>> request = NewRequest(Method(file, method));
  if (!request.ok()) return request.status();
  if (absl::Status read = ReadInto(file, request->get(), lines); !read.ok()) return read;
  return request;
}

absl::StatusOr<CheckedPolicy> CheckPolicy(const PolicyFile& file, const CallMethod& call) {
  CheckedPolicy checked;
  absl::StatusOr<std::unique_ptr<Message>> validate = NewRequest(Method(file, "ValidatePolicy"));
  if (!validate.ok()) return validate.status();
  absl::StatusOr<std::unique_ptr<Message>> apply = NewRequest(Method(file, "ApplyPolicy"));
  if (!apply.ok()) return apply.status();
  config::SourceLines lines;
  const absl::Status read = ReadInto(file, validate->get(), &lines);
  std::vector<std::string> problems;
  if (!read.ok()) problems.emplace_back(read.message());
  const FieldDescriptor* const policy = (*apply)->GetDescriptor()->FindFieldByName("policy");
  (*apply)
      ->GetReflection()
      ->MutableMessage(apply->get(), policy)
      ->CopyFrom(MessageField(**validate, "policy"));
  absl::StatusOr<corridor::MessagePtr> reply =
      call(Method(file, "ValidatePolicy"), corridor::MessagePtr(*std::move(validate)));
  if (absl::IsInvalidArgument(reply.status())) {
    for (std::string& told : Refusals(file, reply.status(), lines)) {
      problems.push_back(std::move(told));
    }
  }
  if (!problems.empty()) {
    absl::Status refused = absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
    // Who asks for details gets them as the service gave them.
    if (read.ok()) {
      reply.status().ForEachPayload([&](absl::string_view type, const absl::Cord& detail) {
        refused.SetPayload(type, detail);
      });
    }
    return refused;
  }
  if (!reply.ok()) return reply.status();
  checked.apply = *std::move(apply);
  checked.validated = *std::move(reply);
  return checked;
}

std::vector<type::v1::PolicyEffect> EffectsOf(const Message& response) {
  const FieldDescriptor* field = response.GetDescriptor()->FindFieldByName("effects");
  std::vector<type::v1::PolicyEffect> effects;
  for (int i = 0; i < response.GetReflection()->FieldSize(response, field); ++i) {
    effects.emplace_back().CopyFrom(
        response.GetReflection()->GetRepeatedMessage(response, field, i));
  }
  return effects;
}

absl::StatusOr<std::vector<AppliedPolicy>> ApplyPolicies(const std::vector<PolicyFile>& files,
                                                         const CallMethod& call) {
  std::vector<AppliedPolicy> applied;
  for (const PolicyFile& file : files) {
    absl::StatusOr<InForce> before = AskInForce(file, call);
    if (!before.ok()) return before.status();
    absl::StatusOr<CheckedPolicy> checked = CheckPolicy(file, call);
    if (!checked.ok()) return checked.status();
    StartedPolicy started;
    absl::Status taken = Take(file, *before, *std::move(checked), call, started);
    if (!taken.ok()) {
      return absl::Status(taken.code(),
                          absl::StrCat(file.name, ": ", std::string(taken.message())));
    }
    applied.push_back({file.kind, file.name, started.version, started.is_new});
  }
  return applied;
}

absl::StatusOr<StartedPolicy> StartPolicy(const PolicyStart& start, const CallMethod& call) {
  StartedPolicy started;
  started.kind = start.built_in.kind;
  absl::StatusOr<InForce> before = AskInForce(start.built_in, call);
  if (!before.ok()) return before.status();
  started.version = before->version;
  if (start.declared.has_value()) {
    if (absl::Status status = StartDeclared(start, *before, call, started); !status.ok()) {
      return status;
    }
  }
  if (started.version > 0) return started;
  // Nothing was ever applied, and nothing that is declared could be.
  absl::StatusOr<CheckedPolicy> checked = CheckPolicy(start.built_in, call);
  if (!checked.ok()) return checked.status();
  absl::Status taken = Take(start.built_in, *before, *std::move(checked), call, started);
  if (!taken.ok()) return taken;
  return started;
}

}  // namespace tandem::policy
