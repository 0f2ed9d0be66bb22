// The store of a service that runs as several processes: a PostgreSQL database, or a schema of one.
//
//   PostgresOptions options;
//   options.uri = "postgresql://tandem_survey@db.internal/tandem?sslmode=verify-full";
//   options.schema = "survey";
//   options.schemas = {lane::PostgresSchema(), survey::PostgresSchema()};
//   absl::StatusOr<std::unique_ptr<Store>> store = OpenPostgres(std::move(options));
#ifndef TANDEM_COMMON_POSTGRES_POSTGRES_H_
#define TANDEM_COMMON_POSTGRES_POSTGRES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/store/migration.h"
#include "common/store/store.h"

namespace tandem::store {

struct PostgresOptions {
  // As libpq reads it ("postgresql://user@host:5432/database?sslmode=verify-full"). TLS, the
  // password file (passfile, PGPASSFILE), several hosts and all else that libpq knows are set here
  // or in its environment. What stands in the URI wins over this struct, except search_path and the
  // timeouts below.
  std::string uri;
  // The namespace of the tables. Several services may share a database, each with a schema of its
  // own, or have a database each and use this one.
  std::string schema = "public";
  // The steps that the program knows, in the dialect of PostgreSQL; checked in this order before
  // OpenPostgres returns.
  std::vector<Schema> schemas;
  // OpenPostgres applies missing steps itself. Only for one role that owns its tables (tests, small
  // installations); otherwise the migrator runs MigratePostgres and the service has no right to.
  bool migrate = false;
  // What an operator runs to apply missing steps; named when the schema is behind.
  std::string migrate_command = "this program's migrate command";
  // MigratePostgres: the role that the service runs as, which gets the rights that it needs; empty
  // = the migrator's own, which needs none. It must exist.
  std::string runtime_role;
  // In pg_stat_activity.
  std::string application_name = "tandem";
  // Whether OpenReader's connections refuse to write.
  bool readers_are_read_only = true;

  // To connect, once the host's name is known. A call that finds no connection waits this long.
  absl::Duration connect_timeout = absl::Seconds(3);
  // For a row that another transaction holds; then the commit is a conflict. Above the server's
  // deadlock_timeout (1 s), so that a deadlock is found as one.
  absl::Duration lock_timeout = absl::Seconds(2);
  // For one statement; then it is UNAVAILABLE.
  absl::Duration statement_timeout = absl::Seconds(5);
  // After which the server ends a transaction whose process stands still. Below the consumer's
  // session timeout: who takes its partitions over must not wait for its locks.
  absl::Duration idle_in_transaction_timeout = absl::Seconds(5);
  // Until bytes that are not acknowledged end the connection, on both sides.
  absl::Duration tcp_user_timeout = absl::Seconds(10);
  // For the server's whole answer to a commit or query; then the connection is given up.
  absl::Duration answer_timeout = absl::Seconds(10);
  // Between attempts to connect: doubles from the first to the last, half of it by chance.
  absl::Duration first_back_off = absl::Milliseconds(50);
  absl::Duration last_back_off = absl::Seconds(5);
  // Told of each attempt to open a connection again that was lost: OK, or why it failed. On the
  // thread of the call that needed the connection; it returns at once and outlives the stores and
  // readers. May be empty.
  std::function<void(const absl::Status&)> reconnected = nullptr;
  // For another migrator to end, and for each step.
  absl::Duration migrate_timeout = absl::Minutes(5);
};

// Opens one connection for Commit and reader(), checks the schema, and returns. Each OpenReader
// opens another. Any number of Stores, in any number of processes, may be open on one database.
// Threads: as Store says; the readers of OpenReader each belong to one thread of its own and all
// end before the Store. An on_row callback must not call the store (INTERNAL).
//
//   INVALID_ARGUMENT     a URI that cannot be read
//   UNAVAILABLE          no server there, or none that takes writes now
//   PERMISSION_DENIED    wrong role or password, or a right is missing
//   FAILED_PRECONDITION  no such database; a schema that is behind (and !migrate), or newer than
//   this
//                        program serves
//   INTERNAL             a step that PostgreSQL refuses, or a fault in `schemas`
//
// A connection that is lost comes back by itself: the next call opens another, and while attempts
// fail, calls between them are UNAVAILABLE at once.
absl::StatusOr<std::unique_ptr<Store>> OpenPostgres(PostgresOptions options);

// Makes the schema if it is absent, applies the missing steps, each in a transaction, under a lock
// that keeps other migrators waiting, and grants options.runtime_role what a service needs: use of
// the schema, rows of all its tables, its sequences; of schema_migrations only reading. For the
// role that owns the tables. Errors as above; UNAVAILABLE also when another migrator holds the lock
// for longer than options.migrate_timeout.
absl::Status MigratePostgres(const PostgresOptions& options);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_POSTGRES_H_
