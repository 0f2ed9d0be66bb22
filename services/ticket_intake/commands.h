// What people and other systems ask of a ticket: one plain function for each RPC that changes
// something. Each Validate names every bad field; each decision loads, applies the rules and says
// what to store.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_COMMANDS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_COMMANDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/ticket_intake/policies.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

absl::Status ValidateOpenTicket(const intake::v1::OpenTicketRequest& request);
absl::StatusOr<corridor::Decision> OpenTicket(const intake::v1::OpenTicketRequest& request,
                                              const corridor::Inputs& in, corridor::View& view,
                                              const Policies& policies);

absl::Status ValidateAddMessage(const intake::v1::AddMessageRequest& request);
absl::StatusOr<corridor::Decision> AddMessage(const intake::v1::AddMessageRequest& request,
                                              const corridor::Inputs& in, corridor::View& view,
                                              const Policies& policies);

absl::Status ValidateUpdateTicket(const intake::v1::UpdateTicketRequest& request);
absl::StatusOr<corridor::Decision> UpdateTicket(const intake::v1::UpdateTicketRequest& request,
                                                const corridor::Inputs& in, corridor::View& view,
                                                const Policies& policies);

absl::Status ValidateConfirmProblem(const intake::v1::ConfirmProblemRequest& request);
absl::StatusOr<corridor::Decision> ConfirmProblem(const intake::v1::ConfirmProblemRequest& request,
                                                  const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateResolveTicket(const intake::v1::ResolveTicketRequest& request);
absl::StatusOr<corridor::Decision> ResolveTicket(const intake::v1::ResolveTicketRequest& request,
                                                 const corridor::Inputs& in, corridor::View& view,
                                                 const Policies& policies);

absl::Status ValidateReopenTicket(const intake::v1::ReopenTicketRequest& request);
absl::StatusOr<corridor::Decision> ReopenTicket(const intake::v1::ReopenTicketRequest& request,
                                                const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateCloseTicket(const intake::v1::CloseTicketRequest& request);
absl::StatusOr<corridor::Decision> CloseTicket(const intake::v1::CloseTicketRequest& request,
                                               const corridor::Inputs& in, corridor::View& view,
                                               const Policies& policies);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_COMMANDS_H_
