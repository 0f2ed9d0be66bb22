#include "common/calendar/calendar_spec.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/time/zones.h"

namespace tandem::calendar {
namespace {

constexpr int kDay = 24 * 60 * 60;
constexpr int kWeek = 7 * kDay;

// A valid span on the line of seconds that starts at the midnight of its day (or week).
struct Stretch {
  int begin = 0;
  int end = 0;
  std::string path;
  std::string text;
};

class Check {
 public:
  explicit Check(const CalendarSpec& spec) : spec_(spec) {}

  std::vector<Problem> Run() {
    Text("name", spec_.name, kMaxNameBytes);
    if (spec_.name.empty()) Add("name", "is empty");
    Zone();
    if (spec_.always_open) {
      const std::string what = "does not go with always_open";
      if (!spec_.weekly.empty()) Add("weekly", what);
      if (!spec_.holidays.empty()) Add("holidays", what);
      if (!spec_.overrides.empty()) Add("overrides", what);
    }
    Weekly();
    Holidays();
    Overrides();
    if (!spec_.always_open && problems_.empty() && spec_.weekly.empty() &&
        std::all_of(spec_.overrides.begin(), spec_.overrides.end(),
                    [](const DateOverride& date) { return date.intervals.empty(); })) {
      Add("weekly", "is empty, and no override has hours: the calendar never opens");
    }
    return std::move(problems_);
  }

 private:
  void Add(std::string path, std::string what) {
    problems_.push_back({std::move(path), std::move(what)});
  }

  void AtMost(const std::string& path, size_t count, size_t limit) {
    if (count > limit) Add(path, absl::StrCat("has ", count, " entries, at most ", limit));
  }

  void Text(const std::string& path, const std::string& text, size_t limit_bytes) {
    if (text.size() > limit_bytes) {
      Add(path, absl::StrCat("has ", text.size(), " bytes, at most ", limit_bytes));
    }
    if (std::any_of(text.begin(), text.end(),
                    [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      Add(path, "has a control character");
  }

  void Zone() {
    const std::string& zone = spec_.zone;
    if (zone.empty()) {
      return Add("zone", "is empty; name an IANA zone such as Europe/London or UTC");
    }
    std::string problem = time::ZoneProblem(zone);
    if (!problem.empty()) Add("zone", std::move(problem));
  }

  // Whether the span can be used; its problems are named.
  bool Span(const std::string& path, const LocalSpan& span) {
    const size_t before = problems_.size();
    if (span.start_s < 0 || span.start_s >= kDay) {
      Add(path + ".start", "is not within 00:00 and 23:59:59");
    }
    if (span.end_s < 0 || span.end_s > kDay) Add(path + ".end", "is not within 00:00 and 24:00");
    if (problems_.size() == before && span.start_s == span.end_s) {
      Add(path + ".end", absl::StrCat("equals the start, ", FormatLocalTime(span.end_s),
                                      "; a whole day is 00:00-24:00"));
    }
    return problems_.size() == before;
  }

  static Stretch MakeStretch(const std::string& path, const LocalSpan& span, std::string text) {
    return {span.start_s, span.end_s + (span.end_s < span.start_s ? kDay : 0), path,
            std::move(text)};
  }

  // The later begun of two overlapping stretches is named, with the other one.
  void Overlaps(std::vector<Stretch> stretches) {
    std::stable_sort(stretches.begin(), stretches.end(),
                     [](const Stretch& a, const Stretch& b) { return a.begin < b.begin; });
    const Stretch* longest = nullptr;
    std::set<std::pair<std::string, std::string>> named;
    for (const Stretch& stretch : stretches) {
      if (longest != nullptr && stretch.begin < longest->end &&
          named.insert({stretch.path, longest->path}).second) {
        Add(stretch.path,
            absl::StrCat(stretch.text, " overlaps ", longest->path, " ", longest->text));
      }
      if (longest == nullptr || stretch.end > longest->end) longest = &stretch;
    }
  }

  bool Hours(const std::string& path, const OpenHours& hours) {
    const bool usable = Span(path, hours.span);
    const Stretch open = MakeStretch(path, hours.span, FormatLocalSpan(hours.span));
    std::vector<Stretch> breaks;
    for (size_t i = 0; i < hours.breaks.size(); ++i) {
      const std::string at = absl::StrCat(path, ".breaks[", i, "]");
      if (!Span(at, hours.breaks[i]) || !usable) continue;
      Stretch pause = MakeStretch(at, hours.breaks[i], FormatLocalSpan(hours.breaks[i]));
      if (pause.begin < open.begin) pause.begin += kDay, pause.end += kDay;
      if (pause.end > open.end) {
        Add(at, absl::StrCat(pause.text, " is not within the open hours ", open.text));
      } else if (pause.begin == open.begin && pause.end == open.end) {
        Add(at, absl::StrCat(pause.text, " leaves nothing open"));
      } else {
        breaks.push_back(std::move(pause));
      }
    }
    Overlaps(std::move(breaks));
    return usable;
  }

  void Weekly() {
    AtMost("weekly", spec_.weekly.size(), kMaxWeeklyIntervals);
    std::vector<Stretch> week;
    std::array<size_t, 7> spans{};
    for (size_t i = 0; i < spec_.weekly.size(); ++i) {
      const WeeklyInterval& interval = spec_.weekly[i];
      const std::string path = absl::StrCat("weekly[", i, "]");
      if (interval.days.empty()) Add(path + ".days", "is empty");
      std::set<absl::Weekday> seen;
      for (size_t j = 0; j < interval.days.size(); ++j) {
        if (!seen.insert(interval.days[j]).second) {
          Add(absl::StrCat(path, ".days[", j, "]"),
              absl::StrCat("names ", std::string(ShortName(interval.days[j])), " twice"));
        }
      }
      const bool usable = Hours(path, interval.hours);
      for (const absl::Weekday day : seen) {
        const auto index = static_cast<size_t>(day);
        spans[index] += 1 + interval.hours.breaks.size();
        if (!usable) continue;
        Stretch stretch = MakeStretch(
            path, interval.hours.span,
            absl::StrCat(std::string(ShortName(day)), " ", FormatLocalSpan(interval.hours.span)));
        stretch.begin += static_cast<int>(index) * kDay;
        stretch.end += static_cast<int>(index) * kDay;
        week.push_back(stretch);
        if (stretch.end > kWeek) {  // Sunday night meets Monday morning of the same pattern.
          stretch.begin -= kWeek;
          stretch.end -= kWeek;
          week.push_back(std::move(stretch));
        }
      }
    }
    for (size_t index = 0; index < spans.size(); ++index) {
      if (spans[index] > kMaxSpansADay) {
        Add("weekly",
            absl::StrCat(std::string(ShortName(static_cast<absl::Weekday>(index))), " has ",
                         spans[index], " open hours and breaks, at most ", kMaxSpansADay));
      }
    }
    Overlaps(std::move(week));
  }

  void Year(const std::string& path, int64_t year) {
    if (year < kFirstYear || year > kLastYear) {
      Add(path, absl::StrCat("is outside the years ", kFirstYear, " to ", kLastYear));
    }
  }

  void Holidays() {
    AtMost("holidays", spec_.holidays.size(), kMaxHolidays);
    std::map<std::tuple<int, int, int>, size_t> seen;
    for (size_t i = 0; i < spec_.holidays.size(); ++i) {
      const Holiday& holiday = spec_.holidays[i];
      const std::string path = absl::StrCat("holidays[", i, "]");
      Text(path + ".name", holiday.name, kMaxLabelBytes);
      const std::string date_path = path + (holiday.year.has_value() ? ".date" : ".annual");
      // 2000 is a leap year, so that an annual 02-29 exists.
      const absl::CivilDay date(holiday.year.value_or(2000), holiday.month, holiday.day);
      if (date.month() != holiday.month || date.day() != holiday.day) {
        Add(date_path, "is not a day of the calendar");
        continue;
      }
      if (holiday.year.has_value()) Year(date_path, *holiday.year);
      const auto [first, inserted] =
          seen.try_emplace({holiday.year.value_or(0), holiday.month, holiday.day}, i);
      if (!inserted) Add(date_path, absl::StrCat("repeats holidays[", first->second, "]"));
    }
  }

  void Overrides() {
    AtMost("overrides", spec_.overrides.size(), kMaxOverrides);
    std::map<absl::CivilDay, size_t> seen;
    for (size_t i = 0; i < spec_.overrides.size(); ++i) {
      const DateOverride& date = spec_.overrides[i];
      const std::string path = absl::StrCat("overrides[", i, "]");
      Text(path + ".name", date.name, kMaxLabelBytes);
      Year(path + ".date", date.date.year());
      const auto [first, inserted] = seen.try_emplace(date.date, i);
      if (!inserted) {
        Add(path + ".date", absl::StrCat("repeats overrides[", first->second, "]"));
      }
      std::vector<Stretch> stretches;
      size_t spans = 0;
      for (size_t j = 0; j < date.intervals.size(); ++j) {
        const std::string at = absl::StrCat(path, ".intervals[", j, "]");
        spans += 1 + date.intervals[j].breaks.size();
        if (!Hours(at, date.intervals[j])) continue;
        const LocalSpan& span = date.intervals[j].span;
        stretches.push_back(MakeStretch(at, span, FormatLocalSpan(span)));
      }
      if (spans > kMaxSpansADay) {
        Add(path + ".intervals",
            absl::StrCat("has ", spans, " open hours and breaks, at most ", kMaxSpansADay));
      }
      Overlaps(std::move(stretches));
    }
  }

  const CalendarSpec& spec_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> Validate(const CalendarSpec& spec) { return Check(spec).Run(); }

absl::Status ProblemsToStatus(std::string_view calendar_name,
                              const std::vector<Problem>& problems) {
  // A name that is too long may be cut within a character, hence the stricter escaping.
  const std::string name = calendar_name.size() > kMaxNameBytes
                               ? absl::CEscape(std::string(calendar_name.substr(0, kMaxNameBytes)))
                               : absl::Utf8SafeCEscape(std::string(calendar_name));
  std::string message = absl::StrCat("calendar \"", name, "\"");
  const size_t told = std::min(problems.size(), kMaxProblemsTold);
  for (size_t i = 0; i < told; ++i) {
    absl::StrAppend(&message, i == 0 ? ": " : "; ", problems[i].path, ": ", problems[i].what);
  }
  if (told < problems.size()) {
    absl::StrAppend(&message, "; and ", problems.size() - told, " more");
  }
  return absl::InvalidArgumentError(message);
}

std::string FormatLocalTime(int seconds) {
  std::string text = absl::StrFormat("%02d:%02d", seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 != 0) absl::StrAppendFormat(&text, ":%02d", seconds % 60);
  return text;
}

std::optional<int> ParseLocalTime(std::string_view text) {
  if (text.size() != 5 && text.size() != 8) return std::nullopt;
  std::array<int, 3> parts{};  // hour, minute, second
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i % 3 == 2) {
      if (c != ':') return std::nullopt;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    parts[i / 3] = parts[i / 3] * 10 + (c - '0');
  }
  if (parts[1] > 59 || parts[2] > 59) return std::nullopt;
  const int seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
  if (seconds > kDay) return std::nullopt;
  return seconds;
}

std::string FormatLocalSpan(const LocalSpan& span) {
  return absl::StrCat(FormatLocalTime(span.start_s), "-", FormatLocalTime(span.end_s));
}

std::string_view ShortName(absl::Weekday day) {
  constexpr std::array<std::string_view, 7> kNames = {"MON", "TUE", "WED", "THU",
                                                      "FRI", "SAT", "SUN"};
  return kNames[static_cast<size_t>(day)];
}

}  // namespace tandem::calendar
