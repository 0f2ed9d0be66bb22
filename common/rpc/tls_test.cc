// What a client certificate says counts, and nobody without one gets in.
#include "common/rpc/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>

#include "common/rpc/testing.h"

namespace tandem::rpc {
namespace {

using ::testing::HasSubstr;

struct Identity {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  Identity() = default;
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
};

// A certificate for `common_name` that `issuer` signs (null: itself, a CA), good for an hour.
void Make(const std::string& common_name, const Identity* issuer, Identity* made) {
  made->key = EVP_EC_gen("P-256");
  ASSERT_NE(made->key, nullptr);
  made->certificate = X509_new();
  X509* certificate = made->certificate;
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, made->key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(
      certificate, X509_get_subject_name(issuer == nullptr ? certificate : issuer->certificate));
  const auto extend = [certificate](int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (issuer != nullptr) extend(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  ASSERT_NE(X509_sign(certificate, issuer == nullptr ? made->key : issuer->key, EVP_sha256()), 0);
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() : folder_(std::filesystem::temp_directory_path() / Name()) {
    std::filesystem::create_directories(folder_);
    Make("test-ca", nullptr, &ca_);
    Make("localhost", &ca_, &server_);
    world_.server_options.address = "127.0.0.1:0";
    world_.server_options.tls = {Certificate(server_, "server.pem"), Key(server_, "server.key"),
                                 Certificate(ca_, "ca.pem")};
    world_.client_options.tls.ca = Certificate(ca_, "ca.pem");
    // A handshake that fails is UNAVAILABLE at once; nothing waits for this.
    world_.client_options.timeout = absl::Seconds(20);
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  static std::string Name() {
    return "tandem_tls_" + std::to_string(getpid()) + "_" +
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  std::string Certificate(const Identity& identity, const std::string& file) const {
    FILE* out = fopen((folder_ / file).c_str(), "w");
    PEM_write_X509(out, identity.certificate);
    fclose(out);
    return folder_ / file;
  }
  std::string Key(const Identity& identity, const std::string& file) const {
    FILE* out = fopen((folder_ / file).c_str(), "w");
    PEM_write_PrivateKey(out, identity.key, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(out);
    return folder_ / file;
  }
  void ShowCertificateOf(const std::string& common_name, const Identity* issuer) {
    Make(common_name, issuer, &client_);
    world_.client_options.tls.certificate = Certificate(client_, "client.pem");
    world_.client_options.tls.key = Key(client_, "client.key");
  }

  std::filesystem::path folder_;
  Identity ca_, server_, client_;
  testing::World world_;
};

TEST_F(TlsTest, TheCallerIsTheCertificatesCommonNameWhateverTheMetadataSays) {
  world_.Serve();
  ShowCertificateOf("tandem-triage", &ca_);
  world_.client_options.caller = "somebody-else";
  const auto reply = world_.Call("hello");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->caller(), "tandem-triage");
}

TEST_F(TlsTest, ACommonNameThatIsNoIdIsRefused) {
  world_.Serve();
  ShowCertificateOf("Triage & Co", &ca_);
  EXPECT_EQ(world_.Call("hello").status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(TlsTest, NobodyComesInWithoutACertificate) {
  world_.Serve();
  EXPECT_EQ(world_.Call("hello").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(world_.endpoint.calls(), 0);
}

TEST_F(TlsTest, NobodyComesInWithACertificateOfAnotherCa) {
  world_.Serve();
  ShowCertificateOf("tandem-triage", nullptr);
  EXPECT_EQ(world_.Call("hello").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(world_.endpoint.calls(), 0);
}

TEST_F(TlsTest, WithoutAClientCaTheCallerIsTakenAsStated) {
  world_.server_options.tls.ca = "";
  world_.Serve();
  world_.client_options.caller = "triage";
  const auto reply = world_.Call("hello");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->caller(), "triage");
}

TEST_F(TlsTest, AllowsAnAddressBeyondLoopback) {
  world_.server_options.address = "0.0.0.0:0";
  EXPECT_TRUE(world_.Start(world_.server_options).ok());
}

TEST_F(TlsTest, BrokenFilesAreNamed) {
  ServerOptions options = world_.server_options;
  options.tls.certificate = folder_ / "no.pem";
  absl::Status status = world_.Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no.pem"));

  options.tls.certificate = folder_ / "text.pem";
  std::ofstream(options.tls.certificate) << "not a certificate";
  status = world_.Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("text.pem is no PEM file"));

  std::ofstream(options.tls.certificate, std::ios::trunc)
      << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  status = world_.Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("TLS certificate"));

  options.tls = {"", "", folder_ / "ca.pem"};
  EXPECT_EQ(world_.Start(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.tls = {folder_ / "server.pem", "", ""};
  EXPECT_EQ(world_.Start(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tandem::rpc
