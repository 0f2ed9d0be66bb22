#include "services/triage/queue_order.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/views.h"
#include "services/triage/language.h"

namespace tandem::triage {

using config::Absl;

namespace {

using type::v1::Severity;

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

bool HasSkills(const std::vector<std::string>& skills, const v1::Staff& staff) {
  return std::all_of(skills.begin(), skills.end(), [&](const std::string& skill) {
    return std::find(staff.skills().begin(), staff.skills().end(), skill) != staff.skills().end();
  });
}

bool Speaks(std::string_view language, const v1::Staff& staff) {
  return language.empty() || staff.languages().empty() ||
         std::any_of(staff.languages().begin(), staff.languages().end(),
                     [&](const std::string& own) { return IsSameLanguage(own, language); });
}

bool WorksOn(type::v1::SupportLevel level, const v1::Staff& staff) {
  return std::max<int>(staff.support_level(), type::v1::SUPPORT_LEVEL_L1) >= level;
}

Misfit WhyNot(const Waiting& ticket, const v1::Staff& staff, int load_units) {
  if (!HasSkills(ticket.skills, staff)) return Misfit::kSkill;
  if (!Speaks(ticket.language, staff)) return Misfit::kLanguage;
  if (!WorksOn(ticket.support_level, staff)) return Misfit::kLevel;
  const bool has_room = staff.capacity() == 0 || load_units + ticket.units <= staff.capacity();
  return has_room ? Misfit::kNone : Misfit::kCapacity;
}

void Refusal::Count(Misfit why) {
  switch (why) {
    case Misfit::kSkill:
      ++skill;
      return;
    case Misfit::kLanguage:
      ++language;
      return;
    case Misfit::kLevel:
      ++level;
      return;
    case Misfit::kCapacity:
      ++capacity;
      return;
    case Misfit::kNone:
      return;
  }
}

std::string_view Refusal::Word() const {
  if (waiting == 0) return "nothing_waits";
  // Room comes back by itself; a ticket that only lacks it is the nearest to being claimed.
  if (capacity > 0) return "at_capacity";
  const int64_t most = std::max({skill, language, level, parked});
  if (skill == most) return "no_skill";
  if (language == most) return "no_language";
  return level == most ? "support_level" : "parked";
}

std::string Refusal::Text(int load_units, int limit) const {
  if (waiting == 0) return "nothing waits";
  std::vector<std::string> parts;
  const auto add = [&](int64_t tickets, std::string_view one, std::string_view many) {
    if (tickets == 0) return;
    parts.push_back(absl::StrCat(tickets, tickets == 1 ? Absl(one) : Absl(many)));
  };
  if (capacity > 0) {
    const std::string units = absl::StrCat("(", load_units, " of ", limit, " units)");
    if (load_units >= limit) {
      parts.push_back(absl::StrCat("at capacity ", units));
    } else {
      add(capacity, " needs", " need");
      absl::StrAppend(&parts.back(), " more room than is left ", units);
    }
  }
  add(skill, " needs a skill that is missing", " need a skill that is missing");
  add(language, " needs another language", " need another language");
  add(level, " needs a deeper support level", " need a deeper support level");
  add(parked, " is held back by dead letters", " are held back by dead letters");
  return absl::StrJoin(parts, "; ");
}

}  // namespace tandem::triage
