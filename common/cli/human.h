// Numbers as people like to read them. Never in JSON or logs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace tandem::cli {

// The two largest units that matter, cut, not rounded: "3h 20m", "5d", "2m 5s", "1.5s", "12ms",
// "40us", "0s", "-3h 20m", "forever".
std::string HumanDuration(absl::Duration duration);

// "999 B", "1.5 KiB", "20 MiB": three digits at most, powers of 1024.
std::string HumanBytes(int64_t bytes);

// "24,918", "-1,000".
std::string HumanCount(int64_t count);

// "87.5 %" of `part` in `whole`; "-" when `whole` is 0.
std::string HumanShare(int64_t part, int64_t whole);

}  // namespace tandem::cli
