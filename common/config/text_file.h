// Reading a file whole, with a bound.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace tandem::config {

// The content of a regular file (or of a link to one) of at most `max_bytes`. Errors name
// the path: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT for a folder, a pipe or a file that is
// too large; a failed read as errno says. Blocks on the disk: for a program's start, not for a
// lane.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes);

}  // namespace tandem::config
