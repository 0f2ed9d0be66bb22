// Copies the database of services on PostgreSQL while they work, as it is at one instant.
#ifndef TANDEM_COMMON_SERVER_BACKUP_SERVER_BACKUP_H_
#define TANDEM_COMMON_SERVER_BACKUP_SERVER_BACKUP_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/backup/backup.pb.h"
#include "common/time/clock.h"

namespace tandem::backup {

struct ServerOptions {
  // The database of each service, by its name, which is also its schema's: the same for all, or
  // several of one server. The role owns the schemas, or is a member of the roles that do.
  std::map<std::string, std::string> uris;
  std::string application_name;        // of the connections
  const time::Clock* clock = nullptr;  // outlives the call
  std::string version;                 // of this program
  // Told what is done now, a line at a time. May be empty.
  std::function<void(const std::string& line)> say;
};

struct ServerBackupReport {
  BackupManifest manifest;
  absl::Duration stood_still;  // for how long no event could be written
};

// Dumps all schemas as they are at one instant into `folder`, which is made (0700) if it is absent
// and else is empty. Events wait for the milliseconds in which the snapshot is taken, so that it is
// known which sequences had been given by then; nobody waits for the dumps, which pg_dump makes.
// Blocks. After a failure the folder is as before, or empty.
//   FAILED_PRECONDITION  a schema is not in its database; the databases are of several servers,
//                        which have no instant in common; a schema is behind, or was never filled
//                        to its end; or the folder holds something
//   NOT_FOUND            pg_dump is not installed
//   ABORTED              pg_dump failed; the message has its own words
//   UNAVAILABLE          no server, or a transaction that has been open for long keeps its lock
absl::StatusOr<ServerBackupReport> BackUpServer(const ServerOptions& options,
                                                const std::string& folder);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_SERVER_BACKUP_SERVER_BACKUP_H_
