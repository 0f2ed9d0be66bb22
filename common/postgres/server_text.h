// What the server is given for a statement: the same text within a frame that makes the server
// itself enforce what the line expects, so that a batch that misses aborts inside its transaction.
#ifndef TANDEM_COMMON_POSTGRES_SERVER_TEXT_H_
#define TANDEM_COMMON_POSTGRES_SERVER_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tandem::store {

// How a statement is used: by Reader::Query, or as a line of a batch that expects this.
enum class Use { kQuery, kOneRow, kAnyRows, kFinds };
inline constexpr size_t kUses = 4;

struct ServerText {
  std::string sql;
  size_t parameters = 0;  // $1 … $parameters
  bool inserts = false;   // may bring a row under its key
  // A check that looks for the absence of a row: there is nothing that it could lock.
  bool checks_absence = false;
};

// The frame divides by zero (SQLSTATE 22012) unless exactly one row was changed or found:
//
//   kOneRow   WITH line AS (UPDATE … RETURNING 1) SELECT 1/(count(*)=1)::int FROM line
//             An INSERT of one row of VALUES stands as it is: it inserts that row or fails.
//   kFinds    SELECT 1/(count(*)=1)::int FROM (SELECT … FOR NO KEY UPDATE) AS line
//   kAnyRows, kQuery   as it is
//
// INTERNAL for a text that is not one statement, not of that use (a query that writes, a write that
// reads), or whose parameters are not just $1 to $n. Pure; any thread.
absl::StatusOr<ServerText> MakeServerText(std::string_view sql, Use use);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_SERVER_TEXT_H_
