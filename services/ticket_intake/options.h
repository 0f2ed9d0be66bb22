// What a program may set of ticket_intake.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_OPTIONS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_OPTIONS_H_

#include "tandem/intake/v1/intake_policy.pb.h"

namespace tandem::ticket_intake {

struct Options {
  // In force as version 0 until one is applied; empty = the product's defaults. Has to be sound.
  intake::v1::IntakePolicy built_in_policy = {};
};

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_OPTIONS_H_
