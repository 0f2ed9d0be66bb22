// The five services, by name: what every program that runs some of them starts from.
#ifndef TANDEM_SERVICES_TANDEM_SERVICES_H_
#define TANDEM_SERVICES_TANDEM_SERVICES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/corridor/definition.h"

namespace tandem::programs {

struct ServicesOptions {
  // Where the survey's mailbox files go; the folder exists. Empty = invitations are counted as
  // delivered and written nowhere (replay).
  std::string mailbox;
};

struct Service {
  std::string name;  // also the name of its database file
  std::function<std::unique_ptr<corridor::ServiceDefinition>()> make;
};

// In the order of the lifecycle: ticket_intake, triage, sla_timer, survey, account_health.
std::vector<Service> FiveServices(const ServicesOptions& options);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_SERVICES_H_
