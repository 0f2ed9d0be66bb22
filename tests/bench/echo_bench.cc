// How much of gRPC's own speed the door leaves: an echo of bytes through gRPC's callback API alone,
// beside the same echo through Tandem's server (parsed, with caller, trace, deadline, metrics).
//
//   echo_bench [SECONDS]      the table, each figure over SECONDS (default 5)
//
// Server and client are two processes of one machine. Nothing else should run.
#include <absl/strings/numbers.h>
#include <absl/strings/str_format.h>
#include <absl/synchronization/mutex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/rpc/echo.pb.h"
#include "common/rpc/server.h"
#include "common/time/system_clock.h"
#include "tests/bench/load.h"
#include "tests/bench/raw_echo.h"

namespace tandem::bench {
namespace {

constexpr char kMethod[] = "tandem.rpc.testing.EchoService/Echo";

class EchoEndpoint final : public corridor::Endpoint {
 public:
  std::vector<const google::protobuf::ServiceDescriptor*> services() const override {
    return {corridor::FindMethod(kMethod)->service()};
  }
  void Call(const corridor::CallContext&, const google::protobuf::MethodDescriptor*,
            corridor::MessagePtr request, corridor::ReplyCallback done) override {
    auto reply = std::make_shared<rpc::testing::EchoResponse>();
    reply->set_text(static_cast<const rpc::testing::EchoRequest&>(*request).text());
    std::move(done)(corridor::MessagePtr(std::move(reply)));
  }
};

// Writes its port to `port_out` and serves until `until` is closed.
void ServeRaw(int port_out, int until) {
  const RawEcho echo(kMethod);
  dprintf(port_out, "%d\n", echo.port());
  char byte = 0;
  while (read(until, &byte, 1) > 0) {
  }
}

void ServeDoor(int port_out, int until) {
  time::SystemClock clock;
  log::Logger logger({"echo", log::Level::kInfo, [&clock] { return clock.Now(); }, 1},
                     log::StderrSink());
  metrics::Registry registry("bench");
  EchoEndpoint endpoint;
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  const auto server = rpc::Server::Start(options, {&endpoint}, &logger, &registry);
  if (!server.ok()) {
    fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return;
  }
  dprintf(port_out, "%d\n", (*server)->port());
  char byte = 0;
  while (read(until, &byte, 1) > 0) {
  }
}

// A server in a process of its own; gRPC must not have been used in this one before. Its end ends
// it.
class ServerProcess {
 public:
  explicit ServerProcess(void (*serve)(int, int)) {
    int ports[2], lives[2];
    if (pipe(ports) != 0 || pipe(lives) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ports[0]);
      close(lives[1]);
      serve(ports[1], lives[0]);
      std::_Exit(0);
    }
    close(ports[1]);
    close(lives[0]);
    life_ = lives[1];
    FILE* in = fdopen(ports[0], "r");
    if (fscanf(in, "%d", &port_) != 1) std::abort();
    fclose(in);
  }
  ~ServerProcess() {
    close(life_);
    waitpid(pid_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  int port() const { return port_; }
  // CPU time used so far, by all of its threads.
  absl::Duration cpu() const {
    std::ifstream stat(absl::StrFormat("/proc/%d/stat", pid_));
    std::string field;
    int64_t ticks = 0;
    for (int i = 1; i <= 15 && stat >> field; ++i) {
      int64_t value = 0;
      if (i >= 14 && absl::SimpleAtoi(field, &value)) ticks += value;
    }
    return absl::Seconds(static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }

 private:
  pid_t pid_ = 0;
  int life_ = -1;
  int port_ = 0;
};

// A line of the table. The server's CPU time a call says what the rate cannot when the machine is
// busy.
LoadReport Measure(const char* name, const ServerProcess& server, LoadOptions options) {
  options.target = absl::StrFormat("127.0.0.1:%d", server.port());
  const absl::Duration before = server.cpu();
  LoadReport report = RunLoad(options);
  const double micros = absl::ToDoubleMicroseconds(server.cpu() - before) /
                        static_cast<double>(std::max<int64_t>(1, report.answered));
  printf("%-5s %3d outstanding  %s  server CPU %5.1f us a call", name, options.outstanding,
         report.ToString().c_str(), micros);
  return report;
}

int Main(int argc, char** argv) {
  double seconds = 5;
  if (argc > 2 || (argc == 2 && (!absl::SimpleAtod(argv[1], &seconds) || seconds <= 0))) {
    fprintf(stderr, "usage: echo_bench [SECONDS]\n");
    return 2;
  }
  // Both are forked before this process uses gRPC, and each closes what it need not hold open.
  const ServerProcess raw(&ServeRaw);
  const ServerProcess door(&ServeDoor);
  rpc::testing::EchoRequest request;
  request.set_request_id("0123456789abcdef");
  request.set_text(std::string(200, 'x'));
  LoadOptions options;
  options.method = kMethod;
  options.measured = absl::Seconds(seconds);
  options.request = [bytes = request.SerializeAsString()](int64_t) { return bytes; };
  for (const int outstanding : {1, 32, 256}) {
    options.outstanding = outstanding;
    options.caller = "";
    const LoadReport plain = Measure("raw", raw, options);
    printf("\n");
    options.caller = "bench";
    const LoadReport served = Measure("door", door, options);
    printf("  %.2f of raw\n", served.rate / plain.rate);
    fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) {
  // Worth 8-19 % of the rate: gRPC's locks are absl's, and this check keeps a graph of them.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tandem::bench::Main(argc, argv);
}
