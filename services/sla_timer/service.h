// sla_timer as the corridor runs it.
#ifndef TANDEM_SERVICES_SLA_TIMER_SERVICE_H_
#define TANDEM_SERVICES_SLA_TIMER_SERVICE_H_

#include <memory>

#include "common/corridor/definition.h"
#include "services/sla_timer/options.h"

namespace tandem::sla_timer {

// Every RPC, event and timer of the service, bound to the function that decides it.
std::unique_ptr<corridor::ServiceDefinition> Make(Options options = {});

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_SERVICE_H_
