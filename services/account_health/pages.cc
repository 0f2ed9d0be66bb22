#include "services/account_health/pages.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/corridor/errors.h"

namespace tandem::account_health {
namespace {

absl::Status Broken() {
  corridor::Violations violations;
  violations.Require(false, "page_token", "is no token of this list");
  return violations.status();
}

}  // namespace

std::string WritePosition(const std::vector<std::string>& parts) {
  return absl::StrJoin(parts, "|");
}

absl::StatusOr<std::vector<std::string>> ReadPosition(std::string_view position, size_t count) {
  if (position.empty()) return std::vector<std::string>(count);
  std::vector<std::string> parts = absl::StrSplit(std::string(position), '|');
  if (parts.size() != count) return Broken();
  return parts;
}

absl::StatusOr<int64_t> ReadNumber(std::string_view part, int64_t absent) {
  if (part.empty()) return absent;
  int64_t number = 0;
  if (!absl::SimpleAtoi(std::string(part), &number)) return Broken();
  return number;
}

}  // namespace tandem::account_health
