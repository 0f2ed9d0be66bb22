#include "common/time/micros.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

namespace tandem::time {
namespace {

// Reads fixed-width fields from the left of a text; once one does not fit, `ok()` stays false.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  int Digits(size_t width) {
    int value = 0;
    if (rest_.size() < width) return Fail();
    for (const char digit : rest_.substr(0, width)) {
      if (digit < '0' || digit > '9') return Fail();
      value = value * 10 + (digit - '0');
    }
    rest_.remove_prefix(width);
    return value;
  }

  bool Accept(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void Require(char wanted) {
    if (!Accept(wanted)) Fail();
  }

  // The digits after the point, as microseconds.
  int64_t Fraction() {
    int64_t micros = 0;
    int digits = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      micros = micros * 10 + Digits(1);
      if (++digits > 6) return Fail();
    }
    if (digits == 0) return Fail();
    for (; digits < 6; ++digits) micros *= 10;
    return micros;
  }

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  int Fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

absl::Time FromMicros(int64_t micros) { return absl::FromUnixMicros(micros); }

int64_t ToMicros(absl::Time instant) { return absl::ToUnixMicros(instant); }

absl::Time TruncateToMicros(absl::Time instant) {
  if (instant == absl::InfiniteFuture() || instant == absl::InfinitePast()) return instant;
  return FromMicros(ToMicros(instant));
}

absl::Duration TruncateToMicros(absl::Duration duration) {
  return absl::Trunc(duration, absl::Microseconds(1));
}

std::string FormatInstant(absl::Time instant) {
  return absl::FormatTime("%E4Y-%m-%d%ET%H:%M:%E*SZ", TruncateToMicros(instant),
                          absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseInstant(std::string_view text) {
  const auto refuse = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(text.substr(0, 64)),
                     "\" is not an instant such as 2026-11-25T20:00:00Z (RFC 3339, at most "
                     "microseconds)"));
  };
  Fields fields(text);
  const int year = fields.Digits(4);
  fields.Require('-');
  const int month = fields.Digits(2);
  fields.Require('-');
  const int day = fields.Digits(2);
  fields.Require('T');
  const int hour = fields.Digits(2);
  fields.Require(':');
  const int minute = fields.Digits(2);
  int second = 0;
  int64_t micros = 0;
  if (fields.Accept(':')) {
    second = fields.Digits(2);
    if (fields.Accept('.')) micros = fields.Fraction();
  }
  int offset_minutes = 0;
  if (!fields.Accept('Z')) {
    const bool east = fields.Accept('+');
    if (!east) fields.Require('-');
    const int offset_hour = fields.Digits(2);
    fields.Require(':');
    const int offset_minute = fields.Digits(2);
    if (offset_hour > 23 || offset_minute > 59) return refuse();
    offset_minutes = (east ? 1 : -1) * (offset_hour * 60 + offset_minute);
  }
  if (!fields.ok() || !fields.at_end() || year < 1) return refuse();

  // CivilSecond normalises 02-30 into 03-02; a date that was moved is one that does not exist.
  const absl::CivilSecond local(year, month, day, hour, minute, second);
  if (local.month() != month || local.day() != day || local.hour() != hour ||
      local.minute() != minute || local.second() != second) {
    return refuse();
  }
  return absl::FromCivil(local, absl::UTCTimeZone()) + absl::Microseconds(micros) -
         absl::Minutes(offset_minutes);
}

}  // namespace tandem::time
