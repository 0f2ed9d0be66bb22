// Which waiting ticket is next, and for whom (product §2.2, §2.3). Pure functions.
#ifndef TANDEM_SERVICES_TRIAGE_QUEUE_ORDER_H_
#define TANDEM_SERVICES_TRIAGE_QUEUE_ORDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::triage {

// A ticket that nobody owns.
struct Waiting {
  std::string ticket_id;
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
  std::vector<absl::Time> rises;  // when it rises a class by waiting, in order
  int impact_score = 0;           // 0 to 100
  int impact_band = 0;            // 2 high, 1 middle, 0 low
  absl::Time due = absl::InfiniteFuture();
  absl::Time opened_at;
  // What an agent needs for it.
  std::string language;  // empty = any
  std::vector<std::string> skills;
  type::v1::SupportLevel support_level = type::v1::SUPPORT_LEVEL_L1;
  int units = 0;
};

// The severity with the classes that the ticket has risen by `now`.
type::v1::Severity EffectiveSeverity(type::v1::Severity severity,
                                     const std::vector<absl::Time>& rises, absl::Time now);

// Sorts by effective severity, impact band, due instant, age, and last by id, so that the order is
// one.
void SortQueue(std::vector<Waiting>& queue, absl::Time now);

bool HasSkills(const std::vector<std::string>& skills, const v1::Staff& staff);
// Compared without the region; an empty language is anybody's, and who names none speaks any.
bool Speaks(std::string_view language, const v1::Staff& staff);
bool WorksOn(type::v1::SupportLevel level, const v1::Staff& staff);

// Why an agent may not take a ticket: the first that holds.
enum class Misfit { kNone, kSkill, kLanguage, kLevel, kCapacity };
Misfit WhyNot(const Waiting& ticket, const v1::Staff& staff, int load_units);

// Why a claim found nothing.
struct Refusal {
  // All that wait, also those that may not be given now because their facts are parked.
  int64_t waiting = 0, parked = 0;
  // Of the others, by the first reason that holds.
  int64_t skill = 0, language = 0, level = 0, capacity = 0;
  void Count(Misfit why);
  // The reason of most weight, as one word: "at_capacity" when only room is missing for some, else
  // what most tickets want.
  std::string_view Word() const;
  // For a person, without the subject: "at capacity (8 of 8 units); 2 need another skill".
  std::string Text(int load_units, int capacity) const;
};

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_QUEUE_ORDER_H_
