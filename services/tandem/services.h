// The five services, by name: what every program that runs some of them starts from.
#ifndef TANDEM_SERVICES_TANDEM_SERVICES_H_
#define TANDEM_SERVICES_TANDEM_SERVICES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/corridor/definition.h"

namespace tandem::programs {

struct ServicesOptions {
  // Where the survey's letters go; made if it is not there. Empty = letters count as handed over
  // and are written nowhere (replay).
  std::string mailbox;
};

struct Service {
  std::string name;  // also the name of its database file
  std::function<std::unique_ptr<corridor::ServiceDefinition>()> make;
};

// In the order of the lifecycle: ticket_intake, triage, sla_timer, survey, account_health.
// Letters need a key for their tokens, which is kept beside the mailbox. UNAVAILABLE when the
// mailbox cannot be had, FAILED_PRECONDITION when the key file is not usable.
absl::StatusOr<std::vector<Service>> FiveServices(const ServicesOptions& options);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_SERVICES_H_
