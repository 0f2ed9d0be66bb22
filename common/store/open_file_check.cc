#include "common/store/open_file_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace tandem::store {
namespace {

absl::Status NoRoom(const std::string& folder, int64_t bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the disk is full: ", folder, " has no room for ", bytes, " bytes; make room"));
}

}  // namespace

absl::StatusOr<OpenFileCheck> OpenFileCheck::Of(std::vector<std::string> paths) {
  OpenFileCheck check;
  for (std::string& path : paths) {
    struct stat now;
    if (stat(path.c_str(), &now) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
    }
    check.files_.push_back({std::move(path), now.st_dev, now.st_ino});
  }
  return check;
}

absl::Status OpenFileCheck::Check() const {
  for (const File& file : files_) {
    struct stat now;
    const bool exists = stat(file.path.c_str(), &now) == 0;
    if (exists && now.st_dev == file.device && now.st_ino == file.inode) continue;
    return absl::UnavailableError(absl::StrCat(
        file.path, exists ? " was replaced" : " was deleted or moved",
        " while it was open. Nothing more is written, because it would be lost at the next start. "
        "Put the folder back as it was, or restart the process with the data that it should "
        "serve"));
  }
  return absl::OkStatus();
}

absl::Status CheckRoom(const std::string& folder, int64_t bytes) {
  struct statvfs room;
  if (statvfs(folder.c_str(), &room) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", folder));
  }
  const uint64_t blocks = geteuid() == 0 ? room.f_bfree : room.f_bavail;
  if (blocks < static_cast<uint64_t>(bytes) / room.f_frsize + 1) return NoRoom(folder, bytes);
  // A quota does not show there: an unnamed file is tried, which goes with its descriptor.
  const int fd = open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOSPC || error == EDQUOT) return NoRoom(folder, bytes);
    // File systems without unnamed files.
    if (error == EOPNOTSUPP || error == EISDIR || error == EINVAL) return absl::OkStatus();
    return absl::ErrnoToStatus(error, absl::StrCat("cannot write to ", folder));
  }
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  const int error = posix_fallocate(fd, 0, bytes);
  if (error == ENOSPC || error == EDQUOT) return NoRoom(folder, bytes);
  if (error == 0 || error == EOPNOTSUPP || error == EINVAL) return absl::OkStatus();
  return absl::ErrnoToStatus(error, absl::StrCat("cannot write to ", folder));
}

}  // namespace tandem::store
