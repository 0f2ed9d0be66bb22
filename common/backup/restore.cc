#include "common/backup/restore.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/manifest.h"
#include "common/inbox/abandoned.h"
#include "common/outbox/counter.h"
#include "common/outbox/sequence.h"
#include "common/store/durable_file.h"
#include "common/store/file_lock.h"
#include "common/store/folder_list.h"
#include "common/store/sqlite.h"
#include "common/time/micros.h"

namespace tandem::backup {
namespace {

namespace fs = std::filesystem;

// The files stand in here until all of them are ready.
constexpr char kStaging[] = "tandem.restoring";
constexpr char kLock[] = "tandem.restore";  // the lock file is tandem.restore.lock

// Whether nothing stands in the folder but what an earlier attempt left.
absl::Status CheckTarget(const std::string& folder, const BackupManifest& manifest) {
  std::error_code error;
  const bool is_unfinished = fs::exists(absl::StrCat(folder, "/", store::kFolderUnfinished), error);
  std::set<std::string> ours = {absl::StrCat(kLock, ".lock")};
  if (is_unfinished) {
    ours.insert({store::kFolderUnfinished, store::kFolderList, kStaging});
    for (const BackupFile& file : manifest.files()) {
      ours.insert({file.name(), absl::StrCat(file.name(), ".lock")});
    }
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (ours.contains(name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " holds ", name, "; restore into a folder that is empty or absent"));
  }
  return error ? store::FileError("look into", folder, error.value()) : absl::OkStatus();
}

absl::Status RemoveLeftovers(const std::string& folder, const BackupManifest& manifest) {
  std::error_code error;
  std::vector<std::string> names = {kStaging, store::kFolderList};
  for (const BackupFile& file : manifest.files()) names.push_back(file.name());
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(folder, "/", name);
    fs::remove_all(path, error);
    if (error) return store::FileError("remove", path, error.value());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<store::Store>> OpenCopy(const std::string& path) {
  store::SqliteOptions options;
  options.path = path;
  return store::OpenSqlite(std::move(options));
}

// A service's outbox and how far it had counted.
struct Outbox {
  std::string service;
  std::unique_ptr<store::Store> store;
  int64_t last = 0;
};

// The outbox counts from the history's beginning; and what any service publishes between the end of
// its backup and that beginning is nobody's any more.
absl::Status BeginHistory(store::Store& store, const std::vector<Outbox>& sources, int64_t history,
                          int64_t restored_at_us) {
  const int64_t beginning = outbox::BeginningOf(history);
  std::vector<store::Write> lines = outbox::SetLastSequence(beginning);
  for (const Outbox& source : sources) {
    lines.push_back(inbox::NoteAbandoned(source.service, source.last, beginning, restored_at_us));
  }
  const store::CommitResult result = store.Commit(lines);
  if (result.kind == store::CommitResult::Kind::kCommitted) return absl::OkStatus();
  return result.status.ok() ? absl::InternalError("the outbox takes no new history")
                            : result.status;
}

// All outboxes of one restore begin the same history: above that of each.
absl::StatusOr<int64_t> BeginHistories(const std::string& staging, const BackupManifest& manifest,
                                       int64_t at_least, int64_t restored_at_us) {
  int64_t history = std::max<int64_t>(at_least, 1);
  std::vector<Outbox> outboxes;
  for (const BackupFile& file : manifest.files()) {
    if (!file.is_database()) continue;
    auto store = OpenCopy(absl::StrCat(staging, "/", file.name()));
    if (!store.ok()) return store.status();
    const auto last = outbox::LastSequence((*store)->reader());
    if (!last.ok()) return last.status();
    if (!last->has_value()) continue;
    history = std::max(history, outbox::HistoryOf(**last) + 1);
    outboxes.push_back({fs::path(file.name()).stem().string(), *std::move(store), **last});
  }
  if (history > outbox::kMaxHistory) {
    return absl::OutOfRangeError(
        absl::StrCat("history ", history, " is beyond the last, ", outbox::kMaxHistory));
  }
  for (const Outbox& outbox : outboxes) {
    if (absl::Status s = BeginHistory(*outbox.store, outboxes, history, restored_at_us); !s.ok()) {
      return s;
    }
  }
  return history;
}

}  // namespace

absl::StatusOr<RestoreReport> Restore(const RestoreOptions& options) {
  const auto say = [&](const std::string& line) {
    if (options.say) options.say(line);
  };
  RestoreReport report;
  absl::StatusOr<BackupManifest> manifest = ReadManifest(options.backup);
  if (!manifest.ok()) return manifest.status();
  report.manifest = *std::move(manifest);
  if (report.manifest.services_size() > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        options.backup, " is a backup of PostgreSQL; restore it into a database with --store"));
  }
  say(absl::StrCat("checking ", report.manifest.files_size(), " files"));
  if (absl::Status s = CheckFiles(options.backup, report.manifest); !s.ok()) return s;

  std::error_code error;
  const bool is_new = fs::create_directories(options.data, error);
  if (error) return store::FileError("make", options.data, error.value());
  if (is_new) fs::permissions(options.data, fs::perms::owner_all, error);
  if (error) return store::FileError("protect", options.data, error.value());
  if (absl::Status s = CheckTarget(options.data, report.manifest); !s.ok()) return s;
  const auto lock = store::FileLock::Take(absl::StrCat(options.data, "/", kLock));
  if (!lock.ok()) return lock.status();
  absl::Status marked = store::MarkFolderUnfinished(
      options.data,
      absl::StrCat("a restore into this folder has not come to its end. Run it again, "
                   "and it starts over: `",
                   options.command, "`"));
  if (!marked.ok()) return marked;
  if (absl::Status s = RemoveLeftovers(options.data, report.manifest); !s.ok()) return s;

  const std::string staging = absl::StrCat(options.data, "/", kStaging);
  fs::create_directory(staging, error);
  if (error) return store::FileError("make", staging, error.value());
  for (const BackupFile& file : report.manifest.files()) {
    say(absl::StrCat("copying ", file.name()));
    const std::string copy = absl::StrCat(staging, "/", file.name());
    fs::copy_file(absl::StrCat(options.backup, "/", file.name()), copy, error);
    if (error) return store::FileError("copy", file.name(), error.value());
    fs::permissions(copy, fs::perms::owner_read | fs::perms::owner_write, error);
    if (error) return store::FileError("protect", copy, error.value());
  }
  absl::StatusOr<int64_t> history = BeginHistories(
      staging, report.manifest, options.at_least_history, time::ToMicros(options.clock->Now()));
  if (!history.ok()) return history.status();
  report.history = *history;

  // Closed by now, so that each is one file without a write-ahead log.
  for (const BackupFile& file : report.manifest.files()) {
    const std::string from = absl::StrCat(staging, "/", file.name());
    const std::string to = absl::StrCat(options.data, "/", file.name());
    if (absl::Status s = store::SyncPath(from); !s.ok()) return s;
    fs::rename(from, to, error);
    if (error) return store::FileError("move", from, error.value());
    if (!file.is_database()) continue;
    if (absl::Status s = store::AddToFolderList(to, store::Durability::kFull); !s.ok()) return s;
  }
  fs::remove_all(staging, error);
  if (error) return store::FileError("remove", staging, error.value());
  if (absl::Status s = store::SyncPath(options.data); !s.ok()) return s;
  if (absl::Status s = store::ClearFolderUnfinished(options.data); !s.ok()) return s;
  return report;
}

}  // namespace tandem::backup
