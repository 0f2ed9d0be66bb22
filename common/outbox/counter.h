// How far the outbox of a database file has counted.
#ifndef TANDEM_COMMON_OUTBOX_COUNTER_H_
#define TANDEM_COMMON_OUTBOX_COUNTER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/store/store.h"

namespace tandem::outbox {

// The last id that the outbox of this SQLite database has given, published and deleted ones
// included; 0 before the first, nothing for a database without an outbox. Errors as Reader::Query.
absl::StatusOr<std::optional<int64_t>> LastSequence(store::Reader& reader);

// What makes `last` the last one, in a database whose outbox exists.
std::vector<store::Write> SetLastSequence(int64_t last);

}  // namespace tandem::outbox

#endif  // TANDEM_COMMON_OUTBOX_COUNTER_H_
