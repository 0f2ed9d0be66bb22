#include "common/calendar/calendar_proto.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/civil_time.h"
#include "common/time/micros.h"
#include "google/protobuf/timestamp.pb.h"

namespace tandem::calendar {
namespace {

constexpr int kUnreadable = -1;  // a time that Validate refuses; its problem is named already

// `text` as it may stand in a message, whatever it holds.
std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::CEscape(text.substr(0, 32)), "\"");
}

// The digits of `text` at `at`, `width` of them; nullopt when one is missing.
std::optional<int> Digits(std::string_view text, size_t at, size_t width) {
  int value = 0;
  for (size_t i = at; i < at + width; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

struct MonthDay {
  int month = 0;
  int day = 0;
};

// "MM-DD" at `at`, to the end of `text`.
std::optional<MonthDay> ReadMonthDay(std::string_view text, size_t at) {
  const std::optional<int> month = Digits(text, at, 2);
  const std::optional<int> day = Digits(text, at + 3, 2);
  if (text.size() != at + 5 || text[at + 2] != '-' || !month || !day) return std::nullopt;
  return MonthDay{*month, *day};
}

class Reader {
 public:
  explicit Reader(CalendarSpec& spec) : spec_(spec) {}

  std::vector<Problem> Read(const sla::v1::Calendar& message) {
    spec_ = CalendarSpec{
        .name = message.name(), .zone = message.zone(), .always_open = message.always_open()};
    for (int i = 0; i < message.weekly_size(); ++i) {
      const sla::v1::WeeklyInterval& weekly = message.weekly(i);
      const std::string path = absl::StrCat("weekly[", i, "]");
      WeeklyInterval interval;
      for (int j = 0; j < weekly.days_size(); ++j) {
        if (weekly.days(j) < sla::v1::DAY_OF_WEEK_MONDAY ||
            weekly.days(j) > sla::v1::DAY_OF_WEEK_SUNDAY) {
          Add(absl::StrCat(path, ".days[", j, "]"), "is no day of the week");
          // So that this list is not called empty as well.
          seen_.insert(path + ".days");
          continue;
        }
        interval.days.push_back(
            static_cast<absl::Weekday>(weekly.days(j) - sla::v1::DAY_OF_WEEK_MONDAY));
      }
      interval.hours = Hours(path, weekly);
      spec_.weekly.push_back(std::move(interval));
    }
    for (int i = 0; i < message.holidays_size(); ++i) {
      spec_.holidays.push_back(ReadHoliday(absl::StrCat("holidays[", i, "]"), message.holidays(i)));
    }
    for (int i = 0; i < message.overrides_size(); ++i) {
      const sla::v1::DateOverride& own = message.overrides(i);
      const std::string path = absl::StrCat("overrides[", i, "]");
      DateOverride date{.date = Date(path + ".date", own.date()), .name = own.name()};
      for (int j = 0; j < own.intervals_size(); ++j) {
        date.intervals.push_back(
            Hours(absl::StrCat(path, ".intervals[", j, "]"), own.intervals(j)));
      }
      spec_.overrides.push_back(std::move(date));
    }
    // What could not be read is refused by Validate too; it is told once, in the reader's words.
    for (Problem& problem : Validate(spec_)) {
      if (seen_.count(problem.path) == 0) problems_.push_back(std::move(problem));
    }
    return std::move(problems_);
  }

 private:
  void Add(const std::string& path, std::string what) {
    seen_.insert(path);
    problems_.push_back({path, std::move(what)});
  }

  int Time(const std::string& path, const std::string& text) {
    const std::optional<int> seconds = ParseLocalTime(text);
    if (seconds.has_value()) return *seconds;
    Add(path, absl::StrCat(Quoted(text), " is not a local time such as 09:00"));
    return kUnreadable;
  }

  // WeeklyInterval and DayInterval hold the same fields.
  template <typename Interval>
  OpenHours Hours(const std::string& path, const Interval& message) {
    OpenHours hours{.span = {.start_s = Time(path + ".start", message.start()),
                             .end_s = Time(path + ".end", message.end())}};
    for (int i = 0; i < message.breaks_size(); ++i) {
      const std::string at = absl::StrCat(path, ".breaks[", i, "]");
      hours.breaks.push_back({.start_s = Time(at + ".start", message.breaks(i).start()),
                              .end_s = Time(at + ".end", message.breaks(i).end())});
    }
    return hours;
  }

  // A day that Validate accepts for what can't be read, whose problem is named.
  absl::CivilDay Date(const std::string& path, const std::string& text) {
    const std::optional<int> year = Digits(text, 0, 4);
    const std::optional<MonthDay> rest = ReadMonthDay(text, 5);
    if (year && rest && text[4] == '-') {
      const absl::CivilDay date(*year, rest->month, rest->day);
      if (date.month() == rest->month && date.day() == rest->day) return date;
    }
    Add(path, absl::StrCat(Quoted(text), " is not a date such as 2026-11-26"));
    return absl::CivilDay(kFirstYear, 1, 1);
  }

  Holiday ReadHoliday(const std::string& path, const sla::v1::Holiday& message) {
    Holiday holiday{.month = 1, .day = 1, .name = message.name()};
    switch (message.when_case()) {
      case sla::v1::Holiday::kDate: {
        const absl::CivilDay date = Date(path + ".date", message.date());
        holiday.year = static_cast<int>(date.year());
        holiday.month = date.month();
        holiday.day = date.day();
        break;
      }
      case sla::v1::Holiday::kAnnual: {
        const std::optional<MonthDay> date = ReadMonthDay(message.annual(), 0);
        // 2000 is a leap year.
        if (date && absl::CivilDay(2000, date->month, date->day).day() == date->day &&
            absl::CivilDay(2000, date->month, date->day).month() == date->month) {
          holiday.month = date->month;
          holiday.day = date->day;
        } else {
          Add(path + ".annual",
              absl::StrCat(Quoted(message.annual()), " is not a day of the year such as 12-25"));
        }
        break;
      }
      case sla::v1::Holiday::WHEN_NOT_SET:
        Add(path, "has neither date nor annual");
        seen_.insert(path + ".annual");
        break;
    }
    return holiday;
  }

  CalendarSpec& spec_;
  std::vector<Problem> problems_;
  std::set<std::string> seen_;  // paths that a problem is named for
};

template <typename Interval>
void WriteHours(const OpenHours& hours, Interval& message) {
  message.set_start(FormatLocalTime(hours.span.start_s));
  message.set_end(FormatLocalTime(hours.span.end_s));
  for (const LocalSpan& pause : hours.breaks) {
    sla::v1::Break& written = *message.add_breaks();
    written.set_start(FormatLocalTime(pause.start_s));
    written.set_end(FormatLocalTime(pause.end_s));
  }
}

void WriteInstant(absl::Time instant, google::protobuf::Timestamp& message) {
  const int64_t micros = time::ToMicros(instant);
  const int64_t seconds = absl::ToUnixSeconds(instant);  // rounds down
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>((micros - seconds * 1'000'000) * 1'000));
}

}  // namespace

std::vector<Problem> ReadCalendar(const sla::v1::Calendar& message, CalendarSpec& spec) {
  return Reader(spec).Read(message);
}

absl::StatusOr<Calendar> CalendarFromProto(const sla::v1::Calendar& message) {
  CalendarSpec spec;
  const std::vector<Problem> problems = ReadCalendar(message, spec);
  if (!problems.empty()) return ProblemsToStatus(spec.name, problems);
  return Calendar::Create(std::move(spec));
}

sla::v1::Calendar ToProto(const CalendarSpec& spec) {
  sla::v1::Calendar message;
  message.set_name(spec.name);
  message.set_zone(spec.zone);
  message.set_always_open(spec.always_open);
  for (const WeeklyInterval& interval : spec.weekly) {
    sla::v1::WeeklyInterval& weekly = *message.add_weekly();
    for (const absl::Weekday day : interval.days) {
      weekly.add_days(
          static_cast<sla::v1::DayOfWeek>(static_cast<int>(day) + sla::v1::DAY_OF_WEEK_MONDAY));
    }
    WriteHours(interval.hours, weekly);
  }
  for (const Holiday& holiday : spec.holidays) {
    sla::v1::Holiday& written = *message.add_holidays();
    const std::string day = absl::StrFormat("%02d-%02d", holiday.month, holiday.day);
    if (holiday.year.has_value()) {
      written.set_date(absl::StrFormat("%04d-%s", *holiday.year, day));
    } else {
      written.set_annual(day);
    }
    written.set_name(holiday.name);
  }
  for (const DateOverride& date : spec.overrides) {
    sla::v1::DateOverride& written = *message.add_overrides();
    written.set_date(absl::FormatCivilTime(date.date));
    written.set_name(date.name);
    for (const OpenHours& hours : date.intervals) WriteHours(hours, *written.add_intervals());
  }
  return message;
}

sla::v1::CalendarInterval ToProto(const Segment& segment) {
  sla::v1::CalendarInterval message;
  WriteInstant(segment.from, *message.mutable_from());
  WriteInstant(segment.to, *message.mutable_to());
  message.set_is_open(segment.is_open);
  message.set_rule(segment.rule);
  return message;
}

}  // namespace tandem::calendar
