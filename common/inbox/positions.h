// A service's stored positions beside the log that they belong to.
#ifndef TANDEM_COMMON_INBOX_POSITIONS_H_
#define TANDEM_COMMON_INBOX_POSITIONS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "common/bus/log_reader.h"
#include "common/store/store.h"

namespace tandem::inbox {

// FAILED_PRECONDITION if `service` has applied more of a partition than the log holds: database and
// log are of two different instants. On the reader's thread; may wait for the log.
absl::Status CheckPositions(std::string_view service, store::Reader& reader,
                            const bus::LogReader& log, int partitions);

// FAILED_PRECONDITION if `service` has applied an event of `source` that `source` has not decided:
// one above the last sequence that it gave. What `source` decides now would be dropped as a
// duplicate, and what it had decided is gone.
absl::Status CheckApplied(std::string_view service, store::Reader& reader, std::string_view source,
                          int64_t last_sequence);

}  // namespace tandem::inbox

#endif  // TANDEM_COMMON_INBOX_POSITIONS_H_
