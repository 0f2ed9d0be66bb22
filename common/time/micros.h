// Instants and durations in whole microseconds, the grain of everything that Tandem stores,
// publishes and compares. Pure functions: any thread may call them.
#ifndef TANDEM_COMMON_TIME_MICROS_H_
#define TANDEM_COMMON_TIME_MICROS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::time {

// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted. ToMicros rounds down, also
// before 1970; the infinite instants become the ends of int64.
absl::Time FromMicros(int64_t micros);
int64_t ToMicros(absl::Time instant);

// The whole microsecond at or before `instant`. The infinite instants stay as they are.
absl::Time TruncateToMicros(absl::Time instant);

// Drops what is finer than a microsecond, towards zero. Infinite durations stay as they are.
absl::Duration TruncateToMicros(absl::Duration duration);

// RFC 3339 in UTC, as many fractional digits as needed and at most six: "2026-11-25T20:00:00Z",
// "2026-11-25T20:00:00.5Z". Exact for the years 0000 to 9999, the only ones that RFC 3339 has.
std::string FormatInstant(absl::Time instant);

// Reads RFC 3339 with "Z" or an offset ("+05:45"), at most six fractional digits. The seconds may
// be left out ("2026-11-25T20:00Z"), as people write them. INVALID_ARGUMENT on anything else: lower
// case, blanks, a missing zone, a day that the month lacks, a leap second, a year outside 0001 to
// 9999.
absl::StatusOr<absl::Time> ParseInstant(std::string_view text);

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_MICROS_H_
