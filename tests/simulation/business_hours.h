// The two calendars of deploy/policies/sla.yaml, walked day by day: a second opinion on what
// counts.
#ifndef TANDEM_TESTS_SIMULATION_BUSINESS_HOURS_H_
#define TANDEM_TESTS_SIMULATION_BUSINESS_HOURS_H_

#include <algorithm>
#include <string_view>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace tandem::simulation {

// "office-hours": Monday to Friday, 9 to 17 UTC, without 1 January and 25 December; everything else
// is around the clock.
inline absl::Duration BusinessTime(std::string_view calendar, absl::Time from, absl::Time to) {
  if (to <= from) return absl::ZeroDuration();
  if (calendar != "office-hours") return to - from;
  const absl::TimeZone utc = absl::UTCTimeZone();
  absl::Duration total;
  for (absl::CivilDay day = absl::ToCivilDay(from, utc); day <= absl::ToCivilDay(to, utc); ++day) {
    const absl::Weekday weekday = absl::GetWeekday(day);
    if (weekday == absl::Weekday::saturday || weekday == absl::Weekday::sunday) continue;
    if ((day.month() == 1 && day.day() == 1) || (day.month() == 12 && day.day() == 25)) continue;
    const absl::Time opens = absl::FromCivil(absl::CivilHour(day) + 9, utc);
    const absl::Time closes = absl::FromCivil(absl::CivilHour(day) + 17, utc);
    total += std::max(absl::ZeroDuration(), std::min(to, closes) - std::max(from, opens));
  }
  return total;
}

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_BUSINESS_HOURS_H_
