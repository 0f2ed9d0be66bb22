// `tandemctl backup` and `tandemctl restore`: of a `tandem serve`, or of services on PostgreSQL and
// Kafka.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/backup/restore.h"
#include "common/cli/human.h"
#include "common/cli/progress.h"
#include "common/cli/table.h"
#include "common/cli/text_width.h"
#include "common/host/version.h"
#include "common/kafka/kafka_flags.h"
#include "common/server_backup/server_backup.h"
#include "common/server_backup/server_restore.h"
#include "services/tandemctl/addresses.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/restore_report.pb.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

namespace v1 = admin::v1;

constexpr char kBegin[] = "tandem.admin.v1.AdminService/BeginBackup";
constexpr char kGet[] = "tandem.admin.v1.AdminService/GetBackup";
constexpr char kTopic[] = "tandem.lifecycle.v1";
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);

std::string ShowBackup(const v1::GetBackupResponse& backup, const Looks& looks) {
  cli::Table files({{"FILE", cli::Align::kLeft, true},
                    {"BYTES", cli::Align::kRight, true},
                    {"SHA-256", cli::Align::kLeft, true}});
  constexpr size_t kShown = 12;
  for (const v1::BackedUpFile& file : backup.files()) {
    files.Add({cli::Printable(file.name()), cli::HumanCount(file.bytes()),
               file.sha256().substr(0, kShown)});
  }
  return absl::StrCat(files.Text(looks.screen), "\nBacked up the state of ",
                      Cell(backup, "taken_at", Form::kPlain, looks), " into ",
                      cli::Printable(backup.folder()), "; commits stood still for ",
                      cli::HumanDuration(absl::Microseconds(backup.stood_still_us())), ".\n");
}

int RunBackup(const std::string& to, Context& context) {
  std::error_code error;
  v1::BeginBackupRequest begin;
  begin.set_folder(std::filesystem::absolute(to, error).lexically_normal().string());
  if (const auto begun = context.session->Call(kBegin, &begin); !begun.ok()) {
    return Fail(context, begun.status());
  }
  std::unique_ptr<cli::Progress> progress;
  int64_t told = 0;
  for (;;) {
    v1::GetBackupRequest get;
    const auto reply = context.session->Call(kGet, &get);
    if (!reply.ok()) return Fail(context, reply.status());
    const auto& backup = static_cast<const v1::GetBackupResponse&>(**reply);
    if (backup.state() == v1::BACKUP_STATE_FAILED || backup.folder() != begin.folder()) {
      *context.messages << "tandemctl: the backup failed: "
                        << cli::Printable(backup.state() == v1::BACKUP_STATE_FAILED
                                              ? backup.failure()
                                              : "the process was restarted")
                        << "\n  what is in " << cli::Printable(begin.folder())
                        << " is no backup; remove it\n";
      return kFailed;
    }
    if (backup.bytes_total() > 0 && progress == nullptr) {
      progress = std::make_unique<cli::Progress>(cli::StderrScreen(), "bytes", backup.bytes_total(),
                                                 [&context] { return context.clock->Now(); });
    }
    if (progress != nullptr) progress->Advance(backup.bytes_done() - told);
    told = backup.bytes_done();
    if (backup.state() == v1::BACKUP_STATE_DONE) {
      if (progress != nullptr) progress->Finish();
      return Print(context, backup, [&] { return ShowBackup(backup, context.looks); });
    }
    context.pause(kLookAgain);
  }
}

bool IsPostgres(const std::string& uri) {
  return absl::StartsWith(uri, "postgresql://") || absl::StartsWith(uri, "postgres://");
}

// The database of each service, of --store URI, or --store SERVICE=URI for each. Not quoted in
// errors: it may hold a password.
absl::StatusOr<std::map<std::string, std::string>> ParseStores(
    const std::vector<std::string>& stores) {
  const std::vector<std::string> services = ServiceNames();
  std::map<std::string, std::string> uris;
  if (stores.size() == 1 && IsPostgres(stores[0])) {
    for (const std::string& service : services) uris[service] = stores[0];
    return uris;
  }
  for (const std::string& store : stores) {
    const std::pair<std::string, std::string> named =
        absl::StrSplit(store, absl::MaxSplits('=', 1));
    if (!absl::c_linear_search(services, named.first) || !IsPostgres(named.second)) {
      return absl::InvalidArgumentError(
          "--store: is not postgresql://USER@HOST:PORT/DATABASE, nor SERVICE=postgresql://… for "
          "each service");
    }
    if (!uris.emplace(named.first, named.second).second) {
      return absl::InvalidArgumentError(absl::StrCat("--store: names ", named.first, " twice"));
    }
  }
  for (const std::string& service : services) {
    if (uris.contains(service)) continue;
    return absl::InvalidArgumentError(absl::StrCat("--store: does not name the database of ",
                                                   service, "; name that of every service"));
  }
  return uris;
}

absl::StatusOr<backup::ServerOptions> ServerOf(const std::vector<std::string>& stores,
                                               const std::string& doing, Context& context) {
  backup::ServerOptions options;
  auto uris = ParseStores(stores);
  if (!uris.ok()) return uris.status();
  options.uris = *std::move(uris);
  options.application_name = absl::StrCat("tandemctl ", doing);
  options.clock = context.clock;
  options.version = host::kVersion;
  options.say = [&context](const std::string& line) {
    *context.messages << "tandemctl: " << line << std::endl;
  };
  return options;
}

int RunServerBackup(const std::string& to, const std::vector<std::string>& stores,
                    Context& context) {
  const auto options = ServerOf(stores, "backup", context);
  if (!options.ok()) return FailHere(context, options.status());
  const auto taken = backup::BackUpServer(*options, to);
  if (!taken.ok()) return FailHere(context, taken.status());
  // The same report as that of a process.
  v1::GetBackupResponse report;
  report.set_state(v1::BACKUP_STATE_DONE);
  report.set_folder(to);
  *report.mutable_taken_at() = taken->manifest.taken_at();
  report.set_stood_still_us(absl::ToInt64Microseconds(taken->stood_still));
  int64_t bytes = 0;
  for (const backup::BackupFile& file : taken->manifest.files()) {
    v1::BackedUpFile* const one = report.add_files();
    one->set_name(file.name());
    one->set_bytes(file.bytes());
    one->set_sha256(file.sha256());
    bytes += file.bytes();
  }
  report.set_bytes_done(bytes);
  report.set_bytes_total(bytes);
  return Print(context, report, [&] { return ShowBackup(report, context.looks); });
}

struct Restoring {
  std::string from, data, bus;
  std::vector<std::string> stores;
  std::string topic;  // empty = kTopic
  std::vector<std::string> kafka_properties, kafka_secrets;
  int64_t history = 0;
};

// All of them are in the JSON.
std::string ShowAbandoned(const RestoreReport& report, const Looks& looks) {
  constexpr int kShown = 20;
  if (report.abandoned_size() == 0) return "";
  cli::Table table({{"PARTITION", cli::Align::kRight, true},
                    {"OFFSET", cli::Align::kRight, true},
                    {"SOURCE", cli::Align::kLeft, true},
                    {"TYPE"},
                    {"SUBJECT"}});
  const int shown = std::min(report.abandoned_size(), kShown);
  for (int i = 0; i < shown; ++i) {
    const AbandonedEvent& event = report.abandoned(i);
    table.Add({absl::StrCat(event.partition()), absl::StrCat(event.offset()),
               cli::Printable(event.source()), cli::Printable(event.type()),
               cli::Printable(event.subject())});
  }
  const int more = report.abandoned_size() - shown;
  return absl::StrCat(
      "Skipped from now on, because their restored sources do not know them:\n",
      table.Text(looks.screen),
      more > 0 ? absl::StrCat("and ", cli::HumanCount(more), " more; --output json lists all\n")
               : "",
      "\n");
}

// What the services' own connections are called: their programs' names.
std::vector<std::string> ProgramNames() {
  std::vector<std::string> programs;
  for (const std::string& service : ServiceNames()) {
    programs.push_back(absl::StrCat("tandem-", absl::StrReplaceAll(service, {{"_", "-"}})));
  }
  return programs;
}

int RunServerRestore(const Restoring& restoring, Context& context) {
  if (restoring.bus.empty()) {
    return UsageError(
        context,
        "--bus is required with --store: the brokers whose topic has outlived the database");
  }
  backup::ServerRestoreOptions options;
  auto server = ServerOf(restoring.stores, "restore", context);
  if (!server.ok()) return FailHere(context, server.status());
  options.server = *std::move(server);
  options.folder = restoring.from;
  options.topic = restoring.topic.empty() ? kTopic : restoring.topic;
  options.programs = ProgramNames();
  options.at_least_history = restoring.history;
  auto kafka =
      bus::ParseKafkaFlags(restoring.bus, restoring.kafka_properties, restoring.kafka_secrets);
  if (!kafka.ok()) return FailHere(context, kafka.status());
  options.kafka = *std::move(kafka);
  const auto restored = backup::RestoreServer(options);
  if (!restored.ok()) return FailHere(context, restored.status());
  RestoreReport report;
  *report.mutable_taken_at() = restored->manifest.taken_at();
  report.set_history(restored->history);
  for (const backup::BackupFile& file : restored->manifest.files()) report.add_files(file.name());
  for (const backup::AbandonedEvent& event : restored->abandoned) {
    AbandonedEvent* one = report.add_abandoned();
    one->set_partition(event.partition);
    one->set_offset(event.offset);
    one->set_source(event.source);
    one->set_type(event.type);
    one->set_subject(event.subject);
    one->set_key(event.key);
    one->set_sequence(event.sequence);
  }
  return Print(context, report, [&] {
    return absl::StrCat(ShowAbandoned(report, context.looks), "Restored the state of ",
                        Cell(report, "taken_at", Form::kPlain, context.looks), "; history ",
                        report.history(), " begins; events on the topic that are skipped: ",
                        cli::HumanCount(report.abandoned_size()), ". Start the services.\n");
  });
}

int RunRestore(const Restoring& restoring, Context& context) {
  if (!restoring.bus.empty() || !restoring.topic.empty() || !restoring.kafka_properties.empty() ||
      !restoring.kafka_secrets.empty()) {
    return UsageError(context,
                      "--bus, --topic, --kafka-property and --kafka-secret go with --store: a "
                      "folder has a log of its own");
  }
  backup::RestoreOptions options;
  options.backup = restoring.from;
  options.data = restoring.data;
  options.at_least_history = restoring.history;
  options.clock = context.clock;
  options.command =
      absl::StrCat("tandemctl restore --from ", restoring.from, " --data ", restoring.data);
  options.say = [&](const std::string& line) {
    *context.messages << "tandemctl: " << line << std::endl;
  };
  const absl::StatusOr<backup::RestoreReport> restored = backup::Restore(options);
  if (!restored.ok()) {
    return FailHere(context, restored.status());
  }
  RestoreReport report;
  *report.mutable_taken_at() = restored->manifest.taken_at();
  report.set_history(restored->history);
  for (const backup::BackupFile& file : restored->manifest.files()) report.add_files(file.name());
  return Print(context, report, [&] {
    return absl::StrCat("Restored ", report.files_size(), " files with the state of ",
                        Cell(report, "taken_at", Form::kPlain, context.looks), "; history ",
                        report.history(), " begins. Serve it: `tandem serve --data ",
                        cli::Printable(restoring.data), "`\n");
  });
}

}  // namespace

std::vector<Entry> BackupCommands() {
  Entry backup;
  backup.path = "backup";
  backup.help = "Copy all data of running services, as it is at one instant.";
  backup.flags = {"--to", "--store"};
  backup.declare = [](config::OptionSet& options) -> Entry::Run {
    auto to = std::make_shared<std::string>();
    auto stores = std::make_shared<std::vector<std::string>>();
    options.Add("to", to.get(),
                "Folder, empty, or absent and then made: on the machine of `tandem serve`, with "
                "--store on this one.");
    options.Require("to");
    options.AddTexts("store", stores.get(),
                     "postgresql://OWNER@HOST:PORT/DATABASE with the schemas of all services, to "
                     "copy that database instead of a `tandem serve`; or SERVICE=postgresql://… "
                     "for each service, of one server. Passwords by PGPASSFILE or ?passfile=.");
    return [to, stores](Context& context) {
      return stores->empty() ? RunBackup(*to, context) : RunServerBackup(*to, *stores, context);
    };
  };
  Entry restore;
  restore.path = "restore";
  restore.help = "Restore a backup while no service runs.";
  restore.flags = {"--from", "--data",  "--history",        "--store",
                   "--bus",  "--topic", "--kafka-property", "--kafka-secret"};
  restore.declare = [](config::OptionSet& options) -> Entry::Run {
    auto restoring = std::make_shared<Restoring>();
    options.Add("from", &restoring->from, "Folder of the backup; it is not changed.");
    options.Require("from");
    options.Add("data", &restoring->data,
                "Folder for `tandem serve` to restore into: empty, or absent and then made.");
    options.Add("history", &restoring->history,
                "Begin at least this history: one more than the last, where the same backup was "
                "restored before and others have read events since.",
                {0, 8191});
    options.AddTexts("store", &restoring->stores,
                     "postgresql://OWNER@HOST:PORT/DATABASE without the services' schemas, to "
                     "restore into instead of a folder; or SERVICE=postgresql://… for each.");
    options.Add("bus", &restoring->bus, "With --store: kafka:HOST:PORT,HOST:PORT.");
    options.Add("topic", &restoring->topic,
                "With --store: the topic that the services used; default tandem.lifecycle.v1.");
    options.AddTexts("kafka-property", &restoring->kafka_properties,
                     "With --store: NAME=VALUE of librdkafka: security.protocol, ssl.*, sasl.*.");
    options.AddTexts("kafka-secret", &restoring->kafka_secrets,
                     "With --store: NAME=FILE: sasl.password, ssl.key.password.");
    return [restoring](Context& context) {
      if (restoring->data.empty() == restoring->stores.empty()) {
        return UsageError(context, "give either --data or --store: where to restore");
      }
      return restoring->stores.empty() ? RunRestore(*restoring, context)
                                       : RunServerRestore(*restoring, context);
    };
  };
  return {backup, restore};
}

}  // namespace tandem::tandemctl
