// What a program may set of account_health.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_OPTIONS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_OPTIONS_H_

#include "tandem/account/v1/account_policy.pb.h"

namespace tandem::account_health {

struct Options {
  // In force as version 0 until one is applied; empty = the product's defaults. Has to be sound.
  account::v1::AccountPolicy built_in_policy = {};
};

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_OPTIONS_H_
