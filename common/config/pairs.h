// Flags of the form NAME=VALUE that may be given several times.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::config {

// "NAME=VALUE" each, as a map; the value may hold further '='. INVALID_ARGUMENT names `flag` and
// the text that is none, or a name that comes twice.
absl::StatusOr<std::map<std::string, std::string>> ParsePairs(
    std::string_view flag, const std::vector<std::string>& texts);

}  // namespace tandem::config
