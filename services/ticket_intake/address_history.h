// What became of an address's tickets, and whether the next one is suspected to be spam (product
// §1.2).
#ifndef TANDEM_SERVICES_TICKET_INTAKE_ADDRESS_HISTORY_H_
#define TANDEM_SERVICES_TICKET_INTAKE_ADDRESS_HISTORY_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/rules.h"

namespace tandem::ticket_intake {

// Whether a ticket that is opened now from `ticket`'s address is suspected. Never one that was not
// opened from an address.
absl::StatusOr<bool> IsSuspected(const records::TicketRecord& ticket, const Rules& rules,
                                 absl::Time now, corridor::View& view);

// To be called with the ticket as it is before the change. Each does nothing for a ticket that was
// not opened from an address.
absl::Status NoteResolved(const records::TicketRecord& ticket, corridor::View& view,
                          corridor::Decision& decision);
absl::Status NoteReopened(const records::TicketRecord& ticket, corridor::View& view,
                          corridor::Decision& decision);
absl::Status NoteClosedAsSpam(const records::TicketRecord& ticket, const Rules& rules,
                              absl::Time at, corridor::View& view, corridor::Decision& decision);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_ADDRESS_HISTORY_H_
