// What the two comparisons over random histories share: which service, which seeds, and the story
// of one that fails. For tests; one thread.
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_TESTING_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_TESTING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/definition.h"

namespace tandem::simulation {

// One of the five services, as the programs make it.
std::function<std::unique_ptr<corridor::ServiceDefinition>()> ServiceNamed(const std::string& name);

// The first seed and the one after the last: 1 to `count`, or SHADOW_SEED alone.
//   SHADOW_SEED=7 SHADOW_STORY=1 simulation_shadow_test --gtest_filter=AccountHealth.*
std::pair<uint64_t, uint64_t> Seeds(uint64_t count);

// Whether SHADOW_STORY asks for the events of a seed that fails.
bool WantsStory();
// One event, on stderr.
void TellStory(const bus::Event& event, absl::Time from, absl::Time to);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_TESTING_H_
