// A historical ticket log through the five services, unchanged, under simulated time, as fast as
// the machine can: what Tandem would have done, beside the log's own verdicts.
#ifndef TANDEM_SERVICES_TANDEM_REPLAY_H_
#define TANDEM_SERVICES_TANDEM_REPLAY_H_

#include <string>

#include "absl/status/statusor.h"

namespace tandem::programs {

// The report is there and whole, but it is not of the whole log.
inline constexpr int kReplayedInPart = 3;

struct ReplayOptions {
  std::string log;
  std::string mapping;
  std::string policies;          // empty = the replay's own
  std::string data;              // empty = in memory
  std::string output = "table";  // or "json"
};

// Runs the whole log and prints the report to standard output; progress, wall time and rates go to
// standard error and, for people, into the table, never into the JSON: two runs print the same
// bytes. Returns the exit code: 0, or kReplayedInPart where rows lost their account or commands
// were refused, which standard error tells. INVALID_ARGUMENT names file, line and column of what
// cannot be read.
absl::StatusOr<int> Replay(const ReplayOptions& options);

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_REPLAY_H_
