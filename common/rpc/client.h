// A client for command-line tools and tests: one call at a time, blocking.
#ifndef TANDEM_COMMON_RPC_CLIENT_H_
#define TANDEM_COMMON_RPC_CLIENT_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/tls.h"
#include "google/protobuf/message.h"

namespace grpc {
class Channel;
}

namespace tandem::rpc {

struct ClientOptions {
  std::string target;  // "127.0.0.1:7400"
  TlsFiles tls;
  std::string caller;                          // tandem-caller; empty = not stated
  absl::Duration timeout = absl::Seconds(10);  // of one call
  int max_message_bytes = 4 << 20;             // of a reply; a request may have any size
  // Metadata beside the caller.
  std::multimap<std::string, std::string> metadata;
};

// Callable from any thread that may block. Never retries.
class Client {
 public:
  // Connects when first called. INVALID_ARGUMENT: a TLS file that is none.
  static absl::StatusOr<Client> Create(ClientOptions options);

  // `method` is "package.Service/Method" of the protos linked in. The error is the server's, with
  // its details as payloads; INVALID_ARGUMENT for a request of another type than the method's.
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> Call(
      std::string_view method, const google::protobuf::Message& request) const;

  // The same with the type of the reply known.
  template <typename Reply>
  absl::StatusOr<Reply> Call(std::string_view method,
                             const google::protobuf::Message& request) const {
    Reply reply;
    const absl::Status status = CallInto(method, request, &reply);
    if (!status.ok()) return status;
    return reply;
  }

  // Sends any bytes to any path ("/package.Service/Method") and gives the reply's bytes.
  absl::StatusOr<std::string> CallRaw(const std::string& path, std::string_view bytes) const;

 private:
  Client(ClientOptions options, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)), channel_(std::move(channel)) {}
  absl::Status CallInto(std::string_view method, const google::protobuf::Message& request,
                        google::protobuf::Message* reply) const;

  ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_CLIENT_H_
