// What a program may set of triage.
#ifndef TANDEM_SERVICES_TRIAGE_OPTIONS_H_
#define TANDEM_SERVICES_TRIAGE_OPTIONS_H_

#include "tandem/triage/v1/triage_policy.pb.h"

namespace tandem::triage {

struct Options {
  // In force as version 0 until one is applied; empty = the product's defaults. Has to be sound.
  v1::TriagePolicy built_in_policy = {};
};

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_OPTIONS_H_
