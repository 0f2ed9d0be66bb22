// Whether somebody may keep a ticket that they own (product §2.2). Pure functions.
//
// A ticket is given to an agent because of what the agent is: here, available, in the queue,
// skilled. When that changes, the ticket is released. What an owner did not bring when the ticket
// was given to them was a person's decision, and takes nothing from them later.
#ifndef TANDEM_SERVICES_TRIAGE_OWNERSHIP_H_
#define TANDEM_SERVICES_TRIAGE_OWNERSHIP_H_

#include <string_view>

#include "absl/time/time.h"
#include "services/triage/records.pb.h"
#include "services/triage/rules.h"

namespace tandem::triage {

// In what `staff` fits the ticket as it is now.
records::OwnerFit FitOf(const records::TicketRecord& ticket, const v1::Staff& staff,
                        const Rules& rules);

// Whether somebody is inactive, or has been unavailable for longer than the policy allows.
bool IsGone(const records::StaffRecord& staff, const Rules& rules, absl::Time now);

// Why its owner may not keep the ticket, as AssignmentReleased words it; empty = may keep it.
std::string_view ReleaseReason(const records::TicketRecord& ticket,
                               const records::StaffRecord& owner, const Rules& rules,
                               absl::Time now);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_OWNERSHIP_H_
