// `tandemctl migrate`: from the files of `tandem serve` to PostgreSQL and Kafka.
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/cli/human.h"
#include "common/cli/table.h"
#include "common/kafka/kafka_flags.h"
#include "common/transfer/source.h"
#include "common/transfer/transfer.h"
#include "services/tandemctl/addresses.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/migration_report.pb.h"

namespace tandem::tandemctl {
namespace {

struct Migration {
  std::string data, store, bus;
  std::string topic = "tandem.lifecycle.v1";
  int64_t topic_replication = 3;
  bool allow_unsafe_topic = false;
  std::vector<std::string> kafka_properties, kafka_secrets;
  bool dry_run = false;
  bool release = false;
};

std::string MigrateCommand(const std::string& service) {
  return absl::StrCat("`tandem-", absl::StrReplaceAll(service, {{"_", "-"}}),
                      " migrate --store postgresql://…`");
}

MigrationReport ReportOf(const transfer::TransferReport& report) {
  MigrationReport message;
  message.set_dry_run(report.is_dry_run);
  message.set_was_migrated_before(report.was_moved_before);
  message.set_migrated_at(report.moved_at);
  for (const transfer::TransferReport::Table& one : report.tables) {
    MigratedTable* table = message.add_tables();
    table->set_service(one.service);
    table->set_table(one.name);
    table->set_rows(one.rows);
    table->set_sha256(one.hash);
  }
  for (const transfer::TransferReport::Partition& one : report.partitions) {
    MigratedPartition* partition = message.add_partitions();
    partition->set_partition(one.partition);
    partition->set_events(one.events);
    partition->set_found(one.found);
    partition->set_local_end_offset(one.source_end);
    partition->set_topic_end_offset(one.target_end);
    partition->set_sha256(one.hash);
  }
  return message;
}

std::string Show(const MigrationReport& report, const Migration& migration, const Looks& looks) {
  if (report.was_migrated_before()) {
    return absl::StrCat("What is in ", migration.data, " was migrated here at ",
                        report.migrated_at(), "; nothing was done.\n");
  }
  // A hash is for comparing by eye; all of it is in the JSON.
  constexpr size_t kShown = 12;
  cli::Table tables({{"SERVICE", cli::Align::kLeft, true},
                     {"TABLE", cli::Align::kLeft, true},
                     {"ROWS", cli::Align::kRight, true},
                     {"SHA-256", cli::Align::kLeft, true}});
  int64_t rows = 0, events = 0;
  for (const MigratedTable& table : report.tables()) {
    rows += table.rows();
    if (table.rows() == 0) continue;
    tables.Add({table.service(), table.table(), cli::HumanCount(table.rows()),
                table.sha256().substr(0, kShown)});
  }
  cli::Table partitions({{"PARTITION", cli::Align::kRight, true},
                         {"EVENTS", cli::Align::kRight, true},
                         {"FOUND", cli::Align::kRight, true},
                         {"END HERE", cli::Align::kRight, true},
                         {"END THERE", cli::Align::kRight, true},
                         {"SHA-256", cli::Align::kLeft, true}});
  for (const MigratedPartition& one : report.partitions()) {
    events += one.events();
    partitions.Add({absl::StrCat(one.partition()), cli::HumanCount(one.events()),
                    cli::HumanCount(one.found()), absl::StrCat(one.local_end_offset()),
                    report.dry_run() ? "" : absl::StrCat(one.topic_end_offset()),
                    one.sha256().substr(0, kShown)});
  }
  const std::string all = absl::StrCat(cli::HumanCount(rows), " rows of ", report.tables_size(),
                                       " tables and ", cli::HumanCount(events), " events");
  return absl::StrCat(tables.Text(looks.screen), "\n", partitions.Text(looks.screen), "\n",
                      report.dry_run()
                          ? absl::StrCat("Would migrate ", all, "; nothing was changed.\n")
                          : absl::StrCat("Migrated ", all, ", read back and compared.\n"));
}

int FailMigration(Context& context, const absl::Status& status) {
  const int code = FailHere(context, status);
  if (!context.json && (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status))) {
    *context.messages << "  to resume, run the same command again\n";
  }
  return code;
}

// The folder is served again: whoever says so has decided which of the two is the truth.
int Release(const Migration& migration, Context& context) {
  if (!migration.store.empty() || !migration.bus.empty() || migration.dry_run) {
    return UsageError(context, "--release takes --data alone");
  }
  const absl::StatusOr<transfer::FolderMark> mark = transfer::ReleaseFolder(migration.data);
  if (!mark.ok()) return FailMigration(context, mark.status());
  MigrationReport report;
  const bool was_marked = mark->state != transfer::FolderMark::State::kNone;
  if (was_marked) report.set_released_from(mark->place);
  return Print(context, report, [&] {
    if (!was_marked) return absl::StrCat(migration.data, " was not moved; nothing was done.\n");
    return absl::StrCat("`tandem serve --data ", migration.data,
                        "` works again. See to it that nobody serves ", mark->place, ".\n");
  });
}

int Run(const Migration& migration, Context& context) {
  if (migration.release) return Release(migration, context);
  if (migration.store.empty() || migration.bus.empty()) {
    return UsageError(context, "--store and --bus are required: where the data goes");
  }
  if (!absl::StartsWith(migration.store, "postgresql://") &&
      !absl::StartsWith(migration.store, "postgres://")) {
    // Not quoted: it may hold a password.
    return UsageError(context, "--store: is not postgresql://USER@HOST:PORT/DATABASE");
  }
  transfer::TransferOptions options;
  options.folder = migration.data;
  options.services = ServiceNames();
  options.database.uri = migration.store;
  options.database.application_name = "tandemctl migrate";
  auto kafka =
      bus::ParseKafkaFlags(migration.bus, migration.kafka_properties, migration.kafka_secrets);
  if (!kafka.ok()) return FailMigration(context, kafka.status());
  options.kafka = *std::move(kafka);
  options.topic.name = migration.topic;
  options.topic.replication_factor = static_cast<int>(migration.topic_replication);
  options.topic.min_insync_replicas = migration.topic_replication > 1 ? 2 : 1;
  options.topic.allow_unsafe = migration.allow_unsafe_topic;
  options.clock = context.clock;
  options.dry_run = migration.dry_run;
  options.source_command = absl::StrCat("`tandem serve --data ", migration.data, "`");
  options.target_command = MigrateCommand;
  options.say = [&](const std::string& line) {
    *context.messages << "tandemctl: " << line << std::endl;
  };
  const absl::StatusOr<transfer::TransferReport> report = transfer::Transfer(options);
  if (!report.ok()) return FailMigration(context, report.status());
  const MigrationReport message = ReportOf(*report);
  return Print(context, message, [&] { return Show(message, migration, context.looks); });
}

}  // namespace

std::vector<Entry> MigrateCommands() {
  Entry entry;
  entry.path = "migrate";
  entry.help = "Moves the data of a stopped `tandem serve` to PostgreSQL and Kafka.";
  entry.flags = {"--data",
                 "--store",
                 "--bus",
                 "--topic",
                 "--topic-replication",
                 "--allow-unsafe-topic",
                 "--kafka-property",
                 "--kafka-secret",
                 "--dry-run",
                 "--release"};
  entry.declare = [](config::OptionSet& options) -> Entry::Run {
    auto migration = std::make_shared<Migration>();
    options.Add("data", &migration->data, "Folder of the `tandem serve` that has stopped.");
    options.Require("data");
    options.Add("store", &migration->store,
                "postgresql://OWNER@HOST:PORT/DATABASE, the schemas made by each service's own "
                "`migrate` and empty; passwords by PGPASSFILE or ?passfile=.");
    options.Add("bus", &migration->bus, "kafka:HOST:PORT,HOST:PORT.");
    options.Add("topic", &migration->topic,
                "The topic of lifecycle events; made if there is none, else empty.");
    options.Add("topic-replication", &migration->topic_replication, "Of a topic that is made.",
                {1, 100});
    options.Add("allow-unsafe-topic", &migration->allow_unsafe_topic,
                "Takes a topic that may lose acknowledged events: on a laptop.");
    options.AddTexts("kafka-property", &migration->kafka_properties,
                     "NAME=VALUE of librdkafka: security.protocol, ssl.*, sasl.*.");
    options.AddTexts("kafka-secret", &migration->kafka_secrets,
                     "NAME=FILE: sasl.password, ssl.key.password.");
    options.Add("dry-run", &migration->dry_run, "Looks at both sides and changes nothing.");
    options.Add("release", &migration->release,
                "Lets a folder be served again that was moved, with --data alone: to give up what "
                "was done in the new place.");
    return [migration](Context& context) { return Run(*migration, context); };
  };
  return {entry};
}

}  // namespace tandem::tandemctl
