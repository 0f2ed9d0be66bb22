// One seed from its plan to its verdict, and the shortest story of one that failed.
#ifndef TANDEM_TESTS_SIMULATION_RUN_H_
#define TANDEM_TESTS_SIMULATION_RUN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/plan.h"

namespace tandem::simulation {

struct Outcome {
  std::optional<std::string> failure;  // none = every promise was kept
  uint64_t trace_hash = 0;  // of every commit and every record of the bus, in their order
  int64_t steps = 0, commits = 0, events = 0, timers = 0, calls = 0, acknowledged = 0;
  // Of tickets and accounts with the shadows: made, and left out as the answer was uncertain.
  int64_t comparisons = 0, omissions = 0;
  std::array<int64_t, kFaultCount> strikes{};
  std::vector<std::string> story;  // of what was traced
};

// Plays the plan: the faults for its length, then none; drains, resolves all that is open, drains
// again. The same plan gives the same outcome. `trace`: an id whose story is told; empty = none.
// `shadows_alone`: the invariants are not believed, so that what is noticed the shadows have
// noticed.
Outcome Play(const Plan& plan, const std::string& trace = "", bool shadows_alone = false);

// A plan that fails as `plan` does, with fewer faults and actions; `runs` plays at most.
struct Shrunk {
  Plan plan;
  Outcome outcome;
  int runs = 0;
};
Shrunk Shrink(const Plan& plan, const Outcome& outcome, int runs);

// The failure without what differs from run to run: ids, numbers and instants.
std::string KindOf(const std::string& failure);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_RUN_H_
