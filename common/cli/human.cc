#include "common/cli/human.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tandem::cli {

std::string HumanDuration(absl::Duration duration) {
  if (duration == absl::InfiniteDuration() || duration == -absl::InfiniteDuration()) {
    return duration > absl::ZeroDuration() ? "forever" : "-forever";
  }
  const std::string sign = duration < absl::ZeroDuration() ? "-" : "";
  duration = absl::AbsDuration(duration);
  if (duration < absl::Milliseconds(1)) {
    const int64_t us = absl::ToInt64Microseconds(duration);
    return us == 0 ? "0s" : absl::StrCat(sign, us, "us");
  }
  if (duration < absl::Seconds(1)) {
    return absl::StrCat(sign, absl::ToInt64Milliseconds(duration), "ms");
  }
  if (duration < absl::Seconds(10)) {
    const int64_t tenths = absl::ToInt64Milliseconds(duration) / 100;
    return tenths % 10 == 0 ? absl::StrCat(sign, tenths / 10, "s")
                            : absl::StrCat(sign, tenths / 10, ".", tenths % 10, "s");
  }
  constexpr std::array<std::pair<int64_t, const char*>, 4> kUnits = {
      {{86'400, "d"}, {3'600, "h"}, {60, "m"}, {1, "s"}}};
  int64_t seconds = absl::ToInt64Seconds(duration);
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (seconds < kUnits[i].first) continue;
    std::string text = absl::StrCat(sign, seconds / kUnits[i].first, kUnits[i].second);
    seconds %= kUnits[i].first;
    if (i + 1 < kUnits.size() && seconds / kUnits[i + 1].first > 0) {
      absl::StrAppend(&text, " ", seconds / kUnits[i + 1].first, kUnits[i + 1].second);
    }
    return text;
  }
  return "0s";
}

std::string HumanBytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1000 && bytes > -1000) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 999.5 rather than 1024: no number of four digits.
  while ((value >= 999.5 || value <= -999.5) && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const bool is_small = value < 9.95 && value > -9.95;
  return absl::StrFormat("%.*f %s", is_small ? 1 : 0, value, kUnits[unit]);
}

std::string HumanCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string HumanShare(int64_t part, int64_t whole) {
  if (whole == 0) return "-";
  return absl::StrFormat("%.1f %%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace tandem::cli
