// A log as one text in memory: a plain file, or one packed by xz.
#ifndef TANDEM_SERVICES_TANDEM_LOG_FILE_H_
#define TANDEM_SERVICES_TANDEM_LOG_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace tandem::programs {

// The longest text taken, unpacked: some 25 times the largest log known.
inline constexpr size_t kMaxLogBytes = size_t{1} << 30;

// The text of `path`; what begins as an xz stream is unpacked. Errors name the path: NOT_FOUND,
// PERMISSION_DENIED, INVALID_ARGUMENT for a folder or a text longer than `max_bytes`, DATA_LOSS for
// a packed file that is damaged or ends early. Blocks on the disk.
absl::StatusOr<std::string> ReadLogFile(const std::string& path, size_t max_bytes = kMaxLogBytes);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_LOG_FILE_H_
