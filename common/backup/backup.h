// A backup of all databases of one process while it serves: one consistent cut.
#ifndef TANDEM_COMMON_BACKUP_BACKUP_H_
#define TANDEM_COMMON_BACKUP_BACKUP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/backup/backup.pb.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/store/commit_barrier.h"
#include "common/time/clock.h"

namespace tandem::backup {

struct BackupOptions {
  // FOLDER/NAME of each database, open in this process with `barrier`.
  std::string data;
  std::vector<std::string> databases;  // "survey.db"
  std::vector<std::string> files;      // others of the folder, copied if they are there
  store::CommitBarrier* barrier = nullptr;
  const time::Clock* clock = nullptr;
  std::string version;  // of this program
};

struct BackupProgress {
  int64_t bytes_done = 0, bytes_total = 0;
  absl::Duration stood_still;  // for how long no commit could begin
};

// Copies everything into `folder`, which is made (0700) if it is absent and else is empty. Commits
// stand still while a read transaction is begun on every file, which takes microseconds each; then
// each file is copied from its own. So the copy is what a kill -9 at that instant would have left:
// all that was acknowledged before, and nothing half done. Blocks. `progress` is called now and
// then; false ends it with CANCELLED. What fails leaves a folder without a manifest, which nobody
// restores.
//   FAILED_PRECONDITION  the folder holds something
//   RESOURCE_EXHAUSTED, DATA_LOSS, …  as SqliteSnapshot
absl::StatusOr<BackupManifest> TakeBackup(const BackupOptions& options, const std::string& folder,
                                          absl::FunctionRef<bool(const BackupProgress&)> progress);

// One backup at a time, asked for and looked at by RPC. Any thread; the backup itself is a step of
// `executor`, which it holds up: give it one of its own. All given outlive it.
class BackupJob {
 public:
  BackupJob(BackupOptions options, executor::Executor* executor)
      : options_(std::move(options)), scope_(executor) {}
  // Ends a backup that is under way.
  ~BackupJob();

  enum class State { kNone, kUnderWay, kDone, kFailed };
  struct Status {
    State state = State::kNone;
    std::string folder;
    BackupProgress progress;
    BackupManifest manifest;  // when done
    absl::Status failure;     // when failed
  };

  // INVALID_ARGUMENT for a path that is not absolute, FAILED_PRECONDITION while another is under
  // way; asked again for the folder under way it is the same backup.
  absl::Status Begin(const std::string& folder);
  // Of the last one.
  Status status() const;

 private:
  void Run(const std::string& folder);

  const BackupOptions options_;
  std::atomic<bool> ending_ = false;
  mutable absl::Mutex mutex_;
  Status status_ ABSL_GUARDED_BY(mutex_);
  executor::Scope scope_;
};

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_BACKUP_BACKUP_H_
