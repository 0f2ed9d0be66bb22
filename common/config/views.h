// Debian builds Abseil with a string_view of its own, which does not convert to or from the
// standard one. Headers speak std::string_view; calls into Abseil go through these.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace tandem::config {

inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view Std(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace tandem::config
