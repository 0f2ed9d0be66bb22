#include "services/sla_timer/facts.h"

#include <algorithm>
#include <tuple>

namespace tandem::sla_timer {
namespace {

int Turn(FactKind kind) {
  switch (kind) {
    case FactKind::kOpened:
      return 0;
    case FactKind::kTriaged:
    case FactKind::kSeverity:
    case FactKind::kAttributes:
    case FactKind::kPolicy:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

void SortFacts(std::vector<Fact>& facts) {
  for (const Fact& fact : facts) {
    if (fact.kind != FactKind::kOpened) continue;
    const absl::Time opened_at = fact.at;
    for (Fact& other : facts) other.at = std::max(other.at, opened_at);
    break;
  }
  std::sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) {
    return std::make_tuple(a.at, Turn(a.kind), a.ticket_version, a.arrival) <
           std::make_tuple(b.at, Turn(b.kind), b.ticket_version, b.arrival);
  });
}

std::string ExclusionOf(const std::vector<Fact>& facts) {
  bool is_internal = false;
  bool is_merged = false;
  for (const Fact& fact : facts) {
    switch (fact.kind) {
      case FactKind::kSpam:
        return "spam";
      case FactKind::kOpened:
      case FactKind::kAttributes:
        is_internal = fact.internal;
        break;
      case FactKind::kMerged:
        is_merged = true;
        break;
      case FactKind::kState:
        is_merged = false;
        break;
      default:
        break;
    }
  }
  if (is_merged) return "merged";
  return is_internal ? "internal" : "";
}

}  // namespace tandem::sla_timer
