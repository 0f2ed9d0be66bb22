#ifndef TANDEM_SERVICES_SLA_TIMER_OPTIONS_H_
#define TANDEM_SERVICES_SLA_TIMER_OPTIONS_H_

#include "services/sla_timer/sla_rules.h"

namespace tandem::sla_timer {

struct Options {
  // In force until a policy is applied. It has to be sound.
  sla::v1::SlaPolicy policy = BuiltInPolicy();
  // Tickets that one step takes to a new version of the policy; 1 to 1000.
  int sweep_tickets = 200;
};

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_OPTIONS_H_
