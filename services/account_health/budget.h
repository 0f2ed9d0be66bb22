// The contact's budget: one ledger a contact says whether it may be contacted again (product §4.4).
// An ALLOW reserves units, a touch or an invitation uses them, a reservation that nobody used ends
// by itself at its expiry, for it is never counted after it: no timer can be late. Pure; any
// thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_BUDGET_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_BUDGET_H_

#include <cstdint>
#include <string_view>

#include "absl/time/time.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

// What a touch on the topic costs; RESOLUTION_FOLLOW_UP is free.
int32_t UnitsOf(type::v1::OutreachTopic topic, const account::v1::ContactBudget& policy);

// Units reserved or used in the window that ends at `now`.
int32_t UnitsTaken(const records::BudgetRecord& budget, absl::Time now,
                   const account::v1::ContactBudget& policy);

struct BudgetAnswer {
  bool fits = true;
  // When it will fit if nothing else happens; InfiniteFuture = never under this policy.
  absl::Time may_clear_at = absl::InfinitePast();
};
// Whether one more touch on the topic fits: enough units, and for a survey no other one in its
// window.
BudgetAnswer AskBudget(const records::BudgetRecord& budget, type::v1::OutreachTopic topic,
                       absl::Time now, const account::v1::ContactBudget& policy);

// Reserves units under a clearance until `expires_at`.
void Reserve(records::BudgetRecord& budget, std::string_view clearance_id,
             type::v1::OutreachTopic topic, absl::Time now, absl::Time expires_at,
             const account::v1::ContactBudget& policy);
// Uses units at `at`: those that `id` (a clearance) reserved, or, when it reserved none or they are
// used up, new ones under `use_id`. What happened is counted even where it does not fit.
void Use(records::BudgetRecord& budget, std::string_view id, std::string_view use_id,
         type::v1::OutreachTopic topic, absl::Time at, const account::v1::ContactBudget& policy);
// Gives back what `id` reserved or used (an invitation that was withdrawn, a clearance revoked
// unused). Returns whether there was anything.
bool GiveBack(records::BudgetRecord& budget, std::string_view id);
// The same for a clearance that was revoked: only what it did not use yet.
bool GiveBackUnused(records::BudgetRecord& budget, std::string_view id);
// Forgets what no window can see any more.
void Prune(records::BudgetRecord& budget, absl::Time now, const account::v1::ContactBudget& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_BUDGET_H_
