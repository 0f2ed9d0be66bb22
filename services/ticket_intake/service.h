// ticket_intake as a service: which function answers which RPC, event and timer.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_SERVICE_H_
#define TANDEM_SERVICES_TICKET_INTAKE_SERVICE_H_

#include <memory>

#include "common/corridor/definition.h"
#include "services/ticket_intake/options.h"

namespace tandem::ticket_intake {

// Name "ticket_intake". Any thread may make one; it belongs to the runtime that it is given to.
std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_SERVICE_H_
