// Counts what is odd about a log.
#ifndef TANDEM_SERVICES_TANDEM_LOG_TRAPS_H_
#define TANDEM_SERVICES_TANDEM_LOG_TRAPS_H_

#include "services/tandem/incident_log.h"
#include "services/tandem/replay_report.pb.h"

namespace tandem::programs {

// Pure.
LogTraps CountTraps(const IncidentLog& log);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_LOG_TRAPS_H_
