// The order in which every engine applies the lines of a batch, so that two batches never lock
// crosswise.
#ifndef TANDEM_COMMON_STORE_LOCK_ORDER_H_
#define TANDEM_COMMON_STORE_LOCK_ORDER_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "common/store/store.h"

namespace tandem::store {

// Fills `order` with the batch's indexes by (table, key), lines of one key as given. Indexes only,
// in a vector that its owner keeps for its memory.
inline void SortForLocking(const std::vector<Write>& batch, std::vector<size_t>& order) {
  order.resize(batch.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&batch](size_t a, size_t b) {
    if (const int tables = batch[a].table.compare(batch[b].table); tables != 0) return tables < 0;
    if (const int keys = batch[a].key.compare(batch[b].key); keys != 0) return keys < 0;
    return a < b;
  });
}

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_LOCK_ORDER_H_
