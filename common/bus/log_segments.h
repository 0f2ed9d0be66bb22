// The rows of the local log, read: for the log itself, and for who looks into the file of one that
// is stopped.
#ifndef TANDEM_COMMON_BUS_LOG_SEGMENTS_H_
#define TANDEM_COMMON_BUS_LOG_SEGMENTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/bus/log_reader.h"
#include "common/store/store.h"

namespace tandem::bus {

// Each on the reader's own thread; errors as Reader::Query.

// How many partitions the log was made with; nothing if it was not made yet.
absl::StatusOr<std::optional<int64_t>> ReadPartitions(store::Reader& reader);

// What each partition holds.
absl::StatusOr<std::vector<Bounds>> ReadBounds(store::Reader& reader, int partitions);

// A few segments' worth of the partition's records from offset `from` on, in order and without
// holes; none at its end. What stands before a damage is good and is given; the read that begins at
// it is DATA_LOSS.
absl::StatusOr<std::vector<RecordPtr>> ReadSegments(store::Reader& reader, int partition,
                                                    int64_t from);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_LOG_SEGMENTS_H_
