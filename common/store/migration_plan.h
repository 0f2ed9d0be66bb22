// What an engine has to apply, decided from what its database records. Pure; the engines share it.
#ifndef TANDEM_COMMON_STORE_MIGRATION_PLAN_H_
#define TANDEM_COMMON_STORE_MIGRATION_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/store/migration.h"

namespace tandem::store {

// A row of schema_migrations of this component is no step: somebody began to fill the database and
// has not ended, and nobody serves it until the row is gone. Its name says what was begun, its sql
// the way out. It is written with serves_from 1, so that a binary which does not know this rule
// refuses the database too.
inline constexpr char kUnfinished[] = "unfinished";

// Likewise: what the database held was moved, and nobody serves it here any more. The name says
// where to, the sql when and the way back.
inline constexpr char kMovedAway[] = "moved away";

// What a binary brings is sound: components differ, steps count from 1 without holes, 0 <=
// serves_from
// <= number. INTERNAL otherwise, for it is a fault of the build. serves_from 0 means that even a
// binary without this component may go on.
absl::Status CheckSchemas(const std::vector<Schema>& schemas);

// The steps of `known` that `recorded` lacks, in order. `recorded` are the rows of
// schema_migrations for the same component, in order of number; `database` names it in messages.
//   FAILED_PRECONDITION  the component is kUnfinished or kMovedAway; a newer binary left a schema
//                        that this one cannot serve; a step that was applied has another text in
//                        this binary
//   DATA_LOSS            the record has a hole
absl::StatusOr<std::vector<const Migration*>> PlanMigrations(
    const std::string& database, const Schema& known, const std::vector<Migration>& recorded);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_MIGRATION_PLAN_H_
