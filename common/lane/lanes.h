// The lanes of one service: one where one process writes one file, several where a database is
// shared. What must keep an order goes through the same lane each time; where two lanes meet at a
// record, versions decide.
#ifndef TANDEM_COMMON_LANE_LANES_H_
#define TANDEM_COMMON_LANE_LANES_H_

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bus/event.h"
#include "common/lane/lane.h"

namespace tandem::lane {

// Any thread, as far as the lanes' own methods are for any thread. The lanes outlive it.
class Lanes {
 public:
  // At least one.
  explicit Lanes(std::vector<Lane*> lanes) : lanes_(std::move(lanes)) {}

  // All events of a partition pass one lane.
  Lane& OfPartition(int partition) const {
    return *lanes_[static_cast<size_t>(partition) % lanes_.size()];
  }
  // So do all timers of a key, and all repetitions of a request.
  Lane& OfKey(std::string_view key) const {
    return *lanes_[static_cast<size_t>(bus::PartitionOf(key, static_cast<int>(lanes_.size())))];
  }
  // For what has no order.
  Lane& Any() const { return *lanes_.front(); }

  size_t depth() const {
    size_t depth = 0;
    for (const Lane* lane : lanes_) depth += lane->depth();
    return depth;
  }
  bool Idle() const {
    for (const Lane* lane : lanes_) {
      if (!lane->Idle()) return false;
    }
    return true;
  }

 private:
  const std::vector<Lane*> lanes_;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_LANES_H_
