// OutreachService: one function an RPC.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_OUTREACH_COMMANDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_OUTREACH_COMMANDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "services/account_health/account_commands.h"
#include "tandem/account/v1/outreach_service.pb.h"

namespace tandem::account_health {

absl::Status Validate(const account::v1::CheckOutreachRequest& request);
absl::Status Validate(const account::v1::RecordTouchRequest& request);
absl::Status Validate(const account::v1::ListTouchesRequest& request);
absl::Status Validate(const account::v1::GetClearanceRequest& request);
absl::Status Validate(const account::v1::ReleaseClearanceRequest& request);
absl::Status Validate(const account::v1::ListClearancesRequest& request);
absl::Status Validate(const account::v1::GrantOutreachExceptionRequest& request);
absl::Status Validate(const account::v1::ProveOutreachRequest& request);
absl::Status Validate(const account::v1::ListHoldsRequest& request);

// Asks tandem.intake.v1.TicketService/ListTickets. The hold_version that it asked with is part of
// the question's name: an answer to another version is not looked at, and intake is asked again.
absl::StatusOr<corridor::Decision> CheckOutreach(const account::v1::CheckOutreachRequest& request,
                                                 const Call& call);
// How the clearance that a repeated request was given stands now.
absl::StatusOr<account::v1::CheckOutreachResponse> CheckOutreachAgain(
    const account::v1::CheckOutreachRequest& request,
    const account::v1::CheckOutreachResponse& remembered, const Call& call);
absl::StatusOr<corridor::Decision> ReleaseClearance(
    const account::v1::ReleaseClearanceRequest& request, const Call& call);
absl::StatusOr<corridor::Decision> RecordTouch(const account::v1::RecordTouchRequest& request,
                                               const Call& call);
absl::StatusOr<corridor::Decision> GrantOutreachException(
    const account::v1::GrantOutreachExceptionRequest& request, const Call& call);

absl::StatusOr<account::v1::GetClearanceResponse> GetClearance(
    const account::v1::GetClearanceRequest& request, const Call& call);
absl::StatusOr<account::v1::ListTouchesResponse> ListTouches(
    const account::v1::ListTouchesRequest& request, const Call& call);
absl::StatusOr<account::v1::ListClearancesResponse> ListClearances(
    const account::v1::ListClearancesRequest& request, const Call& call);
absl::StatusOr<account::v1::ProveOutreachResponse> ProveOutreach(
    const account::v1::ProveOutreachRequest& request, const Call& call);
absl::StatusOr<account::v1::ListHoldsResponse> ListHolds(
    const account::v1::ListHoldsRequest& request, const Call& call);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_OUTREACH_COMMANDS_H_
