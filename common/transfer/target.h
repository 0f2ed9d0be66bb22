// Where it goes: a schema a service in one PostgreSQL database, made by each service's own command
// and still empty.
#ifndef TANDEM_COMMON_TRANSFER_TARGET_H_
#define TANDEM_COMMON_TRANSFER_TARGET_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/postgres/postgres_session.h"
#include "common/transfer/source.h"
#include "common/transfer/table_plan.h"

namespace tandem::transfer {

// One thread. Nobody else moves anything into this database while it exists.
class Target {
 public:
  struct Schema {
    std::string name;  // also the service's
    std::vector<Table> tables;
    Steps steps;
    bool is_unfinished = false;        // marked: a move began and did not end
    std::optional<std::string> moved;  // what a move that ended left: identity of its source
    std::string moved_at;              // and when
    std::string first_filled;          // a table that is not empty; none = ""
  };

  // Reads what the schemas are. FAILED_PRECONDITION names a schema that is not there and the
  // command that makes it, or another process that moves into this database; PERMISSION_DENIED a
  // table that this role does not own.
  static absl::StatusOr<Target> Open(const store::PostgresOptions& options,
                                     const std::vector<std::string>& schemas,
                                     absl::FunctionRef<std::string(const std::string&)> command);

  const std::vector<Schema>& schemas() const { return schemas_; }
  const std::string& name() const { return session_->name(); }

  // Marks all schemas as unfinished, so that no program serves them. FAILED_PRECONDITION if one is
  // not empty any more.
  absl::Status Mark(const std::string& way_out);

  // One transaction: `fill` calls Fill for each table and Verify afterwards, then the marks go and
  // `identity` is noted. If it fails nothing was done, unless the error says that this is unknown.
  absl::Status Commit(const std::string& identity, absl::FunctionRef<absl::Status()> fill);
  using AddRow = store::PostgresSession::AddRow;
  absl::Status Fill(const std::string& schema, const TablePlan& table,
                    absl::FunctionRef<absl::Status(const AddRow&)> rows);
  // The rows as they stand there, in order of their key.
  absl::StatusOr<Content> Read(const std::string& schema, const TablePlan& table);

 private:
  Target(std::unique_ptr<store::PostgresSession> session) : session_(std::move(session)) {}
  absl::Status ReadSchema(const std::string& name, const std::string& command);
  std::string Name(const std::string& schema, const std::string& table) const;
  // Alone with all tables, which are empty: until the transaction ends.
  absl::Status LockEmpty();
  absl::StatusOr<std::string> FirstFilled(const Schema& schema);

  std::unique_ptr<store::PostgresSession> session_;
  std::vector<Schema> schemas_;
};

// The way out where a table holds rows already.
std::string NotEmpty(const std::string& schema, const std::string& table);

}  // namespace tandem::transfer

#endif  // TANDEM_COMMON_TRANSFER_TARGET_H_
