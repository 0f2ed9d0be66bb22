#include "common/calendar/calendar.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/civil_time.h"
#include "common/time/micros.h"
#include "common/time/zones.h"

namespace tandem::calendar {
namespace {

constexpr int64_t kMicrosASecond = 1'000'000;
constexpr int kDay_s = 24 * 60 * 60;
constexpr int64_t kDay_us = kDay_s * kMicrosASecond;
constexpr int kHorizonDays = 3653;
constexpr int64_t kHorizon_us = kHorizonDays * kDay_us;
constexpr int kYears = kLastYear - kFirstYear + 1;

// 1950-01-02T00:00Z and 2099-12-31T00:00Z: a day inside the years covered, so that every instant
// between them lies in a covered year of any zone.
constexpr int64_t kFirst_us = -7304 * kDay_us;
constexpr int64_t kLast_us = 47481 * kDay_us;

// Product §3.3: a local time that does not exist means the instant after the gap, one that exists
// twice the first.
int64_t ToInstant(const absl::TimeZone& zone, absl::CivilSecond local) {
  const absl::TimeZone::TimeInfo info = zone.At(local);
  return time::ToMicros(info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre);
}

// Turns local times of one day and the next into instants, for days in ascending order. Most days
// see no change of offset, and then a local time is its distance from midnight.
class DayClock {
 public:
  explicit DayClock(const absl::TimeZone& zone) : zone_(zone) {}

  void MoveTo(absl::CivilDay day) {
    day_ = day;
    midnight_us_ = ToInstant(zone_, absl::CivilSecond(day));
    if (midnight_us_ > next_change_us_) {
      // From just before midnight, as an offset may change at midnight itself.
      absl::TimeZone::CivilTransition change;
      next_change_us_ = zone_.NextTransition(time::FromMicros(midnight_us_ - 1), &change)
                            ? time::ToMicros(zone_.At(change.to).trans)
                            : std::numeric_limits<int64_t>::max();
    }
    // Two days may be 51 hours long by the clock on the wall; past three days nothing is near.
    is_plain_ = next_change_us_ > midnight_us_ + 3 * kDay_us;
  }

  // `seconds` after the day's midnight by the clock on the wall, from 0 to two days.
  int64_t At(int seconds) const {
    if (is_plain_) return midnight_us_ + seconds * kMicrosASecond;
    return ToInstant(zone_, absl::CivilSecond(day_) + seconds);
  }

 private:
  const absl::TimeZone zone_;
  absl::CivilDay day_;
  int64_t midnight_us_ = 0;
  int64_t next_change_us_ = std::numeric_limits<int64_t>::min();
  bool is_plain_ = false;
};

// A stretch of one day in seconds after its midnight, up to two days, with the rule that makes it.
struct Part {
  int begin_s = 0;
  int end_s = 0;
  int rule = 0;
};

// What a date looks like: its open parts and its breaks, in order, and why the rest is closed.
struct DayShape {
  std::vector<Part> open;
  std::vector<Part> breaks;
  int closed_rule = 0;
};

// The open time of one local year as instants in microseconds, [starts[i], ends[i]) ascending and
// disjoint. before[i] is the open time of the year before starts[i]; these prefix sums turn both
// "how much by then" and "when is so much" into one binary search.
struct Year {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t total = 0;
  std::vector<int64_t> starts;
  std::vector<int64_t> ends;
  std::vector<int64_t> before;
  std::vector<int> rules;

  void Append(int64_t start, int64_t finish, int rule) {
    starts.push_back(start);
    ends.push_back(finish);
    before.push_back(total);
    rules.push_back(rule);
    total += finish - start;
  }

  // The first piece that is not over at `t`.
  size_t PieceAt(int64_t t) const {
    return static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), t) - ends.begin());
  }

  // Open time of this year before `t`, which lies in it.
  int64_t OpenBefore(int64_t t) const {
    const size_t i = PieceAt(t);
    if (i == ends.size()) return total;
    return before[i] + std::max<int64_t>(0, t - starts[i]);
  }

  // The earliest instant by which `consumed` is used up; 0 < consumed <= total.
  int64_t Earliest(int64_t consumed) const {
    const auto next = std::lower_bound(before.begin(), before.end(), consumed);
    const auto i = static_cast<size_t>(next - before.begin()) - 1;
    return starts[i] + (consumed - before[i]);
  }

  // The latest instant by which no more than `consumed` is used up; 0 <= consumed < total.
  int64_t Latest(int64_t consumed) const {
    const auto next = std::upper_bound(before.begin(), before.end(), consumed);
    const auto i = static_cast<size_t>(next - before.begin()) - 1;
    return starts[i] + (consumed - before[i]);
  }
};

}  // namespace

// The calendar compiled for questions: what each kind of day looks like, and the years expanded so
// far. Shared by all copies of a calendar, from any thread.
class Calendar::Expansion {
 public:
  Expansion(CalendarSpec spec, const absl::TimeZone& zone) : spec_(std::move(spec)), zone_(zone) {
    outside_weekly_ = Rule("outside weekly hours");
    for (DayShape& day : weekly_) day.closed_rule = outside_weekly_;
    if (spec_.always_open) {
      for (DayShape& day : weekly_) day.open.push_back({0, kDay_s, 1});
      Rule("always open");
    }
    for (const WeeklyInterval& interval : spec_.weekly) {
      for (const absl::Weekday day : interval.days) {
        AddHours(interval.hours, "weekly ", std::string(ShortName(day)), "",
                 weekly_[static_cast<size_t>(day)]);
      }
    }
    for (const Holiday& holiday : spec_.holidays) {
      const std::string name = holiday.name.empty() ? "" : " " + holiday.name;
      DayShape closed;
      if (holiday.year.has_value()) {
        const absl::CivilDay date(*holiday.year, holiday.month, holiday.day);
        closed.closed_rule = Rule(absl::StrCat("holiday ", absl::FormatCivilTime(date), name));
        dates_[date] = std::move(closed);
      } else {
        const std::string date =
            absl::FormatCivilTime(absl::CivilDay(2000, holiday.month, holiday.day));
        closed.closed_rule = Rule(absl::StrCat("annual holiday ", date.substr(5), name));
        annual_[holiday.month * 100 + holiday.day] = std::move(closed);
      }
    }
    // After the holidays, which an override replaces.
    for (const DateOverride& date : spec_.overrides) {
      const std::string name = date.name.empty() ? "" : " " + date.name;
      const std::string text = absl::FormatCivilTime(date.date);
      DayShape shape;
      shape.closed_rule =
          Rule(date.intervals.empty() ? absl::StrCat("override ", text, " closed", name)
                                      : absl::StrCat("outside override ", text, name));
      for (const OpenHours& hours : date.intervals) {
        AddHours(hours, "override ", text, name, shape);
      }
      dates_[date.date] = std::move(shape);
    }
    for (DayShape& day : weekly_) Sort(day);
    for (auto& [date, day] : dates_) Sort(day);
  }

  const CalendarSpec& spec() const { return spec_; }
  const std::string& rule(int index) const { return rules_[static_cast<size_t>(index)]; }

  // The year that holds `t`, as an index from 0 for kFirstYear. `t` lies within kFirst_us and
  // kLast_us.
  int IndexOf(int64_t t) const {
    constexpr int64_t kMeanYear_us = 31'556'952 * kMicrosASecond;
    // Off by a few days at most, which the neighbours' own ends put right.
    int index = static_cast<int>((t - kFirst_us) / kMeanYear_us);
    index = std::min(index, kYears - 1);
    while (t < At(index).begin) --index;
    while (t >= At(index).end) ++index;
    return index;
  }

  // That year, expanded when first asked for.
  const Year& At(int index) const {
    const auto i = static_cast<size_t>(index);
    const Year* year = published_[i].load(std::memory_order_acquire);
    if (year != nullptr) return *year;
    const absl::MutexLock lock(&mutex_);
    if (owned_[i] == nullptr) {
      owned_[i] = Expand(kFirstYear + index);
      published_[i].store(owned_[i].get(), std::memory_order_release);
    }
    return *owned_[i];
  }

  // As Calendar::AddWorkingDays; `between` tells the open time from `from` to an instant.
  template <typename Between>
  absl::StatusOr<int64_t> AddWorkingDays(int64_t from, int days, const Between& between) const {
    const absl::Time t = time::FromMicros(from);
    const absl::CivilSecond local = zone_.At(t).cs;
    const absl::Duration below_second = t - absl::FromUnixSeconds(absl::ToUnixSeconds(t));
    absl::CivilDay day(local);
    if (IsWithinHoursOf(day - 1, from)) --day;
    const int64_t seconds = local - absl::CivilSecond(day);
    absl::CivilDay last_open = day;
    int counted = 0;
    for (absl::CivilDay next = day + 1; next - last_open <= kHorizonDays; ++next) {
      if (next.year() > kLastYear) return OutOfYears();
      const std::vector<std::pair<int64_t, int64_t>> hours = HoursOf(next);
      if (hours.empty()) continue;
      last_open = next;
      if (++counted < days) continue;
      const absl::TimeZone::TimeInfo info = zone_.At(absl::CivilSecond(next) + seconds);
      const int64_t same_time = time::ToMicros(
          info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre + below_second);
      int64_t end = hours.back().second;
      for (const auto& [opening, closing] : hours) {
        if (same_time > closing) continue;
        end = std::max(same_time, opening);
        break;
      }
      if (end > from && between(end) > 0) return end;
    }
    return NoOpening("after", from);
  }

  // Calls `closed(from, to, rule)` in order for the pieces of [from, to), a stretch known to be
  // closed, until it returns false; returns the last answer.
  template <typename Closed>
  bool ExplainClosed(int64_t from, int64_t to, const Closed& closed) const {
    DayClock clock(zone_);
    // A day earlier than the local date: where a clock is set back over midnight the date comes
    // twice.
    absl::CivilDay day = absl::CivilDay(zone_.At(time::FromMicros(from)).cs) - 1;
    for (;; ++day) {
      struct Pause {
        int64_t start, end;
        int rule;
      };
      std::vector<Pause> pauses;
      clock.MoveTo(day - 1);
      for (const Part& part : ShapeOf(day - 1).breaks) {
        pauses.push_back({clock.At(part.begin_s), clock.At(part.end_s), part.rule});
      }
      const DayShape& shape = ShapeOf(day);
      clock.MoveTo(day);
      const int64_t day_start = clock.At(0);
      const int64_t day_end = clock.At(kDay_s);
      if (day_start >= to) return true;
      for (const Part& part : shape.breaks) {
        pauses.push_back({clock.At(part.begin_s), clock.At(part.end_s), part.rule});
      }
      std::stable_sort(pauses.begin(), pauses.end(),
                       [](const Pause& a, const Pause& b) { return a.start < b.start; });
      int64_t cursor = std::max(from, day_start);
      const int64_t end = std::min(to, day_end);
      for (const Pause& pause : pauses) {
        const int64_t pause_start = std::max(cursor, pause.start);
        const int64_t pause_end = std::min(end, pause.end);
        if (pause_start >= pause_end) continue;
        if (cursor < pause_start && !closed(cursor, pause_start, shape.closed_rule)) return false;
        if (!closed(pause_start, pause_end, pause.rule)) return false;
        cursor = pause_end;
      }
      if (cursor < end && !closed(cursor, end, shape.closed_rule)) return false;
    }
  }

  absl::Status OutOfRange(const char* what, absl::Time instant) const {
    return absl::OutOfRangeError(absl::StrCat(Named(), ": ", what, " ",
                                              time::FormatInstant(instant),
                                              " lies outside 1950-01-02 to 2099-12-31"));
  }

  absl::Status OutOfYears() const {
    return absl::OutOfRangeError(
        absl::StrCat(Named(), ": the answer lies outside 1950-01-02 to 2099-12-31"));
  }

  absl::Status NoOpening(const char* direction, int64_t instant_us) const {
    return absl::FailedPreconditionError(
        absl::StrCat(Named(), " has no opening within ten years ", direction, " ",
                     time::FormatInstant(time::FromMicros(instant_us))));
  }

  std::string Named() const { return absl::StrCat("calendar \"", spec_.name, "\""); }

 private:
  int Rule(std::string text) {
    rules_.push_back(std::move(text));
    return static_cast<int>(rules_.size()) - 1;
  }

  // Cuts the breaks out of `hours` and puts what is left into `shape`.
  void AddHours(const OpenHours& hours, const char* kind, const std::string& day,
                const std::string& name, DayShape& shape) {
    const LocalSpan span = hours.span;
    const int rule = Rule(absl::StrCat(kind, day, " ", FormatLocalSpan(span), name));
    std::vector<Part> breaks;
    for (const LocalSpan& pause : hours.breaks) {
      Part part{pause.start_s, pause.end_s + (pause.end_s < pause.start_s ? kDay_s : 0),
                Rule(absl::StrCat("break ", day, " ", FormatLocalSpan(pause)))};
      if (part.begin_s < span.start_s) part.begin_s += kDay_s, part.end_s += kDay_s;
      breaks.push_back(part);
    }
    std::sort(breaks.begin(), breaks.end(),
              [](const Part& a, const Part& b) { return a.begin_s < b.begin_s; });
    int begin = span.start_s;
    for (const Part& pause : breaks) {
      if (begin < pause.begin_s) shape.open.push_back({begin, pause.begin_s, rule});
      begin = pause.end_s;
    }
    const int end = span.end_s + (span.end_s < span.start_s ? kDay_s : 0);
    if (begin < end) shape.open.push_back({begin, end, rule});
    shape.breaks.insert(shape.breaks.end(), breaks.begin(), breaks.end());
  }

  static void Sort(DayShape& day) {
    const auto earlier = [](const Part& a, const Part& b) { return a.begin_s < b.begin_s; };
    std::sort(day.open.begin(), day.open.end(), earlier);
    std::sort(day.breaks.begin(), day.breaks.end(), earlier);
  }

  // An override before a dated holiday before an annual one before the weekly hours.
  const DayShape& ShapeOf(absl::CivilDay day) const {
    if (!dates_.empty()) {
      const auto date = dates_.find(day);
      if (date != dates_.end()) return date->second;
    }
    if (!annual_.empty()) {
      const auto annual = annual_.find(day.month() * 100 + day.day());
      if (annual != annual_.end()) return annual->second;
    }
    return weekly_[static_cast<size_t>(absl::GetWeekday(day))];
  }

  // The open pieces that begin on `day`, in order, without what a gap swallows.
  std::vector<std::pair<int64_t, int64_t>> HoursOf(absl::CivilDay day) const {
    std::vector<std::pair<int64_t, int64_t>> hours;
    DayClock clock(zone_);
    clock.MoveTo(day);
    for (const Part& part : ShapeOf(day).open) {
      const int64_t start = clock.At(part.begin_s);
      const int64_t end = clock.At(part.end_s);
      if (start < end) hours.emplace_back(start, end);
    }
    return hours;
  }

  // Whether `t`, of the next day, lies between the first opening and the last closing of `day`.
  bool IsWithinHoursOf(absl::CivilDay day, int64_t t) const {
    const std::vector<std::pair<int64_t, int64_t>> hours = HoursOf(day);
    return !hours.empty() && hours.front().first <= t && t < hours.back().second;
  }

  std::unique_ptr<const Year> Expand(int number) const {
    struct Piece {
      int64_t start, end;
      int rule;
    };
    std::vector<Piece> pieces;
    auto year = std::make_unique<Year>();
    const absl::CivilDay first(number, 1, 1);
    const absl::CivilDay next(number + 1, 1, 1);
    year->begin = ToInstant(zone_, absl::CivilSecond(first));
    year->end = ToInstant(zone_, absl::CivilSecond(next));
    DayClock clock(zone_);
    // From the last day of the year before, whose hours may run past midnight.
    for (absl::CivilDay day = first - 1; day < next; ++day) {
      clock.MoveTo(day);
      for (const Part& part : ShapeOf(day).open) {
        const int64_t start = std::max(clock.At(part.begin_s), year->begin);
        const int64_t end = std::min(clock.At(part.end_s), year->end);
        // Nothing is left of hours that a gap swallows.
        if (start < end) pieces.push_back({start, end, part.rule});
      }
    }
    // Hours of one day run into the next one's where an override says so. Stable: of two that start
    // together the earlier day's is cited.
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.start < b.start; });
    int64_t covered = year->begin;
    for (const Piece& piece : pieces) {
      const int64_t start = std::max(piece.start, covered);
      if (start >= piece.end) continue;
      year->Append(start, piece.end, piece.rule);
      covered = piece.end;
    }
    return year;
  }

  const CalendarSpec spec_;
  const absl::TimeZone zone_;
  std::vector<std::string> rules_;
  int outside_weekly_ = 0;
  std::array<DayShape, 7> weekly_;
  absl::flat_hash_map<absl::CivilDay, DayShape> dates_;
  absl::flat_hash_map<int, DayShape> annual_;  // by month * 100 + day

  mutable absl::Mutex mutex_;
  mutable std::array<std::unique_ptr<const Year>, kYears> owned_ ABSL_GUARDED_BY(mutex_);
  mutable std::array<std::atomic<const Year*>, kYears> published_{};
};

namespace {

bool IsCovered(int64_t t) { return t >= kFirst_us && t <= kLast_us; }

// Grows a list of segments up to a limit, joining what a year's end has cut in two.
class SegmentList {
 public:
  explicit SegmentList(size_t max) : max_(max) {}

  // False when the list is full and `from` to `to` is not in it.
  bool Append(int64_t from, int64_t to, bool is_open, const std::string& rule) {
    if (!segments_.empty()) {
      Segment& last = segments_.back();
      if (last.to == time::FromMicros(from) && last.is_open == is_open && last.rule == rule) {
        last.to = time::FromMicros(to);
        return true;
      }
    }
    if (segments_.size() >= max_) return false;
    segments_.push_back({time::FromMicros(from), time::FromMicros(to), is_open, rule});
    return true;
  }

  std::vector<Segment> Take() { return std::move(segments_); }

 private:
  const size_t max_;
  std::vector<Segment> segments_;
};

}  // namespace

Calendar::Calendar(std::shared_ptr<const Expansion> expansion) : expansion_(std::move(expansion)) {}

absl::StatusOr<Calendar> Calendar::Create(CalendarSpec spec) {
  const std::vector<Problem> problems = Validate(spec);
  if (!problems.empty()) return ProblemsToStatus(spec.name, problems);
  const std::optional<absl::TimeZone> zone = time::FindZone(spec.zone);
  if (!zone) return ProblemsToStatus(spec.name, {{"zone", "cannot be loaded"}});
  return Calendar(std::make_shared<const Expansion>(std::move(spec), *zone));
}

const CalendarSpec& Calendar::spec() const { return expansion_->spec(); }

absl::StatusOr<absl::Time> Calendar::Add(absl::Time t, absl::Duration budget) const {
  const int64_t from = time::ToMicros(t);
  if (!IsCovered(from)) return expansion_->OutOfRange("the instant", t);
  if (budget < absl::ZeroDuration() || budget == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(expansion_->Named(), ": the budget ",
                                                   absl::FormatDuration(budget),
                                                   " is negative or infinite"));
  }
  const int64_t budget_us = absl::ToInt64Microseconds(budget);
  if (budget_us == 0) return time::FromMicros(from);
  if (budget_us > kLast_us - kFirst_us) return expansion_->OutOfYears();

  int index = expansion_->IndexOf(from);
  const Year* year = &expansion_->At(index);
  int64_t consumed = year->OpenBefore(from) + budget_us;  // since the year began
  int64_t reached = from;  // nothing is open from here to the next year
  while (consumed > year->total) {
    consumed -= year->total;
    if (!year->ends.empty()) reached = std::max(reached, year->ends.back());
    if (++index == kYears) return expansion_->OutOfYears();
    year = &expansion_->At(index);
    const int64_t opening = year->starts.empty() ? year->end : year->starts.front();
    if (opening - reached > kHorizon_us) return expansion_->NoOpening("after", reached);
  }
  const int64_t answer = year->Earliest(consumed);
  if (!IsCovered(answer)) return expansion_->OutOfYears();
  return time::FromMicros(answer);
}

absl::StatusOr<absl::Time> Calendar::AddWorkingDays(absl::Time t, int days) const {
  const int64_t from = time::ToMicros(t);
  if (!IsCovered(from)) return expansion_->OutOfRange("the instant", t);
  if (days < 1 || days > kHorizonDays) {
    return absl::InvalidArgumentError(absl::StrCat(
        expansion_->Named(), ": ", days, " working days are not within 1 and ", kHorizonDays));
  }
  const auto between = [&](int64_t end) {
    const absl::StatusOr<absl::Duration> open = Between(t, time::FromMicros(end));
    return open.ok() ? absl::ToInt64Microseconds(*open) : 0;
  };
  const absl::StatusOr<int64_t> end = expansion_->AddWorkingDays(from, days, between);
  if (!end.ok()) return end.status();
  if (!IsCovered(*end)) return expansion_->OutOfYears();
  return time::FromMicros(*end);
}

absl::StatusOr<absl::Time> Calendar::Subtract(absl::Time t, absl::Duration budget) const {
  const int64_t to = time::ToMicros(t);
  if (!IsCovered(to)) return expansion_->OutOfRange("the instant", t);
  if (budget < absl::ZeroDuration() || budget == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(expansion_->Named(), ": the budget ",
                                                   absl::FormatDuration(budget),
                                                   " is negative or infinite"));
  }
  const int64_t budget_us = absl::ToInt64Microseconds(budget);
  if (budget_us == 0) return time::FromMicros(to);
  if (budget_us > kLast_us - kFirst_us) return expansion_->OutOfYears();

  int index = expansion_->IndexOf(to);
  const Year* year = &expansion_->At(index);
  int64_t consumed = year->OpenBefore(to) - budget_us;  // what the answer leaves of the year
  int64_t reached = to;  // nothing is open from the year before to here
  while (consumed < 0) {
    if (!year->starts.empty()) reached = std::min(reached, year->starts.front());
    if (--index < 0) return expansion_->OutOfYears();
    year = &expansion_->At(index);
    const int64_t closing = year->ends.empty() ? year->begin : year->ends.back();
    if (reached - closing > kHorizon_us) return expansion_->NoOpening("before", reached);
    consumed += year->total;
  }
  const int64_t answer = year->Latest(consumed);
  if (!IsCovered(answer)) return expansion_->OutOfYears();
  return time::FromMicros(answer);
}

absl::StatusOr<absl::Duration> Calendar::Between(absl::Time a, absl::Time b) const {
  if (b < a) {
    const absl::StatusOr<absl::Duration> forward = Between(b, a);
    if (!forward.ok()) return forward.status();
    return -*forward;
  }
  const int64_t from = time::ToMicros(a);
  const int64_t to = time::ToMicros(b);
  if (!IsCovered(from)) return expansion_->OutOfRange("the instant", a);
  if (!IsCovered(to)) return expansion_->OutOfRange("the instant", b);
  const int first = expansion_->IndexOf(from);
  const int last = expansion_->IndexOf(to);
  int64_t open = expansion_->At(last).OpenBefore(to) - expansion_->At(first).OpenBefore(from);
  for (int index = first; index < last; ++index) open += expansion_->At(index).total;
  return absl::Microseconds(open);
}

absl::StatusOr<absl::Time> Calendar::NextOpening(absl::Time t) const {
  const int64_t from = time::ToMicros(t);
  if (!IsCovered(from)) return expansion_->OutOfRange("the instant", t);
  for (int index = expansion_->IndexOf(from); index < kYears; ++index) {
    const Year& year = expansion_->At(index);
    const size_t piece = year.PieceAt(from);
    const bool found = piece < year.ends.size();
    const int64_t opening = found ? std::max(from, year.starts[piece]) : year.end;
    if (opening - from > kHorizon_us) return expansion_->NoOpening("after", from);
    if (!found) continue;
    if (!IsCovered(opening)) break;
    return time::FromMicros(opening);
  }
  return expansion_->OutOfYears();
}

bool Calendar::IsOpen(absl::Time t) const {
  const int64_t at = time::ToMicros(t);
  if (!IsCovered(at)) return false;
  const Year& year = expansion_->At(expansion_->IndexOf(at));
  const size_t piece = year.PieceAt(at);
  return piece < year.ends.size() && year.starts[piece] <= at;
}

absl::StatusOr<std::vector<Segment>> Calendar::Intervals(absl::Time from, absl::Time to,
                                                         size_t max) const {
  return Walk(from, to, max, /*with_closed=*/false);
}

absl::StatusOr<std::vector<Segment>> Calendar::Segments(absl::Time from, absl::Time to,
                                                        size_t max) const {
  return Walk(from, to, max, /*with_closed=*/true);
}

absl::StatusOr<std::vector<Segment>> Calendar::Walk(absl::Time from, absl::Time to, size_t max,
                                                    bool with_closed) const {
  const int64_t begin = time::ToMicros(from);
  const int64_t end = time::ToMicros(to);
  if (!IsCovered(begin)) return expansion_->OutOfRange("the instant", from);
  if (!IsCovered(end)) return expansion_->OutOfRange("the instant", to);
  if (end < begin) {
    return absl::InvalidArgumentError(absl::StrCat(expansion_->Named(), ": ",
                                                   time::FormatInstant(to), " is before ",
                                                   time::FormatInstant(from)));
  }
  SegmentList segments(max);
  const auto append_closed = [&](int64_t start, int64_t finish, int rule) {
    return segments.Append(start, finish, false, expansion_->rule(rule));
  };
  int64_t told = begin;  // [begin, told) is in the list
  for (int index = expansion_->IndexOf(begin); told < end && index < kYears; ++index) {
    const Year& year = expansion_->At(index);
    if (year.begin >= end) break;
    for (size_t i = year.PieceAt(begin); i < year.ends.size() && year.starts[i] < end; ++i) {
      const int64_t start = std::max(year.starts[i], begin);
      const int64_t finish = std::min(year.ends[i], end);
      if (with_closed && told < start && !expansion_->ExplainClosed(told, start, append_closed)) {
        return segments.Take();
      }
      if (!segments.Append(start, finish, true, expansion_->rule(year.rules[i]))) {
        return segments.Take();
      }
      told = finish;
    }
  }
  if (with_closed && told < end) expansion_->ExplainClosed(told, end, append_closed);
  return segments.Take();
}

}  // namespace tandem::calendar
