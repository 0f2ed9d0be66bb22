#include "common/postgres/postgres_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/postgres/copy_format.h"
#include "common/postgres/postgres_connection.h"

namespace tandem::store {
namespace {

// What is sent at a time: a row costs no system call of its own.
constexpr size_t kPieceBytes = 64 << 10;

}  // namespace

PostgresSession::PostgresSession(std::unique_ptr<PostgresConnection> connection, std::string name,
                                 absl::Duration patience)
    : connection_(std::move(connection)), name_(std::move(name)), patience_(patience) {}

PostgresSession::~PostgresSession() = default;

absl::StatusOr<std::unique_ptr<PostgresSession>> PostgresSession::Open(PostgresOptions options,
                                                                       absl::Duration lock_wait,
                                                                       absl::Duration patience) {
  options.schema.clear();  // every name says its own
  // The server's limits of a statement, and of what a transaction may idle while its rows are read.
  options.migrate_timeout = patience;
  options.idle_in_transaction_timeout = patience;
  absl::StatusOr<std::string> name = NameOfDatabase(options);
  if (!name.ok()) return name.status();
  absl::StatusOr<std::unique_ptr<PostgresConnection>> connection =
      PostgresConnection::Open(options, PostgresConnection::Purpose::kMigrates);
  if (!connection.ok()) return connection.status();
  std::unique_ptr<PostgresSession> session(
      new PostgresSession(*std::move(connection), *std::move(name), patience));
  // A copy takes as long as its table is large: `patience` is for each of its steps.
  const auto set = session->Run(
      "SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', '0', false)",
      {absl::StrCat(absl::ToInt64Milliseconds(lock_wait))});
  if (!set.ok()) return set.status();
  return session;
}

absl::StatusOr<std::vector<TextRow>> PostgresSession::Run(const std::string& sql,
                                                          const std::vector<std::string>& params) {
  const absl::StatusOr<PostgresConnection::Result> result =
      connection_->Execute(sql, params, patience_);
  if (!result.ok()) return result.status();
  std::vector<TextRow> rows(static_cast<size_t>(PQntuples(result->get())));
  for (size_t i = 0; i < rows.size(); ++i) {
    const int row = static_cast<int>(i);
    for (int column = 0; column < PQnfields(result->get()); ++column) {
      rows[i].emplace_back();
      if (PQgetisnull(result->get(), row, column) != 0) continue;
      rows[i].back().emplace(PQgetvalue(result->get(), row, column),
                             static_cast<size_t>(PQgetlength(result->get(), row, column)));
    }
  }
  return rows;
}

absl::Status PostgresSession::Transaction(absl::FunctionRef<absl::Status()> body) {
  if (absl::Status s = Run("BEGIN").status(); !s.ok()) return s;
  if (absl::Status s = body(); !s.ok()) {
    if (!connection_->lost()) Run("ROLLBACK").status().IgnoreError();
    return s;
  }
  const absl::Status committed = Run("COMMIT").status();
  if (committed.ok() || !connection_->lost()) return committed;
  return absl::UnavailableError(
      absl::StrCat("whether the commit was done is unknown: ", committed.message()));
}

absl::Status PostgresSession::CopyIn(const std::string& sql,
                                     absl::FunctionRef<absl::Status(const AddRow&)> fill) {
  return connection_->CopyIn(sql, patience_, [&](const PostgresConnection::Send& send) {
    std::string piece(CopyHeader());
    const absl::Status filled = fill([&](std::string_view row) -> absl::Status {
      piece.append(row);
      if (piece.size() < kPieceBytes) return absl::OkStatus();
      absl::Status sent = send(piece);
      piece.clear();
      return sent;
    });
    if (!filled.ok()) return filled;
    piece.append(CopyTrailer());
    return send(piece);
  });
}

absl::Status PostgresSession::CopyOut(const std::string& sql,
                                      absl::FunctionRef<void(std::string_view row)> take) {
  CopyParser parser;
  const absl::Status copied = connection_->CopyOut(
      sql, patience_, [&](std::string_view piece) { return parser.Take(piece, take); });
  if (!copied.ok()) return copied;
  if (!parser.is_complete()) {
    return absl::DataLossError(absl::StrCat(name_, ": the copy ended early: ", sql));
  }
  return absl::OkStatus();
}

std::string PostgresSession::Quoted(const std::string& name) const {
  return connection_->Quoted(name);
}

}  // namespace tandem::store
