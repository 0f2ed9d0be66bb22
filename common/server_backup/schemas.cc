#include "common/server_backup/schemas.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tandem::backup {

using store::PostgresSession;

std::vector<ServiceDatabase> GroupByDatabase(const std::map<std::string, std::string>& uris) {
  std::map<std::string, std::vector<std::string>> by_uri;
  for (const auto& [service, uri] : uris) by_uri[uri].push_back(service);
  std::vector<ServiceDatabase> databases;
  for (auto& [uri, services] : by_uri) databases.push_back({uri, std::move(services)});
  return databases;
}

std::string DumpName(const std::string& service) { return absl::StrCat(service, ".dump"); }

std::string TableName(const PostgresSession& session, const std::string& schema, const char* name) {
  return absl::StrCat(session.Quoted(schema), ".", name);
}

absl::StatusOr<std::vector<std::string>> FindSchemas(PostgresSession& session,
                                                     const std::vector<std::string>& services) {
  std::vector<std::string> found;
  for (const std::string& service : services) {
    const auto rows = session.Run("SELECT 1 FROM pg_namespace WHERE nspname = $1", {service});
    if (!rows.ok()) return rows.status();
    if (!rows->empty()) found.push_back(service);
  }
  return found;
}

absl::StatusOr<std::string> FindOutboxSequence(PostgresSession& session,
                                               const std::string& schema) {
  const std::string outbox = TableName(session, schema, "outbox");
  const auto rows = session.Run(
      "SELECT pg_get_serial_sequence($1, 'id') WHERE to_regclass($1) IS NOT NULL", {outbox});
  if (!rows.ok()) return rows.status();
  if (rows->empty() || !rows->front()[0].has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        session.name(), ": schema ", schema, " has no outbox; run its service's `migrate` first"));
  }
  return *rows->front()[0];
}

absl::StatusOr<int64_t> ReadNumber(const std::optional<std::string>& cell,
                                   const std::string& what) {
  int64_t number = 0;
  if (cell.has_value() && absl::SimpleAtoi(*cell, &number)) return number;
  return absl::InternalError(absl::StrCat(what, " is no number"));
}

}  // namespace tandem::backup
