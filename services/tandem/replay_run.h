// One replay, from a log and its policies to a report.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_RUN_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_RUN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/tandem/incident_log.h"
#include "services/tandem/policies.h"
#include "services/tandem/replay_driver.h"
#include "services/tandem/replay_mapping.h"
#include "services/tandem/replay_report.pb.h"

namespace tandem::programs {

// Runs the log through the five services in one thread under simulated time. `data` is a folder of
// ReplayFolder's, or ":memory:". `progress` is told how many rows are done. The same log, mapping
// and policies give the same report. INTERNAL when a command is never answered or the bus cannot be
// read: a defect.
absl::StatusOr<ReplayReport> RunReplay(const IncidentLog& log, const Mapping& mapping,
                                       const std::vector<policy::PolicyFile>& policies,
                                       const std::string& data,
                                       const std::function<void(int64_t rows_done)>& progress);

// The queues and the staff that the policies name. INVALID_ARGUMENT as PolicyRequest.
absl::StatusOr<ReplayStaff> StaffOfPolicies(const std::vector<policy::PolicyFile>& policies);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_RUN_H_
