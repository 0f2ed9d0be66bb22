// triage as a service: which function answers which RPC, event and timer.
#ifndef TANDEM_SERVICES_TRIAGE_SERVICE_H_
#define TANDEM_SERVICES_TRIAGE_SERVICE_H_

#include <memory>

#include "common/corridor/definition.h"
#include "services/triage/options.h"

namespace tandem::triage {

// Name "triage". Any thread may make one; it belongs to the runtime that it is given to.
std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_SERVICE_H_
