// Durations as people write them in options and policies.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::config {

// "4h", "30m", "5d", "1h30m", "1d12h", "250ms", "-10m", "0". A day is 24 hours of wall time; time
// that counts only business hours is the calendar's matter. INVALID_ARGUMENT for anything else,
// for infinity and for more than 10,000 years (the range of google.protobuf.Duration).
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

// Time in which something is to be done, as people write it where not every hour counts.
struct WrittenSpan {
  absl::Duration duration;  // zero for working days
  int working_days = 0;     // 0 = `duration` counts
  bool has_days = false;    // `duration` is written with "d", of 24 hours each
};

// What ParseDuration reads, or "1 working day", "5 working days": 1 to 366 of them.
// INVALID_ARGUMENT for anything else.
absl::StatusOr<WrittenSpan> ParseSpan(std::string_view text);

// The shortest text that ParseDuration reads back as the same value: "1d12h", "90s" is "1m30s".
std::string DurationText(absl::Duration duration);

}  // namespace tandem::config
