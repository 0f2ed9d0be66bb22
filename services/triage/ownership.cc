#include "services/triage/ownership.h"

#include <algorithm>

#include "common/time/stamp.h"
#include "services/triage/queue_order.h"

namespace tandem::triage {

records::OwnerFit FitOf(const records::TicketRecord& ticket, const v1::Staff& staff,
                        const Rules& rules) {
  records::OwnerFit fit;
  fit.set_in_queue(std::find(staff.queues().begin(), staff.queues().end(), ticket.queue()) !=
                   staff.queues().end());
  fit.set_skilled(HasSkills(rules.SkillsFor(ticket.facts().product()), staff));
  fit.set_speaks(Speaks(ticket.facts().language(), staff));
  fit.set_deep_enough(WorksOn(ticket.support_level(), staff));
  return fit;
}

bool IsGone(const records::StaffRecord& staff, const Rules& rules, absl::Time now) {
  if (!staff.staff().active()) return true;
  return !staff.staff().available() && staff.has_away_since() &&
         time::Instant(staff.away_since()) + rules.release_unavailable_after() <= now;
}

std::string_view ReleaseReason(const records::TicketRecord& ticket,
                               const records::StaffRecord& owner, const Rules& rules,
                               absl::Time now) {
  if (!owner.staff().active()) return "staff_inactive";
  if (IsGone(owner, rules, now)) return "staff_unavailable";
  if (!ticket.has_owner_fit()) return "";
  const records::OwnerFit& then = ticket.owner_fit();
  const records::OwnerFit today = FitOf(ticket, owner.staff(), rules);
  if (then.in_queue() && !today.in_queue()) return "queue_left";
  if (then.skilled() && !today.skilled()) return "skill_lost";
  if (then.speaks() && !today.speaks()) return "language_lost";
  if (then.deep_enough() && !today.deep_enough()) return "level_lost";
  return "";
}

}  // namespace tandem::triage
