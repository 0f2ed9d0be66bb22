// Business calendars: when a desk is open, and arithmetic in open time, exact to the microsecond.
//
//   CalendarSpec spec{.name = "new-york", .zone = "America/New_York"};
//   spec.weekly = {{.days = {absl::Weekday::monday, absl::Weekday::tuesday},
//                   .hours = {.span = {.start_s = 9 * 3600, .end_s = 17 * 3600 + 1800}}}};
//   absl::StatusOr<Calendar> calendar = Calendar::Create(spec);
//   absl::StatusOr<absl::Time> due = calendar->Add(opened_at, absl::Hours(4));
//
// The rules, and how fast this is, stand in README.md beside this file.
#ifndef TANDEM_COMMON_CALENDAR_CALENDAR_H_
#define TANDEM_COMMON_CALENDAR_CALENDAR_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/calendar/calendar_spec.h"

namespace tandem::calendar {

// A closed stretch longer than this ends a search for open time; ten years have at most 3653 days.
constexpr absl::Duration SearchHorizon() { return absl::Hours(24 * 3653); }

// A piece of time [from, to) that is open or closed throughout, and the one rule that makes it so:
//   open    "weekly MON 09:00-17:30", "override 2026-12-24 10:00-12:00 Christmas Eve", "always
//   open" closed  "break MON 12:00-13:00", "break 2026-12-24 11:00-11:15", "holiday 2026-11-26
//   Thanksgiving",
//           "annual holiday 12-25 Christmas Day", "override 2026-12-24 closed Christmas Eve",
//           "outside override 2026-12-24 Christmas Eve", "outside weekly hours"
// Hours past midnight, and breaks in them, are cited by the day that they began on.
struct Segment {
  absl::Time from;
  absl::Time to;
  bool is_open = false;
  std::string rule;

  friend bool operator==(const Segment&, const Segment&) = default;
};

// An immutable value, cheap to copy: copies share one expansion, which is filled in year by year as
// it is asked for. Any thread may call any member of one object at the same time as others do.
//
// Instants are cut to the whole microsecond at or before them, durations towards zero. Questions
// and answers lie within 1950-01-02T00:00Z and 2099-12-31T00:00Z; beyond is OUT_OF_RANGE. Every
// error names the calendar.
class Calendar {
 public:
  // INVALID_ARGUMENT that lists every problem of `spec`.
  static absl::StatusOr<Calendar> Create(CalendarSpec spec);

  const CalendarSpec& spec() const;
  const std::string& name() const { return spec().name; }

  // The earliest instant u >= t with Between(t, u) == budget; `t` itself for a zero budget. A
  // budget used up exactly at closing gives the closing instant. INVALID_ARGUMENT when the budget
  // is negative or infinite; FAILED_PRECONDITION when it cannot be used up: nothing opens within
  // SearchHorizon() after `t`, or after the closing that the search got to.
  absl::StatusOr<absl::Time> Add(absl::Time t, absl::Duration budget) const;

  // Where `days` working days after `t` end: the same local time on that many-th open day after,
  // moved into its open time (before opening: the opening; within a break: its end; after closing:
  // the closing). An open day is a date on which hours begin; an instant within hours that began
  // the evening before is of that evening's day. Where nothing would be open between `t` and there,
  // as from a Sunday's small hours to Monday's opening, the next open day counts.
  // INVALID_ARGUMENT when `days` is below 1 or above 3653; FAILED_PRECONDITION when nothing opens
  // within SearchHorizon().
  absl::StatusOr<absl::Time> AddWorkingDays(absl::Time t, int days) const;

  // The latest instant u <= t with Between(u, t) == budget. Errors as Add, looking back.
  absl::StatusOr<absl::Time> Subtract(absl::Time t, absl::Duration budget) const;

  // Open time within [a, b); when b < a, minus that within [b, a). Zero is an answer here, also
  // from a calendar that has no opening near.
  absl::StatusOr<absl::Duration> Between(absl::Time a, absl::Time b) const;

  // `t` when open then, else the first instant after it at which the calendar is open.
  // FAILED_PRECONDITION when that is further away than SearchHorizon().
  absl::StatusOr<absl::Time> NextOpening(absl::Time t) const;

  // Whether `t` is open: an opening instant is, a closing instant is not. False outside the years
  // covered.
  bool IsOpen(absl::Time t) const;

  // The open time within [from, to), cut to it, in order, at most `max` pieces; a list that was cut
  // short goes on from its last piece's `to`. Pieces never overlap: where two days' hours claim the
  // same time, those that began first are cited until they end. Pieces of different rules may
  // touch. INVALID_ARGUMENT when to < from.
  absl::StatusOr<std::vector<Segment>> Intervals(
      absl::Time from, absl::Time to, size_t max = std::numeric_limits<size_t>::max()) const;

  // The whole of [from, to) as open and closed pieces without gap or overlap, each with its rule,
  // at most `max` of them; the open ones are those of Intervals. A closed stretch is split where
  // its reason changes. INVALID_ARGUMENT when to < from.
  absl::StatusOr<std::vector<Segment>> Segments(
      absl::Time from, absl::Time to, size_t max = std::numeric_limits<size_t>::max()) const;

 private:
  class Expansion;
  explicit Calendar(std::shared_ptr<const Expansion> expansion);
  absl::StatusOr<std::vector<Segment>> Walk(absl::Time from, absl::Time to, size_t max,
                                            bool with_closed) const;

  std::shared_ptr<const Expansion> expansion_;
};

}  // namespace tandem::calendar

#endif  // TANDEM_COMMON_CALENDAR_CALENDAR_H_
