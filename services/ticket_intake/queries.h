// What can be asked about tickets; answered from committed state, so an acknowledged change is
// seen.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_QUERIES_H_
#define TANDEM_SERVICES_TICKET_INTAKE_QUERIES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

absl::Status ValidateGetTicket(const intake::v1::GetTicketRequest& request);
absl::StatusOr<intake::v1::GetTicketResponse> GetTicket(const intake::v1::GetTicketRequest& request,
                                                        const corridor::Inputs& in,
                                                        corridor::View& view);

absl::Status ValidateListTickets(const intake::v1::ListTicketsRequest& request);
absl::StatusOr<intake::v1::ListTicketsResponse> ListTickets(
    const intake::v1::ListTicketsRequest& request, const corridor::Inputs& in,
    corridor::View& view);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_QUERIES_H_
