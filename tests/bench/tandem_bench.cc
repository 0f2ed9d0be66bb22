// What Tandem costs beside this machine's own limits: one table, each figure with what it is
// compared to.
//
//   tandem_bench [--seconds N] [--log FILE] [--only echo|tickets|way|timers|rest|replay]
//
// Every figure over N seconds (default 5); nothing else should run. FILE is the incident log that
// is replayed (default: the slice in tests/data).
//
// Servers are processes of their own on loopback, started from this program and ended by it.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/bus/local_log.h"
#include "common/bus/migrations.h"
#include "common/executor/threaded.h"
#include "common/id/system_entropy.h"
#include "common/rpc/echo.pb.h"
#include "common/rpc/server.h"
#include "common/store/sqlite.h"
#include "common/time/system_clock.h"
#include "services/tandem/house.h"
#include "services/tandem/services.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tests/bench/load.h"
#include "tests/bench/raw_echo.h"
#include "tests/bench/tickets.h"
#include "tests/end_to_end/program.h"

extern char** environ;

namespace tandem::bench {
namespace {

// Lets the others work for a moment; a benchmark paces its load by the clock.
void Pause(absl::Duration moment) {
  absl::Notification never;
  never.WaitForNotificationWithTimeout(moment);
}

// A folder beside this program, on the disk that a service would use; deleted with it.
class Folder {
 public:
  Folder() : path_(std::filesystem::current_path().string() + "/tandem_bench.XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Services on files with real threads, in this process.
class Embedded {
 public:
  Embedded(const std::string& data, const std::vector<std::string>& names,
           corridor::Endpoint* stand_in = nullptr) {
    std::filesystem::create_directories(data);
    store::SqliteOptions log_file;
    log_file.path = data + "/log.db";
    log_file.schemas = {bus::SqliteSchema()};
    log_store_ = Must(store::OpenSqlite(std::move(log_file)));
    log_executor_ = std::make_unique<executor::ThreadedExecutor>("log", &clock_);
    log_ = Must(bus::LocalLog::Open(log_store_.get(), &clock_, log_executor_.get(), {}));
    programs::House::Options options;
    options.data = data;
    options.runtime.gate.settle = absl::Milliseconds(100);
    programs::House::Environment environment;
    environment.clock = &clock_;
    environment.new_executor = [this](const std::string& name) {
      return std::make_unique<executor::ThreadedExecutor>(name, &clock_);
    };
    environment.bus = log_.get();
    environment.entropy = &entropy_;
    std::vector<programs::Service> services;
    for (programs::Service& service : Must(programs::FiveServices({}))) {
      if (std::find(names.begin(), names.end(), service.name) != names.end()) {
        services.push_back(std::move(service));
      }
    }
    house_ = Must(programs::House::Open(options, services, environment));
    if (stand_in != nullptr) house_->peer().Add(stand_in);
    if (!house_->Start().ok()) std::abort();
  }
  ~Embedded() {
    house_.reset();
    log_executor_.reset();
    log_.reset();
  }

  programs::House& house() { return *house_; }
  bus::LocalLog& log() { return *log_; }
  const time::Clock& clock() const { return clock_; }

  // Asks and waits.
  template <typename Reply, typename Request>
  Reply Ask(const std::string& method, const Request& request) {
    absl::Notification answered;
    absl::StatusOr<corridor::MessagePtr> answer;
    corridor::CallContext context;
    context.caller = "bench";
    house_->peer().Ask(context, method, std::make_shared<const Request>(request),
                       [&](absl::StatusOr<corridor::MessagePtr> reply) {
                         answer = std::move(reply);
                         answered.Notify();
                       });
    answered.WaitForNotification();
    if (!answer.ok()) {
      std::fprintf(stderr, "%s: %s\n", method.c_str(), answer.status().ToString().c_str());
      std::abort();
    }
    return static_cast<const Reply&>(**answer);
  }

 private:
  template <typename T>
  static T Must(absl::StatusOr<T> value) {
    if (!value.ok()) {
      std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
      std::abort();
    }
    return *std::move(value);
  }
  time::SystemClock clock_;
  id::SystemEntropy entropy_;
  std::unique_ptr<store::Store> log_store_;
  std::unique_ptr<executor::ThreadedExecutor> log_executor_;
  std::unique_ptr<bus::LocalLog> log_;
  std::unique_ptr<programs::House> house_;
};

void PutCustomer(Embedded& embedded) {
  embedded.Ask<account::v1::PutAccountResponse>(kPutAccount, PutAccount(0));
  embedded.Ask<account::v1::PutContactResponse>(kPutContact, PutContact(0));
}

const std::vector<std::string>& AllFive() {
  static const auto* const names = new std::vector<std::string>{
      "ticket_intake", "triage", "sla_timer", "survey", "account_health"};
  return *names;
}

// ---- Children: this program again, with a role. Each says what it found on its standard output.

void AwaitEnd() {
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
}

int ServeEcho() {
  RawEcho echo("tandem.rpc.testing.EchoService/Echo");
  std::printf("PORT %d\n", echo.port());
  std::fflush(stdout);
  AwaitEnd();
  return 0;
}

int ServeTickets(const std::string& data, bool intake_alone) {
  KnownRequester known;
  Embedded embedded(data, intake_alone ? std::vector<std::string>{"ticket_intake"} : AllFive(),
                    intake_alone ? &known : nullptr);
  if (!intake_alone) PutCustomer(embedded);
  time::SystemClock clock;
  log::Logger logger({"bench", log::Level::kError, [&clock] { return clock.Now(); }, 1},
                     log::StderrSink());
  metrics::Registry registry("bench");
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = rpc::Server::Start(options, embedded.house().endpoints(), &logger, &registry);
  if (!server.ok()) return 1;
  (*server)->SetServing(true);
  std::printf("PORT %d\n", (*server)->port());
  std::fflush(stdout);
  AwaitEnd();
  (*server)->Drain(clock.Now() + absl::Seconds(5));
  return 0;
}

// Hears every event of the log, as one more group.
class Watcher : public bus::Listener {
 public:
  using Heard = std::function<void(const bus::Event&, absl::Time at)>;
  Watcher(bus::Bus* bus, const time::Clock* clock, Heard heard)
      : clock_(clock), heard_(std::move(heard)) {
    auto joined = bus->Join("bench", this);
    if (!joined.ok()) std::abort();
    absl::MutexLock lock(&mutex_);
    member_ = *std::move(joined);
    for (const int partition : assigned_) Begin(partition);
  }
  ~Watcher() override {
    std::unique_ptr<bus::Consumer> member;
    {
      absl::MutexLock lock(&mutex_);
      member = std::move(member_);
    }
  }
  void Assigned(std::vector<int> partitions) override {
    absl::MutexLock lock(&mutex_);
    assigned_ = std::move(partitions);
    if (member_ == nullptr) return;
    for (const int partition : assigned_) Begin(partition);
  }
  void Revoked(std::vector<int>) override {}
  void Records(int partition, int64_t, std::vector<bus::RecordPtr> records) override {
    const absl::Time now = clock_->Now();
    for (const bus::RecordPtr& record : records) heard_(record->event, now);
    absl::MutexLock lock(&mutex_);
    if (member_ != nullptr) member_->More(partition, 1000);
  }
  void Stopped(int, absl::Status) override {}

 private:
  void Begin(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    member_->Seek(partition, 0, 1);
    member_->More(partition, 1000);
  }
  const time::Clock* const clock_;
  const Heard heard_;
  absl::Mutex mutex_;
  std::vector<int> assigned_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<bus::Consumer> member_ ABSL_GUARDED_BY(mutex_);
};

// A ticket's whole way at 100 tickets a second: from the command to the last of its events
// (classified, queued, clocks armed) on the log, and to account_health's commit of it, which puts
// it on the timeline.
int WholeWay(const std::string& data, double seconds) {
  Embedded embedded(data, AllFive());
  PutCustomer(embedded);
  absl::Mutex mutex;
  std::map<std::string, absl::Time> begun;
  Histogram to_clock, to_timeline;
  struct Mark {
    absl::Time begun;
    int partition;
    int64_t offset;
  };
  Watcher watcher(&embedded.log(), &embedded.clock(), [&](const bus::Event& event, absl::Time now) {
    if (event.type != events::v1::SlaClockStarted::descriptor()->full_name()) return;
    events::v1::SlaClockStarted body;
    if (!body.ParseFromString(event.body)) return;
    // The clock that the classification armed.
    if (body.clock().metric() != type::v1::SLA_METRIC_RESOLUTION || !body.retargeted()) {
      return;
    }
    absl::MutexLock lock(&mutex);
    const auto it = begun.find(body.clock().ticket_id());
    if (it != begun.end()) to_clock.Add(now - it->second);
  });
  const int total = static_cast<int>(seconds * 100);
  const absl::Time start = embedded.clock().Now();
  for (int i = 0; i < total; ++i) {
    const absl::Time due = start + absl::Milliseconds(10) * i;
    while (embedded.clock().Now() < due) Pause(absl::Microseconds(200));
    const auto reply = embedded.Ask<intake::v1::OpenTicketResponse>(
        kOpenTicket, OpenTicket(absl::StrCat("way-", i)));
    {
      absl::MutexLock lock(&mutex);
      begun[reply.ticket_id()] = due;
    }
    if (i % 10 != 0) continue;
    // Every tenth is followed to the timeline, by asking for it.
    account::v1::GetTimelineRequest timeline;
    timeline.set_account_id(AccountOf(0));
    timeline.set_order(account::v1::TIMELINE_ORDER_NEWEST_FIRST);
    timeline.set_page_size(50);
    bool found = false;
    const absl::Time deadline = due + absl::Seconds(5);
    while (!found && embedded.clock().Now() < deadline) {
      const auto page = embedded.Ask<account::v1::GetTimelineResponse>(kGetTimeline, timeline);
      for (const auto& entry : page.entries()) {
        found =
            found || (entry.subject_id() == reply.ticket_id() && entry.type() == "SlaClockStarted");
      }
    }
    to_timeline.Add(embedded.clock().Now() - due);
  }
  const absl::Time deadline = embedded.clock().Now() + absl::Seconds(10);
  while (embedded.clock().Now() < deadline) {
    absl::MutexLock lock(&mutex);
    if (to_clock.count() >= total) break;
  }
  absl::MutexLock lock(&mutex);
  std::printf("WAY %d %.1f %.1f %.1f %.1f\n", total, absl::ToDoubleMilliseconds(to_clock.At(0.5)),
              absl::ToDoubleMilliseconds(to_clock.At(0.99)),
              absl::ToDoubleMilliseconds(to_timeline.At(0.5)),
              absl::ToDoubleMilliseconds(to_timeline.At(0.99)));
  return 0;
}

// Tickets whose first response is due in the same second: `opened` puts them on the log, then their
// breaches are waited for. Lateness is from the due instant to the breach on the log.
int Timers(const std::string& data, int count, bool open_them, absl::Time due) {
  Embedded embedded(data, {"sla_timer"});
  absl::Mutex mutex;
  Histogram lateness;
  int breached = 0;
  int started = 0;
  absl::Time last;
  Watcher watcher(&embedded.log(), &embedded.clock(), [&](const bus::Event& event, absl::Time now) {
    events::v1::SlaClockStarted clock;
    if (event.type == clock.GetDescriptor()->full_name() && clock.ParseFromString(event.body) &&
        clock.clock().metric() == type::v1::SLA_METRIC_FIRST_RESPONSE) {
      absl::MutexLock lock(&mutex);
      ++started;
    }
    if (event.type != events::v1::SlaBreached::descriptor()->full_name()) return;
    absl::MutexLock lock(&mutex);
    ++breached;
    lateness.Add(now - due);
    last = now;
  });
  if (open_them) {
    // A ticket has the policy that was in force when it was opened.
    const absl::Time opened_at = embedded.clock().Now() + absl::Seconds(1);
    embedded.Ask<sla::v1::ApplyPolicyResponse>(kApplySlaPolicy, OneDeadline(due - opened_at));
    for (int from = 0; from < count; from += 500) {
      std::vector<bus::Event> events;
      for (int i = from; i < std::min(count, from + 500); ++i) {
        events.push_back(Opened(i, opened_at));
      }
      absl::Notification appended;
      embedded.log().Append(std::move(events), [&](absl::Status) { appended.Notify(); });
      appended.WaitForNotification();
    }
    // Armed when every ticket's clock has been told of.
    const absl::Time armed_by = due - absl::Seconds(1);
    const auto all_started = [&] {
      absl::MutexLock lock(&mutex);
      return started >= count;
    };
    while (!all_started() && embedded.clock().Now() < armed_by) Pause(absl::Milliseconds(2));
    int64_t timers = 0;
    {
      absl::Notification sampled;
      embedded.house().runtimes()[0]->Sample([&](absl::StatusOr<runtime::ServiceSample> sample) {
        timers = sample.ok() ? sample->timers : 0;
        sampled.Notify();
      });
      sampled.WaitForNotification();
    }
    std::printf("ARMED %lld\n", static_cast<long long>(timers));
    std::fflush(stdout);
  }
  const absl::Time begun = std::max(embedded.clock().Now(), due);
  const absl::Time deadline = begun + absl::Minutes(3);
  while (embedded.clock().Now() < deadline) {
    Pause(absl::Microseconds(2000));
    absl::MutexLock lock(&mutex);
    if (breached >= count) break;
  }
  absl::MutexLock lock(&mutex);
  std::printf("FIRED %d %.2f %.2f %.2f\n", breached, absl::ToDoubleSeconds(last - begun),
              absl::ToDoubleSeconds(lateness.At(0.5)), absl::ToDoubleSeconds(lateness.At(0.99)));
  std::fflush(stdout);
  return 0;
}

// ---- The parent.

// This program in a role, its words line by line; ends it when destroyed.
class Child {
 public:
  explicit Child(const std::vector<std::string>& role) {
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    posix_spawn_file_actions_addclose(&actions, to[1]);
    posix_spawn_file_actions_addclose(&actions, from[0]);
    std::vector<std::string> words = {"/proc/self/exe", "--role"};
    words.insert(words.end(), role.begin(), role.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    life_ = to[1];
    words_ = fdopen(from[0], "r");
  }
  ~Child() {
    close(life_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    fclose(words_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next line that begins with `word`, split at blanks; empty at the end.
  std::vector<std::string> Await(const std::string& word) {
    char line[512];
    while (fgets(line, sizeof(line), words_) != nullptr) {
      std::vector<std::string> parts = absl::StrSplit(std::string(line), absl::ByAnyChar(" \n"));
      if (parts[0] == word) return parts;
    }
    return {};
  }
  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int life_ = -1;
  FILE* words_ = nullptr;
};

LoadReport Load(const std::string& port, const char* method, int outstanding, double seconds,
                std::function<std::string(int64_t)> request) {
  LoadOptions options;
  options.target = "127.0.0.1:" + port;
  options.method = method;
  options.caller = "bench";
  options.outstanding = outstanding;
  options.measured = absl::Seconds(seconds);
  options.request = std::move(request);
  return RunLoad(options);
}

int64_t ResidentKiB(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string line;
  while (std::getline(status, line)) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %lld kB", &kib) == 1) return kib;
  }
  return 0;
}

struct Replayed {
  double seconds = 0;
  double peak_mib = 0;
  int64_t incidents = 0;
};

// `tandem replay` of the log, from its start to its end, reading and report included.
absl::StatusOr<Replayed> Replay(const std::string& tandem, const std::string& log,
                                const std::string& report) {
  std::vector<std::string> words = {tandem,      "replay",
                                    "--log",     log,
                                    "--mapping", TANDEM_SOURCE_DIR "/deploy/replay/servicenow.yaml",
                                    "--output",  "json"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, report.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  const absl::Time begun = absl::Now();
  pid_t pid = -1;
  const int error = posix_spawn(&pid, tandem.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, tandem);
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  Replayed replayed;
  replayed.seconds = absl::ToDoubleSeconds(absl::Now() - begun);
  replayed.peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  if (status != 0) return absl::InternalError(absl::StrCat("the replay of ", log, " failed"));
  std::ifstream file(report);
  std::string line;
  while (replayed.incidents == 0 && std::getline(file, line)) {
    long long incidents = 0;
    if (std::sscanf(line.c_str(), " \"incidents\": \"%lld\"", &incidents) == 1 ||
        std::sscanf(line.c_str(), " \"incidents\": %lld", &incidents) == 1) {
      replayed.incidents = incidents;
    }
  }
  return replayed;
}

void Row(const std::string& what, const std::string& figure, const std::string& beside) {
  std::printf("| %s | %s | %s |\n", what.c_str(), figure.c_str(), beside.c_str());
  std::fflush(stdout);
}

std::string RateText(const LoadReport& report) {
  return absl::StrFormat("%.0f/s, p50 %.2f ms, p99 %.2f ms%s", report.rate,
                         absl::ToDoubleMilliseconds(report.latencies.At(0.5)),
                         absl::ToDoubleMilliseconds(report.latencies.At(0.99)),
                         report.errors.empty() ? "" : " (with errors)");
}

// What one run has to know, and what its parts tell each other.
struct Run {
  double seconds = 5;
  std::string tandem;
  std::string log;
  std::map<int, double> echo_rate;  // by calls outstanding
};

bool Echo(Run& run) {
  Child echo({"echo"});
  const std::vector<std::string> port = echo.Await("PORT");
  if (port.empty()) return false;
  rpc::testing::EchoRequest request;
  request.set_text(std::string(200, 'x'));
  for (const int outstanding : {1, 32, 256}) {
    const LoadReport report =
        Load(port[1], "tandem.rpc.testing.EchoService/Echo", outstanding, run.seconds,
             [bytes = request.SerializeAsString()](int64_t) { return bytes; });
    run.echo_rate[outstanding] = report.rate;
    Row(absl::StrCat("raw gRPC echo, ", outstanding, " outstanding"), RateText(report),
        "the limit of this machine");
  }
  return true;
}

bool Tickets(Run& run) {
  if (run.echo_rate.empty() && !Echo(run)) return false;
  for (const bool intake_alone : {true, false}) {
    Folder folder;
    Child server({"tickets", folder.path() + "/data", intake_alone ? "intake" : "five"});
    const std::vector<std::string> port = server.Await("PORT");
    if (port.empty()) return false;
    for (const int outstanding : {1, 32, 256}) {
      const LoadReport report =
          Load(port[1], kOpenTicket, outstanding, run.seconds, [outstanding](int64_t index) {
            return OpenTicket(absl::StrCat("t-", outstanding, "-", index)).SerializeAsString();
          });
      Row(absl::StrCat("durable OpenTicket, ", intake_alone ? "intake alone" : "all five", ", ",
                       outstanding, " outstanding"),
          RateText(report),
          absl::StrFormat("%.2f of the echo%s", report.rate / run.echo_rate[outstanding],
                          outstanding == 32 ? "; django-helpdesk 2.6: 71/s, p99 589 ms" : ""));
    }
  }
  return true;
}

bool Way(Run& run) {
  Folder folder;
  Child child({"way", folder.path() + "/data", absl::StrCat(run.seconds)});
  const std::vector<std::string> way = child.Await("WAY");
  if (way.size() < 6) return false;
  Row("a ticket's whole way at 100/s, to its clock",
      absl::StrCat("p50 ", way[2], " ms, p99 ", way[3], " ms"),
      "Kafka produce to consume at 1,000/s: p50 0.6 ms, p99 7 ms");
  Row("the same, to the timeline", absl::StrCat("p50 ", way[4], " ms, p99 ", way[5], " ms"),
      "Temporal at low load: 85 ms");
  return true;
}

bool DueTimers(Run&) {
  constexpr int kTimers = 100'000;
  for (const bool killed : {false, true}) {
    Folder folder;
    const int64_t due = absl::ToUnixSeconds(absl::Now()) + 60;
    auto child = std::make_unique<Child>(std::vector<std::string>{
        "timers", folder.path() + "/data", absl::StrCat(kTimers), "open", absl::StrCat(due)});
    const std::vector<std::string> armed = child->Await("ARMED");
    if (armed.size() < 2) return false;
    const double mib = static_cast<double>(ResidentKiB(child->pid())) / 1024;
    if (!killed) {
      Row("memory with 100,000 pending timers, sla_timer alone", absl::StrFormat("%.0f MiB", mib),
          "Temporal 1.32 with 1,000 timers: 262 MiB");
    }
    if (killed) {
      child->Kill();
      while (absl::Now() < absl::FromUnixSeconds(due + 1)) Pause(absl::Microseconds(10'000));
      child = std::make_unique<Child>(std::vector<std::string>{
          "timers", folder.path() + "/data", absl::StrCat(kTimers), "wait", absl::StrCat(due)});
    }
    const std::vector<std::string> fired = child->Await("FIRED");
    if (fired.size() < 5) return false;
    Row(killed ? "100,000 timers overdue after kill -9, to the last event published"
               : "100,000 fact-bound timers due in one second, to the last event published",
        absl::StrCat(fired[1], " fired in ", fired[2], " s, lateness p50 ", fired[3], " s, p99 ",
                     fired[4], " s"),
        killed ? "Temporal 1.32, 2,000 overdue: 71 s" : "Temporal 1.32, 1,000 due: p99 27 s");
  }
  return true;
}

bool AtRest(Run& run) {
  Folder folder;
  auto program = end_to_end::Program::Serve(run.tandem, folder.path() + "/data");
  if (!program.ok()) {
    std::fprintf(stderr, "%s\n", program.status().ToString().c_str());
    return false;
  }
  Pause(absl::Microseconds(2'000'000));
  Row("memory at rest, all five services",
      absl::StrFormat("%.0f MiB", static_cast<double>(ResidentKiB(program->pid())) / 1024),
      "Temporal 1.32 with 1,000 timers: 262 MiB");
  return true;
}

bool ReplayLog(Run& run) {
  Folder folder;
  const absl::StatusOr<Replayed> replayed =
      Replay(run.tandem, run.log, folder.path() + "/report.json");
  if (!replayed.ok()) {
    std::fprintf(stderr, "%s\n", replayed.status().ToString().c_str());
    return false;
  }
  Row(absl::StrCat("replay of ", std::filesystem::path(run.log).filename().string(),
                   ", one thread"),
      absl::StrFormat("%d incidents in %.1f s: %.0f/s; at most %.0f MiB", replayed->incidents,
                      replayed->seconds,
                      static_cast<double>(replayed->incidents) / replayed->seconds,
                      replayed->peak_mib),
      "");
  return true;
}

struct Part {
  const char* name;
  bool (*measure)(Run&);
};
constexpr Part kParts[] = {{"echo", Echo},        {"tickets", Tickets}, {"way", Way},
                           {"timers", DueTimers}, {"rest", AtRest},     {"replay", ReplayLog}};

// All parts, or the one of that name.
int Table(Run run, const std::string& only) {
  std::printf("| what | Tandem | beside it |\n|---|---|---|\n");
  for (const Part& part : kParts) {
    if ((only.empty() || only == part.name) && !part.measure(run)) return 1;
  }
  return 0;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 2 && words[0] == "--role") {
    const std::string& role = words[1];
    if (role == "echo") return ServeEcho();
    if (role == "tickets" && words.size() == 4) return ServeTickets(words[2], words[3] == "intake");
    double number = 0;
    int64_t due = 0;
    if (role == "way" && words.size() == 4 && absl::SimpleAtod(words[3], &number)) {
      return WholeWay(words[2], number);
    }
    if (role == "timers" && words.size() == 6 && absl::SimpleAtod(words[3], &number) &&
        absl::SimpleAtoi(words[5], &due)) {
      return Timers(words[2], static_cast<int>(number), words[4] == "open",
                    absl::FromUnixSeconds(due));
    }
    return 2;
  }
  Run run;
  run.tandem = TANDEM_BINARY;
  run.log = TANDEM_SOURCE_DIR "/tests/data/incidents.csv";
  std::string only;
  bool good = words.size() % 2 == 0;
  for (size_t i = 0; good && i < words.size(); i += 2) {
    const std::string& value = words[i + 1];
    if (words[i] == "--seconds") {
      good = absl::SimpleAtod(value, &run.seconds) && run.seconds > 0;
    } else if (words[i] == "--only") {
      only = value;
      good = std::any_of(std::begin(kParts), std::end(kParts),
                         [&](const Part& part) { return part.name == only; });
    } else {
      good = words[i] == "--log";
      run.log = value;
    }
  }
  if (!good) {
    std::fprintf(stderr,
                 "usage: tandem_bench [--seconds N] [--log FILE] "
                 "[--only echo|tickets|way|timers|rest|replay]\n");
    return 2;
  }
  return Table(std::move(run), only);
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tandem::bench::Main(argc, argv);
}
