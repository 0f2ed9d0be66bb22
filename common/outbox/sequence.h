// What stands in a ce_sequence, which is the outbox row's id: the number of the history in the high
// bits, the count within it in the low ones.
//
// A database that was restored begins to count where its backup ended, below numbers that it has
// given before. Whoever reads its events would take them for duplicates. So each restore begins a
// new history, whose first number lies above every number of the histories before it.
#ifndef TANDEM_COMMON_OUTBOX_SEQUENCE_H_
#define TANDEM_COMMON_OUTBOX_SEQUENCE_H_

#include <cstdint>

namespace tandem::outbox {

// 1.1 * 10^12 events a history: four years at 8,000 a second. The histories below 8,192 stay below
// 2^53, which readers that know floating-point numbers alone still tell apart.
inline constexpr int kCountBits = 40;
inline constexpr int64_t kMaxHistory = (int64_t{1} << (63 - kCountBits)) - 1;

// 0 for a database that was never restored.
constexpr int64_t HistoryOf(int64_t sequence) { return sequence >> kCountBits; }

// What the counter of a history holds before its first event: the first sequence is one more.
constexpr int64_t BeginningOf(int64_t history) { return history << kCountBits; }

}  // namespace tandem::outbox

#endif  // TANDEM_COMMON_OUTBOX_SEQUENCE_H_
