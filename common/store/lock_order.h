// The order in which every engine applies the lines of a batch: two batches never lock crosswise,
// and a number that the database draws for a line without a key (the outbox's ids) is drawn when
// all else is locked. So of two batches that check or change one row the later commit has the
// higher number.
#ifndef TANDEM_COMMON_STORE_LOCK_ORDER_H_
#define TANDEM_COMMON_STORE_LOCK_ORDER_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "common/store/store.h"

namespace tandem::store {

// Fills `order` with the batch's indexes: lines with a key by (table, key), those of one key as
// given; then the others by table. Indexes only, in a vector that its owner keeps for its memory.
inline void SortForLocking(const std::vector<Write>& batch, std::vector<size_t>& order) {
  order.resize(batch.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&batch](size_t a, size_t b) {
    if (batch[a].key.empty() != batch[b].key.empty()) return batch[b].key.empty();
    if (const int tables = batch[a].table.compare(batch[b].table); tables != 0) return tables < 0;
    if (const int keys = batch[a].key.compare(batch[b].key); keys != 0) return keys < 0;
    return a < b;
  });
}

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_LOCK_ORDER_H_
