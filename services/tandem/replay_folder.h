// The folder of a replay's databases. They are written without waiting for the disk, so what a
// killed run left is worth nothing: a marker stands in the folder until the end, and the next run
// starts over.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_FOLDER_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_FOLDER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/store/file_lock.h"

namespace tandem::programs {

// Held from Open until destruction. One thread.
class ReplayFolder {
 public:
  static constexpr char kIncomplete[] = "replay.incomplete";
  static constexpr char kComplete[] = "replay.complete";

  // Makes the folder if it is absent, deletes the databases of an earlier replay by name
  // (`databases`, without ".db"), and marks it incomplete. FAILED_PRECONDITION for a folder that
  // holds anything that no replay made, which is named and nothing is deleted, or that another
  // replay is using.
  static absl::StatusOr<ReplayFolder> Open(const std::string& path,
                                           const std::vector<std::string>& databases);
  // FAILED_PRECONDITION if the folder holds a replay, whole or not: its databases were written
  // without waiting for the disk and have no log, so that nobody may serve them.
  static absl::Status CheckServable(const std::string& path);
  // The replay has come to its end.
  absl::Status Complete();

 private:
  ReplayFolder(std::string path, store::FileLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  store::FileLock lock_;
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_FOLDER_H_
