#include "common/store/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace tandem::store {

absl::Status FileError(std::string_view doing, std::string_view path, int error) {
  return absl::ErrnoToStatus(error,
                             absl::StrCat("cannot ", std::string(doing), " ", std::string(path)));
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileError("read", path, errno);
    if (size == 0) return content;
    content.append(buffer, static_cast<size_t>(size));
  }
}

absl::Status AppendDurably(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("open", path, errno);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  const ssize_t size = write(fd, text.data(), text.size());
  if (size < 0) return FileError("write", path, errno);
  if (static_cast<size_t>(size) != text.size()) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot write all of ", path));
  }
  if (fsync(fd) != 0) return FileError("sync", path, errno);
  return SyncPath(std::filesystem::path(path).parent_path().string());
}

absl::Status SyncPath(const std::string& path) {
  const int fd = open(path.empty() ? "." : path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path, errno);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  return fsync(fd) == 0 ? absl::OkStatus() : FileError("sync", path, errno);
}

}  // namespace tandem::store
