#include "services/triage/policy_effects.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/plant/plant.h"
#include "services/triage/records.h"

namespace tandem::triage {
namespace {

using Names = std::set<std::string, std::less<>>;

constexpr int64_t kRowsAtOnce = 500;

template <typename List>
Names NamesIn(const List& list) {
  Names names;
  for (const auto& entry : list) names.insert(entry.name());
  return names;
}

// In `before` and no longer in `after`.
Names Gone(const Names& before, const Names& after) {
  Names gone;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                      std::inserter(gone, gone.end()));
  return gone;
}

// "1 open ticket", "3 open tickets".
std::string Counted(int64_t count, std::string_view one) {
  return absl::StrCat(count, " ", std::string(one), count == 1 ? "" : "s");
}

// Who works here now.
struct People {
  std::map<std::string, std::vector<std::string>, std::less<>> by_queue, by_shift;
  std::vector<Names> skills;  // of each
  Names ids;
};

absl::StatusOr<People> ReadPeople(corridor::View& view) {
  People people;
  std::string after;
  for (;;) {
    auto page = SelectStaff(view, type::v1::STAFF_FUNCTION_UNSPECIFIED, after, kRowsAtOnce);
    if (!page.ok()) return page.status();
    for (const auto& row : *page) {
      const v1::Staff& staff = row->staff();
      // Who comes back is put anew, and names a calendar and queues of the policy then.
      if (!staff.active()) continue;
      people.ids.insert(row.key);
      for (const std::string& queue : staff.queues()) people.by_queue[queue].push_back(row.key);
      if (!staff.shift_calendar().empty()) {
        people.by_shift[staff.shift_calendar()].push_back(row.key);
      }
      people.skills.emplace_back(staff.skills().begin(), staff.skills().end());
    }
    if (static_cast<int64_t>(page->size()) < kRowsAtOnce) return people;
    after = page->back().key;
  }
}

// What the live escalations go by: their ids, by policy and by calendar.
struct LiveEscalations {
  std::map<std::string, std::vector<std::string>, std::less<>> by_policy, by_calendar;
};

absl::StatusOr<LiveEscalations> ReadLive(corridor::View& view) {
  LiveEscalations live;
  std::string after;
  for (;;) {
    auto page = SelectLiveEscalations(view, after, kRowsAtOnce);
    if (!page.ok()) return page.status();
    for (const auto& row : *page) {
      live.by_policy[row->policy().name()].push_back(row.key);
      if (!row->policy().calendar().empty()) {
        live.by_calendar[row->policy().calendar()].push_back(row.key);
      }
    }
    if (static_cast<int64_t>(page->size()) < kRowsAtOnce) return live;
    after = page->back().key;
  }
}

template <typename Map>
std::vector<std::string> In(const Map& map, std::string_view name) {
  const auto found = map.find(name);
  return found == map.end() ? std::vector<std::string>() : found->second;
}

void WeighQueues(const Names& gone, const Names& kept, const People& people,
                 const std::map<std::string, int64_t>& open, policy::Outlook& outlook) {
  for (const std::string& queue : gone) {
    const auto tickets = open.find(queue);
    const int64_t count = tickets == open.end() ? 0 : tickets->second;
    const std::vector<std::string> servers = In(people.by_queue, queue);
    if (count == 0 && servers.empty()) continue;
    std::vector<std::string> users;
    if (count > 0) users.push_back(Counted(count, "open ticket"));
    if (!servers.empty()) users.push_back(absl::StrCat("staff ", policy::SomeOf(servers)));
    outlook.Refuse(
        "queue", queue, count + static_cast<int64_t>(servers.size()),
        absl::StrCat("queue ", queue, " is gone and is used by ", absl::StrJoin(users, " and by "),
                     ": keep it without a routing rule until its tickets are transferred "
                     "and its staff claim from other queues"));
  }
  for (const std::string& queue : kept) {
    if (people.by_queue.contains(queue)) continue;
    const auto tickets = open.find(queue);
    const int64_t count = tickets == open.end() ? 0 : tickets->second;
    outlook.Warn(
        "queue_unserved", queue, count,
        absl::StrCat("queue ", queue, " is served by nobody", count == 0 ? "" : "; it has ",
                     count == 0 ? "" : Counted(count, "open ticket")));
  }
}

void WeighCalendars(const Names& gone, const People& people, const LiveEscalations& live,
                    policy::Outlook& outlook) {
  for (const std::string& calendar : gone) {
    const std::vector<std::string> shifts = In(people.by_shift, calendar);
    const std::vector<std::string> escalations = In(live.by_calendar, calendar);
    if (shifts.empty() && escalations.empty()) continue;
    std::vector<std::string> users;
    if (!shifts.empty())
      users.push_back(absl::StrCat("the shifts of staff ", policy::SomeOf(shifts)));
    if (!escalations.empty()) {
      users.push_back(absl::StrCat("the live escalations ", policy::SomeOf(escalations)));
    }
    outlook.Refuse("calendar", calendar, static_cast<int64_t>(shifts.size() + escalations.size()),
                   absl::StrCat("calendar ", calendar, " is gone and is used by ",
                                absl::StrJoin(users, " and by "),
                                ": keep it until those staff have another shift and those "
                                "escalations have ended"));
  }
}

void WeighEscalations(const Names& gone, const LiveEscalations& live, policy::Outlook& outlook) {
  for (const std::string& name : gone) {
    const std::vector<std::string> escalations = In(live.by_policy, name);
    if (escalations.empty()) continue;
    outlook.Refuse(
        "escalation_policy", name, static_cast<int64_t>(escalations.size()),
        absl::StrCat("escalation policy ", name,
                     " is gone and is used by the live "
                     "escalations ",
                     policy::SomeOf(escalations),
                     ": keep it, behind the one that replaces it, until they have ended"));
  }
}

void WeighSkills(const v1::TriagePolicy& before, const v1::TriagePolicy& after,
                 const People& people, const std::map<std::string, int64_t>& open,
                 policy::Outlook& outlook) {
  Names said;
  for (const v1::ProductSkills& line : after.product_skills()) said.insert(line.product());
  const auto open_of = [&](const std::string& product) {
    const auto found = open.find(product);
    return found == open.end() ? int64_t{0} : found->second;
  };
  for (const v1::ProductSkills& line : before.product_skills()) {
    const int64_t count = open_of(line.product());
    if (line.skills().empty() || said.contains(line.product()) || count == 0) continue;
    outlook.Refuse(
        "product_skills", line.product(), count,
        absl::StrCat("the skills of product ", line.product(), " (",
                     absl::StrJoin(line.skills(), ", "), ") are gone and are needed by ",
                     Counted(count, "open ticket"),
                     ": keep them, or write `skills: []` to let everybody take its tickets"));
  }
  for (const v1::ProductSkills& line : after.product_skills()) {
    const bool somebody_has_all =
        std::any_of(people.skills.begin(), people.skills.end(), [&](const Names& skills) {
          return std::all_of(line.skills().begin(), line.skills().end(),
                             [&](const std::string& skill) { return skills.contains(skill); });
        });
    if (line.skills().empty() || somebody_has_all) continue;
    const int64_t count = open_of(line.product());
    outlook.Warn(
        "skills_missing", line.product(), count,
        absl::StrCat("nobody has all skills that product ", line.product(), " needs (",
                     absl::StrJoin(line.skills(), ", "), ")", count == 0 ? "" : ", which has ",
                     count == 0 ? "" : Counted(count, "open ticket")));
  }
}

void WeighNamedStaff(const v1::TriagePolicy& after, const People& people,
                     policy::Outlook& outlook) {
  Names named;
  for (const v1::EscalationPolicy& escalation : after.escalations()) {
    for (const v1::EscalationLevel& level : escalation.levels()) {
      for (const v1::EscalationTarget& target : level.targets()) {
        if (target.has_staff_id()) named.insert(target.staff_id());
      }
    }
  }
  for (const v1::RoleDefault& role : after.role_defaults()) named.insert(role.staff_id());
  for (const std::string& staff_id : named) {
    if (people.ids.contains(staff_id)) continue;
    outlook.Warn("staff_missing", staff_id, 1,
                 absl::StrCat("staff ", staff_id,
                              " is named and is not here or not active, so is rung for nothing"));
  }
}

}  // namespace

absl::Status WeighPolicy(const Policies::Proposal& proposal, const corridor::Inputs&,
                         corridor::View& view, policy::Outlook& outlook) {
  if (plant::Has(plant::Mistake::kDropsInUse)) return absl::OkStatus();
  const absl::StatusOr<People> people = ReadPeople(view);
  if (!people.ok()) return people.status();
  const absl::StatusOr<LiveEscalations> live = ReadLive(view);
  if (!live.ok()) return live.status();
  const auto by_queue = CountOpenByQueue(view);
  if (!by_queue.ok()) return by_queue.status();
  std::map<std::string, int64_t> by_product;
  if (!proposal.before.product_skills().empty() || !proposal.after.product_skills().empty()) {
    const auto alike = CountAlike(view, absl::UnixEpoch());
    if (!alike.ok()) return alike.status();
    for (const auto& [key, count] : *alike) by_product[ProductOf(key)] += count;
  }

  const auto queues = [](const Rules& rules) {
    return Names(rules.queues().begin(), rules.queues().end());
  };
  const Names kept = queues(proposal.made_after);
  WeighQueues(Gone(queues(proposal.made_before), kept), kept, *people, *by_queue, outlook);
  WeighCalendars(Gone(NamesIn(proposal.before.calendars()), NamesIn(proposal.after.calendars())),
                 *people, *live, outlook);
  WeighEscalations(
      Gone(NamesIn(proposal.before.escalations()), NamesIn(proposal.after.escalations())), *live,
      outlook);
  WeighSkills(proposal.before, proposal.after, *people, by_product, outlook);
  WeighNamedStaff(proposal.after, *people, outlook);
  return absl::OkStatus();
}

}  // namespace tandem::triage
