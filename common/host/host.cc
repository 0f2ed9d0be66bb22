#include "common/host/host.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/host/liveness.h"
#include "common/rpc/library_logs.h"
#include "common/rpc/server.h"

namespace tandem::host {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Of a reason that a probe gives.
constexpr size_t kMaxReasonBytes = 2000;

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Time left by the kernel's monotonic clock: setting the wall clock neither cuts a drain short nor
// lengthens it.
class Countdown {
 public:
  explicit Countdown(absl::Duration timeout)
      : timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    itimerspec end{};
    end.it_value = absl::ToTimespec(timeout);
    timerfd_settime(timer_.get(), 0, &end, nullptr);
  }
  absl::Duration left() const {
    itimerspec end{};
    if (timerfd_gettime(timer_.get(), &end) != 0) return absl::ZeroDuration();
    return absl::DurationFromTimespec(end.it_value);
  }

 private:
  const Fd timer_;
};

std::unique_ptr<log::Logger> MakeLogger(const std::string& service, log::Level level,
                                        const time::Clock* clock,
                                        std::shared_ptr<log::LineSink> sink) {
  log::LoggerOptions options;
  options.service = service;
  options.level = level;
  options.now = [clock] { return clock->Now(); };
  options.reference_seed = std::random_device()();
  return std::make_unique<log::Logger>(std::move(options), std::move(sink));
}

// Checks that may be added while the probe is answered.
class Checks {
 public:
  explicit Checks(metrics::Registry* registry, std::string service)
      : registry_(registry), service_(std::move(service)) {}
  void Add(Check check) {
    metrics::AskedGauge gauge =
        registry_->In({{"service", service_}, {"check", check.name}})
            .Asked("tandem_check_ok", "1 while this check of /readyz or /healthz holds, else 0.",
                   [this, ask = check.ask] {
                     absl::MutexLock lock(&mutex_);
                     return is_asked_ && ask().ok() ? 1.0 : 0.0;
                   });
    absl::MutexLock lock(&mutex_);
    checks_.push_back(std::move(check));
    gauges_.push_back(std::move(gauge));
  }
  absl::Status Ask() const {
    absl::MutexLock lock(&mutex_);
    return is_asked_ ? Reasons(Failing(checks_)) : absl::OkStatus();
  }
  // Not before: what they refer to lasts from the beginning to the end of Run.
  void Begin() {
    absl::MutexLock lock(&mutex_);
    is_asked_ = true;
  }
  void Clear() {
    // Outside the lock: their end waits for a scrape under way, which may ask these checks.
    std::vector<metrics::AskedGauge> gauges;
    absl::MutexLock lock(&mutex_);
    checks_.clear();
    gauges.swap(gauges_);
  }

 private:
  metrics::Registry* const registry_;
  const std::string service_;
  mutable absl::Mutex mutex_;
  bool is_asked_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Check> checks_ ABSL_GUARDED_BY(mutex_);
  std::vector<metrics::AskedGauge> gauges_ ABSL_GUARDED_BY(mutex_);
};

// Every connection is an open file, and the usual limit of 1024 is a leftover for programs that
// use select().
void RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::string OneLine(const absl::Status& status) {
  std::string line = std::string(status.message()).substr(0, kMaxReasonBytes);
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return line;
}

enum class Phase { kStarting, kServing, kDraining };

// Between attempts of a step of the start: doubles from the first to the last.
constexpr absl::Duration kFirstStartPause = absl::Milliseconds(100);
constexpr absl::Duration kLastStartPause = absl::Seconds(5);

// Whether the same attempt may succeed later although nobody changes what it was told.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsAborted(status);
}

// A place that cannot be had is told with the option that names another.
absl::Status WithOption(const absl::Status& status, const char* option) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::Status(status.code(), absl::StrCat(std::string(status.message()), "; ", option,
                                                  " names another address"));
}

class ProcessHost final : public Host {
 public:
  ProcessHost(const std::string& service, const std::string& version, const Options& options,
              log::Level level, const time::Clock* clock, std::shared_ptr<log::LineSink> sink)
      : options_(options),
        clock_(clock),
        sink_(std::move(sink)),
        level_(level),
        logger_(MakeLogger(service, level, clock, sink_)),
        library_logs_(logger_.get()),
        registry_(version),
        signals_(OpenSignals()),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        liveness_(options.liveness_patience_ticks),
        ready_(&registry_, service),
        healthy_(&registry_, service) {
    RaiseOpenFiles();
    registry_.ShowProcess(clock->Now());
    const metrics::Scope scope = registry_.In({{"service", service}});
    is_ready_ = scope.Asked("tandem_ready", "1 while /readyz says so, else 0.",
                            [this] { return AskReady().ok() ? 1.0 : 0.0; });
    is_healthy_ = scope.Asked("tandem_healthy", "1 while /healthz says so, else 0.",
                              [this] { return AskHealthy().ok() ? 1.0 : 0.0; });
  }
  ~ProcessHost() override {
    {
      absl::MutexLock lock(&mutex_);
      is_over_ = true;
    }
    if (ticking_.joinable()) ticking_.join();
  }

  absl::Status StartHttp() {
    if (signals_.get() < 0 || stop_.get() < 0) {
      return absl::ErrnoToStatus(errno, "cannot wait for signals");
    }
    http::Options http;
    http.listen = options_.http_listen;
    http.allow_insecure = options_.allow_insecure || options_.http_allow_insecure;
    auto started = http::Server::Start(std::move(http));
    if (!started.ok()) return WithOption(started.status(), "--http-listen");
    http_ = *std::move(started);
    http_->Handle({"GET", "/metrics", 0, [this](const http::Request&, http::Done done) {
                     http::Response response;
                     response.content_type = "text/plain; version=0.0.4; charset=utf-8";
                     response.body = registry_.Text();
                     done(std::move(response));
                   }});
    AddProbe("/livez", [this] { return liveness_.status(); });
    AddProbe("/readyz", [this] { return AskReady(); });
    AddProbe("/healthz", [this] { return AskHealthy(); });
    ticking_ = std::thread([this] { Tick(); });
    return absl::OkStatus();
  }

  log::Logger& logger() override { return *logger_; }
  log::Logger& LoggerOf(const std::string& service) override {
    absl::MutexLock lock(&mutex_);
    std::unique_ptr<log::Logger>& logger = loggers_[service];
    if (logger == nullptr) logger = MakeLogger(service, level_, clock_, sink_);
    return *logger;
  }
  metrics::Registry& registry() override { return registry_; }
  void AddReadyCheck(Check check) override { ready_.Add(std::move(check)); }
  void AddHealthCheck(Check check) override { healthy_.Add(std::move(check)); }
  void WatchExecutor(const std::string& name, executor::Executor* executor) override {
    liveness_.Watch(name, [executor](absl::AnyInvocable<void()> answered) {
      executor->Post(std::move(answered));
    });
  }
  void Handle(http::Route route) override { http_->Handle(std::move(route)); }
  void OnDrain(const std::string& name, std::function<absl::Status(absl::Time)> drain) override {
    drains_.emplace_back(name, std::move(drain));
  }

  absl::Status Start(const std::vector<StartStep>& steps) override {
    std::minstd_rand random{std::random_device{}()};
    for (const StartStep& step : steps) {
      absl::Duration pause = kFirstStartPause;
      absl::Status last;
      for (;;) {
        const absl::Status status = Attempt(step);
        if (status.ok()) break;
        if (!MayPass(status)) return status;
        if (status != last) {
          // In this order: who reads the log and asks then is told the same.
          SetStarting(absl::StrCat(step.name, ": ", std::string(status.message())));
          logger_->Log(log::Level::kWarning, "waiting at the start",
                       {log::Field::Id("step", step.name), log::Field::Error(status)});
        }
        last = status;
        // Half by chance, so that those who lost a server together do not return together.
        EndIfTold(Wait(pause * std::uniform_real_distribution<double>(0.5, 1)(random)));
        pause = std::min(pause * 2, kLastStartPause);
      }
      SetStarting("");
    }
    return absl::OkStatus();
  }

  absl::Status Serve(
      const std::vector<corridor::Endpoint*>& endpoints,
      const std::function<log::Logger*(const corridor::Endpoint*)>& log_of) override {
    rpc::ServerOptions server;
    server.log_of = log_of;
    server.address = options_.listen;
    server.tls = {options_.tls_certificate, options_.tls_key, options_.tls_client_ca};
    server.allow_insecure = options_.allow_insecure;
    auto started = rpc::Server::Start(std::move(server), endpoints, logger_.get(), &registry_);
    if (!started.ok()) return WithOption(started.status(), "--listen");
    server_ = *std::move(started);
    liveness_.Watch("the gRPC server", [this](absl::AnyInvocable<void()> answered) {
      server_->CallItself(std::move(answered));
    });
    return absl::OkStatus();
  }
  std::string address() const override { return server_ == nullptr ? "" : server_->address(); }
  std::string http_address() const override { return http_->address(); }

  int Run() override {
    ready_.Begin();
    healthy_.Begin();
    phase_ = Phase::kServing;
    if (server_ != nullptr) server_->SetServing(true);
    logger_->Log(log::Level::kInfo, "serving",
                 {log::Field::Id("grpc", address()), log::Field::Id("http", http_address())});
    Wait(std::nullopt);

    const Countdown countdown(options_.drain_timeout);
    phase_ = Phase::kDraining;
    if (server_ != nullptr) server_->SetServing(false);
    logger_->Log(log::Level::kInfo, "draining");
    // Who balances the load learns from the probes that this process leaves; until it has, calls
    // still come and are served. A second signal ends the wait and the process.
    if (options_.drain_delay > absl::ZeroDuration()) {
      if (const auto signal = WaitForSignal(std::min(options_.drain_delay, countdown.left()))) {
        EndNow(*signal);
      }
    }
    std::atomic<bool> failed = false;
    std::thread drainer([this, &countdown, &failed] {
      Drain(countdown, failed);
      Wake();
    });
    WatchDrain(countdown);
    drainer.join();
    {
      absl::MutexLock lock(&mutex_);
      if (!why_.ok()) failed = true;
    }
    // Nothing that the checks and heartbeats refer to needs to live after Run.
    liveness_.Clear();
    ready_.Clear();
    healthy_.Clear();
    logger_->Log(log::Level::kInfo, "stopped", {log::Field::Flag("clean", !failed)});
    sink_->Flush();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
  }

  void Stop(const absl::Status& why) override {
    {
      absl::MutexLock lock(&mutex_);
      is_stopping_ = true;
      if (why_.ok()) why_ = why;
    }
    if (!why.ok()) {
      logger_->Log(log::Level::kError, "stopping because of an error", {log::Field::Error(why)});
    }
    Wake();
  }

 private:
  static int OpenSignals() {
    const sigset_t signals = EndSignals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    // A peer that closes its connection is an error of a write, not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  absl::Status AskReady() const {
    switch (phase_.load()) {
      case Phase::kStarting: {
        absl::MutexLock lock(&mutex_);
        return absl::UnavailableError(
            starting_.empty() ? "starting" : absl::StrCat("starting, waits for ", starting_));
      }
      case Phase::kDraining:
        return absl::UnavailableError("draining");
      case Phase::kServing:
        return ready_.Ask();
    }
    return absl::InternalError("no such phase");
  }

  absl::Status AskHealthy() const {
    const absl::Status ready = AskReady();
    const absl::Status healthy = healthy_.Ask();
    if (ready.ok() || healthy.ok()) return ready.ok() ? healthy : ready;
    return absl::UnavailableError(
        absl::StrCat(std::string(ready.message()), "; ", std::string(healthy.message())));
  }

  // 200 "ok", or 503 with the reason on one line.
  void AddProbe(const std::string& path, std::function<absl::Status()> ask) {
    http_->Handle({"GET", path, 0, [ask = std::move(ask)](const http::Request&, http::Done done) {
                     const absl::Status status = ask();
                     http::Response response;
                     response.status = status.ok() ? 200 : 503;
                     response.body = status.ok() ? "ok\n" : OneLine(status) + "\n";
                     done(std::move(response));
                   }});
  }

  // Until the end.
  void Tick() {
    absl::MutexLock lock(&mutex_);
    while (!mutex_.AwaitWithTimeout(absl::Condition(&is_over_), options_.liveness_tick)) {
      mutex_.Unlock();
      liveness_.Tick();
      mutex_.Lock();
    }
  }

  void Wake() const {
    const uint64_t one = 1;
    // It can only fail when it is already set.
    [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof(one));
  }

  struct Woken {
    std::optional<int> signal;
    bool stop = false;
  };
  // A signal, Wake, or the end of the time; without a time, one of the first two.
  Woken Wait(std::optional<absl::Duration> time) const {
    const Countdown countdown(time.value_or(absl::ZeroDuration()));
    while (true) {
      pollfd waiting[] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      const int timeout_ms =
          time.has_value() ? static_cast<int>(std::min(
                                 int64_t{60'000}, absl::ToInt64Milliseconds(countdown.left()) + 1))
                           : -1;
      poll(waiting, 2, timeout_ms);
      Woken woken;
      signalfd_siginfo info{};
      if (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
        woken.signal = static_cast<int>(info.ssi_signo);
        logger_->Log(log::Level::kInfo, "signal", {log::Field::Count("signal", *woken.signal)});
      }
      uint64_t count = 0;
      woken.stop = read(stop_.get(), &count, sizeof(count)) == sizeof(count);
      if (woken.signal.has_value() || woken.stop) return woken;
      if (time.has_value() && countdown.left() == absl::ZeroDuration()) return woken;
    }
  }
  std::optional<int> WaitForSignal(absl::Duration time) const {
    const Countdown countdown(time);
    while (true) {
      const Woken woken = Wait(countdown.left());
      if (woken.signal.has_value() || !woken.stop) return woken.signal;
    }
  }

  // On a thread of its own, as it may block for seconds, and a signal is not to wait for it.
  absl::Status Attempt(const StartStep& step) {
    absl::Status status;
    std::thread attempting([&] {
      status = step.attempt();
      Wake();
    });
    // This wake is always taken here: left over, it would look like Stop to whoever waits next.
    EndIfTold(Wait(std::nullopt));
    attempting.join();
    return status;
  }

  // Before Run: by a signal or by Stop.
  void EndIfTold(const Woken& woken) const {
    absl::Status why;
    {
      absl::MutexLock lock(&mutex_);
      if (!woken.signal.has_value() && !is_stopping_) return;
      why = why_;
    }
    logger_->Log(log::Level::kInfo, "stopped", {log::Field::Flag("clean", why.ok())});
    sink_->Flush();
    // Not by the way of the destructors: an attempt may be under way.
    std::_Exit(why.ok() ? EXIT_SUCCESS : EXIT_FAILURE);
  }

  void SetStarting(const std::string& waits_for) {
    absl::MutexLock lock(&mutex_);
    starting_ = waits_for;
  }

  void Drain(const Countdown& countdown, std::atomic<bool>& failed) {
    // The door gets half of the time at most: what was acknowledged last still needs its effects.
    if (server_ != nullptr) {
      SetWaitingFor("rpc");
      server_->Drain(clock_->Now() + countdown.left() / 2);
    }
    for (const auto& [name, drain] : drains_) {
      SetWaitingFor(name);
      const absl::Status status = drain(clock_->Now() + countdown.left());
      if (!status.ok()) {
        failed = true;
        logger_->Log(log::Level::kError, "a part did not drain",
                     {log::Field::Id("part", name), log::Field::Error(status)});
      }
    }
    drained_ = true;
  }

  // Returns once everything has drained; else it ends the process.
  void WatchDrain(const Countdown& countdown) {
    while (!drained_) {
      const Woken woken = Wait(countdown.left());
      if (woken.signal.has_value()) EndNow(*woken.signal);
      if (!drained_ && countdown.left() == absl::ZeroDuration()) {
        std::string part;
        {
          absl::MutexLock lock(&mutex_);
          part = waiting_for_;
        }
        logger_->Log(log::Level::kError, "the drain hangs, giving up",
                     {log::Field::Id("waiting_for", part),
                      log::Field::Took("drain_timeout", options_.drain_timeout)});
        sink_->Flush();
        // Not exit(): destructors would wait for what hangs.
        std::_Exit(EXIT_FAILURE);
      }
    }
  }

  [[noreturn]] void EndNow(int signal) const {
    logger_->Log(log::Level::kWarning, "second signal, ending at once");
    sink_->Flush();
    std::_Exit(128 + signal);
  }

  void SetWaitingFor(const std::string& part) {
    absl::MutexLock lock(&mutex_);
    waiting_for_ = part;
  }

  const Options options_;
  const time::Clock* const clock_;
  const std::shared_ptr<log::LineSink> sink_;
  const log::Level level_;
  const std::unique_ptr<log::Logger> logger_;
  const rpc::LibraryLogs library_logs_;
  metrics::Registry registry_;
  const Fd signals_;
  const Fd stop_;
  std::atomic<Phase> phase_ = Phase::kStarting;
  std::atomic<bool> drained_ = false;
  Liveness liveness_;
  Checks ready_, healthy_;
  metrics::AskedGauge is_ready_, is_healthy_;
  std::vector<std::pair<std::string, std::function<absl::Status(absl::Time)>>> drains_;
  mutable absl::Mutex mutex_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  std::string starting_ ABSL_GUARDED_BY(mutex_);  // what is waited for, and why
  std::string waiting_for_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<log::Logger>> loggers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<http::Server> http_;
  std::thread ticking_;
};

}  // namespace

int CannotStart(const std::string& service, const absl::Status& why, const time::Clock& clock) {
  MakeLogger(service, log::Level::kInfo, &clock, log::StderrSink())
      ->Log(log::Level::kError, "cannot start", {log::Field::Unscrubbed(why)});
  return EXIT_FAILURE;
}

absl::Status Reasons(const std::vector<std::string>& reasons) {
  if (reasons.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrJoin(reasons, "; "));
}

std::vector<std::string> Failing(const std::vector<Check>& checks) {
  std::vector<std::string> failing;
  for (const Check& check : checks) {
    const absl::Status status = check.ask();
    if (!status.ok()) failing.push_back(absl::StrCat(check.name, ": ", status.message()));
  }
  return failing;
}

void Options::AddTo(config::OptionSet& options) {
  options.Add("listen", &listen, "Address of the gRPC server, HOST:PORT.");
  options.Add("http-listen", &http_listen,
              "Address of /metrics, /livez, /readyz and /healthz, HOST:PORT.");
  options.Add("allow-insecure", &allow_insecure,
              "Listen beyond loopback without TLS: anyone who reaches the port is who it says.");
  options.Add("http-allow-insecure", &http_allow_insecure,
              "Listen beyond loopback for /metrics and the probes only.");
  options.Add("tls-certificate", &tls_certificate, "PEM file: the server's certificate chain.");
  options.Add("tls-key", &tls_key, "PEM file: the certificate's private key.");
  options.Add("tls-client-ca", &tls_client_ca,
              "PEM file: who vouches for clients; with it every client needs a certificate.");
  options.AddChoice("log-level", &log_level, {"debug", "info", "warning", "error"},
                    "The least level that is logged.");
  options.Add("drain-timeout", &drain_timeout,
              "How long the orderly end may take before the process ends anyway.",
              {absl::Seconds(1), absl::Minutes(10)});
  options.Add("drain-delay", &drain_delay,
              "How long calls are still served after /readyz went off.",
              {absl::ZeroDuration(), absl::Minutes(5)});
}

absl::StatusOr<std::unique_ptr<Host>> Host::Create(const std::string& service,
                                                   const std::string& version,
                                                   const Options& options, const time::Clock* clock,
                                                   std::shared_ptr<log::LineSink> sink) {
  const auto level = log::ParseLevel(options.log_level);
  if (!level.ok()) return level.status();
  if (sink == nullptr) sink = log::StderrSink();
  auto host =
      std::make_unique<ProcessHost>(service, version, options, *level, clock, std::move(sink));
  const absl::Status status = host->StartHttp();
  if (!status.ok()) return status;
  return std::unique_ptr<Host>(std::move(host));
}

}  // namespace tandem::host
