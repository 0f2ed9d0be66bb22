#include "common/transfer/offset_map.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tandem::transfer {

void OffsetMap::Add(int partition, int64_t from, int64_t to) {
  Partition& one = partitions_[static_cast<size_t>(partition)];
  if (one.runs.empty() || from != one.last_from + 1 || to != one.last_to + 1) {
    one.runs.push_back({from, to});
  }
  one.last_from = from;
  one.last_to = to;
}

void OffsetMap::End(int partition, int64_t from, int64_t to) {
  Partition& one = partitions_[static_cast<size_t>(partition)];
  one.end_from = from;
  one.end_to = to;
}

int64_t OffsetMap::Place(const Partition& partition, int64_t offset) {
  const auto behind =
      std::upper_bound(partition.runs.begin(), partition.runs.end(), offset,
                       [](int64_t value, const Run& run) { return value < run.from; });
  const Run& run = *(behind - 1);
  return run.to + (offset - run.from);
}

absl::StatusOr<int64_t> OffsetMap::NextOffset(int partition, int64_t offset) const {
  if (partition >= 0 && partition < partitions()) {
    const Partition& one = partitions_[static_cast<size_t>(partition)];
    if (offset == one.end_from) return one.end_to;
    if (!one.runs.empty() && offset >= one.runs.front().from && offset < one.end_from) {
      return Place(one, offset);
    }
  }
  return absl::OutOfRangeError(
      absl::StrCat("offset ", offset, " of partition ", partition, " is not in the log"));
}

int64_t OffsetMap::RecordOffset(int partition, int64_t offset) const {
  if (partition < 0 || partition >= partitions()) return -1;
  const Partition& one = partitions_[static_cast<size_t>(partition)];
  if (one.runs.empty() || offset < one.runs.front().from || offset >= one.end_from) return -1;
  return Place(one, offset);
}

}  // namespace tandem::transfer
