// A second opinion on business calendars: the words of tandem.sla.v1.Calendar followed day by day,
// slowly and plainly, without a line of common/calendar. Tests compare the two.
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_CALENDAR_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_CALENDAR_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "tandem/sla/v1/calendar.pb.h"

namespace tandem::simulation {

// A stretch of open time, `to` exclusive.
struct Opening {
  absl::Time from;
  absl::Time to;
};

// A value; any thread.
class ShadowCalendar {
 public:
  // INVALID_ARGUMENT for a zone or a time of day that cannot be read; other mistakes are the
  // service's to find.
  static absl::StatusOr<ShadowCalendar> Make(const sla::v1::Calendar& calendar);

  const std::string& name() const { return calendar_.name(); }

  // The open stretches of [from, to), in order, cut to it.
  std::vector<Opening> Openings(absl::Time from, absl::Time to) const;
  // The open time of [from, to); zero when `to` is not after `from`.
  absl::Duration OpenTime(absl::Time from, absl::Time to) const;
  // The earliest instant by which `budget` of open time has passed since `from`; `from` itself for
  // none. The infinite future when ten years do not have so much.
  absl::Time After(absl::Time from, absl::Duration budget) const;
  // Where that many working days after `from` end: the same local time on the open day, moved into
  // its hours. An open day is one on which hours begin, and the small hours of a night are of the
  // evening that they began in. Never so near that nothing is open in between. The infinite future
  // when ten years have no such day.
  absl::Time AfterWorkingDays(absl::Time from, int days) const;
  // The latest instant from which on `budget` of open time passed until `to`; the infinite past
  // likewise.
  absl::Time Before(absl::Time to, absl::Duration budget) const;

 private:
  // Seconds since midnight, 0 to 86,400.
  struct Span {
    int start;
    int end;
  };
  struct Hours {
    Span open;
    std::vector<Span> breaks;
  };
  ShadowCalendar() = default;

  template <typename Interval>
  static absl::StatusOr<Hours> HoursOf(const Interval& interval);
  absl::Time InstantOf(absl::CivilDay day, int second) const;
  // What the day says: its override, its holiday or its weekday's hours; null = closed.
  const std::vector<Hours>* HoursOn(absl::CivilDay day) const;
  // The open stretches that begin on `day`, in order, breaks taken out.
  std::vector<Opening> OpeningsOn(absl::CivilDay day) const;

  sla::v1::Calendar calendar_;
  absl::TimeZone zone_;
  std::map<absl::Weekday, std::vector<Hours>> weekly_;
  std::map<std::string, std::vector<Hours>> overrides_;  // by "YYYY-MM-DD"
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_CALENDAR_H_
