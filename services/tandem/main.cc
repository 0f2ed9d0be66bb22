// tandem serve: the five services in one process, on SQLite files and a local log.
// tandem replay: a historical ticket log through the same services under simulated time.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/backup/backup.h"
#include "common/bus/local_log.h"
#include "common/bus/migrations.h"
#include "common/config/options.h"
#include "common/executor/threaded.h"
#include "common/host/ask.h"
#include "common/host/host.h"
#include "common/host/version.h"
#include "common/id/system_entropy.h"
#include "common/metrics/disk.h"
#include "common/policy/declared.h"
#include "common/policy/policy_file.h"
#include "common/policy/standing.h"
#include "common/runtime/admin.h"
#include "common/store/commit_barrier.h"
#include "common/store/sqlite.h"
#include "common/store/writable.h"
#include "common/time/system_clock.h"
#include "common/time/zones.h"
#include "google/protobuf/stubs/logging.h"
#include "services/tandem/house.h"
#include "services/tandem/policies.h"
#include "services/tandem/replay.h"
#include "services/tandem/replay_folder.h"

namespace tandem::programs {
namespace {

struct ServeOptions {
  host::Options host;
  std::string data = "tandem-data";
  std::string policies;
  absl::Duration settle = absl::Milliseconds(100);
  absl::Duration log_retention = bus::LocalLogOptions().retention;
};

// With it the survey's links stay valid.
constexpr char kMailboxKey[] = "mailbox.key";

// For the terminal of who called; what ends a server is a line of its log (host::CannotStart).
int Fail(const absl::Status& status) {
  std::fprintf(stderr, "tandem: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Serve(const ServeOptions& options) {
  time::SystemClock clock;
  const auto fail = [&clock](const absl::Status& status) {
    return host::CannotStart("tandem", status, clock);
  };
  id::SystemEntropy entropy;
  auto host = host::Host::Create("tandem", host::kVersion, options.host, &clock);
  if (!host.ok()) return fail(host.status());

  if (absl::Status status = ReplayFolder::CheckServable(options.data); !status.ok()) {
    return Fail(status);
  }
  std::error_code error;
  std::filesystem::create_directories(options.data, error);
  if (error) {
    return fail(absl::UnavailableError(
        absl::StrCat("cannot make the data folder ", options.data, ": ", error.message())));
  }
  // Owner only: invitations and customers' words are in there.
  std::filesystem::permissions(options.data, std::filesystem::perms::owner_all, error);

  store::CommitBarrier barrier;
  store::SqliteOptions log_file;
  log_file.path = absl::StrCat(options.data, "/log.db");
  log_file.schemas = {bus::SqliteSchema()};
  log_file.barrier = &barrier;
  auto log_store = store::OpenSqlite(std::move(log_file));
  if (!log_store.ok()) return fail(log_store.status());
  executor::ThreadedExecutor log_executor("log", &clock);
  bus::LocalLogOptions log_options;
  log_options.retention = options.log_retention;
  auto log = bus::LocalLog::Open(log_store->get(), &clock, &log_executor, log_options);
  if (!log.ok()) return fail(log.status());

  House::Options house_options;
  house_options.data = options.data;
  house_options.barrier = &barrier;
  house_options.runtime.gate.settle = options.settle;
  House::Environment environment;
  environment.clock = &clock;
  environment.new_executor = [&clock](const std::string& name) {
    return std::make_unique<executor::ThreadedExecutor>(name, &clock);
  };
  environment.bus = log->get();
  environment.entropy = &entropy;
  environment.logger_of = [&host](const std::string& service) {
    return &(*host)->LoggerOf(service);
  };
  environment.metrics = &(*host)->registry();
  const metrics::DiskGauges disk((*host)->registry().In({{"service", "tandem"}}), options.data);
  environment.measure = [&disk] { disk.Measure(); };
  auto services = FiveServices({.mailbox = absl::StrCat(options.data, "/mailbox")});
  if (!services.ok()) return fail(services.status());
  auto house = House::Open(std::move(house_options), *services, environment);
  if (!house.ok()) return fail(house.status());
  if (absl::Status status = (*house)->CheckPositions(**log, (*log)->partitions()); !status.ok()) {
    return fail(status);
  }
  if (absl::Status status = (*house)->Start(); !status.ok()) return fail(status);

  std::vector<std::unique_ptr<policy::Standing>> standings;
  std::vector<std::unique_ptr<policy::DeclaredEndpoint>> declared;
  std::vector<corridor::Endpoint*> endpoints = (*house)->endpoints();
  for (const policy::PolicyStart& start : PolicyStarts(options.policies)) {
    const auto started = policy::StartPolicy(
        start, host::AskThrough(&(*house)->peer(), &clock, policy::kFileCaller));
    if (!started.ok()) return fail(started.status());
    const std::string service = ServiceOfKind(start.built_in.kind);
    standings.push_back(
        std::make_unique<policy::Standing>((*host)->registry().In({{"service", service}})));
    standings.back()->Began(*started, (*host)->logger());
    if (!started->is_declared) continue;
    for (size_t i = 0; i < endpoints.size(); ++i) {
      if ((*house)->runtimes()[i]->definition().name() != service) continue;
      declared.push_back(std::make_unique<policy::DeclaredEndpoint>(endpoints[i]));
      endpoints[i] = declared.back().get();
    }
  }

  const host::Check files = {"policy", [&standings] {
                               std::vector<std::string> reasons;
                               for (const auto& standing : standings) {
                                 const absl::Status status = standing->status();
                                 if (!status.ok()) reasons.emplace_back(status.message());
                               }
                               return host::Reasons(reasons);
                             }};
  (*host)->AddHealthCheck(files);

  backup::BackupOptions backup_options;
  backup_options.data = options.data;
  backup_options.databases = {"log.db"};
  for (const Service& service : *services) {
    backup_options.databases.push_back(absl::StrCat(service.name, ".db"));
  }
  backup_options.files = {kMailboxKey};
  backup_options.barrier = &barrier;
  backup_options.clock = &clock;
  backup_options.version = host::kVersion;
  executor::ThreadedExecutor backup_executor("backup", &clock);
  backup::BackupJob backup(backup_options, &backup_executor);
  runtime::Admin admin(host::kVersion,
                       {.clock = &clock,
                        .executor = &log_executor,
                        .bus = log->get(),
                        .log = log->get(),
                        .logger = &(*host)->logger(),
                        .backup = &backup,
                        .unhealthy = [&files] { return host::Failing({files}); }},
                       (*house)->runtimes(), [&host] { (*host)->Stop(absl::OkStatus()); });
  for (runtime::ServiceRuntime* runtime : (*house)->runtimes()) {
    const std::string& name = runtime->definition().name();
    (*host)->AddReadyCheck({name, [runtime] { return host::Reasons(runtime->NotReady()); }});
    (*host)->AddHealthCheck(
        {name + "_work", [runtime] { return host::Reasons(runtime->Unhealthy()); }});
  }
  (*host)->AddReadyCheck({"log", [&log_store]() -> absl::Status {
                            const absl::Status writable = store::CheckWritable(**log_store);
                            if (writable.ok()) return absl::OkStatus();
                            return absl::UnavailableError(absl::StrCat(
                                "the log takes no events: ", std::string(writable.message())));
                          }});
  (*host)->OnDrain("services", [&house](absl::Time deadline) {
    auto drained = std::make_shared<absl::Notification>();
    (*house)->Drain([drained] { drained->Notify(); });
    if (!drained->WaitForNotificationWithDeadline(deadline)) {
      return absl::DeadlineExceededError("the services still have work under way");
    }
    return absl::OkStatus();
  });
  endpoints.push_back(&admin);
  const auto log_of = [&](const corridor::Endpoint* endpoint) -> log::Logger* {
    const std::vector<runtime::ServiceRuntime*> runtimes = (*house)->runtimes();
    for (size_t i = 0; i < runtimes.size(); ++i) {
      if (endpoints[i] == endpoint) return &(*host)->LoggerOf(runtimes[i]->definition().name());
    }
    return &(*host)->logger();
  };
  if (absl::Status served = (*host)->Serve(endpoints, log_of); !served.ok()) return fail(served);
  // For a person; whoever collects the output of a service finds one kind of line in it.
  if (isatty(STDOUT_FILENO) != 0) {
    std::printf("tandem serves on %s, metrics on %s, data in %s; Ctrl-C drains and stops\n",
                (*host)->address().c_str(), (*host)->http_address().c_str(), options.data.c_str());
    std::fflush(stdout);
  }
  // Its steps carry questions between the services; they wait for nobody.
  (*host)->WatchExecutor("the executor of peers", (*house)->peer_executor());
  return (*host)->Run();
}

int Main(int argc, char** argv) {
  // Deadlock detection of absl::Mutex costs 8 to 19 % of the echo rate on two cores.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Whatever the library has to say comes back as a status too, and a line of its own is no JSON.
  google::protobuf::SetLogHandler(nullptr);
  config::OptionSet program("tandem", "Customer support and customer success, in step.",
                            host::VersionText());
  program.IgnoreEnvironment("TANDEM_CTL_");

  ServeOptions serve_options;
  config::OptionSet& serve =
      program.AddCommand("serve", "Runs the five services in one process, on loopback.");
  serve_options.host.AddTo(serve);
  serve.Add("data", &serve_options.data, "Folder of the databases and the mailbox.");
  serve.Add("policies", &serve_options.policies,
            "Folder whose files declare their policies; then nobody else applies those.");
  serve.Add("settle", &serve_options.settle,
            "How long after its instant a deadline waits for facts still under way.");
  serve.Add("log-retention", &serve_options.log_retention,
            "How long events stay in the log for whoever reads it; those that a service has not "
            "applied yet stay longer.",
            {absl::Minutes(1), absl::Hours(24 * 3650)});

  ReplayOptions replay_options;
  config::OptionSet& replay = program.AddCommand(
      "replay", "Runs a historical ticket log through the services under simulated time.");
  replay.Add("log", &replay_options.log, "The log: a CSV file, or one compressed with xz.");
  replay.Require("log");
  replay.Add("mapping", &replay_options.mapping, "What the log's columns mean: a YAML file.");
  replay.Require("mapping");
  replay.Add("policies", &replay_options.policies,
             "Folder of policy files to replay under (default: the replay's own, built in).");
  replay.Add("data", &replay_options.data,
             "Folder for the databases; without it they live in memory.");
  replay.AddChoice("output", &replay_options.output, {"table", "json"}, "Form of the report.");

  if (const auto exit_code = program.ParseMain(argc, argv)) return *exit_code;
  if (absl::Status zones = time::LoadSystemZones(); !zones.ok()) return Fail(zones);
  if (serve.is_chosen()) return Serve(serve_options);
  const absl::StatusOr<int> replayed = Replay(replay_options);
  return replayed.ok() ? *replayed : Fail(replayed.status());
}

}  // namespace
}  // namespace tandem::programs

int main(int argc, char** argv) { return tandem::programs::Main(argc, argv); }
