// Small files, and names in folders, that survive a power cut.
#ifndef TANDEM_COMMON_STORE_DURABLE_FILE_H_
#define TANDEM_COMMON_STORE_DURABLE_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::store {

// Errors name the path, with the errno's status.

// "cannot DOING PATH: …", with the status of the errno.
absl::Status FileError(std::string_view doing, std::string_view path, int error);

// The content; NOT_FOUND if there is no such file.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);
// Appends in one write to a file that is made (mode 0600) if absent.
absl::Status AppendDurably(const std::string& path, std::string_view text);
// Makes what was done to the file's content, or to the names in the folder, durable.
absl::Status SyncPath(const std::string& path);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_DURABLE_FILE_H_
