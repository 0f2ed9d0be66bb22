#include "common/server_backup/server_backup.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/backup/manifest.h"
#include "common/postgres/postgres_session.h"
#include "common/server_backup/command.h"
#include "common/server_backup/schemas.h"
#include "common/store/durable_file.h"
#include "common/store/migration_plan.h"
#include "common/time/stamp.h"

namespace tandem::backup {
namespace {

using store::PostgresSession;

// Writers queue behind a lock that is waited for. First short, as most commits are; then longer
// than the second after which a vacuum gives way, and shorter than the 2 s for which writers wait.
constexpr absl::Duration kFirstLockWaits = absl::Milliseconds(200);
constexpr absl::Duration kLaterLockWaits = absl::Milliseconds(1500);
constexpr int kShortAttempts = 10;
constexpr int kAttempts = 20;
constexpr absl::Duration kBackupPatience = absl::Minutes(10);

// A database of the backup.
struct Source {
  ServiceDatabase database;
  std::unique_ptr<PostgresSession> locker;  // keeps writers of events away
  std::unique_ptr<PostgresSession> reader;  // holds the snapshot
  std::string snapshot;
};

class ServerBackup {
 public:
  ServerBackup(const ServerOptions& options, std::string folder)
      : options_(options), folder_(std::move(folder)) {}

  absl::StatusOr<ServerBackupReport> Run();

 private:
  absl::Status Connect();
  absl::Status CheckServer();
  absl::Status CheckSchemas(const Source& source);
  absl::Status CheckSchema(PostgresSession& reader, const std::string& service);
  absl::Status TakeSnapshots();
  absl::Status LockFrom(size_t first, absl::Duration wait);
  absl::Status TakeSnapshotsUnderLock();
  absl::Status TakeSnapshot(Source& source);
  absl::Status ReadCounter(PostgresSession& reader, const std::string& service);
  absl::Status ReadPositions(PostgresSession& reader, BackedUpService* service);
  absl::Status Dump(const Source& source, const std::string& service);
  absl::Status DumpAll();
  void RemoveDumps() const;
  std::string PathOf(const std::string& service) const {
    return absl::StrCat(folder_, "/", DumpName(service));
  }
  void Say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }

  const ServerOptions& options_;
  const std::string folder_;
  std::vector<Source> sources_;
  std::map<std::string, std::string> sequences_;  // of the outbox, by service
  bool has_locked_ = false;
  ServerBackupReport report_;
};

absl::Status ServerBackup::Connect() {
  for (ServiceDatabase& database : GroupByDatabase(options_.uris)) {
    Source source;
    source.database = std::move(database);
    store::PostgresOptions options;
    options.uri = source.database.uri;
    options.application_name = options_.application_name;
    for (auto* session : {&source.locker, &source.reader}) {
      auto opened = PostgresSession::Open(options, kLaterLockWaits, kBackupPatience);
      if (!opened.ok()) return opened.status();
      *session = *std::move(opened);
    }
    // A snapshot is there until the last dump has begun, however long those before it take.
    const auto idle = source.reader->Run("SET idle_in_transaction_session_timeout = 0");
    if (!idle.ok()) return idle.status();
    sources_.push_back(std::move(source));
  }
  return absl::OkStatus();
}

absl::Status ServerBackup::CheckServer() {
  std::map<std::string, std::string> names;  // a database of it, by the server's own number
  for (const Source& source : sources_) {
    const auto rows = source.reader->Run("SELECT system_identifier FROM pg_control_system()");
    if (!rows.ok()) return rows.status();
    names.emplace(rows->front()[0].value_or(""), source.reader->name());
  }
  if (names.size() <= 1) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      absl::StrJoin(names, " and ",
                    [](std::string* out, const auto& name) { absl::StrAppend(out, name.second); }),
      " are databases of different servers, which are not restored to one instant. Keep the "
      "schemas of all services on one server"));
}

absl::Status ServerBackup::CheckSchemas(const Source& source) {
  const auto schemas = FindSchemas(*source.reader, source.database.services);
  if (!schemas.ok()) return schemas.status();
  if (schemas->size() != source.database.services.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        source.reader->name(), " has ",
        schemas->empty() ? "none" : absl::StrCat("only ", absl::StrJoin(*schemas, ", ")),
        " of the schemas ", absl::StrJoin(source.database.services, ", "),
        ". A backup is one instant of all services: name the database of each"));
  }
  for (const std::string& service : source.database.services) {
    if (absl::Status s = CheckSchema(*source.reader, service); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// What a restore could not make use of is not backed up.
absl::Status ServerBackup::CheckSchema(PostgresSession& reader, const std::string& service) {
  absl::StatusOr<std::string> sequence = FindOutboxSequence(reader, service);
  if (!sequence.ok()) return sequence.status();
  sequences_[service] = *std::move(sequence);
  const auto noted = reader.Run("SELECT 1 WHERE to_regclass($1) IS NOT NULL",
                                {TableName(reader, service, "abandoned_events")});
  if (!noted.ok()) return noted.status();
  if (noted->empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(reader.name(), ": schema ", service,
                     " is older than this program; run its service's `migrate` first"));
  }
  const auto marks =
      reader.Run(absl::StrCat("SELECT name FROM ", TableName(reader, service, "schema_migrations"),
                              " WHERE component IN ($1, $2)"),
                 {store::kUnfinished, store::kMovedAway});
  if (!marks.ok()) return marks.status();
  if (marks->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(reader.name(), ": schema ", service,
                   " is not whole: ", marks->front()[0].value_or(""), " has not come to its end"));
}

absl::Status ServerBackup::TakeSnapshots() {
  absl::Status taken;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const absl::Time from = options_.clock->Now();
    taken = LockFrom(0, attempt < kShortAttempts ? kFirstLockWaits : kLaterLockWaits);
    report_.stood_still = options_.clock->Now() - from;
    // Whoever waited behind the lock has had a turn before it is asked for again.
    if (has_locked_ || !absl::IsUnavailable(taken)) return taken;
  }
  return absl::UnavailableError(absl::StrCat(
      "the outboxes could not be locked: ", taken.message(),
      ". Look in pg_stat_activity for a transaction that has been open for long, and run it again "
      "when that has ended"));
}

// Locks the databases one after another; all locks stand while the snapshots are taken. One
// snapshot of one database is one instant by itself. With several, nobody may answer a request
// between two of them either: what rests on the answer could be in the later one alone.
absl::Status ServerBackup::LockFrom(size_t first, absl::Duration wait) {
  if (first == sources_.size()) return TakeSnapshotsUnderLock();
  PostgresSession& locker = *sources_[first].locker;
  std::vector<std::string> tables;
  for (const std::string& service : sources_[first].database.services) {
    tables.push_back(TableName(locker, service, "outbox"));
    if (sources_.size() > 1) tables.push_back(TableName(locker, service, "request_marks"));
  }
  return locker.Transaction([&]() -> absl::Status {
    const auto limited = locker.Run("SELECT set_config('lock_timeout', $1, true)",
                                    {absl::StrCat(absl::ToInt64Milliseconds(wait))});
    if (!limited.ok()) return limited.status();
    const auto locked =
        locker.Run(absl::StrCat("LOCK TABLE ", absl::StrJoin(tables, ", "), " IN SHARE MODE"));
    if (!locked.ok()) return locked.status();
    return LockFrom(first + 1, wait);
  });
}

// While nobody can write events, every sequence that was given belongs to a transaction that the
// snapshot sees, or to one that was rolled back.
absl::Status ServerBackup::TakeSnapshotsUnderLock() {
  has_locked_ = true;
  *report_.manifest.mutable_taken_at() = time::Stamp(options_.clock->Now());
  for (Source& source : sources_) {
    if (absl::Status s = TakeSnapshot(source); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status ServerBackup::TakeSnapshot(Source& source) {
  const auto begun = source.reader->Run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  if (!begun.ok()) return begun.status();
  const auto exported = source.reader->Run("SELECT pg_export_snapshot()");
  if (!exported.ok()) return exported.status();
  source.snapshot = exported->front()[0].value_or("");
  for (const std::string& service : source.database.services) {
    if (absl::Status s = ReadCounter(*source.reader, service); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// Sequences are not part of a snapshot: this is only right under the lock.
absl::Status ServerBackup::ReadCounter(PostgresSession& reader, const std::string& service) {
  const auto rows = reader.Run(absl::StrCat(
      "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ", sequences_[service]));
  if (!rows.ok()) return rows.status();
  const auto last = ReadNumber(rows->front()[0], absl::StrCat("the last sequence of ", service));
  if (!last.ok()) return last.status();
  BackedUpService* const counted = report_.manifest.add_services();
  counted->set_service(service);
  counted->set_last_sequence(*last);
  return absl::OkStatus();
}

absl::Status ServerBackup::ReadPositions(PostgresSession& reader, BackedUpService* service) {
  const std::string what = absl::StrCat("a position of ", service->service());
  const auto shapes = reader.Run(absl::StrCat("SELECT partitions FROM ",
                                              TableName(reader, service->service(), "bus_shape"),
                                              " WHERE key = 'bus'"));
  if (!shapes.ok()) return shapes.status();
  if (!shapes->empty()) {
    const auto partitions = ReadNumber(shapes->front()[0], what);
    if (!partitions.ok()) return partitions.status();
    service->set_partitions(static_cast<int32_t>(*partitions));
  }
  const auto rows = reader.Run(absl::StrCat("SELECT partition, next_offset FROM ",
                                            TableName(reader, service->service(), "positions"),
                                            " ORDER BY partition"));
  if (!rows.ok()) return rows.status();
  for (const store::TextRow& row : *rows) {
    const auto partition = ReadNumber(row[0], what);
    if (!partition.ok()) return partition.status();
    const auto next_offset = ReadNumber(row[1], what);
    if (!next_offset.ok()) return next_offset.status();
    BackedUpPosition* const position = service->add_positions();
    position->set_partition(static_cast<int32_t>(*partition));
    position->set_next_offset(*next_offset);
  }
  return absl::OkStatus();
}

absl::Status ServerBackup::Dump(const Source& source, const std::string& service) {
  const std::string path = PathOf(service);
  Say(absl::StrCat("dumping ", service));
  absl::Status run =
      RunCommand({"pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=60s",
                  absl::StrCat("--snapshot=", source.snapshot), absl::StrCat("--schema=", service),
                  absl::StrCat("--file=", path), absl::StrCat("--dbname=", source.database.uri)});
  if (!run.ok()) return run;
  // Read back whole.
  run = RunCommand({"pg_restore", "--file=/dev/null", path});
  if (!run.ok()) return run;
  std::error_code error;
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  if (error) return store::FileError("protect", path, error.value());
  if (absl::Status s = store::SyncPath(path); !s.ok()) return s;
  absl::StatusOr<BackupFile> file = Describe(folder_, DumpName(service));
  if (!file.ok()) return file.status();
  *report_.manifest.add_files() = *std::move(file);
  return absl::OkStatus();
}

absl::Status ServerBackup::DumpAll() {
  for (const Source& source : sources_) {
    for (const std::string& service : source.database.services) {
      if (absl::Status s = Dump(source, service); !s.ok()) return s;
    }
  }
  return WriteManifest(folder_, report_.manifest);
}

// Half a dump is no backup, and the next attempt wants an empty folder.
void ServerBackup::RemoveDumps() const {
  for (const auto& [service, uri] : options_.uris) {
    std::error_code ignored;
    std::filesystem::remove(PathOf(service), ignored);
  }
}

absl::StatusOr<ServerBackupReport> ServerBackup::Run() {
  if (absl::Status s = MakeEmptyFolder(folder_); !s.ok()) return s;
  report_.manifest.set_version(options_.version);
  if (absl::Status s = Connect(); !s.ok()) return s;
  if (absl::Status s = CheckServer(); !s.ok()) return s;
  for (const Source& source : sources_) {
    if (absl::Status s = CheckSchemas(source); !s.ok()) return s;
  }
  if (absl::Status s = TakeSnapshots(); !s.ok()) return s;
  int next = 0;  // services were counted in this order
  for (const Source& source : sources_) {
    for (size_t i = 0; i < source.database.services.size(); ++i) {
      absl::Status s = ReadPositions(*source.reader, report_.manifest.mutable_services(next++));
      if (!s.ok()) return s;
    }
  }
  if (absl::Status s = DumpAll(); !s.ok()) {
    RemoveDumps();
    return s;
  }
  return std::move(report_);
}

}  // namespace

absl::StatusOr<ServerBackupReport> BackUpServer(const ServerOptions& options,
                                                const std::string& folder) {
  return ServerBackup(options, folder).Run();
}

}  // namespace tandem::backup
