#include "services/triage/ladder.h"

#include <utility>

namespace tandem::triage {

std::optional<Rung> After(const v1::EscalationPolicy& policy, const Rung& rung) {
  if (rung.level < policy.levels_size()) return Rung{rung.level + 1, rung.repeat};
  if (rung.repeat < policy.repeats()) return Rung{1, rung.repeat + 1};
  return std::nullopt;
}

std::optional<Ring> FirstRing(const v1::EscalationPolicy& policy, const Rung& from,
                              absl::FunctionRef<std::vector<std::string>(int level)> staff_of) {
  for (std::optional<Rung> rung = from; rung; rung = After(policy, *rung)) {
    std::vector<std::string> staff = staff_of(rung->level);
    if (!staff.empty()) return Ring{*rung, std::move(staff)};
  }
  return std::nullopt;
}

}  // namespace tandem::triage
