// Applies the missing steps of a schema to a PostgreSQL database, or looks whether any is missing.
#ifndef TANDEM_COMMON_POSTGRES_POSTGRES_MIGRATE_H_
#define TANDEM_COMMON_POSTGRES_POSTGRES_MIGRATE_H_

#include "absl/status/status.h"
#include "common/postgres/postgres.h"
#include "common/postgres/postgres_connection.h"

namespace tandem::store {

// FAILED_PRECONDITION if a step is missing (with the command that applies it), or if the database
// is newer than this program serves; PERMISSION_DENIED if this role may not look. Changes nothing.
absl::Status CheckMigrated(const PostgresOptions& options, PostgresConnection& connection);

// As MigratePostgres, over a connection for kMigrates.
absl::Status Migrate(const PostgresOptions& options, PostgresConnection& connection);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_POSTGRES_MIGRATE_H_
