// The shadows beside a world: what sla_timer and account_health answer, by RPCs to a replica that
// is alive, against what the shadows make of the same facts. A difference is a broken promise. What
// the world makes uncertain is not compared; shadow_world.cc says each time what that is and why.
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_WORLD_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_WORLD_H_

#include "tests/simulation/dice.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {

// Every ticket and every account. For a world that has come to rest; takes some milliseconds of
// simulated time.
void CompareWithShadows(World& world);
// A few that `dice` draws, at any instant between two steps, faults or not. Who cannot be asked now
// is not asked.
void CompareSomeWithShadows(World& world, Dice& dice);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_WORLD_H_
