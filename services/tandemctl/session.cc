#include "services/tandemctl/session.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/corridor/endpoint.h"
#include "common/id/id.h"
#include "google/rpc/error_details.pb.h"
#include "services/tandemctl/cells.h"
#include "services/tandemctl/error_text.h"

namespace tandem::tandemctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kTries = 3;
// gRPC itself waits a second before it connects anew: an earlier try would meet the old refusal.
constexpr absl::Duration kFirstPause = absl::Milliseconds(1'200);
constexpr absl::Duration kLongestPause = absl::Seconds(30);
// No list of ours refuses a page of this size.
constexpr int64_t kPage = 100;

const FieldDescriptor* Find(const Message& message, const std::string& name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

absl::Duration AskedPause(const absl::Status& status) {
  google::rpc::RetryInfo retry;
  const auto payload =
      status.GetPayload(absl::StrCat("type.googleapis.com/", retry.GetDescriptor()->full_name()));
  if (!payload.has_value() || !retry.ParseFromString(std::string(*payload))) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(retry.retry_delay().seconds()) +
         absl::Nanoseconds(retry.retry_delay().nanos());
}

}  // namespace

absl::StatusOr<MessageOwner> NewRequest(const std::string& method) {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) return absl::InternalError(absl::StrCat("there is no ", method));
  return MessageOwner(google::protobuf::MessageFactory::generated_factory()
                          ->GetPrototype(descriptor->input_type())
                          ->New());
}

absl::StatusOr<Session> Session::Open(rpc::ClientOptions options, Ports ports,
                                      std::string request_id) {
  std::string address = options.target;
  auto client = rpc::Client::Create(std::move(options));
  if (!client.ok()) return client.status();
  return Session(*std::move(client), std::move(ports), std::move(address), std::move(request_id));
}

absl::StatusOr<MessageOwner> Session::Call(const std::string& method, Message* request) {
  last_request_id_.clear();
  const FieldDescriptor* field = Find(*request, "request_id");
  if (field != nullptr) {
    if (StringIn(*request, "request_id").empty()) {
      request->GetReflection()->SetString(
          request, field,
          request_id_.empty() ? id::Derive("ctl", {ports_.entropy->Bytes(16)}) : request_id_);
    }
    last_request_id_ = StringIn(*request, "request_id");
  }
  absl::Duration pause = kFirstPause;
  for (int tried = 1;; ++tried) {
    auto reply = client_.Call(method, *request);
    if (reply.ok() || field == nullptr || tried == kTries || !absl::IsUnavailable(reply.status())) {
      return reply;
    }
    pause = std::max(pause, AskedPause(reply.status()));
    if (pause > kLongestPause) return reply;
    ports_.say(absl::StrCat(IsUnreachable(reply.status())
                                ? absl::StrCat("no answer from ", address_)
                                : std::string(reply.status().message()),
                            "; trying again in ", cli::HumanDuration(pause)));
    ports_.pause(pause);
    pause *= 2;
  }
}

absl::StatusOr<MessageOwner> Session::CallPages(const std::string& method, Message* request,
                                                const std::string& rows, int64_t limit) {
  const FieldDescriptor* size = Find(*request, "page_size");
  const FieldDescriptor* token = Find(*request, "page_token");
  MessageOwner all;
  for (;;) {
    const int64_t have =
        all == nullptr ? 0 : all->GetReflection()->FieldSize(*all, Find(*all, rows));
    if (size != nullptr) {
      const int64_t missing = limit == 0 ? kPage : limit - have;
      // A list without pages is asked for all at once; the server names its own limit.
      request->GetReflection()->SetInt32(
          request, size,
          static_cast<int32_t>(token == nullptr ? (limit == 0 ? 500 : limit)
                                                : std::min(kPage, missing)));
    }
    auto page = Call(method, request);
    if (!page.ok()) return page;
    if (token == nullptr) return page;
    const std::string next = StringIn(**page, "next_page_token");
    if (all == nullptr) {
      all = *std::move(page);
    } else {
      all->MergeFrom(**page);
    }
    all->GetReflection()->SetString(all.get(), Find(*all, "next_page_token"), next);
    const int64_t total = all->GetReflection()->FieldSize(*all, Find(*all, rows));
    if (next.empty() || (limit > 0 && total >= limit)) return all;
    request->GetReflection()->SetString(request, token, next);
  }
}

}  // namespace tandem::tandemctl
