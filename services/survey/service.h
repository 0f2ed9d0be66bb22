// survey as a service: which function answers which RPC, event and timer.
#ifndef TANDEM_SERVICES_SURVEY_SERVICE_H_
#define TANDEM_SERVICES_SURVEY_SERVICE_H_

#include <memory>

#include "common/corridor/definition.h"
#include "services/survey/options.h"

namespace tandem::survey {

// Name "survey". Any thread may make one; it belongs to the runtime that it is given to.
std::unique_ptr<corridor::ServiceDefinition> Make(const Options& options);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_SERVICE_H_
