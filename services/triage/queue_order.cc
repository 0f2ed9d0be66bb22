#include "services/triage/queue_order.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "absl/strings/ascii.h"
#include "services/triage/views.h"

namespace tandem::triage {
namespace {

using type::v1::Severity;

std::string WithoutRegion(std::string_view language) {
  return absl::AsciiStrToLower(Absl(language.substr(0, language.find('-'))));
}

}  // namespace

Severity EffectiveSeverity(Severity severity, const std::vector<absl::Time>& rises,
                           absl::Time now) {
  // Numbers fall as the class rises; waiting alone never makes more than URGENT.
  int effective = severity;
  for (const absl::Time at : rises) {
    if (at <= now && effective > type::v1::SEVERITY_URGENT) --effective;
  }
  return static_cast<Severity>(effective);
}

void SortQueue(std::vector<Waiting>& queue, absl::Time now) {
  const auto rank = [now](const Waiting& ticket) {
    return std::tuple(static_cast<int>(EffectiveSeverity(ticket.severity, ticket.rises, now)),
                      -ticket.impact_band, ticket.due, ticket.opened_at,
                      std::string_view(ticket.ticket_id));
  };
  std::sort(queue.begin(), queue.end(),
            [&](const Waiting& a, const Waiting& b) { return rank(a) < rank(b); });
}

bool Fits(const Waiting& ticket, const v1::Staff& staff, int load_units) {
  const bool skilled =
      std::all_of(ticket.skills.begin(), ticket.skills.end(), [&](const std::string& skill) {
        return std::find(staff.skills().begin(), staff.skills().end(), skill) !=
               staff.skills().end();
      });
  const bool speaks =
      ticket.language.empty() || staff.languages().empty() ||
      std::any_of(staff.languages().begin(), staff.languages().end(),
                  [&](const std::string& language) {
                    return WithoutRegion(language) == WithoutRegion(ticket.language);
                  });
  const int depth = std::max<int>(staff.support_level(), type::v1::SUPPORT_LEVEL_L1);
  const bool has_room = staff.capacity() == 0 || load_units + ticket.units <= staff.capacity();
  return skilled && speaks && depth >= ticket.support_level && has_room;
}

}  // namespace tandem::triage
