// Looking into a log without joining a group: for `event tail`, and for tests.
#ifndef TANDEM_COMMON_BUS_LOG_READER_H_
#define TANDEM_COMMON_BUS_LOG_READER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bus/event.h"

namespace tandem::bus {

// The offsets that a partition holds: first <= offset < end. Both are 0 before the first record.
struct Bounds {
  int64_t first = 0;
  int64_t end = 0;
};

// Callable from any thread; ReadRange may wait for the disk.
class LogReader {
 public:
  virtual ~LogReader() = default;
  // 0 <= partition < partitions().
  virtual Bounds BoundsOf(int partition) const = 0;
  // At most `max_records` (from 1) records of `partition` from offset `from` on, in offset order;
  // fewer only where the log ends, or where one answer would become too long. OUT_OF_RANGE if
  // `from` lies outside the bounds (the end itself is inside), INVALID_ARGUMENT for a partition
  // that is not there.
  virtual absl::StatusOr<std::vector<RecordPtr>> ReadRange(int partition, int64_t from,
                                                           int max_records) = 0;
};

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_LOG_READER_H_
