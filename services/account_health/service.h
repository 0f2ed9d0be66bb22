// account_health as a service: which function answers which RPC, event and timer.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_SERVICE_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_SERVICE_H_

#include <memory>

#include "common/corridor/definition.h"
#include "services/account_health/options.h"

namespace tandem::account_health {

// Name "account_health". Any thread may make one; it belongs to the runtime that it is given to.
std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_SERVICE_H_
