#include "common/server_backup/server_restore.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/backup/manifest.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/outbox/sequence.h"
#include "common/postgres/postgres_session.h"
#include "common/server_backup/command.h"
#include "common/server_backup/schemas.h"
#include "common/store/migration_plan.h"
#include "common/time/micros.h"

namespace tandem::backup {
namespace {

using store::PostgresSession;

constexpr absl::Duration kRestoreLockWait = absl::Seconds(10);
constexpr absl::Duration kRestorePatience = absl::Hours(1);
constexpr int kRecordsAtOnce = 1000;

// The row that keeps programs away, as PlanMigrations reads it out.
constexpr char kMark[] = "a restore from a backup";
constexpr char kWayOut[] = "Run `tandemctl restore` again: it starts over.";

class ServerRestore {
 public:
  explicit ServerRestore(const ServerRestoreOptions& options) : options_(options) {}

  absl::StatusOr<ServerRestoreReport> Run();

 private:
  // A database to restore into.
  struct Target {
    ServiceDatabase database;
    std::unique_ptr<PostgresSession> session;
    std::vector<std::string> leftovers;  // schemas of a restore that was interrupted
  };

  absl::Status ReadBackup();
  absl::Status Connect();
  absl::Status CheckTarget(Target& target);
  absl::StatusOr<bool> IsLeftOver(PostgresSession& session, const std::string& schema);
  absl::Status ForEachTarget(absl::FunctionRef<absl::Status(Target&)> work);
  absl::Status ReadTopic();
  absl::Status ReadPartition(bus::KafkaLogReader& topic, int partition);
  void Take(int partition, const bus::Record& record);
  absl::Status RemoveLeftovers(const Target& target);
  absl::Status Load(const Target& target, std::initializer_list<const char*> sections);
  absl::Status Mark(const Target& target);
  absl::Status BeginHistory(const Target& target);
  absl::Status BeginHistory(PostgresSession& session, const std::string& service);
  absl::Status Unmark(const Target& target);

  void Say(const std::string& line) const {
    if (options_.server.say) options_.server.say(line);
  }

  const ServerRestoreOptions& options_;
  std::vector<Target> targets_;
  std::map<std::string, int64_t> last_;  // sequence that each service had given
  std::map<int, int64_t> lowest_;        // position of any service, by partition
  ServerRestoreReport report_;
};

absl::Status ServerRestore::ReadBackup() {
  absl::StatusOr<BackupManifest> manifest = ReadManifest(options_.folder);
  if (!manifest.ok()) return manifest.status();
  report_.manifest = *std::move(manifest);
  for (const BackedUpService& service : report_.manifest.services()) {
    last_[service.service()] = service.last_sequence();
    report_.history = std::max(report_.history, outbox::HistoryOf(service.last_sequence()) + 1);
  }
  if (last_.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.folder,
        " is a backup of the files of `tandem serve`; restore it into a folder with --data"));
  }
  for (const auto& [service, uri] : options_.server.uris) {
    if (last_.contains(service)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(options_.folder, " has no service ", service, ": it was made by version ",
                     report_.manifest.version(), "; restore it with that version"));
  }
  report_.history = std::max(report_.history, options_.at_least_history);
  Say("checking the backup");
  return CheckFiles(options_.folder, report_.manifest);
}

absl::Status ServerRestore::Connect() {
  targets_.clear();
  for (ServiceDatabase& database : GroupByDatabase(options_.server.uris)) {
    store::PostgresOptions options;
    options.uri = database.uri;
    options.application_name = options_.server.application_name;
    auto session = PostgresSession::Open(options, kRestoreLockWait, kRestorePatience);
    if (!session.ok()) return session.status();
    targets_.push_back({std::move(database), *std::move(session), {}});
  }
  return absl::OkStatus();
}

absl::Status ServerRestore::ForEachTarget(absl::FunctionRef<absl::Status(Target&)> work) {
  for (Target& target : targets_) {
    if (absl::Status s = work(target); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ServerRestore::IsLeftOver(PostgresSession& session,
                                               const std::string& schema) {
  const std::string record = TableName(session, schema, "schema_migrations");
  const auto there = session.Run("SELECT 1 WHERE to_regclass($1) IS NOT NULL", {record});
  if (!there.ok()) return there.status();
  if (there->empty()) return false;
  const auto marks =
      session.Run(absl::StrCat("SELECT 1 FROM ", record, " WHERE component = $1 AND name = $2"),
                  {store::kUnfinished, kMark});
  if (!marks.ok()) return marks.status();
  return !marks->empty();
}

absl::Status ServerRestore::CheckTarget(Target& target) {
  PostgresSession& session = *target.session;
  std::vector<std::string> held;
  const auto schemas = FindSchemas(session, target.database.services);
  if (!schemas.ok()) return schemas.status();
  for (const std::string& schema : *schemas) {
    const auto is_left_over = IsLeftOver(session, schema);
    if (!is_left_over.ok()) return is_left_over.status();
    (*is_left_over ? target.leftovers : held).push_back(schema);
  }
  if (!held.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        session.name(), " has the schemas ", absl::StrJoin(held, ", "),
        ", and nothing is restored over data. Stop the services and drop or rename these schemas, "
        "or name another database"));
  }
  // A process that has outlived its data would go on in the restored data by what it remembers.
  const auto sessions = session.Run(
      "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() "
      "AND application_name = ANY (string_to_array($1, ',')) GROUP BY 1 ORDER BY 1",
      {absl::StrJoin(options_.programs, ",")});
  if (!sessions.ok()) return sessions.status();
  if (sessions->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(session.name(), " is in use: ",
                   absl::StrJoin(*sessions, ", ",
                                 [](std::string* out, const store::TextRow& row) {
                                   absl::StrAppend(out, row[0].value_or(""),
                                                   " (connections: ", row[1].value_or(""), ")");
                                 }),
                   ". Stop all services, and run it again when their processes have ended"));
}

void ServerRestore::Take(int partition, const bus::Record& record) {
  const bus::Event& event = record.event;
  const auto source = last_.find(event.source);
  if (source == last_.end()) return;
  report_.history = std::max(report_.history, outbox::HistoryOf(event.sequence) + 1);
  if (event.sequence <= source->second) return;
  report_.abandoned.push_back({partition, record.offset, event.source, event.type, event.subject,
                               event.key, event.sequence});
}

absl::Status ServerRestore::ReadPartition(bus::KafkaLogReader& topic, int partition) {
  const auto bounds = topic.AskBounds(partition);
  if (!bounds.ok()) return bounds.status();
  const int64_t position = lowest_[partition];
  if (position < bounds->first || position > bounds->end) {
    return absl::FailedPreconditionError(absl::StrCat(
        "partition ", partition, " of topic ", options_.topic, " has the offsets from ",
        bounds->first, " up to, not including, ", bounds->end,
        ", and the services of this backup go on at ", position,
        position > bounds->end
            ? ": it is another topic, or one that has lost events. Name the topic that they used"
            : ": its retention has removed what they have still to read. Use a younger backup"));
  }
  for (int64_t offset = position; offset < bounds->end;) {
    const auto records = topic.ReadRange(partition, offset, kRecordsAtOnce);
    if (!records.ok()) return records.status();
    if (records->empty()) break;  // offsets without a record
    for (const bus::RecordPtr& record : *records) {
      offset = record->offset + 1;
      Take(partition, *record);
    }
  }
  return absl::OkStatus();
}

absl::Status ServerRestore::ReadTopic() {
  bus::KafkaLogReaderOptions reader;
  reader.client = options_.kafka;
  reader.topic = options_.topic;
  reader.clock = options_.server.clock;
  const auto topic = bus::OpenKafkaLogReader(reader);
  if (!topic.ok()) return topic.status();
  for (const BackedUpService& service : report_.manifest.services()) {
    if (service.partitions() != 0 && service.partitions() != (*topic)->partitions()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "topic ", options_.topic, " has ", (*topic)->partitions(), " partitions, and ",
          service.service(), " worked with one of ", service.partitions(),
          ": it is another topic. Name the one that the services used"));
    }
    std::map<int, int64_t> positions;
    for (const BackedUpPosition& position : service.positions()) {
      positions[position.partition()] = position.next_offset();
    }
    for (int partition = 0; partition < (*topic)->partitions(); ++partition) {
      // A service begins a partition without a position at 0.
      const int64_t next = positions[partition];
      const auto [lowest, is_first] = lowest_.emplace(partition, next);
      if (!is_first) lowest->second = std::min(lowest->second, next);
    }
  }
  Say(absl::StrCat("reading topic ", options_.topic));
  for (int partition = 0; partition < (*topic)->partitions(); ++partition) {
    if (absl::Status s = ReadPartition(**topic, partition); !s.ok()) return s;
  }
  if (report_.history <= outbox::kMaxHistory) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("history ", report_.history, " is beyond the last, ", outbox::kMaxHistory));
}

absl::Status ServerRestore::RemoveLeftovers(const Target& target) {
  if (target.leftovers.empty()) return absl::OkStatus();
  Say("removing what an interrupted restore has left");
  const std::string schemas =
      absl::StrJoin(target.leftovers, ", ", [&](std::string* out, const std::string& schema) {
        absl::StrAppend(out, target.session->Quoted(schema));
      });
  return target.session->Run(absl::StrCat("DROP SCHEMA ", schemas, " CASCADE")).status();
}

absl::Status ServerRestore::Load(const Target& target,
                                 std::initializer_list<const char*> sections) {
  for (const std::string& service : target.database.services) {
    std::vector<std::string> words = {"pg_restore", "--single-transaction", "--no-password",
                                      absl::StrCat("--dbname=", target.database.uri)};
    for (const char* section : sections) words.push_back(absl::StrCat("--section=", section));
    words.push_back(absl::StrCat(options_.folder, "/", DumpName(service)));
    if (absl::Status s = RunCommand(words); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// From now on every program refuses the schemas, also one that is started by mistake.
absl::Status ServerRestore::Mark(const Target& target) {
  PostgresSession& session = *target.session;
  return session.Transaction([&]() -> absl::Status {
    for (const std::string& service : target.database.services) {
      const auto marked =
          session.Run(absl::StrCat("INSERT INTO ", TableName(session, service, "schema_migrations"),
                                   " (component, number, serves_from, name, sql, applied_at) "
                                   "VALUES ($1, 1, 1, $2, $3, 0)"),
                      {store::kUnfinished, kMark, kWayOut});
      if (!marked.ok()) return marked.status();
    }
    return absl::OkStatus();
  });
}

// Whatever a source published between the end of its backup and the beginning of this history is on
// the topic, and nobody stands for it any more.
absl::Status ServerRestore::BeginHistory(PostgresSession& session, const std::string& service) {
  const std::string beginning = absl::StrCat(outbox::BeginningOf(report_.history));
  const auto sequence = FindOutboxSequence(session, service);
  if (!sequence.ok()) return sequence.status();
  const auto counted = session.Run("SELECT setval(CAST($1 AS regclass), CAST($2 AS bigint))",
                                   {*sequence, beginning});
  if (!counted.ok()) return counted.status();
  for (const auto& [source, last] : last_) {
    const auto noted = session.Run(
        absl::StrCat("INSERT INTO ", TableName(session, service, "abandoned_events"),
                     " (source, after_sequence, until_sequence, restored_at) VALUES ($1, "
                     "CAST($2 AS bigint), CAST($3 AS bigint), CAST($4 AS bigint))"),
        {source, absl::StrCat(last), beginning,
         absl::StrCat(time::ToMicros(options_.server.clock->Now()))});
    if (!noted.ok()) return noted.status();
  }
  return absl::OkStatus();
}

absl::Status ServerRestore::BeginHistory(const Target& target) {
  return target.session->Transaction([&]() -> absl::Status {
    for (const std::string& service : target.database.services) {
      if (absl::Status s = BeginHistory(*target.session, service); !s.ok()) return s;
    }
    return absl::OkStatus();
  });
}

absl::Status ServerRestore::Unmark(const Target& target) {
  PostgresSession& session = *target.session;
  return session.Transaction([&]() -> absl::Status {
    for (const std::string& service : target.database.services) {
      const auto unmarked =
          session.Run(absl::StrCat("DELETE FROM ", TableName(session, service, "schema_migrations"),
                                   " WHERE component = $1"),
                      {store::kUnfinished});
      if (!unmarked.ok()) return unmarked.status();
    }
    return absl::OkStatus();
  });
}

// All that can be refused is looked at before anything is changed.
absl::StatusOr<ServerRestoreReport> ServerRestore::Run() {
  if (absl::Status s = ReadBackup(); !s.ok()) return s;
  if (absl::Status s = Connect(); !s.ok()) return s;
  absl::Status s = ForEachTarget([&](Target& target) { return CheckTarget(target); });
  if (!s.ok()) return s;
  if (s = ReadTopic(); !s.ok()) return s;
  s = ForEachTarget([&](Target& target) { return RemoveLeftovers(target); });
  if (!s.ok()) return s;
  s = ForEachTarget([&](Target& target) -> absl::Status {
    Say(absl::StrCat("restoring ", target.session->name()));
    if (absl::Status made = Load(target, {"pre-data"}); !made.ok()) return made;
    return Mark(target);
  });
  if (!s.ok()) return s;
  s = ForEachTarget([&](Target& target) { return Load(target, {"data", "post-data"}); });
  if (!s.ok()) return s;
  // Connections that stood idle for so long may be gone.
  if (s = Connect(); !s.ok()) return s;
  Say("counting rows for the planner");
  s = ForEachTarget([](Target& target) { return target.session->Run("ANALYZE").status(); });
  if (!s.ok()) return s;
  // All histories have begun before the first schema may be served.
  s = ForEachTarget([&](Target& target) { return BeginHistory(target); });
  if (!s.ok()) return s;
  s = ForEachTarget([&](Target& target) { return Unmark(target); });
  if (!s.ok()) return s;
  return std::move(report_);
}

}  // namespace

absl::StatusOr<ServerRestoreReport> RestoreServer(const ServerRestoreOptions& options) {
  return ServerRestore(options).Run();
}

}  // namespace tandem::backup
