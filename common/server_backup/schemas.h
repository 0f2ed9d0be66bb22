// The services' schemas in a database, as an operator's connection sees them.
#ifndef TANDEM_COMMON_SERVER_BACKUP_SCHEMAS_H_
#define TANDEM_COMMON_SERVER_BACKUP_SCHEMAS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/postgres/postgres_session.h"

namespace tandem::backup {

// A database and the services whose schemas it holds.
struct ServiceDatabase {
  std::string uri;
  std::vector<std::string> services;
};

// The databases, each once, of the URI by service.
std::vector<ServiceDatabase> GroupByDatabase(const std::map<std::string, std::string>& uris);

// The dump of a service in the folder of a backup.
std::string DumpName(const std::string& service);

// SCHEMA.NAME as an SQL identifier.
std::string TableName(const store::PostgresSession& session, const std::string& schema,
                      const char* name);

// Which of `services` have a schema in this database, in their order.
absl::StatusOr<std::vector<std::string>> FindSchemas(store::PostgresSession& session,
                                                     const std::vector<std::string>& services);

// The SQL name of the sequence that counts the schema's outbox. FAILED_PRECONDITION if there is no
// such table.
absl::StatusOr<std::string> FindOutboxSequence(store::PostgresSession& session,
                                               const std::string& schema);

// A cell that holds an integer; INTERNAL names `what` if it does not.
absl::StatusOr<int64_t> ReadNumber(const std::optional<std::string>& cell, const std::string& what);

}  // namespace tandem::backup

#endif  // TANDEM_COMMON_SERVER_BACKUP_SCHEMAS_H_
