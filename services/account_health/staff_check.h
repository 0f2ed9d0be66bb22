// Whether a staff id in a request names one of our people. Staff are known from StaffChanged;
// triage, their owner, is asked about a miss alone.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_STAFF_CHECK_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_STAFF_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/records.pb.h"

namespace tandem::account_health {

// The records of these staff, in their order; empty ids are left out. When
// triage has to be asked first the questions stand in work.decision and there are no records:
// return the decision as it is. NOT_FOUND, UNAVAILABLE when triage cannot be asked.
struct StaffFound {
  bool is_asking = false;
  std::vector<records::StaffRecord> staff;
};
absl::StatusOr<StaffFound> FindStaff(Work& work, const corridor::Inputs& in,
                                     const std::vector<std::string>& staff_ids);

// OK, or FAILED_PRECONDITION STAFF_INACTIVE when the person did not work here any more at `at`.
absl::Status CheckActive(const records::StaffRecord& staff, const std::string& staff_id,
                         absl::Time at = absl::InfiniteFuture());

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_STAFF_CHECK_H_
