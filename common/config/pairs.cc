#include "common/config/pairs.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tandem::config {

absl::StatusOr<std::map<std::string, std::string>> ParsePairs(
    std::string_view flag, const std::vector<std::string>& texts) {
  std::map<std::string, std::string> pairs;
  for (const std::string& text : texts) {
    const size_t at = text.find('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", std::string(flag), ": \"", text, "\" is not NAME=VALUE"));
    }
    if (!pairs.emplace(text.substr(0, at), text.substr(at + 1)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", std::string(flag), ": ", text.substr(0, at), " is given twice"));
    }
  }
  return pairs;
}

}  // namespace tandem::config
