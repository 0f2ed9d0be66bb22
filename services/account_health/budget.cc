#include "services/account_health/budget.h"

#include <algorithm>
#include <vector>

#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/account_health/topics.h"

namespace tandem::account_health {
namespace {

using account::v1::ContactBudget;
using records::BudgetEntry;
using records::BudgetRecord;

// When the entry stops counting in a window of that length: a reservation at its expiry, a use one
// window later.
int64_t EndOf(const BudgetEntry& entry, int64_t window_us) {
  return entry.used_us() == 0 ? entry.expires_us() : entry.used_us() + window_us;
}

template <typename Predicate>
bool EraseIf(BudgetRecord& budget, Predicate predicate) {
  auto* entries = budget.mutable_entries();
  const auto kept = std::remove_if(entries->begin(), entries->end(), predicate);
  const bool any = kept != entries->end();
  entries->erase(kept, entries->end());
  return any;
}

}  // namespace

int32_t UnitsOf(type::v1::OutreachTopic topic, const ContactBudget& policy) {
  if (IsFree(topic)) return 0;
  if (IsSurvey(topic)) return policy.survey_units();
  return Holds(CommercialTopics(), topic) ? policy.commercial_units() : policy.other_units();
}

int32_t UnitsTaken(const BudgetRecord& budget, absl::Time now, const ContactBudget& policy) {
  int32_t taken = 0;
  for (const BudgetEntry& entry : budget.entries()) {
    if (EndOf(entry, time::MicrosOf(policy.window())) > time::ToMicros(now)) taken += entry.units();
  }
  return taken;
}

BudgetAnswer AskBudget(const BudgetRecord& budget, type::v1::OutreachTopic topic, absl::Time now,
                       const ContactBudget& policy) {
  if (IsFree(topic)) return {};
  const int64_t now_us = time::ToMicros(now);
  BudgetAnswer answer;
  const int32_t needed = UnitsOf(topic, policy);
  int32_t taken = UnitsTaken(budget, now, policy);
  if (needed > 0 && taken + needed > policy.units()) {
    answer = {false, absl::InfiniteFuture()};
    std::vector<std::pair<int64_t, int32_t>> ends;
    for (const BudgetEntry& entry : budget.entries()) {
      const int64_t end = EndOf(entry, time::MicrosOf(policy.window()));
      if (end > now_us) ends.emplace_back(end, entry.units());
    }
    std::sort(ends.begin(), ends.end());
    for (const auto& [end, units] : ends) {
      taken -= units;
      if (taken + needed <= policy.units()) {
        answer.may_clear_at = time::FromMicros(end);
        break;
      }
    }
  }
  if (IsSurvey(topic) && time::MicrosOf(policy.survey_window()) > 0) {
    for (const BudgetEntry& entry : budget.entries()) {
      const int64_t end = EndOf(entry, time::MicrosOf(policy.survey_window()));
      if (!entry.survey() || end <= now_us) continue;
      answer.fits = false;
      answer.may_clear_at = std::max(answer.may_clear_at, time::FromMicros(end));
    }
  }
  return answer;
}

void Reserve(BudgetRecord& budget, std::string_view clearance_id, type::v1::OutreachTopic topic,
             absl::Time now, absl::Time expires_at, const ContactBudget& policy) {
  if (IsFree(topic)) return;
  BudgetEntry& entry = *budget.add_entries();
  entry.set_id(std::string(clearance_id));
  entry.set_units(UnitsOf(topic, policy));
  entry.set_survey(IsSurvey(topic));
  entry.set_reserved_us(time::ToMicros(now));
  entry.set_expires_us(time::ToMicros(expires_at));
}

void Use(BudgetRecord& budget, std::string_view id, std::string_view use_id,
         type::v1::OutreachTopic topic, absl::Time at, const ContactBudget& policy) {
  if (IsFree(topic)) return;
  if (!id.empty()) {
    for (BudgetEntry& entry : *budget.mutable_entries()) {
      if (entry.id() != id || entry.used_us() != 0) continue;
      entry.set_used_us(time::ToMicros(at));
      return;
    }
  }
  BudgetEntry& entry = *budget.add_entries();
  entry.set_id(std::string(use_id));
  entry.set_units(UnitsOf(topic, policy));
  entry.set_survey(IsSurvey(topic));
  entry.set_used_us(time::ToMicros(at));
}

bool GiveBack(BudgetRecord& budget, std::string_view id) {
  return EraseIf(budget, [&](const BudgetEntry& entry) { return entry.id() == id; });
}

bool GiveBackUnused(BudgetRecord& budget, std::string_view id) {
  return EraseIf(
      budget, [&](const BudgetEntry& entry) { return entry.id() == id && entry.used_us() == 0; });
}

void Prune(BudgetRecord& budget, absl::Time now, const ContactBudget& policy) {
  const int64_t window =
      std::max(time::MicrosOf(policy.window()), time::MicrosOf(policy.survey_window()));
  EraseIf(budget,
          [&](const BudgetEntry& entry) { return EndOf(entry, window) <= time::ToMicros(now); });
}

}  // namespace tandem::account_health
