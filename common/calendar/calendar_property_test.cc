// Laws that hold for every calendar, tried on random ones, and a comparison with a walk from minute
// to minute that shares nothing with the calendar but the time zone database.
#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "common/calendar/calendar.h"
#include "common/time/micros.h"
#include "common/time/zones.h"
#include "gtest/gtest.h"

namespace tandem::calendar {
namespace {

constexpr uint64_t kSeed = 20'260'301;
constexpr absl::Duration kMicro = absl::Microseconds(1);
constexpr absl::Duration kMinute = absl::Minutes(1);
constexpr std::array<const char*, 14> kZones = {"America/New_York",
                                                "Europe/London",
                                                "Australia/Lord_Howe",
                                                "Asia/Kathmandu",
                                                "Pacific/Apia",
                                                "America/Sao_Paulo",
                                                "UTC",
                                                "Africa/Casablanca",
                                                "Asia/Tehran",
                                                "America/St_Johns",
                                                "Pacific/Kiritimati",
                                                "Antarctica/Troll",
                                                "Asia/Pyongyang",
                                                "Pacific/Kwajalein"};

// Random calendars and instants; the same ones in every run.
class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  int64_t Pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  bool OneIn(int64_t n) { return Pick(1, n) == 1; }

  // Half of the instants lie within two days of a change of the zone's offset, where mistakes live.
  absl::Time Instant(const absl::TimeZone& zone) {
    const absl::Time t = absl::FromUnixSeconds(Pick(315'532'800, 2'208'988'800));  // 1980 to 2040
    absl::TimeZone::CivilTransition change;
    if (OneIn(2) || !zone.NextTransition(t, &change))
      return t + absl::Microseconds(Pick(0, 999'999));
    return zone.At(change.to).trans + absl::Microseconds(Pick(-172'800'000'000, 172'800'000'000));
  }

  // From a microsecond to some months, each magnitude as likely.
  absl::Duration Budget() { return absl::Microseconds(Pick(1, int64_t{1} << Pick(0, 43))); }

  LocalSpan Span(int grain_s) {
    const int day = 86'400 / grain_s;
    LocalSpan span{static_cast<int>(Pick(0, day - 1)) * grain_s,
                   static_cast<int>(Pick(0, day)) * grain_s};
    // Clocks are changed at night.
    if (OneIn(3)) span.start_s %= 3 * 3600;
    if (OneIn(3)) span.end_s %= 3 * 3600;
    if (OneIn(8)) span.start_s = 0;
    if (OneIn(8)) span.end_s = 86'400;
    return span;
  }

  OpenHours Hours(int grain_s) {
    OpenHours hours{.span = Span(grain_s)};
    for (int64_t i = Pick(0, 2); i > 0; --i) hours.breaks.push_back(Span(grain_s));
    return hours;
  }

  // Candidates are kept when the spec stays valid with them, without their breaks if need be.
  CalendarSpec Spec(const char* zone, int grain_s, const std::vector<absl::CivilDay>& dates) {
    CalendarSpec spec{.name = "random", .zone = zone};
    if (OneIn(40)) {
      spec.always_open = true;
      return spec;
    }
    do {
      for (int64_t i = Pick(1, 8); i > 0; --i) {
        WeeklyInterval interval;
        for (int day = 0; day < 7; ++day) {
          if (OneIn(2)) interval.days.push_back(static_cast<absl::Weekday>(day));
        }
        interval.hours = Hours(grain_s);
        spec.weekly.push_back(interval);
        if (!Validate(spec).empty()) spec.weekly.back().hours.breaks.clear();
        if (!Validate(spec).empty()) spec.weekly.pop_back();
      }
    } while (spec.weekly.empty());
    for (const absl::CivilDay date : dates) {
      if (OneIn(4)) {
        spec.holidays.push_back({.month = date.month(), .day = date.day()});
      } else if (OneIn(4)) {
        spec.holidays.push_back(
            {.year = static_cast<int>(date.year()), .month = date.month(), .day = date.day()});
      } else if (OneIn(2)) {
        DateOverride own{.date = date};
        for (int64_t i = Pick(0, 2); i > 0; --i) own.intervals.push_back(Hours(grain_s));
        spec.overrides.push_back(own);
        if (!Validate(spec).empty()) {
          for (OpenHours& hours : spec.overrides.back().intervals) hours.breaks.clear();
        }
        if (!Validate(spec).empty()) spec.overrides.pop_back();
        continue;
      }
      if (!Validate(spec).empty()) spec.holidays.pop_back();
    }
    return spec;
  }

  // Some dates around `t`, for holidays and overrides.
  std::vector<absl::CivilDay> DatesAround(absl::Time t, const absl::TimeZone& zone) {
    std::vector<absl::CivilDay> dates;
    for (int64_t i = Pick(0, 6); i > 0; --i) {
      dates.push_back(absl::ToCivilDay(t, zone) + static_cast<int>(Pick(-4, 4)));
    }
    return dates;
  }

 private:
  std::mt19937_64 random_;
};

absl::TimeZone Zone(const char* name) {
  const std::optional<absl::TimeZone> zone = time::FindZone(name);
  EXPECT_TRUE(zone.has_value()) << name;
  return zone.value_or(absl::UTCTimeZone());
}

std::string Describe(const CalendarSpec& spec) {
  std::string text = spec.zone + (spec.always_open ? " always open" : "");
  for (const WeeklyInterval& interval : spec.weekly) {
    text += "\n  ";
    for (const absl::Weekday day : interval.days) text += std::string(ShortName(day)) + " ";
    text += FormatLocalSpan(interval.hours.span);
    for (const LocalSpan& pause : interval.hours.breaks) text += " but " + FormatLocalSpan(pause);
  }
  for (const Holiday& holiday : spec.holidays) {
    text += "\n  holiday " + std::to_string(holiday.year.value_or(0)) + " " +
            std::to_string(holiday.month) + " " + std::to_string(holiday.day);
  }
  for (const DateOverride& date : spec.overrides) {
    text += "\n  override " + absl::FormatCivilTime(date.date);
    for (const OpenHours& hours : date.intervals) {
      text += " " + FormatLocalSpan(hours.span);
      for (const LocalSpan& pause : hours.breaks) text += " but " + FormatLocalSpan(pause);
    }
  }
  return text;
}

TEST(EveryCalendar, AddsSubtractsAndMeasuresAlike) {
  World world(kSeed);
  int64_t checked = 0;
  for (int round = 0; round < 700; ++round) {
    const char* const zone_name = kZones[static_cast<size_t>(round) % kZones.size()];
    const absl::TimeZone zone = Zone(zone_name);
    const absl::Time near = world.Instant(zone);
    const CalendarSpec spec =
        world.Spec(zone_name, world.OneIn(2) ? 1 : 900, world.DatesAround(near, zone));
    SCOPED_TRACE(Describe(spec));
    const absl::StatusOr<Calendar> calendar = Calendar::Create(spec);
    ASSERT_TRUE(calendar.ok()) << calendar.status();
    for (int i = 0; i < 25; ++i) {
      const absl::Time t = time::TruncateToMicros(
          near + absl::Microseconds(world.Pick(-500'000'000'000, 500'000'000'000)));
      // A calendar may be open for a second a week: no more than a few years of it are asked for.
      constexpr absl::Duration kYears = absl::Hours(24 * 365 * 3);
      const absl::Duration d = std::min({world.Budget(), calendar->Between(t, t + kYears).value(),
                                         calendar->Between(t - kYears, t).value()});
      const absl::Time u = t + world.Budget();
      SCOPED_TRACE(time::FormatInstant(t) + ", " + absl::FormatDuration(d) + ", " +
                   time::FormatInstant(u));

      const absl::Time due = calendar->Add(t, d).value();
      ASSERT_EQ(calendar->Between(t, due).value(), d);
      ASSERT_LT(calendar->Between(t, due - kMicro).value(), d);
      const absl::Time begun = calendar->Subtract(t, d).value();
      ASSERT_EQ(calendar->Between(begun, t).value(), d);
      ASSERT_LT(calendar->Between(begun + kMicro, t).value(), d);

      const absl::Duration used = calendar->Between(t, u).value();
      ASSERT_EQ(calendar->Between(u, t).value(), -used);
      const absl::Time earliest = calendar->Add(t, used).value();
      ASSERT_LE(earliest, u);
      ASSERT_EQ(calendar->Between(t, earliest).value(), used);
      if (earliest > t) {
        ASSERT_LT(calendar->Between(t, earliest - kMicro).value(), used);
      }

      ASSERT_LE(due, calendar->Add(u, d).value());
      ASSERT_LT(due, calendar->Add(t, d + kMicro).value());
      ASSERT_GE(begun, calendar->Subtract(t, d + kMicro).value());
      const absl::Time w = u + world.Budget();
      ASSERT_LE(used, calendar->Between(t, w).value());
      ASSERT_EQ(used + calendar->Between(u, w).value(), calendar->Between(t, w).value());

      const absl::Time opening = calendar->NextOpening(t).value();
      ASSERT_TRUE(calendar->IsOpen(opening));
      ASSERT_EQ(opening == t, calendar->IsOpen(t));
      ASSERT_EQ(calendar->Between(t, opening).value(), absl::ZeroDuration());
      ++checked;
    }
    // What the pieces say adds up to what is counted.
    const absl::Time end = near + absl::Hours(24 * 9);
    absl::Duration open;
    absl::Time told = time::TruncateToMicros(near);
    std::vector<Segment> open_pieces;
    const std::vector<Segment> pieces = calendar->Segments(near, end).value();
    for (const Segment& segment : pieces) {
      ASSERT_EQ(segment.from, told);
      ASSERT_LT(segment.from, segment.to);
      ASSERT_FALSE(segment.rule.empty());
      told = segment.to;
      if (!segment.is_open) continue;
      open += segment.to - segment.from;
      open_pieces.push_back(segment);
    }
    ASSERT_EQ(told, time::TruncateToMicros(end));
    ASSERT_EQ(open, calendar->Between(near, end).value());
    ASSERT_EQ(open_pieces, calendar->Intervals(near, end).value());
  }
  EXPECT_EQ(checked, 700 * 25);
}

// ---- the walk from minute to minute

// Which minutes from `begin` on are open, by the letter of the rules: each date's hours, each
// minute of them that no break holds.
class Minutes {
 public:
  Minutes(const CalendarSpec& spec, const absl::TimeZone& zone, absl::Time begin, int count)
      : begin_(begin), open_(static_cast<size_t>(count), spec.always_open) {
    absl::CivilSecond latest = absl::CivilSecond::min();
    for (int minute = -kMargin; minute < count + kMargin; ++minute) {
      latest = std::max(latest, zone.At(begin + minute * kMinute).cs);
      latest_shown_.push_back(latest);
    }
    const absl::CivilDay last = absl::ToCivilDay(begin + count * kMinute, zone) + 2;
    for (absl::CivilDay day = absl::ToCivilDay(begin, zone) - 3; day <= last; ++day) {
      for (const OpenHours& hours : HoursOf(spec, day)) Mark(day, hours);
    }
  }

  bool IsOpen(int minute) const { return open_[static_cast<size_t>(minute)]; }
  absl::Time At(int minute) const { return begin_ + minute * kMinute; }
  int size() const { return static_cast<int>(open_.size()); }

  int Between(int a, int b) const {
    int open = 0;
    for (int minute = a; minute < b; ++minute) open += IsOpen(minute) ? 1 : 0;
    return open;
  }
  // -1 when the walk ends before.
  int Add(int from, int budget) const {
    int minute = from;
    for (; budget > 0; ++minute) {
      if (minute == size()) return -1;
      if (IsOpen(minute)) --budget;
    }
    return minute;
  }
  int Subtract(int from, int budget) const {
    int minute = from;
    for (; budget > 0; --minute) {
      if (minute == 0) return -1;
      if (IsOpen(minute - 1)) --budget;
    }
    return minute;
  }

 private:
  static std::vector<OpenHours> HoursOf(const CalendarSpec& spec, absl::CivilDay day) {
    for (const DateOverride& date : spec.overrides) {
      if (date.date == day) return date.intervals;
    }
    for (const Holiday& holiday : spec.holidays) {
      if (holiday.month == day.month() && holiday.day == day.day() &&
          holiday.year.value_or(static_cast<int>(day.year())) == day.year()) {
        return {};
      }
    }
    std::vector<OpenHours> hours;
    for (const WeeklyInterval& interval : spec.weekly) {
      for (const absl::Weekday weekday : interval.days) {
        if (weekday == absl::GetWeekday(day)) hours.push_back(interval.hours);
      }
    }
    return hours;
  }

  // The first minute, counted from begin_, at which a clock on the wall has shown the local time
  // or, where it is skipped, a later one. Found by looking at the clock, not by asking for a
  // conversion.
  int MinuteOf(absl::CivilSecond local) const {
    return static_cast<int>(std::lower_bound(latest_shown_.begin(), latest_shown_.end(), local) -
                            latest_shown_.begin()) -
           kMargin;
  }

  void Mark(absl::CivilDay day, const OpenHours& hours) {
    const absl::CivilSecond midnight(day);
    const auto past = [](int seconds, int than) { return seconds < than ? 86'400 : 0; };
    const LocalSpan span = hours.span;
    const int start = MinuteOf(midnight + span.start_s);
    const int end = MinuteOf(midnight + span.end_s + past(span.end_s, span.start_s));
    std::vector<std::pair<int, int>> pauses;
    for (const LocalSpan& pause : hours.breaks) {
      const int shift = past(pause.start_s, span.start_s);
      pauses.emplace_back(
          MinuteOf(midnight + shift + pause.start_s),
          MinuteOf(midnight + shift + pause.end_s + past(pause.end_s, pause.start_s)));
    }
    for (int minute = std::max(start, 0); minute < std::min(end, size()); ++minute) {
      const bool is_break = std::any_of(pauses.begin(), pauses.end(), [&](const auto& pause) {
        return pause.first <= minute && minute < pause.second;
      });
      if (!is_break) open_[static_cast<size_t>(minute)] = true;
    }
  }

  static constexpr int kMargin = 2 * 1440;  // minutes looked at before and after

  const absl::Time begin_;
  std::vector<absl::CivilSecond> latest_shown_;  // up to each minute from -kMargin on
  std::vector<bool> open_;
};

TEST(EveryCalendar, AgreesWithAWalkFromMinuteToMinute) {
  World world(kSeed + 1);
  int64_t checked = 0;
  for (int round = 0; round < 420; ++round) {
    const char* const zone_name = kZones[static_cast<size_t>(round) % kZones.size()];
    const absl::TimeZone zone = Zone(zone_name);
    const absl::Time begin =
        absl::FromUnixSeconds(absl::ToUnixSeconds(world.Instant(zone)) / 60 * 60) - absl::Hours(36);
    constexpr int kMinutes = 4 * 1440;
    const CalendarSpec spec = world.Spec(zone_name, world.OneIn(2) ? 60 : 900,
                                         world.DatesAround(begin + absl::Hours(48), zone));
    SCOPED_TRACE(Describe(spec) + "\n" + time::FormatInstant(begin));
    const Calendar calendar = Calendar::Create(spec).value();
    const Minutes walk(spec, zone, begin, kMinutes);

    // Every minute by the segments; some by IsOpen, below.
    const std::vector<Segment> pieces =
        calendar.Segments(begin, begin + kMinutes * kMinute).value();
    for (const Segment& segment : pieces) {
      const int from = static_cast<int>((segment.from - begin) / kMinute);
      const int to = static_cast<int>((segment.to - begin) / kMinute);
      ASSERT_EQ(walk.Between(from, to), segment.is_open ? to - from : 0)
          << segment.rule << " from " << time::FormatInstant(segment.from);
    }
    for (int i = 0; i < 12; ++i) {
      const int a = static_cast<int>(world.Pick(0, kMinutes - 1));
      const int b = static_cast<int>(world.Pick(a, kMinutes));
      const int budget = static_cast<int>(world.Pick(1, 2 * 1440));
      ASSERT_EQ(calendar.IsOpen(walk.At(a)), walk.IsOpen(a)) << time::FormatInstant(walk.At(a));
      SCOPED_TRACE(time::FormatInstant(walk.At(a)) + " " + std::to_string(budget));
      ASSERT_EQ(calendar.Between(walk.At(a), walk.At(b)).value(), walk.Between(a, b) * kMinute);
      const int due = walk.Add(a, budget);
      if (due >= 0) {
        ASSERT_EQ(calendar.Add(walk.At(a), budget * kMinute).value(), walk.At(due));
        ++checked;
      }
      const int begun = walk.Subtract(a, budget);
      if (begun >= 0) {
        ASSERT_EQ(calendar.Subtract(walk.At(a), budget * kMinute).value(), walk.At(begun));
        ++checked;
      }
      int opening = a;
      while (opening < kMinutes && !walk.IsOpen(opening)) ++opening;
      if (opening < kMinutes) {
        ASSERT_EQ(calendar.NextOpening(walk.At(a)).value(), walk.At(opening));
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 4'000);
}

}  // namespace
}  // namespace tandem::calendar
