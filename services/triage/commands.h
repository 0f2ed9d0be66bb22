// What people ask of triage: one plain function for each RPC that changes something. Each Validate
// names every bad field; each decision loads, applies the rules and says what to store.
#ifndef TANDEM_SERVICES_TRIAGE_COMMANDS_H_
#define TANDEM_SERVICES_TRIAGE_COMMANDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/triage/policies.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::triage {

using CommandResult = absl::StatusOr<corridor::Decision>;

absl::Status ValidateOverrideSeverity(const v1::OverrideSeverityRequest& request);
CommandResult OverrideSeverity(const v1::OverrideSeverityRequest& request,
                               const corridor::Inputs& in, corridor::View& view,
                               const Policies& policies);
absl::Status ValidateClaimNext(const v1::ClaimNextRequest& request);
CommandResult ClaimNext(const v1::ClaimNextRequest& request, const corridor::Inputs& in,
                        corridor::View& view, const Policies& policies);
absl::Status ValidateAcceptAssignment(const v1::AcceptAssignmentRequest& request);
CommandResult AcceptAssignment(const v1::AcceptAssignmentRequest& request,
                               const corridor::Inputs& in, corridor::View& view,
                               const Policies& policies);
absl::Status ValidateReassignTicket(const v1::ReassignTicketRequest& request);
CommandResult ReassignTicket(const v1::ReassignTicketRequest& request, const corridor::Inputs& in,
                             corridor::View& view, const Policies& policies);
absl::Status ValidateTransferTicket(const v1::TransferTicketRequest& request);
CommandResult TransferTicket(const v1::TransferTicketRequest& request, const corridor::Inputs& in,
                             corridor::View& view, const Policies& policies);
absl::Status ValidateEscalate(const v1::EscalateRequest& request);
CommandResult Escalate(const v1::EscalateRequest& request, const corridor::Inputs& in,
                       corridor::View& view, const Policies& policies);
absl::Status ValidateAcknowledgeEscalation(const v1::AcknowledgeEscalationRequest& request);
CommandResult AcknowledgeEscalation(const v1::AcknowledgeEscalationRequest& request,
                                    const corridor::Inputs& in, corridor::View& view,
                                    const Policies& policies);

absl::Status ValidatePutStaff(const v1::PutStaffRequest& request);
CommandResult PutStaff(const v1::PutStaffRequest& request, const corridor::Inputs& in,
                       corridor::View& view, const Policies& policies);
absl::Status ValidateSetAvailability(const v1::SetAvailabilityRequest& request);
CommandResult SetAvailability(const v1::SetAvailabilityRequest& request, const corridor::Inputs& in,
                              corridor::View& view, const Policies& policies);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_COMMANDS_H_
