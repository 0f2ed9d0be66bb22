// How far a consumer is behind the log, in events and in time.
#ifndef TANDEM_COMMON_RUNTIME_LAG_H_
#define TANDEM_COMMON_RUNTIME_LAG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "absl/time/time.h"

namespace tandem::runtime {

// Notes where each partition ended at which instant. A position that has not reached the end of an
// instant is behind since that instant: so the time needs no clock of a producer, is right whatever
// instants the facts themselves have, and grows while nothing is read. It begins with the first
// look at a partition: what was behind before counts from there. One thread at a time.
class Lag {
 public:
  // Instants remembered of a partition: the time is exact to a 32nd of the longest.
  static constexpr int kMaxMarks = 128;

  // The partition's end as it was at some instant from `asked_at` on.
  void Saw(int partition, absl::Time asked_at, int64_t end);
  // Forgets all other partitions.
  void KeepOnly(const std::vector<int>& partitions);

  struct Behind {
    int64_t events = 0;   // offsets from the position to the last end that was seen
    absl::Duration time;  // since the earliest end that was seen and is not reached
  };
  // Of the next offset to be read. A partition that was never seen is not behind.
  Behind Of(int partition, int64_t next_offset, absl::Time now);

 private:
  struct Mark {
    absl::Time at;
    int64_t end = 0;
  };
  struct Partition {
    int64_t end = 0;         // as last seen
    std::deque<Mark> marks;  // rising in both; only those not reached yet
    absl::Duration spacing;  // between two of them, but for the last
  };
  std::map<int, Partition> partitions_;
};

}  // namespace tandem::runtime

#endif  // TANDEM_COMMON_RUNTIME_LAG_H_
