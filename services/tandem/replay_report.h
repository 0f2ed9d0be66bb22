// A report as people read it.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_REPORT_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_REPORT_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "common/cli/screen.h"
#include "services/tandem/replay_report.pb.h"

namespace tandem::programs {

// What a run took; shown to people, never part of the report itself.
struct ReplayPace {
  absl::Duration took;
  int64_t peak_memory_bytes = 0;  // 0 = not known
};

// "24,918 incidents, 141,712 rows in 48.2s: 517 incidents/s, …"
std::string PaceText(const ReplayReport& report, const ReplayPace& pace);

std::string ReportText(const ReplayReport& report, const ReplayPace& pace,
                       const cli::Screen& screen);

// What of the log did not come through: rows without their account, refused commands, dead letters.
// Empty = nothing.
std::string LostText(const ReplayReport& report);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_REPORT_H_
