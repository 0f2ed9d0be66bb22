// The ladder of an escalation: which level rings next (product §2.4). Pure functions.
#ifndef TANDEM_SERVICES_TRIAGE_LADDER_H_
#define TANDEM_SERVICES_TRIAGE_LADDER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tandem/triage/v1/triage_policy.pb.h"

namespace tandem::triage {

// A place on the ladder.
struct Rung {
  int level = 1;   // from 1
  int repeat = 0;  // of the whole policy, from 0
  friend bool operator==(const Rung&, const Rung&) = default;
};

// The place after `rung`: the next level, after the last one the first again while the policy
// repeats; nullopt when the policy is used up.
std::optional<Rung> After(const v1::EscalationPolicy& policy, const Rung& rung);

// Who is rung where.
struct Ring {
  Rung rung;
  std::vector<std::string> staff_ids;  // at least one
};

// The first place from `from` on at which anybody is to be rung: an empty level is skipped. nullopt
// when there is none left. `staff_of` tells who a level (from 1) reaches now.
std::optional<Ring> FirstRing(const v1::EscalationPolicy& policy, const Rung& from,
                              absl::FunctionRef<std::vector<std::string>(int level)> staff_of);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_LADDER_H_
