// Brings a backup of PostgreSQL back beside a topic that has outlived the database.
#ifndef TANDEM_COMMON_SERVER_BACKUP_SERVER_RESTORE_H_
#define TANDEM_COMMON_SERVER_BACKUP_SERVER_RESTORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/backup/backup.pb.h"
#include "common/kafka/kafka_client.h"
#include "common/server_backup/server_backup.h"

namespace tandem::backup {

struct ServerRestoreOptions {
  // Each service goes where its URI says, wherever it was before. The role may also make schemas
  // and give them to their owners.
  ServerOptions server;
  std::string folder;  // of the backup, which is not changed
  bus::KafkaClientOptions kafka;
  std::string topic;
  // What the services' connections call themselves: none may be open while this runs.
  std::vector<std::string> programs;
  // The history (common/outbox/sequence.h) is at least this one.
  int64_t at_least_history = 0;
};

// An event on the topic that its restored source has not committed.
struct AbandonedEvent {
  int partition = 0;
  int64_t offset = 0;
  std::string source, type, subject, key;
  int64_t sequence = 0;
};

struct ServerRestoreReport {
  BackupManifest manifest;
  int64_t history = 0;                    // that the services' sequences begin now
  std::vector<AbandonedEvent> abandoned;  // by partition and offset
};

// Reads the topic from the lowest stored position on, restores the dumps, begins a history above
// every sequence on the topic, and notes for every service which events of which source are skipped
// from then on. Nothing is written to the topic. Blocks. Until it has come to its end no program
// serves the schemas; run again, it starts over.
//   FAILED_PRECONDITION  a schema that holds data is there, or a service is connected; the topic
//                        has lost what the services have still to read, or is another one
//   NOT_FOUND            no whole backup, no topic, or pg_restore is not installed
//   DATA_LOSS            the backup is damaged
//   ABORTED              pg_restore failed; the message has its own words
//   UNAVAILABLE          no server or broker
absl::StatusOr<ServerRestoreReport> RestoreServer(const ServerRestoreOptions& options);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_SERVER_BACKUP_SERVER_RESTORE_H_
