// What every process of Tandem does beside its work: log, metrics and probes over HTTP, the gRPC
// door, and an orderly end on SIGTERM.
//
//   int main(int argc, char** argv) {
//     host::Options options;
//     ... options.AddTo(set); parse ...
//     auto host = host::Host::Create("triage", kVersion, options, &clock);
//     ... make the service, with host->logger() and host->registry(); if it needs servers:
//     if (auto started = host->Start({{"database", [&] { return Open(); }}}); !started.ok()) ...
//     host->AddReadyCheck({"bus", [&] { return bus.status(); }});
//     host->OnDrain("triage", [&](absl::Time deadline) { return runtime.Drain(deadline); });
//     if (absl::Status served = host->Serve({&endpoint}); !served.ok()) ...
//     return host->Run();
//   }
#ifndef TANDEM_COMMON_HOST_HOST_H_
#define TANDEM_COMMON_HOST_HOST_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/config/options.h"
#include "common/corridor/endpoint.h"
#include "common/executor/executor.h"
#include "common/http/server.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/time/clock.h"

namespace tandem::host {

struct Options {
  std::string listen = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:9464";
  bool allow_insecure = false;
  bool http_allow_insecure = false;
  std::string tls_certificate, tls_key, tls_client_ca;  // PEM files
  std::string log_level = "info";
  absl::Duration drain_timeout = absl::Seconds(30);
  absl::Duration drain_delay = absl::ZeroDuration();
  // Not options of a program. How often the parts of the process are asked for a sign of life, and
  // how many times one may owe it before /livez goes off.
  absl::Duration liveness_tick = absl::Seconds(1);
  int liveness_patience_ticks = 10;

  // Adds --listen, --http-listen, --allow-insecure, --http-allow-insecure, --tls-certificate,
  // --tls-key,
  // --tls-client-ca, --log-level, --drain-timeout and --drain-delay; they write into this object.
  void AddTo(config::OptionSet& options);
};

// One question of a probe: OK, or why not, in words for operators. Called from the HTTP server's
// thread at each probe and scrape: thread-safe, quick, and it waits for nothing.
struct Check {
  std::string name;
  std::function<absl::Status()> ask;
};

// What a program says before it ends because it cannot start: a line of the log like any other, on
// stderr, with the reason as it is. Returns the exit code, 1.
int CannotStart(const std::string& service, const absl::Status& why, const time::Clock& clock);

// OK, or UNAVAILABLE with all of them.
absl::Status Reasons(const std::vector<std::string>& reasons);

// "NAME: why" of each that does not hold.
std::vector<std::string> Failing(const std::vector<Check>& checks);

// Three endpoints, one meaning each:
//   /livez    a restart would not help. It goes off only when a loopback health call, or a
//             heartbeat through a watched executor, is unanswered for 10 s. Neither touches a
//             store.
//   /readyz   calls are taken: the process serves, is not draining, and its ready checks hold.
//             Whoever routes calls reads it, so nothing belongs here that other replicas lack too.
//   /healthz  everything works: ready, and its health checks hold. Only alerts read it.
//
// Made and run by the main thread; logger, registry and Stop are for any thread.
class Host {
 public:
  // Blocks SIGTERM and SIGINT for this thread and those that it starts later, so make it before any
  // other. Raises the limit of open files to what the system allows. Answers /livez and /metrics at
  // once, /readyz and /healthz with 503 until Run. The clock outlives it.
  // INVALID_ARGUMENT, FAILED_PRECONDITION or UNAVAILABLE: an option that cannot be, with the
  // reason. `sink`: where the log goes, stderr when null.
  static absl::StatusOr<std::unique_ptr<Host>> Create(
      const std::string& service, const std::string& version, const Options& options,
      const time::Clock* clock, std::shared_ptr<log::LineSink> sink = nullptr);
  virtual ~Host() = default;

  virtual log::Logger& logger() = 0;
  // The log of one of several services in this process: its lines carry that service's name. Lives
  // as long as the host; the same for the same name.
  virtual log::Logger& LoggerOf(const std::string& service) = 0;
  virtual metrics::Registry& registry() = 0;

  // Before Run. What the checks, heartbeats and drains refer to outlives Run. Each check is a
  // series of tandem_check_ok; names are few and fixed.
  virtual void AddReadyCheck(Check check) = 0;
  virtual void AddHealthCheck(Check check) = 0;
  // /livez rests on it: its steps must wait for no store, broker, disk or peer.
  virtual void WatchExecutor(const std::string& name, executor::Executor* executor) = 0;
  // `drain` lets its part finish what is under way and stops it, by `deadline`. Called on a thread
  // of the host's after the door has drained, in the order of adding; an error makes the exit code
  // 1, and the later ones still run.
  virtual void OnDrain(const std::string& name,
                       std::function<absl::Status(absl::Time deadline)> drain) = 0;

  // What must succeed before the process serves, in this order; each is called again until it does.
  struct StartStep {
    std::string name;
    std::function<absl::Status()> attempt;
  };
  // Serves a page over HTTP from now on.
  virtual void Handle(http::Route route) = 0;

  // Before Serve. Returns OK once all have succeeded, or the first error that waiting does not
  // mend: any but UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED and ABORTED, after which an
  // attempt is made again, for ever, with pauses that double from 100 ms to 5 s, half of them by
  // chance. /readyz and the log say which step and why. Attempts run on a thread of the host's, one
  // after another. A signal or Stop ends the process at once, with 0, or 1 after Stop with an
  // error: who has not served yet has nothing to finish.
  virtual absl::Status Start(const std::vector<StartStep>& steps) = 0;

  // Opens the gRPC door; its health says NOT_SERVING until Run. Once. What an endpoint answers with
  // an internal error goes to the log that `log_of` names for it, by default to logger().
  virtual absl::Status Serve(
      const std::vector<corridor::Endpoint*>& endpoints,
      const std::function<log::Logger*(const corridor::Endpoint*)>& log_of = nullptr) = 0;
  // The door's address with its real port; after Serve.
  virtual std::string address() const = 0;
  virtual std::string http_address() const = 0;

  // Ready and serving until SIGTERM, SIGINT or Stop. Then: /readyz off and health NOT_SERVING, the
  // drain delay, no new calls, calls under way, the drains, the log flushed. Returns the exit code:
  // 0, or 1 after Stop with an error or a drain that failed. A second signal ends the process at
  // once with 128 + signal; a drain longer than the drain timeout ends it with 1 and says what it
  // was waiting for.
  virtual int Run() = 0;

  // Makes Run drain and return, with 1 when `why` is an error, which is logged. Any thread.
  virtual void Stop(const absl::Status& why) = 0;
};

}  // namespace tandem::host

#endif  // TANDEM_COMMON_HOST_HOST_H_
