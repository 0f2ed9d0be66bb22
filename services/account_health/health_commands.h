// HealthService: one function an RPC.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_COMMANDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_COMMANDS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/account_health/account_commands.h"
#include "tandem/account/v1/health_service.pb.h"

namespace tandem::account_health {

absl::Status Validate(const account::v1::GetHealthRequest& request);
absl::Status Validate(const account::v1::ExplainHealthRequest& request);
absl::Status Validate(const account::v1::ListHealthRequest& request);

absl::StatusOr<account::v1::GetHealthResponse> GetHealth(
    const account::v1::GetHealthRequest& request, const Call& call);
absl::StatusOr<account::v1::ExplainHealthResponse> ExplainHealth(
    const account::v1::ExplainHealthRequest& request, const Call& call);
absl::StatusOr<account::v1::ListHealthResponse> ListHealth(
    const account::v1::ListHealthRequest& request, const Call& call);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_COMMANDS_H_
