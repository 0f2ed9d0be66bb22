#include "common/metrics/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::metrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

int Connect(int port) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval deadline = {20, 0};
  setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  if (connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(file);
    return -1;
  }
  return file;
}

// The whole answer to `request`, as bytes.
std::string Exchange(int port, const std::string& request) {
  const int file = Connect(port);
  if (file < 0) return "no connection";
  EXPECT_EQ(send(file, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = recv(file, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  close(file);
  return answer;
}

std::string Get(const HttpServer& server, const std::string& path) {
  return Exchange(server.port(), absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n"));
}

std::unique_ptr<HttpServer> Started(const Registry& registry, HttpOptions options = {}) {
  auto server = HttpServer::Start(&registry, std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

TEST(HttpServer, ServesTheMetrics) {
  Registry registry("1");
  const auto server = Started(registry);
  EXPECT_GT(server->port(), 0);
  EXPECT_EQ(server->address(), absl::StrCat("127.0.0.1:", server->port()));
  EXPECT_THAT(Get(*server, "/metrics"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("text/plain; version=0.0.4"),
                    HasSubstr("# TYPE tandem_build_info gauge")));
}

TEST(HttpServer, IsReadyOnceEveryCheckSaysSo) {
  Registry registry("1");
  std::atomic<bool> is_bus_ready = false;
  HttpOptions options;
  options.ready = {
      {"store", [] { return absl::OkStatus(); }},
      {"bus",
       [&] {
         return is_bus_ready ? absl::OkStatus() : absl::UnavailableError("partition 3\nis stopped");
       }},
      {"relay",
       [&] { return is_bus_ready ? absl::OkStatus() : absl::UnavailableError("no lease"); }}};
  const auto server = Started(registry, std::move(options));
  EXPECT_THAT(Get(*server, "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503 "),
                    HasSubstr("\r\n\r\nbus: partition 3 is stopped\nrelay: no lease\n")));
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
  is_bus_ready = true;
  EXPECT_THAT(Get(*server, "/readyz"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("ok\n")));
}

TEST(HttpServer, IsNotLiveWhenACheckFails) {
  Registry registry("1");
  HttpOptions options;
  options.live = {{"lane", [] { return absl::InternalError("stuck for 61 s"); }}};
  const auto server = Started(registry, std::move(options));
  EXPECT_THAT(Get(*server, "/livez"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("lane: stuck for 61 s\n")));
  EXPECT_THAT(Get(*server, "/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, RefusesWhatItDoesNotServe) {
  Registry registry("1");
  const auto server = Started(registry);
  EXPECT_THAT(Get(*server, "/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get(*server, "/metrics/../../etc/passwd"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Exchange(server->port(), "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Exchange(server->port(), "HEAD /livez HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, SurvivesHostileRequests) {
  Registry registry("1");
  const auto server = Started(registry);
  for (const std::string& request :
       {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("\x00\xFF\x16\r\n\r\n", 7),
        "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n"}) {
    Exchange(server->port(), request);
  }
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, APortInUseIsNamed) {
  Registry registry("1");
  const auto first = Started(registry);
  HttpOptions options;
  options.listen = first->address();
  const auto second = HttpServer::Start(&registry, options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(second.status().message()),
            absl::StrCat("cannot listen on ", first->address(), ": the port is in use"));
}

TEST(HttpServer, ThePortIsFreeAgainAfterItsEnd) {
  Registry registry("1");
  auto server = Started(registry);
  HttpOptions options;
  options.listen = server->address();
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
  const int port = server->port();
  server.reset();
  EXPECT_EQ(Connect(port), -1);
  server = Started(registry, options);
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, CanBeStoppedAtOnceManyTimes) {
  Registry registry("1");
  for (int i = 0; i < 50; ++i) Started(registry);
}

TEST(HttpServer, EndsWhileAClientHoldsAConnection) {
  Registry registry("1");
  auto server = Started(registry);
  const int idle = Connect(server->port());
  ASSERT_GE(idle, 0);
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
  close(idle);
  server.reset();
}

TEST(HttpServer, AnAddressThatOthersReachNeedsConsent) {
  Registry registry("1");
  HttpOptions options;
  options.listen = "0.0.0.0:0";
  EXPECT_EQ(HttpServer::Start(&registry, options).status().code(),
            absl::StatusCode::kFailedPrecondition);
  options.allow_insecure = true;
  EXPECT_THAT(Get(*Started(registry, options), "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, ABrokenAddressIsNamed) {
  Registry registry("1");
  for (const std::string listen : {"", ":", "localhost", "localhost:", ":9464", "localhost:http",
                                   "localhost:65536", "localhost:-1", "::1:9464", "[]:1"}) {
    HttpOptions options;
    options.listen = listen;
    const auto server = HttpServer::Start(&registry, options);
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << listen;
  }
  HttpOptions options;
  options.listen = "no-such-host.invalid:1";
  options.allow_insecure = true;
  EXPECT_EQ(HttpServer::Start(&registry, options).status().code(), absl::StatusCode::kUnavailable);
}

TEST(HttpServer, AnswersManyClientsAtOnce) {
  Registry registry("1");
  const auto server = Started(registry);
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 30; ++c) {
    clients.emplace_back([&] {
      if (Get(*server, "/metrics").starts_with("HTTP/1.1 200 ")) ++answered;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 30);
}

}  // namespace
}  // namespace tandem::metrics
