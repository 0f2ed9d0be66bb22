#include "services/tandemctl/error_text.h"

#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/cli/json.h"
#include "common/cli/text_width.h"
#include "common/config/utf8.h"
#include "google/protobuf/struct.pb.h"
#include "google/rpc/error_details.pb.h"

namespace tandem::tandemctl {
namespace {

template <typename D>
bool Detail(const absl::Status& status, D* detail) {
  const auto payload =
      status.GetPayload(absl::StrCat("type.googleapis.com/", D::descriptor()->full_name()));
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

// The flag that sets the field, for "staff.skills[3]" that of "staff.skills".
std::string FlagOf(std::string field, const std::map<std::string, std::string>& flags) {
  while (!field.empty()) {
    if (const auto found = flags.find(field); found != flags.end()) {
      return absl::StrCat(" (", found->second, ")");
    }
    const size_t cut = field.find_last_of(".[");
    field = cut == std::string::npos ? "" : field.substr(0, cut);
  }
  return "";
}

std::string CodeName(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

// A server's words may be anything; JSON has no form for what is no UTF-8.
std::string ValidUtf8(const std::string& text) {
  if (config::IsValidUtf8(text)) return text;
  std::string valid;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      valid += c;
    } else {
      valid += "\xEF\xBF\xBD";  // U+FFFD
    }
  }
  return valid;
}

google::protobuf::Value Text(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(ValidUtf8(text));
  return value;
}

void Set(google::protobuf::Struct* object, std::string_view name, google::protobuf::Value value) {
  (*object->mutable_fields())[std::string(name)] = std::move(value);
}

}  // namespace

bool IsUnreachable(const absl::Status& status) {
  // gRPC has no code of its own for "nobody is there".
  const absl::string_view message = status.message();
  return absl::IsUnavailable(status) &&
         (absl::StrContains(message, "failed to connect to all addresses") ||
          absl::StrContains(message, "Connection refused") ||
          absl::StrContains(message, "DNS resolution failed"));
}

std::string ErrorText(const absl::Status& status, const std::string& address,
                      const std::map<std::string, std::string>& flags) {
  const std::string message = cli::Printable(std::string(status.message()));
  if (IsUnreachable(status)) {
    return absl::StrCat("no tandem at ", address, "; start one with `tandem serve`\n  (", message,
                        ")\n");
  }
  std::string text;
  google::rpc::BadRequest bad;
  if (Detail(status, &bad) && bad.field_violations_size() > 0) {
    std::string listed;
    for (const auto& violation : bad.field_violations()) {
      // The message lists the same fields on one line.
      absl::StrAppend(&listed, listed.empty() ? "" : "; ", violation.field(), ": ",
                      violation.description());
    }
    const bool says_more = !absl::StartsWith(message, cli::Printable(listed));
    absl::StrAppend(&text, CodeName(status), ": ",
                    says_more ? message : std::string("the request has bad fields"), "\n");
    for (const auto& violation : bad.field_violations()) {
      absl::StrAppend(&text, "  ", cli::Printable(violation.field()),
                      FlagOf(violation.field(), flags), ": ",
                      cli::Printable(violation.description()), "\n");
    }
    if (!says_more && message.size() > listed.size()) {
      absl::StrAppend(&text, "  ", message.substr(listed.size() + 2), "\n");
    }
  } else {
    absl::StrAppend(&text, CodeName(status), ": ", message, "\n");
  }
  google::rpc::ErrorInfo info;
  if (Detail(status, &info) && !info.reason().empty()) {
    absl::StrAppend(&text, "  reason: ", cli::Printable(info.reason()), "\n");
  }
  google::rpc::RetryInfo retry;
  if (Detail(status, &retry)) {
    const absl::Duration after = absl::Seconds(retry.retry_delay().seconds()) +
                                 absl::Nanoseconds(retry.retry_delay().nanos());
    absl::StrAppend(&text, "  try again after ", cli::HumanDuration(after), "\n");
  }
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      absl::StrAppend(&text, "  ", address, " did not answer in time; --timeout waits longer\n");
      break;
    case absl::StatusCode::kUnimplemented:
      absl::StrAppend(&text, "  ", address,
                      " does not know this call; is it a tandem, and as new as "
                      "this program?\n");
      break;
    case absl::StatusCode::kAborted:
      text += "  somebody else was faster; read it again and repeat the change\n";
      break;
    default:
      break;
  }
  return text;
}

std::string ErrorJson(const absl::Status& status, const std::string& request_id,
                      const std::string& again) {
  google::protobuf::Struct error;
  Set(&error, "code", Text(CodeName(status)));
  Set(&error, "message", Text(std::string(status.message())));
  google::rpc::ErrorInfo info;
  if (Detail(status, &info) && !info.reason().empty()) {
    Set(&error, "reason", Text(info.reason()));
    google::protobuf::Value metadata;
    for (const auto& [key, value] : info.metadata()) {
      Set(metadata.mutable_struct_value(), key, Text(value));
    }
    if (!info.metadata().empty()) Set(&error, "metadata", std::move(metadata));
  }
  google::rpc::BadRequest bad;
  if (Detail(status, &bad)) {
    google::protobuf::Value list;
    for (const auto& violation : bad.field_violations()) {
      google::protobuf::Struct* const one =
          list.mutable_list_value()->add_values()->mutable_struct_value();
      Set(one, "field", Text(violation.field()));
      Set(one, "problem", Text(violation.description()));
    }
    Set(&error, "bad_fields", std::move(list));
  }
  google::rpc::RetryInfo retry;
  if (Detail(status, &retry)) {
    google::protobuf::Value seconds;
    seconds.set_number_value(static_cast<double>(retry.retry_delay().seconds()) +
                             retry.retry_delay().nanos() / 1e9);
    Set(&error, "retry_after_seconds", std::move(seconds));
  }
  if (!request_id.empty()) Set(&error, "request_id", Text(request_id));
  if (!again.empty()) Set(&error, "repeat_with", Text(again));
  google::protobuf::Value body;
  *body.mutable_struct_value() = std::move(error);
  google::protobuf::Struct whole;
  Set(&whole, "error", std::move(body));
  const auto json = cli::ToJson(whole, cli::JsonLayout::kOneLine);
  return json.ok() ? *json : absl::StrCat("{\"error\":{\"code\":\"", CodeName(status), "\"}}\n");
}

}  // namespace tandem::tandemctl
