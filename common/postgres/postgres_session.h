// A connection for an operator's work: transactions of many statements and bulk copies, over all
// schemas of a database. Services use postgres.h.
//
//   auto session = PostgresSession::Open(options);
//   absl::Status status = (*session)->Transaction([&] {
//     return (*session)->CopyIn("COPY triage.staff FROM STDIN (FORMAT binary)", fill);
//   });
#ifndef TANDEM_COMMON_POSTGRES_POSTGRES_SESSION_H_
#define TANDEM_COMMON_POSTGRES_POSTGRES_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/postgres/postgres.h"

namespace tandem::store {

class PostgresConnection;

// A row of an answer, as text; nothing for NULL.
using TextRow = std::vector<std::optional<std::string>>;

// One thread, which it blocks. A session that lost its connection answers UNAVAILABLE from then on,
// and the server has rolled back what was not committed. Errors as common/postgres/README.md says;
// no message holds a value of a row.
class PostgresSession {
 public:
  // Of `options` the URI, application_name, connect_timeout and tcp_user_timeout count. Statements
  // wait `lock_wait` for a lock and are given `patience` to answer or to go on.
  static absl::StatusOr<std::unique_ptr<PostgresSession>> Open(PostgresOptions options,
                                                               absl::Duration lock_wait,
                                                               absl::Duration patience);
  ~PostgresSession();

  // One statement, with parameters $1 …; several without.
  absl::StatusOr<std::vector<TextRow>> Run(const std::string& sql,
                                           const std::vector<std::string>& params = {});
  // BEGIN, `body`, COMMIT, or ROLLBACK if it fails. READ COMMITTED. UNAVAILABLE of the COMMIT
  // itself leaves open whether it was done, and says so.
  absl::Status Transaction(absl::FunctionRef<absl::Status()> body);

  // Within `fill`, which may not use the session, `add` takes one row (CopyRow::bytes()).
  using AddRow = absl::FunctionRef<absl::Status(std::string_view row)>;
  absl::Status CopyIn(const std::string& sql, absl::FunctionRef<absl::Status(const AddRow&)> fill);
  // Rows as CopyRow makes them, if their columns are of its types.
  absl::Status CopyOut(const std::string& sql, absl::FunctionRef<void(std::string_view row)> take);

  // A name as an SQL identifier.
  std::string Quoted(const std::string& name) const;
  // Which database it is, without a secret.
  const std::string& name() const { return name_; }

 private:
  PostgresSession(std::unique_ptr<PostgresConnection> connection, std::string name,
                  absl::Duration patience);

  const std::unique_ptr<PostgresConnection> connection_;
  const std::string name_;
  const absl::Duration patience_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_POSTGRES_SESSION_H_
