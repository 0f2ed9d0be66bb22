// SlaService: questions about clocks, answered from committed state.
#ifndef TANDEM_SERVICES_SLA_TIMER_QUERIES_H_
#define TANDEM_SERVICES_SLA_TIMER_QUERIES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/sla_timer/reactions.h"
#include "tandem/sla/v1/sla_service.pb.h"

namespace tandem::sla_timer {

absl::Status ValidateGetTicketSla(const sla::v1::GetTicketSlaRequest& request);
absl::StatusOr<sla::v1::GetTicketSlaResponse> GetTicketSla(
    const sla::v1::GetTicketSlaRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateListAtRisk(const sla::v1::ListAtRiskRequest& request);
absl::StatusOr<sla::v1::ListAtRiskResponse> ListAtRisk(const sla::v1::ListAtRiskRequest& request,
                                                       const Policies& policies,
                                                       const corridor::Inputs& in,
                                                       corridor::View& view);

absl::Status ValidateExplainClock(const sla::v1::ExplainClockRequest& request);
absl::StatusOr<sla::v1::ExplainClockResponse> ExplainClock(
    const sla::v1::ExplainClockRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateRecomputeTicket(const sla::v1::RecomputeTicketRequest& request);
absl::StatusOr<sla::v1::RecomputeTicketResponse> RecomputeTicket(
    const sla::v1::RecomputeTicketRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateVerifyClocks(const sla::v1::VerifyClocksRequest& request);
absl::StatusOr<sla::v1::VerifyClocksResponse> VerifyClocks(
    const sla::v1::VerifyClocksRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

absl::Status ValidateGetSlaReport(const sla::v1::GetSlaReportRequest& request);
absl::StatusOr<sla::v1::GetSlaReportResponse> GetSlaReport(
    const sla::v1::GetSlaReportRequest& request, const Policies& policies,
    const corridor::Inputs& in, corridor::View& view);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_QUERIES_H_
