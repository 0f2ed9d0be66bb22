#include "common/rpc/tls.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tandem::rpc {
namespace {

absl::StatusOr<std::string> Pem(const std::string& file, const char* what) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream content;
  if (!in || !(content << in.rdbuf())) {
    return absl::ErrnoToStatus(errno == 0 ? EIO : errno,
                               absl::StrCat("cannot read the ", what, " ", file));
  }
  std::string pem = content.str();
  if (pem.find("-----BEGIN ") == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("the ", what, " ", file, " is no PEM file"));
  }
  return pem;
}

// Certificate and key of this side; both empty when no file is named.
absl::StatusOr<grpc::SslServerCredentialsOptions::PemKeyCertPair> Own(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError("a TLS certificate and its key are given together");
  }
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  if (files.certificate.empty()) return pair;
  auto certificate = Pem(files.certificate, "TLS certificate");
  if (!certificate.ok()) return certificate.status();
  auto key = Pem(files.key, "TLS key");
  if (!key.ok()) return key.status();
  pair.cert_chain = *std::move(certificate);
  pair.private_key = *std::move(key);
  return pair;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files) {
  if (!files.any()) return grpc::InsecureServerCredentials();
  if (files.certificate.empty()) {
    return absl::InvalidArgumentError("TLS needs the server's certificate and its key");
  }
  auto own = Own(files);
  if (!own.ok()) return own.status();
  grpc::SslServerCredentialsOptions options(
      files.ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                       : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back(*std::move(own));
  if (!files.ca.empty()) {
    auto ca = Pem(files.ca, "CA of the clients");
    if (!ca.ok()) return ca.status();
    options.pem_root_certs = *std::move(ca);
  }
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const TlsFiles& files) {
  if (!files.any()) return grpc::InsecureChannelCredentials();
  auto own = Own(files);
  if (!own.ok()) return own.status();
  grpc::SslCredentialsOptions options;
  options.pem_cert_chain = own->cert_chain;
  options.pem_private_key = own->private_key;
  if (!files.ca.empty()) {
    auto ca = Pem(files.ca, "CA of the server");
    if (!ca.ok()) return ca.status();
    options.pem_root_certs = *std::move(ca);
  }
  return grpc::SslCredentials(options);
}

}  // namespace tandem::rpc
