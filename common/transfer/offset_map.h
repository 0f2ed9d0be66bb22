// Where the records of one log stand in another that holds the same ones.
#ifndef TANDEM_COMMON_TRANSFER_OFFSET_MAP_H_
#define TANDEM_COMMON_TRANSFER_OFFSET_MAP_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::transfer {

// Small where both logs have few holes. One thread builds it, any may read it then.
class OffsetMap {
 public:
  explicit OffsetMap(int partitions) : partitions_(static_cast<size_t>(partitions)) {}

  int partitions() const { return static_cast<int>(partitions_.size()); }

  // The partition's next record, in order, and where it stands in the other log.
  void Add(int partition, int64_t from, int64_t to);
  // Behind its last record; once a partition, after all its records.
  void End(int partition, int64_t from, int64_t to);

  // Where to go on in the other log for who would go on at `offset` in this one. OUT_OF_RANGE for
  // an offset before the first record or beyond the end: such a reader has lost its place here too.
  absl::StatusOr<int64_t> NextOffset(int partition, int64_t offset) const;
  // The place of the record at `offset`; -1 if the log does not hold it any more.
  int64_t RecordOffset(int partition, int64_t offset) const;

 private:
  // Records from `from` on stand one after another from `to` on, up to the next run.
  struct Run {
    int64_t from = 0, to = 0;
  };
  struct Partition {
    std::vector<Run> runs;
    int64_t last_from = -1, last_to = -1;  // added last
    int64_t end_from = 0, end_to = 0;
  };
  // Of a record that is there.
  static int64_t Place(const Partition& partition, int64_t offset);

  std::vector<Partition> partitions_;
};

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_OFFSET_MAP_H_
