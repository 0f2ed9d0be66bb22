// What a business calendar is made from, and everything that can be wrong with it.
// Plain values and pure functions: any thread may use them.
#ifndef TANDEM_COMMON_CALENDAR_CALENDAR_SPEC_H_
#define TANDEM_COMMON_CALENDAR_CALENDAR_SPEC_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/civil_time.h"

namespace tandem::calendar {

// Limits. A spec beyond them is refused with the problem named.
inline constexpr size_t kMaxNameBytes = 128;        // of a calendar
inline constexpr size_t kMaxLabelBytes = 200;       // of a holiday's or an override's name
inline constexpr size_t kMaxWeeklyIntervals = 168;  // entries of CalendarSpec::weekly
inline constexpr size_t kMaxSpansADay = 24;         // open hours and breaks that begin on one day
inline constexpr size_t kMaxHolidays = 1000;        // dated and annual together
inline constexpr size_t kMaxOverrides = 1000;       // dates
inline constexpr int kFirstYear = 1950;             // of holidays, overrides and answers
inline constexpr int kLastYear = 2099;

// A span of local clock time in seconds after midnight. start_s is in [0, 86399], end_s in [0,
// 86400] (86400 = the midnight that ends the day). end_s < start_s ends on the next day; equal is
// refused.
struct LocalSpan {
  int start_s = 0;
  int end_s = 0;

  friend bool operator==(const LocalSpan&, const LocalSpan&) = default;
};

// One stretch of open hours; it belongs to the day that it begins on. Breaks lie within it and do
// not overlap; in a stretch past midnight a break may be before or after midnight.
struct OpenHours {
  LocalSpan span = {};
  std::vector<LocalSpan> breaks = {};

  friend bool operator==(const OpenHours&, const OpenHours&) = default;
};

// The same open hours on each of `days`.
struct WeeklyInterval {
  std::vector<absl::Weekday> days = {};
  OpenHours hours = {};

  friend bool operator==(const WeeklyInterval&, const WeeklyInterval&) = default;
};

// A closed day: nothing begins on it; what began the day before runs on. Without a year it is
// annual (02-29 then closes leap years only).
struct Holiday {
  std::optional<int> year = {};
  int month = 0;
  int day = 0;
  std::string name = {};  // may be empty

  friend bool operator==(const Holiday&, const Holiday&) = default;
};

// One date's own hours, instead of the weekly ones and of any holiday. No intervals = closed.
struct DateOverride {
  absl::CivilDay date = {};
  std::vector<OpenHours> intervals = {};
  std::string name = {};  // may be empty

  friend bool operator==(const DateOverride&, const DateOverride&) = default;
};

// A calendar as written down. All times are local civil times of `zone`.
struct CalendarSpec {
  std::string name = {};
  std::string zone = {};     // IANA, such as "Asia/Kathmandu" or "UTC"
  bool always_open = false;  // 24×7; then all below is empty
  std::vector<WeeklyInterval> weekly = {};
  std::vector<Holiday> holidays = {};
  std::vector<DateOverride> overrides = {};

  friend bool operator==(const CalendarSpec&, const CalendarSpec&) = default;
};

// One thing wrong with a spec: where, as a path of fields ("weekly[1].breaks[0].end"), and what.
struct Problem {
  std::string path;
  std::string what;

  friend bool operator==(const Problem&, const Problem&) = default;
};

inline constexpr size_t kMaxProblemsTold = 40;

// Every problem of `spec`, in the order of its fields; none = Calendar::Create accepts it.
std::vector<Problem> Validate(const CalendarSpec& spec);

// INVALID_ARGUMENT that names the calendar and its problems: calendar "x": path: what; path: what.
// After the first kMaxProblemsTold it says how many more there are, as a status has to fit into the
// trailer of an RPC. `problems` is not empty.
absl::Status ProblemsToStatus(std::string_view calendar_name, const std::vector<Problem>& problems);

// "09:00"; with seconds only where there are any, "09:00:30". 86400 is "24:00".
std::string FormatLocalTime(int seconds);

// Reads HH:MM or HH:MM:SS from 00:00 to 24:00 into seconds after midnight; nullopt on anything
// else.
std::optional<int> ParseLocalTime(std::string_view text);

// "09:00-17:30".
std::string FormatLocalSpan(const LocalSpan& span);

// "MON" … "SUN".
std::string_view ShortName(absl::Weekday day);

}  // namespace tandem::calendar

#endif  // TANDEM_COMMON_CALENDAR_CALENDAR_SPEC_H_
