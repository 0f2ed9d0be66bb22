#include "common/rpc/status.h"

#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/status.pb.h"

namespace tandem::rpc {
namespace {

// The message is sent twice: percent-encoded (up to three bytes for one) and within the details,
// which are sent as base64 (four bytes for three). 3 x 1,024 + 4/3 x 3,584 leaves room for the
// other trailers.
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxDetailsBytes = 3584;

// `message` cut at a character's start.
std::string Cut(absl::string_view message) {
  if (message.size() <= kMaxMessageBytes) return std::string(message);
  size_t end = kMaxMessageBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(message.substr(0, end), "...");
}

}  // namespace

bool IsInternal(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
}

absl::Status Withheld(absl::StatusCode code, std::string_view reference_id) {
  return absl::Status(code, absl::StrCat("internal error; reference ", std::string(reference_id)));
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.raw_code());
  std::string message = Cut(status.message());

  // Sorted by type: the same status is the same bytes.
  std::map<std::string, std::string> payloads;
  status.ForEachPayload([&payloads](absl::string_view type_url, const absl::Cord& value) {
    payloads.emplace(std::string(type_url), std::string(value));
  });
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  for (auto& [type_url, value] : payloads) {
    auto* any = details.add_details();
    any->set_type_url(type_url);
    any->set_value(std::move(value));
    if (details.ByteSizeLong() > kMaxDetailsBytes) details.mutable_details()->RemoveLast();
  }
  if (details.details().empty()) return grpc::Status(code, std::move(message));
  return grpc::Status(code, std::move(message), details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  absl::Status result(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.error_message());
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      result.SetPayload(any.type_url(), absl::Cord(any.value()));
    }
  }
  return result;
}

}  // namespace tandem::rpc
