#include "services/tandem/services.h"

#include "services/account_health/service.h"
#include "services/sla_timer/service.h"
#include "services/survey/mailbox.h"
#include "services/survey/service.h"
#include "services/ticket_intake/service.h"
#include "services/triage/service.h"

namespace tandem::programs {

std::vector<Service> FiveServices(const ServicesOptions& options) {
  return {
      {"ticket_intake", [] { return ticket_intake::Make({}); }},
      {"triage", [] { return triage::Make({}); }},
      {"sla_timer", [] { return sla_timer::Make({}); }},
      {"survey",
       [options] {
         survey::Options survey_options;
         survey_options.mailbox = options.mailbox;
         return survey::Make(survey_options);
       }},
      {"account_health", [] { return account_health::Make({}); }},
  };
}

}  // namespace tandem::programs
