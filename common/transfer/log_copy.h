// The log's records in a topic: how far they are there, and the rest of them.
#ifndef TANDEM_COMMON_TRANSFER_LOG_COPY_H_
#define TANDEM_COMMON_TRANSFER_LOG_COPY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/kafka/kafka_log_writer.h"
#include "common/transfer/offset_map.h"
#include "common/transfer/source.h"

namespace tandem::transfer {

// Reads a partition of the topic from its beginning, which must be a beginning of the source's.
// Both are read anew. `offsets`, which may be null, learns where each record stands; its end is
// set. FAILED_PRECONDITION for a topic that holds anything else, with the place; else as the
// readers.
absl::StatusOr<Content> ReadCopy(Source& source, bus::KafkaLogReader& topic, int partition,
                                 OffsetMap* offsets);

// All records of the source's partition.
absl::StatusOr<Content> ReadOriginal(Source& source, int partition);

// Appends what stands behind the first `there` records of the source's partition. The caller
// flushes.
absl::Status AppendRest(Source& source, bus::KafkaLogWriter& topic, int partition, int64_t there);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_LOG_COPY_H_
