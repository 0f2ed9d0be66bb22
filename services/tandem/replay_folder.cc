#include "services/tandem/replay_folder.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/store/folder_list.h"

namespace tandem::programs {
namespace {

namespace fs = std::filesystem;

constexpr char kLock[] = "replay";  // the lock file is replay.lock

absl::Status Failed(const std::string& path, const std::error_code& error) {
  return absl::UnavailableError(absl::StrCat("data: ", path, ": ", error.message()));
}

struct Content {
  bool is_ours = false;         // a marker of a replay stands there
  std::vector<fs::path> files;  // databases, what belongs to them, and their list
  std::string foreign;          // something that no replay made; empty = nothing
};

absl::StatusOr<Content> Look(const std::string& path, const std::vector<std::string>& databases) {
  std::set<std::string> files, locks = {absl::StrCat(kLock, ".lock")};
  for (const std::string& name : databases) {
    for (const char* suffix : {".db", ".db-wal", ".db-shm", ".db-journal"}) {
      files.insert(absl::StrCat(name, suffix));
    }
    locks.insert(absl::StrCat(name, ".db.lock"));
  }
  files.insert(store::kFolderList);
  Content content;
  std::error_code error;
  fs::directory_iterator entries(path, error);
  if (error) return Failed(path, error);
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name == ReplayFolder::kIncomplete || name == ReplayFolder::kComplete) {
      content.is_ours = true;
    } else if (files.contains(name) && entry.is_regular_file(error)) {
      content.files.push_back(entry.path());
    } else if (!locks.contains(name)) {
      if (content.foreign.empty() || name < content.foreign) content.foreign = name;
    }
  }
  // Databases without a marker are those of a server.
  if (content.foreign.empty() && !content.is_ours && !content.files.empty()) {
    content.foreign = content.files.front().filename().string();
  }
  return content;
}

absl::Status Refuse(const std::string& path, const std::string& foreign) {
  return absl::FailedPreconditionError(
      absl::StrCat("data: ", path, " holds ", foreign,
                   ", which no replay made; name a folder that is empty or absent"));
}

}  // namespace

absl::StatusOr<ReplayFolder> ReplayFolder::Open(const std::string& path,
                                                const std::vector<std::string>& databases) {
  std::error_code error;
  const bool is_new = fs::create_directories(path, error);
  if (error) return Failed(path, error);
  if (is_new) fs::permissions(path, fs::perms::owner_all, error);
  // Before anything is written into a folder that is somebody else's.
  absl::StatusOr<Content> content = Look(path, databases);
  if (!content.ok()) return content.status();
  if (!content->foreign.empty()) return Refuse(path, content->foreign);
  absl::StatusOr<store::FileLock> lock = store::FileLock::Take(absl::StrCat(path, "/", kLock));
  if (!lock.ok()) return lock.status();
  content = Look(path, databases);
  if (!content.ok()) return content.status();
  if (!content->foreign.empty()) return Refuse(path, content->foreign);

  // The marker first: whenever this is killed, the folder is a replay's and not complete.
  const std::string marker = absl::StrCat(path, "/", kIncomplete);
  std::ofstream file(marker, std::ios::trunc);
  file << "A replay is under way here or was killed. The next one starts over.\n";
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("data: cannot write ", marker));
  fs::remove(absl::StrCat(path, "/", kComplete), error);
  if (error) return Failed(path, error);
  // The list first: it must not name a database that is gone.
  fs::remove(absl::StrCat(path, "/", store::kFolderList), error);
  if (error) return Failed(path, error);
  for (const fs::path& stale : content->files) {
    fs::remove(stale, error);
    if (error) return Failed(stale.string(), error);
  }
  return ReplayFolder(path, *std::move(lock));
}

absl::Status ReplayFolder::CheckServable(const std::string& path) {
  for (const char* marker : {kIncomplete, kComplete}) {
    std::error_code error;
    if (!fs::exists(absl::StrCat(path, "/", marker), error)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "data: ", path, " holds a replay (", marker,
        "), which was written without waiting for the disk and cannot be served; name another "
        "folder, which is made if it is absent"));
  }
  return absl::OkStatus();
}

absl::Status ReplayFolder::Complete() {
  std::error_code error;
  fs::rename(absl::StrCat(path_, "/", kIncomplete), absl::StrCat(path_, "/", kComplete), error);
  return error ? Failed(path_, error) : absl::OkStatus();
}

}  // namespace tandem::programs
