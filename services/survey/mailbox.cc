#include "services/survey/mailbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/config/views.h"

namespace tandem::survey {

using config::Absl;

namespace {

// Whatever a disk says may pass: space is freed, a folder is mounted again. So it is tried again
// rather than given up, and the name of the file helps whoever looks.
absl::Status DiskError(std::string_view what, const std::string& path) {
  const int error = errno;
  return absl::UnavailableError(
      absl::StrCat("mailbox: ", Absl(what), " ", path, ": ", std::strerror(error)));
}

absl::Status CheckName(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 200 && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError("mailbox: a letter's name is [A-Za-z0-9_.-], no dot in front");
}

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileMailbox>> FileMailbox::Open(std::string folder,
                                                               Durability durability) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return DiskError("making", folder);
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) return DiskError("looking at", folder);
  if (!S_ISDIR(found.st_mode)) {
    return absl::UnavailableError(absl::StrCat("mailbox: ", folder, " is no folder"));
  }
  return std::unique_ptr<FileMailbox>(new FileMailbox(std::move(folder), durability));
}

absl::Status FileMailbox::Put(std::string_view name, std::string_view letter) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  const std::string path = absl::StrCat(folder_, "/", Absl(name));
  const std::string under_way = absl::StrCat(folder_, "/.", Absl(name), ".part");
  // What a crash left behind, or somebody put there to be written through.
  if (::unlink(under_way.c_str()) != 0 && errno != ENOENT) return DiskError("clearing", under_way);
  const int file =
      ::open(under_way.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return DiskError("making", under_way);
  absl::Cleanup forget = [&] { ::unlink(under_way.c_str()); };
  bool written = WriteAll(file, letter);
  if (written && durability_ == Durability::kFull) written = ::fsync(file) == 0;
  absl::Status status;
  if (!written) status = DiskError("writing", under_way);
  if (::close(file) != 0 && status.ok()) status = DiskError("closing", under_way);
  if (!status.ok()) return status;
  if (::rename(under_way.c_str(), path.c_str()) != 0) return DiskError("naming", path);
  std::move(forget).Cancel();
  return SyncFolder();
}

absl::Status FileMailbox::Remove(std::string_view name) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  const std::string path = absl::StrCat(folder_, "/", Absl(name));
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return DiskError("removing", path);
  }
  return SyncFolder();
}

absl::Status FileMailbox::SyncFolder() const {
  if (durability_ == Durability::kOff) return absl::OkStatus();
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return DiskError("opening", folder_);
  absl::Status status;
  if (::fsync(folder) != 0) status = DiskError("syncing", folder_);
  ::close(folder);
  return status;
}

}  // namespace tandem::survey
