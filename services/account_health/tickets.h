// What a ticket means to its account: an open issue, a part of its health, stretches of time. Pure;
// any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_TICKETS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_TICKETS_H_

#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

// Whether the ticket says nothing about its account: internal, spam, or merged into another one.
bool IsLeftOut(const records::TicketRecord& ticket);
// Whether it is open and might be anybody's: its requester is not known.
bool IsUnattributed(const records::TicketRecord& ticket);

// The open issue that the ticket is; nothing when it is resolved, left out or nobody's. What is
// suspected to be spam is an issue that holds nothing.
std::optional<records::Issue> IssueOf(const records::TicketRecord& ticket);

// Adds (by = 1) or takes away (by = -1) all that the ticket counts in its account's health.
void CountTicket(records::HealthRecord& health, const records::TicketRecord& ticket, int32_t by,
                 const account::v1::HealthPolicy& policy);
// Whether both count the same in the same account.
bool CountsTheSame(const records::TicketRecord& a, const records::TicketRecord& b);

// Ends the stretch that lasts and begins another, where the ticket's standing changed.
void KeepSpans(records::TicketRecord& ticket, absl::Time at);
// Moves the stretches of `account_id` out of the ticket into `left`.
void MoveSpans(records::TicketRecord& ticket, std::string_view account_id,
               records::TicketRecord& left);

// Notes a missed cycle or a reopening, each once; at most the last 100 of a ticket are kept and
// counted. False when it was noted before.
bool AddBreach(records::TicketRecord& ticket, type::v1::SlaMetric metric, int32_t cycle,
               absl::Time at);
bool DropBreach(records::TicketRecord& ticket, type::v1::SlaMetric metric, int32_t cycle);
void AddReopening(records::TicketRecord& ticket, absl::Time at);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_TICKETS_H_
