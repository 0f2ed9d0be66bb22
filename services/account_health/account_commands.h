// AccountService: one function an RPC. Commands decide, queries answer; Validate names every bad
// field.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_ACCOUNT_COMMANDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_ACCOUNT_COMMANDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/account_health/policy.h"
#include "tandem/account/v1/account_service.pb.h"

namespace tandem::account_health {

// What every function of this room is called with beside its request.
struct Call {
  const Policies& policies;
  const corridor::Inputs& in;
  corridor::View& view;
};

absl::Status Validate(const account::v1::PutAccountRequest& request);
absl::Status Validate(const account::v1::GetAccountRequest& request);
absl::Status Validate(const account::v1::ListAccountsRequest& request);
absl::Status Validate(const account::v1::PutContactRequest& request);
absl::Status Validate(const account::v1::GetContactRequest& request);
absl::Status Validate(const account::v1::ListContactsRequest& request);
absl::Status Validate(const account::v1::ResolveRequesterRequest& request);
absl::Status Validate(const account::v1::AssignRequesterRequest& request);
absl::Status Validate(const account::v1::ListUnresolvedRequestersRequest& request);
absl::Status Validate(const account::v1::PutAccountTeamRequest& request);
absl::Status Validate(const account::v1::GetAccountTeamRequest& request);
absl::Status Validate(const account::v1::ListCounterpartsRequest& request);
absl::Status Validate(const account::v1::AdvanceJourneyRequest& request);
absl::Status Validate(const account::v1::GetTimelineRequest& request);

absl::StatusOr<corridor::Decision> PutAccount(const account::v1::PutAccountRequest& request,
                                              const Call& call);
absl::StatusOr<corridor::Decision> PutContact(const account::v1::PutContactRequest& request,
                                              const Call& call);
absl::StatusOr<corridor::Decision> ResolveRequester(
    const account::v1::ResolveRequesterRequest& request, const Call& call);
absl::StatusOr<corridor::Decision> AssignRequester(
    const account::v1::AssignRequesterRequest& request, const Call& call);
absl::StatusOr<corridor::Decision> PutAccountTeam(const account::v1::PutAccountTeamRequest& request,
                                                  const Call& call);
absl::StatusOr<corridor::Decision> AdvanceJourney(const account::v1::AdvanceJourneyRequest& request,
                                                  const Call& call);

absl::StatusOr<account::v1::GetAccountResponse> GetAccount(
    const account::v1::GetAccountRequest& request, const Call& call);
absl::StatusOr<account::v1::ListAccountsResponse> ListAccounts(
    const account::v1::ListAccountsRequest& request, const Call& call);
absl::StatusOr<account::v1::GetContactResponse> GetContact(
    const account::v1::GetContactRequest& request, const Call& call);
absl::StatusOr<account::v1::ListContactsResponse> ListContacts(
    const account::v1::ListContactsRequest& request, const Call& call);
absl::StatusOr<account::v1::ListUnresolvedRequestersResponse> ListUnresolvedRequesters(
    const account::v1::ListUnresolvedRequestersRequest& request, const Call& call);
absl::StatusOr<account::v1::GetAccountTeamResponse> GetAccountTeam(
    const account::v1::GetAccountTeamRequest& request, const Call& call);
absl::StatusOr<account::v1::ListCounterpartsResponse> ListCounterparts(
    const account::v1::ListCounterpartsRequest& request, const Call& call);
absl::StatusOr<account::v1::GetTimelineResponse> GetTimeline(
    const account::v1::GetTimelineRequest& request, const Call& call);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_ACCOUNT_COMMANDS_H_
