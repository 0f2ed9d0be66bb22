// What has to be told when a clock's evaluation changes: the log's new entries, or, when a late
// fact changed what was told already, the corrections. Pure.
#ifndef TANDEM_SERVICES_SLA_TIMER_JUDGE_H_
#define TANDEM_SERVICES_SLA_TIMER_JUDGE_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/sla_timer/clock.h"

namespace tandem::sla_timer {

struct Notice {
  // A change of the clock, unless `from` is set; then the correction of a verdict of change.cycle.
  Change change;
  bool late = false;
  std::string from = {};  // "met", "breached", "cancelled"; "running" if it was corrected to that
  std::string to = {};    // one of these
};

// How the log leaves a cycle judged: "breached" once it breached, else as it ended last, "met" or
// "cancelled", else "running".
std::string VerdictOf(const std::vector<Change>& log, int cycle);

// What was told about the cycles of one clock.
struct Told {
  std::map<int, std::string> verdicts = {};  // how each cycle was left judged; none = "running"
  std::set<int> breaches = {};               // a breach was published: there is one a cycle
  std::set<int> cancellations = {};  // so was a cancellation: a cycle never goes on after it
};

// From `before` to `after`. `by_timer`: time moved; else a fact arrived, and a breach that it
// brings lies in the past. A cycle that was told of and, by what is known now, never was is
// cancelled, or its verdict corrected to that.
std::vector<Notice> Compare(const Evaluation& before, const Evaluation& after, const Told& told,
                            bool by_timer);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_JUDGE_H_
