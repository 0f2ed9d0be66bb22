// One process a file. The lock belongs to the open file description, so a second handle in the same
// process is refused as well, and it ends with the process, however that ends.
#ifndef TANDEM_COMMON_STORE_FILE_LOCK_H_
#define TANDEM_COMMON_STORE_FILE_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace tandem::store {

// Held from Take until destruction. One thread at a time.
class FileLock {
 public:
  // Locks `path`.lock and writes the process id into it. FAILED_PRECONDITION, naming the file and
  // the holder, when it is held; the errno's status when the lock file cannot be made. The lock
  // file stays on disk: deleting it would let two processes lock two files of one name.
  static absl::StatusOr<FileLock> Take(const std::string& path);

  FileLock(FileLock&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();
  // Of the lock file.
  const std::string& path() const { return path_; }

 private:
  FileLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_FILE_LOCK_H_
