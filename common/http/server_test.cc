#include "common/http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::http {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A connection from `from`, any of this machine's own addresses.
class Socket {
 public:
  explicit Socket(int port, const char* from = "127.0.0.1")
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, from, &address.sin_addr);
    bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval deadline = {20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
    is_open_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool is_open() const { return is_open_; }
  bool Send(const std::string& bytes) const {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // What the server sends until it ends the connection; says so if it does not.
  std::string HearAll() const {
    std::string heard;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = recv(fd_, buffer, sizeof(buffer), 0)) > 0) {
      heard.append(buffer, static_cast<size_t>(got));
    }
    const bool is_open = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return is_open ? heard + " (and the connection stays open)" : heard;
  }
  // What the server sends until `end` is heard.
  std::string HearUntil(const std::string& end) const {
    std::string heard;
    char byte = 0;
    while (!heard.ends_with(end) && recv(fd_, &byte, 1, 0) == 1) heard += byte;
    return heard;
  }
  // Whether the server has ended it, without a wait.
  bool IsEnded() const {
    char byte = 0;
    const ssize_t got = recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  }

 private:
  const int fd_;
  bool is_open_ = false;
};

// The whole answer to `request`, as bytes.
std::string Exchange(const Server& server, const std::string& request) {
  const Socket socket(server.port());
  if (!socket.is_open()) return "no connection";
  socket.Send(request);
  return socket.HearAll();
}

std::string Request(const std::string& line, const std::string& body = "") {
  return absl::StrCat(line, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
                      body.empty() ? "" : absl::StrCat("Content-Length: ", body.size(), "\r\n"),
                      "\r\n", body);
}

std::string Get(const Server& server, const std::string& path) {
  return Exchange(server, Request("GET " + path));
}

Handler Says(const std::string& text) {
  return [text](const http::Request&, Done done) { done({200, "text/plain", text, {}}); };
}

std::unique_ptr<Server> Started(Options options = {}) {
  auto server = Server::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  (*server)->Handle({"GET", "/livez", 0, Says("ok\n")});
  return *std::move(server);
}

TEST(HttpServer, AnswersWhatIsRouted) {
  const auto server = Started();
  EXPECT_GT(server->port(), 0);
  EXPECT_EQ(server->address(), absl::StrCat("127.0.0.1:", server->port()));
  server->Handle({"GET", "/page", 0, [](const http::Request& request, Done done) {
                    Response response;
                    response.status = 303;
                    response.content_type = "text/html";
                    response.body = absl::StrCat(request.path, " ", request.query.at("a b"), " ",
                                                 request.headers.at("host"));
                    response.headers = {{"Location", "/other"}};
                    done(std::move(response));
                  }});
  EXPECT_THAT(Get(*server, "/page?a%20b=%C3%BC"),
              AllOf(StartsWith("HTTP/1.1 303 "), HasSubstr("Content-Type: text/html\r\n"),
                    HasSubstr("Location: /other\r\n"), EndsWith("\r\n\r\n/page \xC3\xBC x")));
}

TEST(HttpServer, AnswersAHeadLikeTheGetWithoutItsBody) {
  const auto server = Started();
  EXPECT_THAT(
      Exchange(*server, Request("HEAD /livez")),
      AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 3\r\n"), EndsWith("\r\n\r\n")));
}

TEST(HttpServer, ServesWhatLiesBelowAPathThatEndsInASlash) {
  const auto server = Started();
  server->Handle({"GET", "/answer/", 0, [](const http::Request& request, Done done) {
                    done({200, "text/plain", request.path, {}});
                  }});
  EXPECT_THAT(Get(*server, "/answer/abc/d"), EndsWith("\r\n\r\n/answer/abc/d"));
  EXPECT_THAT(Get(*server, "/answer"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get(*server, "/livez/x"), StartsWith("HTTP/1.1 404 "));
}

TEST(HttpServer, RefusesWhatItDoesNotServeAndSaysWhatItDoes) {
  const auto server = Started();
  EXPECT_THAT(Get(*server, "/"), AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("known: /livez\n")));
  EXPECT_THAT(Get(*server, "/livez/../../etc/passwd"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Exchange(*server, Request("POST /livez", "x")),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
}

TEST(HttpServer, TakesABodyUpToItsBound) {
  const auto server = Started();
  server->Handle({"POST", "/answer", 8, [](const http::Request& request, Done done) {
                    done({200, "text/plain", request.body, {}});
                  }});
  EXPECT_THAT(Exchange(*server, Request("POST /answer", "12345678")), EndsWith("\r\n\r\n12345678"));
  EXPECT_THAT(Exchange(*server, Request("POST /answer", "123456789")),
              AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("at most 8 bytes")));
  // Of a body in chunks nobody says the length beforehand.
  const std::string chunked =
      "POST /answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(Exchange(*server, chunked + "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n"),
              EndsWith("\r\n\r\n12345678"));
  EXPECT_THAT(Exchange(*server, chunked + "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST(HttpServer, IsAnsweredFromAnotherThread) {
  const auto server = Started();
  std::vector<std::thread> threads;
  server->Handle({"GET", "/slow", 0, [&](const http::Request&, Done done) {
                    threads.emplace_back([done = std::move(done)]() mutable {
                      done({200, "text/plain", "late", {}});
                    });
                  }});
  for (int i = 0; i < 50; ++i) EXPECT_THAT(Get(*server, "/slow"), EndsWith("\r\n\r\nlate"));
  for (std::thread& thread : threads) thread.join();
}

TEST(HttpServer, AnswersForAHandlerThatDropsOrForgetsItsAnswer) {
  Options options;
  options.answer_timeout = absl::Milliseconds(300);
  const auto server = Started(options);
  std::vector<Done> forgotten;
  server->Handle({"GET", "/dropped", 0, [](const http::Request&, const Done&) {}});
  server->Handle({"GET", "/forgotten", 0,
                  [&](const http::Request&, Done done) { forgotten.push_back(std::move(done)); }});
  EXPECT_THAT(Get(*server, "/dropped"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("the service stops")));
  EXPECT_THAT(Get(*server, "/forgotten"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("took too long")));
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, EndsWithRequestsUnderWayAndIgnoresTheirLateAnswers) {
  auto server = Started();
  Done late;
  absl::Notification asked;
  server->Handle({"GET", "/slow", 0, [&](const http::Request&, Done done) {
                    late = std::move(done);
                    asked.Notify();
                  }});
  const Socket client(server->port());
  client.Send(Request("GET /slow"));
  asked.WaitForNotification();
  server.reset();
  EXPECT_TRUE(client.IsEnded() || client.HearAll().starts_with("HTTP/1.1 503 "));
  late({200, "text/plain", "late", {}});
}

TEST(HttpServer, KeepsAConnectionForTheNextRequest) {
  const auto server = Started();
  const Socket client(server->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_THAT(client.HearUntil("ok\n"), StartsWith("HTTP/1.1 200 "));
  }
}

TEST(HttpServer, EndsAConnectionWhoseRequestDoesNotCome) {
  Options options;
  options.request_timeout = absl::Milliseconds(500);
  const auto server = Started(options);
  const Socket idle(server->port());
  const Socket half_open(server->port());
  half_open.Send("GET /livez HT");
  const Socket dripping(server->port());
  dripping.Send("GET /livez HTTP/1.1\r\nX: ");
  std::atomic<bool> is_over = false;
  // Each byte is a sign of life, and none of them a request.
  std::thread drips([&] {
    while (!is_over && dripping.Send("x")) {
    }
  });
  EXPECT_EQ(idle.HearAll(), "");
  EXPECT_EQ(half_open.HearAll(), "");
  EXPECT_THAT(dripping.HearAll(), Not(HasSubstr("stays open")));
  is_over = true;
  drips.join();
  const Socket used(server->port());
  used.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(used.HearAll(), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("ok\n")));
}

TEST(HttpServer, AnswersWithin100MsBesideAThousandIdleAndHalfOpenConnections) {
  const rlimit many = {4096, 4096};
  setrlimit(RLIMIT_NOFILE, &many);
  const auto server = Started();
  std::vector<std::unique_ptr<Socket>> silent;
  for (int i = 0; i < 1'000; ++i) {
    // From several addresses, as one alone is not given that many.
    const std::string from = absl::StrCat("127.0.0.", 1 + i % 5);
    silent.push_back(std::make_unique<Socket>(server->port(), from.c_str()));
    if (i % 2 == 0) silent.back()->Send("GET /livez HTTP/1.1\r\nHo");
  }
  std::vector<int64_t> took_ms;
  for (int i = 0; i < 21; ++i) {
    const auto asked = std::chrono::steady_clock::now();
    EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
    took_ms.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now() - asked)
                          .count());
  }
  // A shared machine may hold up a single one, but none waits for the silent ones to be timed out.
  std::sort(took_ms.begin(), took_ms.end());
  EXPECT_LT(took_ms[took_ms.size() / 2], 100);
  EXPECT_LT(took_ms.back(), 2'000);
}

TEST(HttpServer, GivesAnAddressNoMoreThanItsShareAndTheLongestSilentGivesWay) {
  Options options;
  options.max_connections_per_address = 3;
  const auto server = Started(options);
  const Socket other(server->port(), "127.0.0.2");
  std::vector<std::unique_ptr<Socket>> silent;
  for (int i = 0; i < 5; ++i) silent.push_back(std::make_unique<Socket>(server->port()));
  EXPECT_EQ(silent[0]->HearAll(), "");
  EXPECT_EQ(silent[1]->HearAll(), "");
  for (int i = 2; i < 5; ++i) {
    ASSERT_TRUE(silent[static_cast<size_t>(i)]->Send(Request("GET /livez")));
    EXPECT_THAT(silent[static_cast<size_t>(i)]->HearAll(), StartsWith("HTTP/1.1 200 "));
  }
  other.Send(Request("GET /livez"));
  EXPECT_THAT(other.HearAll(), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, ClosesAConnectionOfWhoHoldsMostForWhoeverComes) {
  Options options;
  options.max_connections = 4;
  const auto server = Started(options);
  const Socket other(server->port(), "127.0.0.2");
  std::vector<std::unique_ptr<Socket>> many;
  for (int i = 0; i < 3; ++i) many.push_back(std::make_unique<Socket>(server->port()));
  const Socket newcomer(server->port(), "127.0.0.3");
  EXPECT_EQ(many[0]->HearAll(), "");
  for (const Socket* kept :
       std::vector<const Socket*>{&other, many[1].get(), many[2].get(), &newcomer}) {
    kept->Send(Request("GET /livez"));
    EXPECT_THAT(kept->HearAll(), StartsWith("HTTP/1.1 200 "));
  }
}

TEST(HttpServer, CountsTheSilenceOfAConnectionFromItsLastAnswer) {
  Options options;
  options.max_connections_per_address = 2;
  const auto server = Started(options);
  const auto answers = [](const Socket& socket) {
    socket.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    return socket.HearUntil("ok\n").ends_with("ok\n");
  };
  const Socket first(server->port());
  ASSERT_TRUE(answers(first));
  const Socket second(server->port());
  ASSERT_TRUE(answers(second));
  ASSERT_TRUE(answers(first));
  const Socket third(server->port());
  EXPECT_EQ(second.HearAll(), "");
  EXPECT_TRUE(answers(third)) << "none is being answered, so there is room for it";
  EXPECT_TRUE(answers(first));
}

TEST(HttpServer, EndsAConnectionWhoseClientTakesNoAnswer) {
  const std::string page(32 << 20, 'x');  // more than sockets keep
  for (const bool is_late : {false, true}) {
    Options options;
    options.write_timeout = absl::Milliseconds(500);
    options.max_connections = 1;
    const auto server = Started(options);
    Done open;
    absl::Notification asked;
    server->Handle({"GET", "/page", 0, [&](const http::Request&, Done done) {
                      if (is_late) {
                        open = std::move(done);
                      } else {
                        done({200, "text/plain", page, {}});
                      }
                      asked.Notify();
                    }});
    const Socket slow(server->port());
    slow.Send(Request("GET /page"));
    asked.WaitForNotification();
    if (is_late) open({200, "text/plain", page, {}});
    // Nobody else is let in until it has been ended.
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::string answer;
    while (!answer.starts_with("HTTP/1.1 200 ") && std::chrono::steady_clock::now() < give_up) {
      answer = Get(*server, "/livez");
    }
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 ")) << is_late;
    EXPECT_LT(slow.HearAll().size(), page.size()) << is_late;
  }
}

TEST(HttpServer, EndsNoConnectionThatIsBeingAnsweredForAnother) {
  Options options;
  options.max_connections = 2;
  const auto server = Started(options);
  std::vector<Done> open;
  absl::Notification both;
  server->Handle({"GET", "/slow", 0, [&](const http::Request&, Done done) {
                    open.push_back(std::move(done));
                    if (open.size() == 2) both.Notify();
                  }});
  const Socket first(server->port());
  const Socket second(server->port(), "127.0.0.2");
  first.Send(Request("GET /slow"));
  second.Send(Request("GET /slow"));
  both.WaitForNotification();
  const Socket third(server->port());
  third.Send(Request("GET /livez"));
  EXPECT_EQ(third.HearAll(), "") << "all are answered, so the new one is closed";
  for (Done& done : open) done({200, "text/plain", "late", {}});
  EXPECT_THAT(first.HearAll(), EndsWith("late"));
  EXPECT_THAT(second.HearAll(), EndsWith("late"));
}

TEST(HttpServer, SurvivesHostileRequests) {
  Options options;
  options.request_timeout = absl::Milliseconds(300);
  const auto server = Started(options);
  for (const std::string& request :
       {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("\x00\xFF\x16\r\n\r\n", 7),
        "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n",
        std::string("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        std::string("GET /%00%zz?%= HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")}) {
    EXPECT_THAT(Exchange(*server, request), Not(StartsWith("HTTP/1.1 200 "))) << request;
  }
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, APortInUseIsNamed) {
  const auto first = Started();
  Options options;
  options.listen = first->address();
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(second.status().message()),
            absl::StrCat("cannot listen on ", first->address(), ": the port is in use"));
}

TEST(HttpServer, ThePortIsFreeAgainAfterItsEnd) {
  auto server = Started();
  Options options;
  options.listen = server->address();
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
  const int port = server->port();
  server.reset();
  EXPECT_FALSE(Socket(port).is_open());
  server = Started(options);
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, CanBeStoppedAtOnceManyTimes) {
  for (int i = 0; i < 50; ++i) Started();
}

TEST(HttpServer, EndsWhileAClientHoldsAConnection) {
  auto server = Started();
  const Socket idle(server->port());
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
  server.reset();
  EXPECT_EQ(idle.HearAll(), "");
}

TEST(HttpServer, AnAddressThatOthersReachNeedsConsent) {
  Options options;
  options.listen = "0.0.0.0:0";
  EXPECT_EQ(Server::Start(options).status().code(), absl::StatusCode::kFailedPrecondition);
  options.allow_insecure = true;
  EXPECT_THAT(Get(*Started(options), "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServer, ABrokenAddressIsNamed) {
  for (const std::string listen : {"", ":", "localhost", "localhost:", ":9464", "localhost:http",
                                   "localhost:65536", "localhost:-1", "::1:9464", "[]:1"}) {
    Options options;
    options.listen = listen;
    EXPECT_EQ(Server::Start(options).status().code(), absl::StatusCode::kInvalidArgument) << listen;
  }
  Options options;
  options.listen = "no-such-host.invalid:1";
  options.allow_insecure = true;
  EXPECT_EQ(Server::Start(options).status().code(), absl::StatusCode::kUnavailable);
}

TEST(HttpServer, AnswersManyClientsAtOnce) {
  const auto server = Started();
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 30; ++c) {
    clients.emplace_back([&] {
      if (Get(*server, "/livez").starts_with("HTTP/1.1 200 ")) ++answered;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 30);
}

}  // namespace
}  // namespace tandem::http
