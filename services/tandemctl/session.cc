#include "services/tandemctl/session.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
constexpr int64_t kRowsAtOnce = 100;

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

absl::StatusOr<Session> Session::Open(const rpc::ClientOptions& options, Addresses addresses,
                                      Ports ports, std::string request_id) {
  std::map<std::string, rpc::Client> clients;
  for (const Place& place : addresses.All()) {
    rpc::ClientOptions one = options;
    one.target = place.address;
    auto client = rpc::Client::Create(std::move(one));
    if (!client.ok()) return client.status();
    clients.emplace(place.address, *std::move(client));
  }
  return Session(std::move(clients), std::move(addresses), std::move(ports), std::move(request_id));
}

absl::StatusOr<std::vector<Place>> Session::PlacesOf(const std::string& method,
                                                     const Message& request) const {
  const google::protobuf::MethodDescriptor* descriptor = corridor::FindMethod(method);
  if (descriptor == nullptr) return absl::InternalError(absl::StrCat("there is no ", method));
  std::string service = ServiceOfPackage(descriptor->file()->package());
  if (service.empty()) {
    if (places_.size() == 1) return places_;
    if (Find(request, "service") != nullptr) {
      service = StringIn(request, "service");
      if (service.empty()) return places_;
    }
  }
  if (!service.empty()) {
    const absl::StatusOr<std::string> address = addresses_.Of(service);
    if (!address.ok()) return address.status();
    return std::vector<Place>{{service, *address}};
  }
  if (descriptor->name() != "ReadEvents") {  // the log is one, whoever is asked
    return absl::InvalidArgumentError(
        absl::StrCat(descriptor->name(), " is for one process, and there are ",
                     absl::StrJoin(places_, ", ",
                                   [](std::string* out, const Place& place) {
                                     absl::StrAppend(out, place.service, "=", place.address);
                                   }),
                     "; give one --address HOST:PORT"));
  }
  return std::vector<Place>{places_.front()};
}

absl::StatusOr<MessageOwner> Session::Call(const std::string& method, Message* request) {
  auto places = PlacesOf(method, *request);
  if (places.ok() && places->size() > 1) {
    places = absl::InvalidArgumentError("several processes have a part of it; name the service");
  }
  was_sent_ = places.ok();
  if (!places.ok()) return places.status();
  return CallAt(places->front().address, method, request);
}

absl::StatusOr<MessageOwner> Session::CallAt(const std::string& address, const std::string& method,
                                             Message* request) {
  was_sent_ = true;
  address_ = address;
  const rpc::Client& client = clients_.at(address);
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
    auto reply = client.Call(method, *request);
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
  const auto places = PlacesOf(method, *request);
  was_sent_ = places.ok();
  if (!places.ok()) return places.status();
  if (places->size() == 1) return PagesAt(places->front().address, method, request, rows, limit);

  // "SERVICE/TOKEN": the part of the process that answers for the service goes on at the token.
  const FieldDescriptor* token = Find(*request, "page_token");
  const std::string given = StringIn(*request, "page_token");
  const size_t cut = given.find('/');
  auto place = std::find_if(places->begin(), places->end(), [&](const Place& one) {
    return given.empty() || one.service == given.substr(0, cut);
  });
  if (place == places->end() || (!given.empty() && cut == std::string::npos)) {
    was_sent_ = false;
    return absl::InvalidArgumentError(
        absl::StrCat("--page-token: '", given, "' is none of a list of these processes"));
  }
  request->GetReflection()->SetString(request, token, given.empty() ? "" : given.substr(cut + 1));
  MessageOwner all;
  for (;; ++place) {
    const int64_t have =
        all == nullptr ? 0 : all->GetReflection()->FieldSize(*all, Find(*all, rows));
    auto part = PagesAt(place->address, method, request, rows, limit == 0 ? 0 : limit - have);
    if (!part.ok()) return part;
    std::string next = StringIn(**part, "next_page_token");
    if (all == nullptr) {
      all = *std::move(part);
    } else {
      all->MergeFrom(**part);
    }
    const bool is_full =
        limit > 0 && all->GetReflection()->FieldSize(*all, Find(*all, rows)) >= limit;
    const auto after = std::next(place);
    if (!next.empty()) {
      next = absl::StrCat(place->service, "/", next);
    } else if (is_full && after != places->end()) {
      next = absl::StrCat(after->service, "/");
    }
    all->GetReflection()->SetString(all.get(), Find(*all, "next_page_token"), next);
    if (is_full || after == places->end()) return all;
    request->GetReflection()->SetString(request, token, "");
  }
}

absl::StatusOr<MessageOwner> Session::PagesAt(const std::string& address, const std::string& method,
                                              Message* request, const std::string& rows,
                                              int64_t limit) {
  const FieldDescriptor* size = Find(*request, "page_size");
  const FieldDescriptor* token = Find(*request, "page_token");
  MessageOwner all;
  for (;;) {
    const int64_t have =
        all == nullptr ? 0 : all->GetReflection()->FieldSize(*all, Find(*all, rows));
    if (size != nullptr) {
      const int64_t missing = limit == 0 ? kRowsAtOnce : limit - have;
      // A list without pages is asked for all at once; the server names its own limit.
      request->GetReflection()->SetInt32(
          request, size,
          static_cast<int32_t>(token == nullptr ? (limit == 0 ? 500 : limit)
                                                : std::min(kRowsAtOnce, missing)));
    }
    auto page = CallAt(address, method, request);
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
