#include "common/corridor/definition.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace tandem::corridor {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

bool HasRequestId(const Descriptor* request) {
  const FieldDescriptor* field = request->FindFieldByName("request_id");
  return field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
         !field->is_repeated();
}

}  // namespace

void ServiceDefinition::AddMethod(std::string_view method, Method handler) {
  handler.descriptor = FindMethod(method);
  if (handler.descriptor == nullptr) {
    problems_.push_back(absl::StrCat(std::string(method), " is no method of the protos linked in"));
    return;
  }
  if (!methods_.try_emplace(std::string(method), std::move(handler)).second) {
    problems_.push_back(absl::StrCat(std::string(method), " is bound twice"));
  }
}

void ServiceDefinition::AddFollowed(std::string kind, std::string method, const Message& question) {
  const MethodDescriptor* descriptor = FindMethod(method);
  if (descriptor == nullptr || descriptor->input_type() != question.GetDescriptor()) {
    problems_.push_back(absl::StrCat(method, " does not take ",
                                     question.GetDescriptor()->full_name(), ", so nobody tells of ",
                                     kind, " records"));
    return;
  }
  const FieldDescriptor* field = question.GetDescriptor()->FindFieldByName(
      absl::StrCat(absl::StrReplaceAll(kind, {{" ", "_"}}), "_id"));
  if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_STRING ||
      field->is_repeated()) {
    problems_.push_back(absl::StrCat(method, " takes no id of a ", kind));
    return;
  }
  if (!followed_.try_emplace(kind, Followed{std::move(method), &question, field}).second) {
    problems_.push_back(absl::StrCat(kind, " records are followed twice"));
  }
}

absl::Status ServiceDefinition::Check() const {
  std::vector<std::string> problems = problems_;
  std::set<const ServiceDescriptor*> served;
  for (const auto& [name, method] : methods_) {
    const MethodDescriptor* descriptor = method.descriptor;
    served.insert(descriptor->service());
    if (descriptor->client_streaming() || descriptor->server_streaming()) {
      problems.push_back(absl::StrCat(name, " streams, and the corridor answers unary calls only"));
    }
    // A function that reads another message than the method carries would read foreign memory.
    if (method.request_type != descriptor->input_type()) {
      problems.push_back(absl::StrCat(name, " takes ", descriptor->input_type()->full_name(),
                                      ", its function takes ", method.request_type->full_name()));
    }
    if (method.reply_type != nullptr && method.reply_type != descriptor->output_type()) {
      problems.push_back(absl::StrCat(name, " answers ", descriptor->output_type()->full_name(),
                                      ", its function answers ", method.reply_type->full_name()));
    }
    if (method.decide != nullptr && !HasRequestId(descriptor->input_type())) {
      problems.push_back(absl::StrCat(name, " is a command, but its request has no request_id"));
    }
  }
  std::set<std::string> unbound;  // sorted by name: the message is the same on every run
  for (const ServiceDescriptor* service : served) {
    for (int i = 0; i < service->method_count(); ++i) {
      std::string name = MethodName(service->method(i));
      if (!methods_.contains(name)) unbound.insert(std::move(name));
    }
  }
  for (const std::string& name : unbound) {
    problems.push_back(absl::StrCat(name, " has no function"));
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("service ", name_, ": ", absl::StrJoin(problems, "; ")));
}

}  // namespace tandem::corridor
