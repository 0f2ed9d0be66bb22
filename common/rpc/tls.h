// Credentials read from files, once.
#ifndef TANDEM_COMMON_RPC_TLS_H_
#define TANDEM_COMMON_RPC_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace tandem::rpc {

// PEM files. All empty = no TLS.
struct TlsFiles {
  std::string certificate;  // of this side, with its chain; required for a server
  std::string key;          // of this side
  std::string ca;           // who vouches for the other side
  bool any() const { return !certificate.empty() || !key.empty() || !ca.empty(); }
};

// With a `ca`, every client must show a certificate that it vouches for. INVALID_ARGUMENT:
// certificate or key is missing; NOT_FOUND and the like name the file that cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files);

// `ca` vouches for the server (empty: the system's roots); certificate and key are given together
// or not at all.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const TlsFiles& files);

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_TLS_H_
