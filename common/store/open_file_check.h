// Whether the files of an open database are still those that its path leads to. A deleted or
// replaced file takes writes as before, and all of them are gone with the process.
#ifndef TANDEM_COMMON_STORE_OPEN_FILE_CHECK_H_
#define TANDEM_COMMON_STORE_OPEN_FILE_CHECK_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::store {

// Immutable; any thread.
class OpenFileCheck {
 public:
  // Remembers which files are at `paths` now.
  static absl::StatusOr<OpenFileCheck> Of(std::vector<std::string> paths);

  // UNAVAILABLE names the path that leads to another file or to none. One stat a path, about a
  // microsecond each: cheap beside the flush of a commit.
  absl::Status Check() const;

 private:
  struct File {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
  };
  std::vector<File> files_;
};

// Whether `bytes` more could be written to the folder's file system: RESOURCE_EXHAUSTED if it, or
// the user's quota, is full. Writes nothing that stays.
absl::Status CheckRoom(const std::string& folder, int64_t bytes);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_OPEN_FILE_CHECK_H_
