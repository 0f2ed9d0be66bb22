// A cycle piece by piece, with the rule of the calendar for each (product §3.6). Pure.
#ifndef TANDEM_SERVICES_SLA_TIMER_EXPLAIN_H_
#define TANDEM_SERVICES_SLA_TIMER_EXPLAIN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/sla_timer/clock.h"

namespace tandem::sla_timer {

struct ClockPiece {
  absl::Time from;
  absl::Time to;
  bool counted = false;
  std::string why;
  int fact = 0;               // that began this state of the clock
  std::string calendar_rule;  // empty where the calendar was not asked
  Leg leg;
  bool expected = false;  // after `now`
};

struct Explanation {
  std::vector<ClockPiece> pieces;  // without gap or overlap
  // Of the counted pieces: the budget, or what was used of it before the end.
  absl::Duration counted;
};

// From the cycle's start to its due instant or end, whichever is later; of a paused cycle as if it
// went on at `now`.
// OUT_OF_RANGE when that is beyond what calendars cover.
absl::StatusOr<Explanation> Explain(const Cycle& cycle, absl::Time now);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_EXPLAIN_H_
