// Pages of lists: positions that name where the last page ended; the corridor makes tokens of them.
// Pure; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_PAGES_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_PAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::account_health {

inline constexpr int kDefaultPage = 50;
inline constexpr int kLargestPage = 500;

// 0 = the default.
inline int64_t PageOf(int32_t page_size, int default_size = kDefaultPage) {
  return page_size == 0 ? default_size : page_size;
}

// A position of some parts, none of which holds a '|' (ids and numbers).
std::string WritePosition(const std::vector<std::string>& parts);
// The parts of a position of `count` parts, each empty on the first page. INVALID_ARGUMENT for what
// no answer ever gave.
absl::StatusOr<std::vector<std::string>> ReadPosition(std::string_view position, size_t count);
// A part that is a number; `absent` when the part is empty.
absl::StatusOr<int64_t> ReadNumber(std::string_view part, int64_t absent);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_PAGES_H_
