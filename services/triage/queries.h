// What can be asked of triage; answered from committed state.
#ifndef TANDEM_SERVICES_TRIAGE_QUERIES_H_
#define TANDEM_SERVICES_TRIAGE_QUERIES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/triage/policies.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::triage {

absl::Status ValidateClassifyTicket(const v1::ClassifyTicketRequest& request);
absl::StatusOr<v1::ClassifyTicketResponse> ClassifyTicket(const v1::ClassifyTicketRequest& request,
                                                          corridor::View& view,
                                                          const Policies& policies);
absl::Status ValidateGetTriage(const v1::GetTriageRequest& request);
absl::StatusOr<v1::GetTriageResponse> GetTriage(const v1::GetTriageRequest& request,
                                                const corridor::Inputs& in, corridor::View& view);
absl::Status ValidateListQueues(const v1::ListQueuesRequest& request);
absl::StatusOr<v1::ListQueuesResponse> ListQueues(const v1::ListQueuesRequest& request,
                                                  const corridor::Inputs& in, corridor::View& view,
                                                  const Policies& policies);
absl::Status ValidateGetQueueLoad(const v1::GetQueueLoadRequest& request);
absl::StatusOr<v1::GetQueueLoadResponse> GetQueueLoad(const v1::GetQueueLoadRequest& request,
                                                      const corridor::Inputs& in,
                                                      corridor::View& view,
                                                      const Policies& policies);
absl::Status ValidateGetEscalation(const v1::GetEscalationRequest& request);
absl::StatusOr<v1::GetEscalationResponse> GetEscalation(const v1::GetEscalationRequest& request,
                                                        const corridor::Inputs& in,
                                                        corridor::View& view);
absl::Status ValidateListEscalations(const v1::ListEscalationsRequest& request);
absl::StatusOr<v1::ListEscalationsResponse> ListEscalations(
    const v1::ListEscalationsRequest& request, const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateGetStaff(const v1::GetStaffRequest& request);
absl::StatusOr<v1::GetStaffResponse> GetStaff(const v1::GetStaffRequest& request,
                                              const corridor::Inputs& in, corridor::View& view,
                                              const Policies& policies);
absl::Status ValidateListStaff(const v1::ListStaffRequest& request);
absl::StatusOr<v1::ListStaffResponse> ListStaff(const v1::ListStaffRequest& request,
                                                const corridor::Inputs& in, corridor::View& view,
                                                const Policies& policies);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_QUERIES_H_
