// What of a service's tables goes where: decided from what both databases say of themselves. Pure.
#ifndef TANDEM_COMMON_TRANSFER_TABLE_PLAN_H_
#define TANDEM_COMMON_TRANSFER_TABLE_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::transfer {

enum class Kind { kInteger, kText, kBytes };

struct Column {
  std::string name;
  std::string type;  // as its database calls it
};

// A table as its own database describes it.
struct Table {
  std::string name;
  std::vector<Column> columns;
  // Of SQLite:
  std::vector<std::string> key;  // the columns of the primary key, in its order
  bool has_rowid = false;        // there is a rowid beside the columns
  int64_t last_id = 0;           // the highest that AUTOINCREMENT has given, also to deleted rows
  // Of PostgreSQL:
  std::string identity;  // the column that the server numbers; empty = none
};

// What happens to the values of a column on their way.
enum class Rewrite {
  kNone,
  kClear,   // who held it is gone: the empty text, 0
  kOffset,  // a place in the log: that of the same record in the other log
};

struct PlannedColumn {
  std::string name;
  Kind kind = Kind::kInteger;
  Rewrite rewrite = Rewrite::kNone;
};

struct TablePlan {
  std::string name = {};
  std::vector<PlannedColumn> columns = {};  // in the target's order
  std::vector<std::string> key = {};
  std::string identity = {};
  int64_t last_id = 0;
  // The table's index in `columns` of the partition that its offsets belong to; -1 = no offsets.
  int partition_column = -1;

  // Whether none of its values is a place in the log.
  bool keeps_offsets() const { return partition_column < 0; }
};

// How far each component of a schema is: the number of its last step.
using Steps = std::map<std::string, int64_t>;

// In order of name. The tables that the engines keep for themselves, and schema_migrations, are not
// among `source` and `target`. FAILED_PRECONDITION names the table or column that only one side
// has, or that is not of the same type on both.
absl::StatusOr<std::vector<TablePlan>> PlanTables(const std::vector<Table>& source,
                                                  const std::vector<Table>& target);

// FAILED_PRECONDITION unless both are at the same step of each component: says which side is behind
// and the command that helps.
absl::Status CompareSteps(std::string_view service, const Steps& source, const Steps& target,
                          std::string_view source_command, std::string_view target_command);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_TABLE_PLAN_H_
