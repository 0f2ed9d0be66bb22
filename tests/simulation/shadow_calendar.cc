#include "tests/simulation/shadow_calendar.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/time/zones.h"

namespace tandem::simulation {
namespace {

constexpr int kDay = 86'400;

absl::StatusOr<int> SecondOfDay(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int seconds = 0;
  for (size_t i = 0; i < 3; ++i) {
    int number = 0;
    if (i < parts.size() && !absl::SimpleAtoi(parts[i], &number)) {
      return absl::InvalidArgumentError(absl::StrCat("no time of day: \"", text, "\""));
    }
    seconds = seconds * 60 + number;
  }
  return seconds;
}

absl::Weekday WeekdayOf(int day_of_week) {
  constexpr absl::Weekday kDays[] = {absl::Weekday::monday,    absl::Weekday::tuesday,
                                     absl::Weekday::wednesday, absl::Weekday::thursday,
                                     absl::Weekday::friday,    absl::Weekday::saturday,
                                     absl::Weekday::sunday};
  return kDays[(day_of_week - 1) % 7];
}

}  // namespace

template <typename Interval>
absl::StatusOr<ShadowCalendar::Hours> ShadowCalendar::HoursOf(const Interval& interval) {
  Hours hours;
  const absl::StatusOr<int> start = SecondOfDay(interval.start());
  if (!start.ok()) return start.status();
  const absl::StatusOr<int> end = SecondOfDay(interval.end());
  if (!end.ok()) return end.status();
  hours.open = {*start, *end < *start ? *end + kDay : *end};
  for (const sla::v1::Break& pause : interval.breaks()) {
    const absl::StatusOr<int> from = SecondOfDay(pause.start());
    if (!from.ok()) return from.status();
    const absl::StatusOr<int> to = SecondOfDay(pause.end());
    if (!to.ok()) return to.status();
    const int length = *to < *from ? *to + kDay - *from : *to - *from;
    // Where the hours run past midnight a break that begins earlier than they do lies on the other
    // side.
    const int begins = *from < *start ? *from + kDay : *from;
    hours.breaks.push_back({begins, begins + length});
  }
  std::sort(hours.breaks.begin(), hours.breaks.end(),
            [](const Span& a, const Span& b) { return a.start < b.start; });
  return hours;
}

absl::StatusOr<ShadowCalendar> ShadowCalendar::Make(const sla::v1::Calendar& calendar) {
  ShadowCalendar made;
  made.calendar_ = calendar;
  if (const auto zone = time::FindZone(calendar.zone()); zone) {
    made.zone_ = *zone;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("calendar ", calendar.name(), ": no zone \"",
                                                   calendar.zone(), "\"; use an IANA name"));
  }
  for (const sla::v1::WeeklyInterval& interval : calendar.weekly()) {
    absl::StatusOr<Hours> hours = HoursOf(interval);
    if (!hours.ok()) return hours.status();
    for (const int day : interval.days()) made.weekly_[WeekdayOf(day)].push_back(*hours);
  }
  for (const sla::v1::DateOverride& given : calendar.overrides()) {
    std::vector<Hours>& of_date = made.overrides_[given.date()];
    for (const sla::v1::DayInterval& interval : given.intervals()) {
      absl::StatusOr<Hours> hours = HoursOf(interval);
      if (!hours.ok()) return hours.status();
      of_date.push_back(*std::move(hours));
    }
  }
  return made;
}

// A local time that does not exist means the instant after the gap, one that exists twice the first
// (product §3.3).
absl::Time ShadowCalendar::InstantOf(absl::CivilDay day, int second) const {
  const absl::TimeZone::TimeInfo info = zone_.At(absl::CivilSecond(day) + second);
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

const std::vector<ShadowCalendar::Hours>* ShadowCalendar::HoursOn(absl::CivilDay day) const {
  const std::string date = absl::FormatCivilTime(day);
  const auto given = overrides_.find(date);
  if (given != overrides_.end()) return &given->second;
  for (const sla::v1::Holiday& holiday : calendar_.holidays()) {
    if (holiday.when_case() == sla::v1::Holiday::kDate
            ? holiday.date() == date
            : date.substr(date.size() - 5) == holiday.annual()) {
      return nullptr;
    }
  }
  const auto weekly = weekly_.find(absl::GetWeekday(day));
  return weekly == weekly_.end() ? nullptr : &weekly->second;
}

std::vector<Opening> ShadowCalendar::OpeningsOn(absl::CivilDay day) const {
  std::vector<Opening> openings;
  const std::vector<Hours>* of_day = HoursOn(day);
  if (of_day == nullptr) return openings;
  for (const Hours& hours : *of_day) {
    absl::Time from = InstantOf(day, hours.open.start);
    const absl::Time end = InstantOf(day, hours.open.end);
    for (const Span& pause : hours.breaks) {
      const absl::Time stops = std::min(end, InstantOf(day, pause.start));
      if (from < stops) openings.push_back({from, stops});
      from = std::max(from, InstantOf(day, pause.end));
    }
    if (from < end) openings.push_back({from, end});
  }
  std::sort(openings.begin(), openings.end(),
            [](const Opening& a, const Opening& b) { return a.from < b.from; });
  return openings;
}

std::vector<Opening> ShadowCalendar::Openings(absl::Time from, absl::Time to) const {
  std::vector<Opening> openings;
  if (to <= from) return openings;
  if (calendar_.always_open()) return {{from, to}};
  // Hours that began the day before may run on.
  for (absl::CivilDay day = absl::ToCivilDay(from, zone_) - 1; day <= absl::ToCivilDay(to, zone_);
       ++day) {
    for (const Opening& whole : OpeningsOn(day)) {
      const Opening cut = {std::max(whole.from, from), std::min(whole.to, to)};
      if (cut.from < cut.to) openings.push_back(cut);
    }
  }
  return openings;
}

absl::Duration ShadowCalendar::OpenTime(absl::Time from, absl::Time to) const {
  absl::Duration sum;
  for (const Opening& opening : Openings(from, to)) sum += opening.to - opening.from;
  return sum;
}

absl::Time ShadowCalendar::After(absl::Time from, absl::Duration budget) const {
  if (budget <= absl::ZeroDuration()) return from;
  if (calendar_.always_open()) return from + budget;
  const absl::CivilDay first = absl::ToCivilDay(from, zone_) - 1;
  for (absl::CivilDay day = first; day < first + 3660; ++day) {
    for (const Opening& whole : OpeningsOn(day)) {
      const absl::Time opens = std::max(whole.from, from);
      if (whole.to <= opens) continue;
      // "At most": what is used up exactly at closing is due at the closing instant.
      if (budget <= whole.to - opens) return opens + budget;
      budget -= whole.to - opens;
    }
  }
  return absl::InfiniteFuture();
}

absl::Time ShadowCalendar::AfterWorkingDays(absl::Time from, int days) const {
  const auto openings_of = [this](absl::CivilDay day) {
    if (!calendar_.always_open()) return OpeningsOn(day);
    return std::vector<Opening>{{InstantOf(day, 0), InstantOf(day + 1, 0)}};
  };
  absl::CivilDay began = absl::ToCivilDay(from, zone_);
  const std::vector<Opening> night = openings_of(began - 1);
  if (!night.empty() && night.front().from <= from && from < night.back().to) --began;
  const absl::CivilSecond local = absl::ToCivilSecond(from, zone_);
  const absl::Duration fraction = from - absl::FromUnixSeconds(absl::ToUnixSeconds(from));
  const auto since_midnight = local - absl::CivilSecond(began);
  for (absl::CivilDay day = began + 1; day < began + 3653 + 2 * days; ++day) {
    const std::vector<Opening> openings = openings_of(day);
    if (openings.empty() || --days > 0) continue;
    const absl::TimeZone::TimeInfo info = zone_.At(absl::CivilSecond(day) + since_midnight);
    const absl::Time same =
        info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre + fraction;
    absl::Time end = openings.back().to;
    for (auto opening = openings.rbegin(); opening != openings.rend(); ++opening) {
      if (same <= opening->to) end = std::max(same, opening->from);
    }
    if (OpenTime(from, end) > absl::ZeroDuration()) return end;
  }
  return absl::InfiniteFuture();
}

absl::Time ShadowCalendar::Before(absl::Time to, absl::Duration budget) const {
  if (budget <= absl::ZeroDuration()) return to;
  if (calendar_.always_open()) return to - budget;
  const absl::CivilDay last = absl::ToCivilDay(to, zone_);
  for (absl::CivilDay day = last; day > last - 3660; --day) {
    std::vector<Opening> openings = OpeningsOn(day);
    for (auto whole = openings.rbegin(); whole != openings.rend(); ++whole) {
      const absl::Time closes = std::min(whole->to, to);
      if (closes <= whole->from) continue;
      if (budget <= closes - whole->from) return closes - budget;
      budget -= closes - whole->from;
    }
  }
  return absl::InfinitePast();
}

}  // namespace tandem::simulation
