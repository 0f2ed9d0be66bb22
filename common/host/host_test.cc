// Each test runs a host in a process of its own and treats it as an operator does: by signals and
// probes.
#include "common/host/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/executor/threaded.h"
#include "common/rpc/client.h"
#include "common/rpc/echo.pb.h"
#include "common/time/system_clock.h"

namespace tandem::host {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kEcho[] = "tandem.rpc.testing.EchoService/Echo";
constexpr int kPatienceMs = 60'000;

// Held drains wait for a byte that never comes.
absl::Status HangForever(absl::Time) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait(lock, [] { return false; });
  return absl::OkStatus();
}

void Hang() { HangForever(absl::InfiniteFuture()).IgnoreError(); }

class EchoEndpoint : public corridor::Endpoint {
 public:
  // `before` each answer.
  explicit EchoEndpoint(std::function<void()> before) : before_(std::move(before)) {}
  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return {corridor::FindMethod(kEcho)->service()};
  }
  void Call(const corridor::CallContext&, const google::protobuf::MethodDescriptor*,
            corridor::MessagePtr, corridor::ReplyCallback done) override {
    if (before_) before_();
    std::move(done)(corridor::MessagePtr(std::make_shared<rpc::testing::EchoResponse>()));
  }

 private:
  const std::function<void()> before_;
};

// Lines to the test, over a pipe.
class PipeSink : public log::LineSink {
 public:
  explicit PipeSink(int fd) : fd_(fd) {}
  void Write(std::string_view line) override { Say(fd_, line); }
  void Flush() override {}
  static void Say(int fd, std::string_view line) {
    const std::string whole = std::string(line) + "\n";
    [[maybe_unused]] const ssize_t written = write(fd, whole.data(), whole.size());
  }

 private:
  const int fd_;
};

// A child process that runs a host; the parent hears its log.
class Child {
 public:
  // `prepare` runs in the child between Create and Serve.
  explicit Child(const std::function<void(Options&)>& choose = nullptr,
                 const std::function<void(Host&)>& prepare = nullptr,
                 const std::function<void()>& before_each_answer = nullptr) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      Options options;
      options.listen = "127.0.0.1:0";
      options.http_listen = "127.0.0.1:0";
      if (choose) choose(options);
      std::_Exit(Main(options, prepare, before_each_answer, ends[1]));
    }
    close(ends[1]);
    log_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(log_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The log up to and with the line that holds `what`; all of it when the process ends before.
  std::string HearUntil(const std::string& what) {
    while (heard_.find(what) == std::string::npos) {
      if (!HearMore()) break;
    }
    EXPECT_THAT(heard_, HasSubstr(what));
    return heard_;
  }
  void Signal(int signal) const { kill(pid_, signal); }
  // The exit code; all of the log is in heard() then.
  int ExitCode() {
    while (HearMore()) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  const std::string& heard() const { return heard_; }

  // The value of a string field of the "serving" line.
  std::string Address(const std::string& field) {
    HearUntil("\"event\":\"serving\"");
    const std::string key = "\"" + field + "\":\"";
    const size_t from = heard_.find(key) + key.size();
    return heard_.substr(from, heard_.find('"', from) - from);
  }

 private:
  static int Main(const Options& options, const std::function<void(Host&)>& prepare,
                  const std::function<void()>& before_each_answer, int log) {
    time::SystemClock clock;
    EchoEndpoint endpoint(before_each_answer);
    auto host = Host::Create("test", "0.0.0", options, &clock, std::make_shared<PipeSink>(log));
    if (!host.ok()) {
      PipeSink::Say(log, host.status().ToString());
      return 2;
    }
    if (prepare) prepare(**host);
    const absl::Status served = (*host)->Serve({&endpoint});
    if (!served.ok()) {
      PipeSink::Say(log, served.ToString());
      return 2;
    }
    return (*host)->Run();
  }

  bool HearMore() {
    pollfd waiting{log_, POLLIN, 0};
    if (poll(&waiting, 1, kPatienceMs) <= 0) {
      ADD_FAILURE() << "nothing was heard for a minute; so far: " << heard_;
      return false;
    }
    char buffer[4096];
    const ssize_t size = read(log_, buffer, sizeof(buffer));
    if (size <= 0) return false;
    heard_.append(buffer, static_cast<size_t>(size));
    return true;
  }

  pid_t pid_ = 0;
  int log_ = -1;
  std::string heard_;
};

// The whole answer to GET `path`; empty when nobody listens.
std::string Get(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) {
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    [[maybe_unused]] const ssize_t written = write(fd, request.data(), request.size());
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0) {
      answer.append(buffer, static_cast<size_t>(size));
    }
  }
  close(fd);
  return answer;
}

// gRPC does not survive a fork, and each test forks: a client of its server is another process,
// too. Whether `code` ended the call.
bool EndsWith(absl::StatusCode code, const std::string& target, const std::string& bytes) {
  const pid_t client = fork();
  if (client == 0) {
    rpc::ClientOptions options;
    options.target = target;
    options.timeout = absl::Minutes(1);
    const auto reply = rpc::Client::Create(options)->CallRaw("/" + std::string(kEcho), bytes);
    std::_Exit(reply.status().code() == code ? 0 : 1);
  }
  int status = 0;
  waitpid(client, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class EndSignal : public ::testing::TestWithParam<int> {};

TEST_P(EndSignal, EndsAnIdleHostCleanly) {
  Child child;
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(GetParam());
  EXPECT_EQ(child.ExitCode(), 0);
  EXPECT_THAT(child.heard(), AllOf(HasSubstr("\"event\":\"draining\""),
                                   HasSubstr("\"event\":\"stopped\",\"clean\":true")));
}

INSTANTIATE_TEST_SUITE_P(Both, EndSignal, ::testing::Values(SIGTERM, SIGINT));

TEST(Host, AnswersProbesMetricsAndCalls) {
  Child child;
  const std::string http = child.Address("http");
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(http, "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(http, "/metrics"),
              AllOf(HasSubstr("tandem_build_info"), HasSubstr("tandem_ready{service=\"test\"} 1\n"),
                    HasSubstr("\nprocess_start_time_seconds 1")));
  EXPECT_TRUE(EndsWith(absl::StatusCode::kOk, child.Address("grpc"), ""));
  EXPECT_THAT(Get(http, "/metrics"), HasSubstr("tandem_rpc_requests_total{"));
}

TEST(Host, IsNotReadyWhileACheckFails) {
  Child child(nullptr, [](Host& host) {
    host.AddReadyCheck({"bus", [] { return absl::UnavailableError("partition 3 is stopped"); }});
  });
  const std::string http = child.Address("http");
  EXPECT_THAT(Get(http, "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("bus: partition 3 is stopped")));
  EXPECT_THAT(Get(http, "/metrics"), HasSubstr("tandem_ready{service=\"test\"} 0\n"));
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
}

TEST(Host, TellsAReasonOfBoundedLength) {
  Child child(nullptr, [](Host& host) {
    host.AddReadyCheck({"store", [] { return absl::UnavailableError(std::string(9'000, 'x')); }});
  });
  const std::string answer = Get(child.Address("http"), "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 2'001u) << "with the end of its line";
}

// What a check refers to may not be there before.
TEST(Host, AsksNoCheckBeforeItRuns) {
  Child child(nullptr, [](Host& host) {
    static std::atomic<bool> was_asked = false;
    host.AddHealthCheck({"bus", [] {
                           was_asked = true;
                           return absl::OkStatus();
                         }});
    Get(host.http_address(), "/healthz");
    if (was_asked) host.logger().Log(log::Level::kInfo, "asked already", {});
    host.logger().Log(log::Level::kInfo, "prepared", {});
  });
  EXPECT_THAT(child.HearUntil("prepared"), Not(HasSubstr("asked already")));
  EXPECT_THAT(Get(child.Address("http"), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST(Host, IsReadyButNotHealthyWhileAHealthCheckFails) {
  Child child(nullptr, [](Host& host) {
    host.AddReadyCheck({"store", [] { return absl::OkStatus(); }});
    host.AddHealthCheck({"bus", [] { return absl::UnavailableError("no broker\nanswers"); }});
  });
  const std::string http = child.Address("http");
  EXPECT_THAT(Get(http, "/healthz"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("\r\n\r\nbus: no broker answers\n")));
  EXPECT_THAT(Get(http, "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(http, "/metrics"),
              AllOf(HasSubstr("tandem_ready{service=\"test\"} 1\n"),
                    HasSubstr("tandem_healthy{service=\"test\"} 0\n"),
                    HasSubstr("tandem_check_ok{check=\"store\",service=\"test\"} 1\n"),
                    HasSubstr("tandem_check_ok{check=\"bus\",service=\"test\"} 0\n")));
}

TEST(Host, IsNotHealthyWhileItIsNotReady) {
  Child child(nullptr, [](Host& host) {
    host.AddReadyCheck({"store", [] { return absl::UnavailableError("the disk is full"); }});
    host.AddHealthCheck({"bus", [] { return absl::UnavailableError("no broker"); }});
  });
  EXPECT_THAT(Get(child.Address("http"), "/healthz"),
              AllOf(StartsWith("HTTP/1.1 503"),
                    HasSubstr("\r\n\r\nstore: the disk is full; bus: no broker\n")));
}

TEST(Host, ServesPages) {
  Child child(nullptr, [](Host& host) {
    host.Handle({"GET", "/page", 0, [](const http::Request&, http::Done done) {
                   done({200, "text/html", "<p>", {}});
                 }});
  });
  EXPECT_THAT(Get(child.Address("http"), "/page"), HasSubstr("\r\n\r\n<p>"));
}

// Ten of its ticks pass in a second.
void BeImpatient(Options& options) { options.liveness_tick = absl::Milliseconds(100); }

// Until the probe says so, for as long as a test may take.
bool BecomesDead(const std::string& http) {
  for (int i = 0; i < 600; ++i) {
    if (Get(http, "/livez").starts_with("HTTP/1.1 503")) return true;
    poll(nullptr, 0, 100);
  }
  return false;
}

TEST(HostLiveness, EndsWhenEveryThreadThatServesCallsHangs) {
  Child child(&BeImpatient, nullptr, &Hang);
  const std::string grpc = child.Address("grpc");
  const std::string http = child.Address("http");
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
  std::vector<pid_t> callers;
  for (int i = 0; i < 64; ++i) {
    callers.push_back(fork());
    if (callers.back() == 0) {
      rpc::ClientOptions options;
      options.target = grpc;
      rpc::Client::Create(options)->CallRaw("/" + std::string(kEcho), "").IgnoreError();
      std::_Exit(0);
    }
  }
  EXPECT_TRUE(BecomesDead(http));
  EXPECT_THAT(Get(http, "/livez"), HasSubstr("no sign of life from the gRPC server"));
  for (const pid_t caller : callers) {
    kill(caller, SIGKILL);
    waitpid(caller, nullptr, 0);
  }
}

TEST(HostLiveness, EndsWhenAWatchedExecutorHangs) {
  time::SystemClock clock;
  Child child(&BeImpatient, [&clock](Host& host) {
    auto* executor = new executor::ThreadedExecutor("stuck", &clock);
    host.WatchExecutor("the executor", executor);
    executor->Post([] { HangForever(absl::InfiniteFuture()).IgnoreError(); });
  });
  const std::string http = child.Address("http");
  EXPECT_TRUE(BecomesDead(http));
  EXPECT_THAT(Get(http, "/livez"), HasSubstr("no sign of life from the executor"));
}

TEST(HostLiveness, LastsWhileOnlyChecksFailAndWhileItDrains) {
  Child child(
      [](Options& options) {
        options.liveness_tick = absl::Milliseconds(10);
        options.drain_delay = absl::Minutes(1);
      },
      [](Host& host) {
        host.AddReadyCheck({"store", [] { return absl::UnavailableError("away"); }});
        host.AddHealthCheck({"bus", [] { return absl::UnavailableError("away"); }});
      });
  const std::string http = child.Address("http");
  // Far more ticks than the patience, before and after the signal.
  for (int i = 0; i < 100; ++i) {
    if (i == 50) child.Signal(SIGTERM);
    EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
    poll(nullptr, 0, 10);
  }
}

TEST(Host, MayOpenAsManyFilesAsTheSystemAllows) {
  const rlimit few = {100, 5'000};
  Child child([&few](Options&) { setrlimit(RLIMIT_NOFILE, &few); },
              [](Host& host) {
                rlimit limit{};
                getrlimit(RLIMIT_NOFILE, &limit);
                host.logger().Log(
                    log::Level::kInfo, "files",
                    {log::Field::Count("may_open", static_cast<int64_t>(limit.rlim_cur))});
              });
  child.HearUntil("\"may_open\":5000");
}

TEST(Host, IsNotReadyWhileItDrainsButStillAlive) {
  Child child(nullptr, [](Host& host) { host.OnDrain("part", &HangForever); });
  const std::string http = child.Address("http");
  child.Signal(SIGTERM);
  child.HearUntil("\"event\":\"draining\"");
  EXPECT_THAT(Get(http, "/readyz"), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("draining")));
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
}

TEST(Host, DrainsItsPartsInOrderAfterTheDoor) {
  Child child(nullptr, [](Host& host) {
    host.OnDrain("first", [&host](absl::Time) {
      host.logger().Log(log::Level::kInfo, "first drains");
      return absl::OkStatus();
    });
    host.OnDrain("second", [&host](absl::Time) {
      host.logger().Log(log::Level::kInfo, "second drains");
      return absl::OkStatus();
    });
  });
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 0);
  const std::string& heard = child.heard();
  EXPECT_LT(heard.find("\"event\":\"draining\""), heard.find("first drains"));
  EXPECT_LT(heard.find("first drains"), heard.find("second drains"));
  EXPECT_LT(heard.find("second drains"), heard.find("\"event\":\"stopped\""));
}

TEST(Host, ExitsWithOneWhenAPartDoesNotDrain) {
  Child child(nullptr, [](Host& host) {
    host.OnDrain("relay", [](absl::Time) { return absl::DeadlineExceededError("3 events left"); });
    host.OnDrain("store", [&host](absl::Time) {
      host.logger().Log(log::Level::kInfo, "store drains all the same");
      return absl::OkStatus();
    });
  });
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 1);
  EXPECT_THAT(child.heard(), AllOf(HasSubstr("\"part\":\"relay\""), HasSubstr("3 events left"),
                                   HasSubstr("store drains all the same")));
}

TEST(Host, EndsAtOnceAtASecondSignal) {
  Child child(nullptr, [](Host& host) {
    host.OnDrain("part", [&host](absl::Time deadline) {
      host.logger().Log(log::Level::kInfo, "part drains");
      return HangForever(deadline);
    });
  });
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(SIGTERM);
  child.HearUntil("part drains");
  child.Signal(SIGINT);
  EXPECT_EQ(child.ExitCode(), 128 + SIGINT);
  EXPECT_THAT(child.heard(), HasSubstr("second signal"));
}

TEST(Host, EndsAtOnceAtASecondSignalDuringTheDelay) {
  Child child([](Options& options) { options.drain_delay = absl::Minutes(5); });
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(SIGTERM);
  child.HearUntil("\"event\":\"draining\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 128 + SIGTERM);
}

TEST(Host, GivesUpADrainThatHangsAndNamesThePart) {
  Child child([](Options& options) { options.drain_timeout = absl::Milliseconds(200); },
              [](Host& host) { host.OnDrain("relay", &HangForever); });
  child.HearUntil("\"event\":\"serving\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 1);
  EXPECT_THAT(child.heard(),
              AllOf(HasSubstr("the drain hangs"), HasSubstr("\"waiting_for\":\"relay\""),
                    Not(HasSubstr("\"event\":\"stopped\""))));
}

TEST(Host, StopsWithOneWhenAPartReportsAFatalError) {
  Child child(nullptr,
              [](Host& host) { host.Stop(absl::DataLossError("the log of partition 3 is gone")); });
  EXPECT_EQ(child.ExitCode(), 1);
  EXPECT_THAT(child.heard(), HasSubstr("the log of partition 3 is gone"));
}

TEST(Host, StopsCleanlyWhenAsked) {
  Child child(nullptr, [](Host& host) { host.Stop(absl::OkStatus()); });
  EXPECT_EQ(child.ExitCode(), 0);
}

// Where a host that does not serve yet answers.
std::string StartingAddress(Child& child) {
  child.HearUntil("\"event\":\"prepared\"");
  const std::string key = "\"http\":\"";
  const size_t from = child.heard().find(key) + key.size();
  return child.heard().substr(from, child.heard().find('"', from) - from);
}
void SayPrepared(Host& host) {
  host.logger().Log(log::Level::kInfo, "prepared", {log::Field::Id("http", host.http_address())});
}

TEST(HostStart, TriesAgainUntilWhatItNeedsIsThereAndSaysWhatItWaitsFor) {
  const std::string there = testing::TempDir() + "host_start_" + std::to_string(getpid());
  Child child(nullptr, [&](Host& host) {
    SayPrepared(host);
    int attempts = 0;
    const absl::Status started =
        host.Start({{"first", [] { return absl::OkStatus(); }},
                    {"database", [&] {
                       return ++attempts >= 4 && access(there.c_str(), F_OK) == 0
                                  ? absl::OkStatus()
                                  : absl::UnavailableError("nobody listens at db:5432");
                     }}});
    if (!started.ok()) std::_Exit(3);
  });
  const std::string http = StartingAddress(child);
  child.HearUntil("\"step\":\"database\"");
  EXPECT_THAT(child.heard(), HasSubstr("nobody listens at db:5432"));
  EXPECT_THAT(Get(http, "/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(http, "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503"),
                    HasSubstr("starting, waits for database: nobody listens at db:5432")));
  close(open(there.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
  EXPECT_EQ(child.Address("http"), http);
  EXPECT_THAT(Get(http, "/readyz"), StartsWith("HTTP/1.1 200"));
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 0);
  const size_t told = child.heard().find("\"step\":\"database\"");
  EXPECT_EQ(child.heard().find("\"step\":\"database\"", told + 1), std::string::npos)
      << "one line for each reason, however many attempts fail by it";
  unlink(there.c_str());
}

TEST(HostStart, ReturnsWhatWaitingDoesNotMend) {
  Child child(nullptr, [](Host& host) {
    const absl::Status started = host.Start(
        {{"database", [] { return absl::PermissionDeniedError("the password is wrong"); }},
         {"bus", [] { return absl::InternalError("asked although the first has failed"); }}});
    std::_Exit(absl::IsPermissionDenied(started) ? 3 : 5);
  });
  EXPECT_EQ(child.ExitCode(), 3);
}

TEST(HostStart, EndsAtOnceAndCleanlyByASignalWhileItWaits) {
  Child child(nullptr, [](Host& host) {
    host.Start({{"database", [] { return absl::UnavailableError("away"); }}}).IgnoreError();
  });
  child.HearUntil("\"event\":\"waiting at the start\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 0);
}

TEST(HostStart, EndsAtOnceAndCleanlyByASignalDuringAnAttemptThatHangs) {
  Child child(nullptr, [](Host& host) {
    host.Start({{"database",
                 [&host] {
                   SayPrepared(host);
                   return HangForever(absl::InfiniteFuture());
                 }}})
        .IgnoreError();
  });
  child.HearUntil("\"event\":\"prepared\"");
  child.Signal(SIGTERM);
  EXPECT_EQ(child.ExitCode(), 0);
}

TEST(HostStart, EndsWithOneWhenAPartReportsAFatalError) {
  Child child(nullptr, [](Host& host) {
    host.Start({{"bus",
                 [&host] {
                   host.Stop(absl::DataLossError("the log is gone"));
                   return HangForever(absl::InfiniteFuture());
                 }}})
        .IgnoreError();
  });
  EXPECT_EQ(child.ExitCode(), 1);
  EXPECT_THAT(child.heard(), HasSubstr("the log is gone"));
}

TEST(Host, NamesAnHttpPortInUse) {
  Child first;
  const std::string taken = first.Address("http");
  Child second([&taken](Options& options) { options.http_listen = taken; });
  EXPECT_EQ(second.ExitCode(), 2);
  EXPECT_THAT(second.heard(), HasSubstr("cannot listen on " + taken +
                                        ": the port is in use; --http-listen names another"));
}

TEST(Host, NamesAGrpcPortInUse) {
  Child first;
  const std::string taken = first.Address("grpc");
  Child second([&taken](Options& options) { options.listen = taken; });
  EXPECT_EQ(second.ExitCode(), 2);
  EXPECT_THAT(second.heard(), HasSubstr("cannot listen on " + taken +
                                        ": the port is in use; --listen names another"));
}

TEST(Host, RefusesToListenBeyondLoopbackWithoutTls) {
  Child door([](Options& options) { options.listen = "0.0.0.0:0"; });
  EXPECT_EQ(door.ExitCode(), 2);
  EXPECT_THAT(door.heard(), HasSubstr("--allow-insecure"));
  Child probes([](Options& options) { options.http_listen = "0.0.0.0:0"; });
  EXPECT_EQ(probes.ExitCode(), 2);
  Child allowed([](Options& options) {
    options.listen = "0.0.0.0:0";
    options.http_listen = "0.0.0.0:0";
    options.allow_insecure = true;
  });
  allowed.HearUntil("\"event\":\"serving\"");
}

TEST(Host, WritesWhatItsLibrariesSayIntoTheLog) {
  Child child;
  EXPECT_TRUE(EndsWith(absl::StatusCode::kInvalidArgument, child.Address("grpc"),
                       std::string("\x12\x02\xff\xfe")));
  EXPECT_THAT(child.HearUntil("\"event\":\"protobuf\""), HasSubstr("String field"));
}

TEST(Host, WritesAnExceptionThatNobodyTakesIntoTheLog) {
  Child child(nullptr, [](Host& host) {
    host.Handle({"GET", "/throws", 0, [](const http::Request&, http::Done) {
                   throw std::runtime_error("nobody takes this");
                 }});
  });
  Get(child.Address("http"), "/throws");
  EXPECT_EQ(child.ExitCode(), -SIGABRT);
  EXPECT_THAT(child.heard(), AllOf(HasSubstr("\"event\":\"terminated\""),
                                   HasSubstr("nobody takes this"), Not(HasSubstr("what()"))));
}

TEST(Host, GivesEachServiceALogOfItsOwnName) {
  Child child(nullptr,
              [](Host& host) { host.LoggerOf("triage").Log(log::Level::kInfo, "prepared", {}); });
  child.HearUntil("\"service\":\"triage\",\"event\":\"prepared\"");
}

TEST(CannotStart, TellsWhatAnOperatorConfiguredAsItIs) {
  const time::SystemClock clock;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(
      CannotStart("triage", absl::InvalidArgumentError("no queue 'night' in /etc/a.yaml"), clock),
      EXIT_FAILURE);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("\"service\":\"triage\""), HasSubstr("'night' in /etc/a.yaml")));
}

TEST(HostOptions, AreReadFromFlags) {
  Options options;
  config::OptionSet set("test", "A test.");
  options.AddTo(set);
  const auto parsed = set.Parse({"--listen", "127.0.0.1:1234", "--drain-timeout", "5s",
                                 "--log-level=warning", "--allow-insecure"},
                                {{"TANDEM_HTTP_LISTEN", "127.0.0.1:99"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(options.listen, "127.0.0.1:1234");
  EXPECT_EQ(options.http_listen, "127.0.0.1:99");
  EXPECT_EQ(options.drain_timeout, absl::Seconds(5));
  EXPECT_EQ(options.log_level, "warning");
  EXPECT_TRUE(options.allow_insecure);
  EXPECT_FALSE(set.Parse({"--log-level=loud"}, {}).ok());
}

}  // namespace
}  // namespace tandem::host
