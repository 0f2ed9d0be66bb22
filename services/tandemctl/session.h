// Calls to Tandem, whichever processes it is: request ids, safe retries, pages.
#ifndef TANDEM_SERVICES_TANDEMCTL_SESSION_H_
#define TANDEM_SERVICES_TANDEMCTL_SESSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/id/entropy.h"
#include "common/rpc/client.h"
#include "google/protobuf/message.h"
#include "services/tandemctl/addresses.h"

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
  // `options` without a target: that is each address in turn. `request_id` is that of every
  // mutation without one; empty = a new one for each. INVALID_ARGUMENT: a TLS file that is none.
  static absl::StatusOr<Session> Open(const rpc::ClientOptions& options, Addresses addresses,
                                      Ports ports, std::string request_id);

  // Asks the process that answers for the method's service; of the operator's calls, for the
  // service that the request names. Where that is none or several, was_sent() is false and the
  // error says what to give. A request with an empty request_id gets one first. With a request_id
  // the same request is sent again when the answer is UNAVAILABLE, at most twice: it is safe, for
  // the id stays the same.
  absl::StatusOr<MessageOwner> Call(const std::string& method, google::protobuf::Message* request);
  // The same of the process at one of places().
  absl::StatusOr<MessageOwner> CallAt(const std::string& address, const std::string& method,
                                      google::protobuf::Message* request);

  // A list of at most `limit` entries (0 = all) of the repeated field `rows`, page by page into one
  // reply. The reply's next_page_token, if there is one, goes on behind them. Of a list that every
  // process has a part of, the parts follow one another, and the token names the process.
  absl::StatusOr<MessageOwner> CallPages(const std::string& method,
                                         google::protobuf::Message* request,
                                         const std::string& rows, int64_t limit);

  // The processes that this session speaks to.
  const std::vector<Place>& places() const { return places_; }
  // Of the last call.
  const std::string& address() const { return address_; }
  // Whether the last call got as far as a process.
  bool was_sent() const { return was_sent_; }
  // Of the last call; empty when its request has none.
  const std::string& last_request_id() const { return last_request_id_; }

 private:
  Session(std::map<std::string, rpc::Client> clients, Addresses addresses, Ports ports,
          std::string request_id)
      : clients_(std::move(clients)),
        addresses_(std::move(addresses)),
        places_(addresses_.All()),
        ports_(std::move(ports)),
        address_(places_.front().address),
        request_id_(std::move(request_id)) {}

  // Where a call goes: one place, or all of a list that every process has a part of.
  absl::StatusOr<std::vector<Place>> PlacesOf(const std::string& method,
                                              const google::protobuf::Message& request) const;
  absl::StatusOr<MessageOwner> PagesAt(const std::string& address, const std::string& method,
                                       google::protobuf::Message* request, const std::string& rows,
                                       int64_t limit);

  std::map<std::string, rpc::Client> clients_;  // by address
  Addresses addresses_;
  std::vector<Place> places_;
  Ports ports_;
  std::string address_;
  bool was_sent_ = true;
  std::string request_id_;
  std::string last_request_id_;
};

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_SESSION_H_
