#include "common/runtime/call_log.h"

#include <map>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tandem::runtime {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kRequestId = "request_id";

// Fields of a message itself that name something: "…_id", and the numbers "version", "…_version".
// What was found before stays.
void CollectIds(const Message& message, std::map<std::string, std::string>& ids) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string& name = field.name();
    if (field.is_repeated() || name == kRequestId) continue;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && absl::EndsWith(name, "_id")) {
      std::string id = reflection.GetString(message, &field);
      if (!id.empty()) ids.emplace(name, std::move(id));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 &&
               (absl::EndsWith(name, "version") || absl::EndsWith(name, "_id"))) {
      const int64_t number = reflection.GetInt64(message, &field);
      if (number != 0) ids.emplace(name, absl::StrCat(number));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map() &&
               reflection.HasField(message, &field) &&
               field.message_type()->file()->package() ==
                   message.GetDescriptor()->file()->package()) {
      // The record itself, as in GetTicketResponse.ticket; one level is enough for a log.
      const Message& inner = reflection.GetMessage(message, &field);
      const FieldDescriptor* first = inner.GetDescriptor()->FindFieldByNumber(1);
      if (first != nullptr && !first->is_repeated() &&
          first->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
          absl::EndsWith(first->name(), "_id")) {
        std::string id = inner.GetReflection()->GetString(inner, first);
        if (!id.empty()) ids.emplace(first->name(), std::move(id));
      }
    }
  }
}

std::string RequestIdOf(const Message& request) {
  const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName(std::string(kRequestId));
  if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return "";
  return request.GetReflection()->GetString(request, field);
}

// "00-TRACE-SPAN-FLAGS"
std::string_view TraceIdOf(std::string_view traceparent) {
  return traceparent.size() < 35 ? std::string_view() : traceparent.substr(3, 32);
}

// An id that was not given is no broken one.
std::string_view OrNone(std::string_view id) { return id.empty() ? "none" : id; }

}  // namespace

bool CallLog::Wants(bool is_change) const {
  return logger_ != nullptr &&
         logger_->IsEnabled(is_change ? log::Level::kInfo : log::Level::kDebug);
}

void CallLog::Answered(const corridor::CallContext& context,
                       const google::protobuf::MethodDescriptor& method, const Message& request,
                       bool is_change, const absl::StatusOr<corridor::MessagePtr>& reply,
                       absl::Duration took) const {
  const bool has_changed = is_change && reply.ok();
  if (!Wants(has_changed)) return;
  const std::string name = corridor::MethodName(&method);
  const std::string request_id = RequestIdOf(request);
  std::map<std::string, std::string> ids;
  if (reply.ok() && *reply != nullptr) CollectIds(**reply, ids);
  CollectIds(request, ids);
  if (has_changed) {
    logger_->Record(log::Level::kInfo, "change",
                    {log::Field::Id("method", name), log::Field::Id("caller", context.caller),
                     log::Field::Ids("ids", ids), log::Field::Id("request_id", OrNone(request_id)),
                     log::Field::Id("trace_id", OrNone(TraceIdOf(context.traceparent))),
                     log::Field::Took("took", took)});
    return;
  }
  logger_->Record(log::Level::kDebug, "request",
                  {log::Field::Id("method", name), log::Field::Id("caller", OrNone(context.caller)),
                   log::Field::Code("code", reply.status().code()), log::Field::Ids("ids", ids),
                   log::Field::Id("request_id", OrNone(request_id)),
                   log::Field::Id("trace_id", OrNone(TraceIdOf(context.traceparent))),
                   log::Field::Took("took", took)});
}

}  // namespace tandem::runtime
