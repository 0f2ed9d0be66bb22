#include "common/store/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace tandem::store {
namespace {

absl::Status Failed(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", std::string(doing), " ", path));
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("open", path);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed("read", path);
    if (size == 0) return content;
    content.append(buffer, static_cast<size_t>(size));
  }
}

absl::Status AppendDurably(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("open", path);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  const ssize_t size = write(fd, text.data(), text.size());
  if (size < 0) return Failed("write", path);
  if (static_cast<size_t>(size) != text.size()) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot write all of ", path));
  }
  if (fsync(fd) != 0) return Failed("sync", path);
  return SyncPath(std::filesystem::path(path).parent_path().string());
}

absl::Status SyncPath(const std::string& path) {
  const int fd = open(path.empty() ? "." : path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("open", path);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  return fsync(fd) == 0 ? absl::OkStatus() : Failed("sync", path);
}

}  // namespace tandem::store
