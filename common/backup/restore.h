// Brings a backup back into a folder, offline.
#ifndef TANDEM_COMMON_BACKUP_RESTORE_H_
#define TANDEM_COMMON_BACKUP_RESTORE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/backup/backup.pb.h"
#include "common/time/clock.h"

namespace tandem::backup {

struct RestoreOptions {
  std::string backup;  // the folder of the backup, which is not changed
  std::string data;    // the folder to restore into: empty or absent
  // The history (common/outbox/sequence.h) is at least this one: for a backup that was restored
  // before, whose readers have seen the numbers of that restore too.
  int64_t at_least_history = 0;
  const time::Clock* clock = nullptr;
  // The command that is run again if this one is killed; for messages.
  std::string command;
  // Told what is done now, a line at a time. May be empty.
  std::function<void(const std::string& line)> say;
};

struct RestoreReport {
  BackupManifest manifest;
  int64_t history = 0;  // that the services' sequences begin now
};

// Checks that the backup is whole, copies it, and begins a new history in every service's outbox.
// Blocks. Until it has come to its end every program refuses the folder and says how to go on, and
// run again it starts over. Errors say what to do:
//   NOT_FOUND            no whole backup
//   FAILED_PRECONDITION  the folder holds something else, or is in use; or the backup is of
//                        PostgreSQL (common/server_backup)
//   DATA_LOSS            the backup is damaged
absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_BACKUP_RESTORE_H_
