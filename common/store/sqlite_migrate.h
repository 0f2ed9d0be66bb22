// Applies the missing steps of a schema to an SQLite database.
#ifndef TANDEM_COMMON_STORE_SQLITE_MIGRATE_H_
#define TANDEM_COMMON_STORE_SQLITE_MIGRATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/store/migration.h"
#include "common/store/sqlite_connection.h"

namespace tandem::store {

// Each step in a transaction of its own, with its row in schema_migrations; a step that fails
// leaves the steps before it. The caller holds the file's lock. Errors as OpenSqlite has them.
// Refuses a newer schema of any component before it changes anything.
absl::Status Migrate(const std::string& path, const std::vector<Schema>& schemas,
                     SqliteConnection& connection);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_SQLITE_MIGRATE_H_
