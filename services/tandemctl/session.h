// Calls to one Tandem: request ids, safe retries, pages.
#ifndef TANDEM_SERVICES_TANDEMCTL_SESSION_H_
#define TANDEM_SERVICES_TANDEMCTL_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/id/entropy.h"
#include "common/rpc/client.h"
#include "google/protobuf/message.h"

namespace tandem::tandemctl {

using MessageOwner = std::unique_ptr<google::protobuf::Message>;

// An empty request of "package.Service/Method"; INTERNAL when there is no such method.
absl::StatusOr<MessageOwner> NewRequest(const std::string& method);

// For one thread, which it blocks.
class Session {
 public:
  struct Ports {
    id::Entropy* entropy = nullptr;               // outlives the session
    std::function<void(absl::Duration)> pause;    // waits between two tries
    std::function<void(const std::string&)> say;  // tells a line to the person
  };
  // `request_id` is that of every mutation without one; empty = a new one for each.
  // INVALID_ARGUMENT: a TLS file that is none.
  static absl::StatusOr<Session> Open(rpc::ClientOptions options, Ports ports,
                                      std::string request_id);

  // A request with an empty request_id gets one first. With a request_id the same request is sent
  // again when the answer is UNAVAILABLE, at most twice: it is safe, for the id stays the same.
  absl::StatusOr<MessageOwner> Call(const std::string& method, google::protobuf::Message* request);

  // A list of at most `limit` entries (0 = all) of the repeated field `rows`, page by page into one
  // reply. The reply's next_page_token, if there is one, goes on behind them.
  absl::StatusOr<MessageOwner> CallPages(const std::string& method,
                                         google::protobuf::Message* request,
                                         const std::string& rows, int64_t limit);

  const std::string& address() const { return address_; }
  // Of the last call; empty when its request has none.
  const std::string& last_request_id() const { return last_request_id_; }

 private:
  Session(rpc::Client client, Ports ports, std::string address, std::string request_id)
      : client_(std::move(client)),
        ports_(std::move(ports)),
        address_(std::move(address)),
        request_id_(std::move(request_id)) {}

  rpc::Client client_;
  Ports ports_;
  std::string address_;
  std::string request_id_;
  std::string last_request_id_;
};

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_SESSION_H_
