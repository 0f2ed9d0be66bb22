#include "common/backup/backup.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backup/manifest.h"
#include "common/store/durable_file.h"
#include "common/store/sqlite_snapshot.h"
#include "common/time/stamp.h"

namespace tandem::backup {
namespace {

namespace fs = std::filesystem;
using store::SqliteSnapshot;

}  // namespace

absl::StatusOr<BackupManifest> TakeBackup(const BackupOptions& options, const std::string& folder,
                                          absl::FunctionRef<bool(const BackupProgress&)> progress) {
  if (absl::Status s = MakeEmptyFolder(folder); !s.ok()) return s;
  std::vector<std::unique_ptr<SqliteSnapshot>> snapshots;
  for (const std::string& name : options.databases) {
    auto snapshot = SqliteSnapshot::Prepare(absl::StrCat(options.data, "/", name));
    if (!snapshot.ok()) return snapshot.status();
    snapshots.push_back(*std::move(snapshot));
  }
  BackupManifest manifest;
  manifest.set_version(options.version);
  BackupProgress state;
  absl::Status begun;
  options.barrier->StandStill([&] {
    const absl::Time before = options.clock->Now();
    *manifest.mutable_taken_at() = time::Stamp(before);
    for (const auto& snapshot : snapshots) {
      if (begun.ok()) begun = snapshot->Begin();
    }
    state.stood_still = options.clock->Now() - before;
  });
  if (!begun.ok()) return begun;
  for (const auto& snapshot : snapshots) {
    const absl::StatusOr<int64_t> bytes = snapshot->bytes();
    if (!bytes.ok()) return bytes.status();
    state.bytes_total += *bytes;
  }

  int64_t before_this = 0;
  for (size_t i = 0; i < snapshots.size(); ++i) {
    const std::string& name = options.databases[i];
    absl::Status copied = snapshots[i]->CopyTo(absl::StrCat(folder, "/", name), [&](int64_t done) {
      state.bytes_done = before_this + done;
      return progress(state);
    });
    if (!copied.ok()) return copied;
    before_this = state.bytes_done;
    // The write-ahead log is let go of as early as can be.
    snapshots[i].reset();
    absl::StatusOr<BackupFile> file = Describe(folder, name);
    if (!file.ok()) return file.status();
    file->set_is_database(true);
    *manifest.add_files() = *std::move(file);
  }
  for (const std::string& name : options.files) {
    const std::string from = absl::StrCat(options.data, "/", name);
    const std::string to = absl::StrCat(folder, "/", name);
    std::error_code error;
    if (!fs::exists(from, error)) continue;
    if (!fs::copy_file(from, to, error)) return store::FileError("copy", from, error.value());
    if (absl::Status s = store::SyncPath(to); !s.ok()) return s;
    absl::StatusOr<BackupFile> file = Describe(folder, name);
    if (!file.ok()) return file.status();
    *manifest.add_files() = *std::move(file);
  }
  if (absl::Status s = store::SyncPath(folder); !s.ok()) return s;
  if (absl::Status s = WriteManifest(folder, manifest); !s.ok()) return s;
  return manifest;
}

BackupJob::~BackupJob() {
  ending_.store(true);
  scope_.Close();
}

absl::Status BackupJob::Begin(const std::string& folder) {
  if (!fs::path(folder).is_absolute()) {
    return absl::InvalidArgumentError("the folder must be an absolute path");
  }
  const absl::MutexLock lock(&mutex_);
  if (status_.state == State::kUnderWay) {
    if (status_.folder == folder) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("a backup into ", status_.folder, " is under way; wait for its end"));
  }
  status_ = Status();
  status_.state = State::kUnderWay;
  status_.folder = folder;
  scope_.Post([this, folder] { Run(folder); });
  return absl::OkStatus();
}

void BackupJob::Run(const std::string& folder) {
  absl::StatusOr<BackupManifest> taken =
      TakeBackup(options_, folder, [this](const BackupProgress& progress) {
        const absl::MutexLock lock(&mutex_);
        status_.progress = progress;
        return !ending_.load();
      });
  const absl::MutexLock lock(&mutex_);
  status_.state = taken.ok() ? State::kDone : State::kFailed;
  if (taken.ok()) {
    status_.manifest = *std::move(taken);
  } else {
    status_.failure = taken.status();
  }
}

BackupJob::Status BackupJob::status() const {
  const absl::MutexLock lock(&mutex_);
  return status_;
}

}  // namespace tandem::backup
