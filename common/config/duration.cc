#include "common/config/duration.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/error_list.h"
#include "common/config/views.h"

namespace tandem::config {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kLongest = absl::Seconds(315'576'000'000);

absl::Status NotADuration(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected a duration such as 30m, 4h, 1h30m or 5d, found ", Quoted(text)));
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  if (text.size() > 64) return NotADuration(text);
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  // The sign stands once, in front: absl would take a second one after the days.
  if (rest.empty() ||
      (!absl::ascii_isdigit(static_cast<unsigned char>(rest.front())) && rest.front() != '.')) {
    return NotADuration(text);
  }
  absl::Duration total;
  if (const size_t day = rest.find('d'); day != std::string_view::npos) {
    int64_t days = 0;
    if (rest.substr(0, day).find_first_not_of("0123456789") != std::string_view::npos ||
        !absl::SimpleAtoi(Absl(rest.substr(0, day)), &days)) {
      return NotADuration(text);
    }
    if (days > kLongest / kDay) return NotADuration(text);
    total = days * kDay;
    rest.remove_prefix(day + 1);
  }
  if (!rest.empty()) {
    absl::Duration part;
    if (!absl::ascii_isdigit(static_cast<unsigned char>(rest.front())) && rest.front() != '.') {
      return NotADuration(text);
    }
    if (!absl::ParseDuration(Absl(rest), &part)) return NotADuration(text);
    total += part;
  }
  if (total > kLongest) return NotADuration(text);
  return negative ? -total : total;
}

absl::StatusOr<WrittenSpan> ParseSpan(std::string_view text) {
  constexpr int kMostWorkingDays = 366;
  WrittenSpan span;
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) {
    const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
    if (!duration.ok()) return duration.status();
    span.duration = *duration;
    span.has_days = text.find('d') != std::string_view::npos;
    return span;
  }
  const std::string_view count = text.substr(0, blank), unit = text.substr(blank + 1);
  if (count.find_first_not_of("0123456789") != std::string_view::npos ||
      !absl::SimpleAtoi(Absl(count), &span.working_days) || span.working_days < 1 ||
      span.working_days > kMostWorkingDays || (unit != "working days" && unit != "working day")) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a duration such as 30m or 4h, or 1 to ", kMostWorkingDays,
                     " working days such as 5 working days, found ", Quoted(text)));
  }
  return span;
}

std::string DurationText(absl::Duration duration) {
  std::string text(duration < absl::ZeroDuration() ? "-" : "");
  if (duration < absl::ZeroDuration()) duration = -duration;
  const int64_t days = absl::IDivDuration(duration, kDay, &duration);
  if (days > 0) absl::StrAppend(&text, days, "d");
  if (days == 0 || duration != absl::ZeroDuration()) {
    absl::StrAppend(&text, absl::FormatDuration(duration));
  }
  return text;
}

}  // namespace tandem::config
