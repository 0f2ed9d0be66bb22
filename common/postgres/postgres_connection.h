// One connection to a PostgreSQL server: its settings, its prepared statements, a pipeline of lines
// in one round trip, its errors as absl::Status. Only common/postgres includes this; programs use
// postgres.h.
#ifndef TANDEM_COMMON_POSTGRES_POSTGRES_CONNECTION_H_
#define TANDEM_COMMON_POSTGRES_POSTGRES_CONNECTION_H_

#include <libpq-fe.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/postgres/countdown.h"
#include "common/postgres/postgres.h"
#include "common/postgres/server_text.h"
#include "common/store/store.h"

namespace tandem::store {

// "postgresql://host:5432/database, schema name": who is meant, in every message. Holds no secret.
// INVALID_ARGUMENT for a URI that libpq cannot read, which is not quoted: it may hold a password.
absl::StatusOr<std::string> NameOfDatabase(const PostgresOptions& options);

// One thread at a time. A connection that is lost stays lost; its owner opens another.
class PostgresConnection {
 public:
  enum class Purpose { kCommits, kReads, kMigrates };
  struct FreeResult {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, FreeResult>;

  // Connects and sets what every connection needs, within options.connect_timeout; looking up a
  // host's name may take longer, as long as the system's resolver is set to.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Open(const PostgresOptions& options,
                                                                  Purpose purpose);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  bool lost() const { return lost_; }
  // Whether it stands as far as is known here: a server that has closed it is noticed now, before
  // anything is sent.
  bool Stands();

  // A line of a pipeline. `place` is where it stands in a batch, nullptr for a query.
  struct Line {
    const Statement* statement = nullptr;
    Use use = Use::kQuery;
    const Write* place = nullptr;
  };
  struct Answer {
    enum class Kind {
      kDone,     // all of it, committed
      kRefused,  // by the server: nothing was done; `line`, `state` and `status` say what it
                 // refused
      kLost,     // the connection ended; `perhaps_done` if the server may have got all of it
    };
    static constexpr size_t kNoLine = static_cast<size_t>(-1);
    Kind kind = Kind::kDone;
    size_t line = kNoLine;  // index of the refused line, kNoLine for the commit as a whole
    std::string state;      // SQLSTATE of the refusal, empty if it was refused here
    absl::Status status;
    bool perhaps_done = false;
    // The refused statement has to be prepared anew, which the next Run does.
    bool prepares_anew = false;
    Result rows;  // of the last line
  };
  // Sends all lines at once and waits for the answers, at most options.answer_timeout. The lines
  // are one transaction, which the server commits at the end of them. Not for kMigrates.
  Answer Run(absl::Span<const Line> lines);

  // As Reader::Query.
  struct QueryAnswer {
    absl::Status status;
    bool lost = false;   // the connection; no row was delivered
    bool again = false;  // worth asking once more: lost, or the statement has to be prepared anew
  };
  QueryAnswer Query(const Statement& statement, absl::FunctionRef<void(const RowView&)> on_row);

  // Only for kMigrates: runs `sql` by itself, several statements if there are no parameters, and
  // gives the last one's rows as text.
  absl::StatusOr<Result> Execute(const std::string& sql, const std::vector<std::string>& params,
                                 absl::Duration within);
  // Only for kMigrates: runs a COPY … FROM STDIN with what `fill` sends, which ends it unfinished
  // by an error, or a COPY … TO STDOUT whose bytes `take` gets piece by piece. `patience` is for
  // each step, not for the whole.
  using Send = absl::FunctionRef<absl::Status(std::string_view bytes)>;
  absl::Status CopyIn(const std::string& sql, absl::Duration patience,
                      absl::FunctionRef<absl::Status(const Send&)> fill);
  absl::Status CopyOut(const std::string& sql, absl::Duration patience,
                       absl::FunctionRef<absl::Status(std::string_view piece)> take);
  bool in_transaction() const { return PQtransactionStatus(db_) == PQTRANS_INTRANS; }
  // `name` as an SQL identifier.
  std::string Quoted(const std::string& name) const;

 private:
  struct Prepared {
    std::string text;  // as given
    Use use = Use::kQuery;
    ServerText server;
    std::string name;        // the server's, new each time that it is prepared
    std::vector<Oid> types;  // of the parameters; 0 = only NULL was seen
    bool is_sent = false;    // under `name`
  };
  using PreparedList = std::list<Prepared>;
  // One message of a pipeline that is answered by a result.
  struct Step {
    enum class Kind { kClose, kPrepare, kGuard, kLine, kSync };
    Kind kind;
    size_t line = Answer::kNoLine;
    std::string name;              // kClose: what is closed
    Prepared* prepared = nullptr;  // kPrepare, kLine
  };
  enum class Wait { kReady, kTimeout, kLost };

  PostgresConnection(const PostgresOptions& options, std::string database);
  absl::Status Connect(Purpose purpose);
  absl::Status Configure(Purpose purpose);
  absl::Status ConnectError() const;
  // What the server says unasked; its last words end the connection, all else is dropped.
  static void HearNotice(void* connection, const PGresult* notice);

  absl::StatusOr<Prepared*> Find(std::string_view sql, Use use);
  // Puts the messages of a pipeline into libpq's buffer; false if the connection is lost.
  bool Put(absl::Span<const Line> lines, const std::vector<Prepared*>& prepared);
  bool PutLine(const Statement& statement, Prepared& prepared, size_t line);
  bool PutGuard(absl::Span<const Line> lines, const std::vector<Prepared*>& prepared);
  bool PutValues(const char* name, const std::vector<Value>& params);
  Answer Collect();
  void NotPrepared(const Step& step);
  void Refused(const Step& step, const PGresult& result, Answer& answer);
  void Trim();

  // postgres_copy.cc
  absl::Status BeginCopy(const std::string& sql, ExecStatusType expected, absl::Duration patience);
  absl::Status FlushCopy();
  absl::Status EndCopy(const std::string& sql, absl::Duration patience);
  absl::Status CopyError(const PGresult& result, const std::string& sql);

  // Until a result can be taken, all being sent that still waits, or `deadline_` has passed.
  Wait AwaitResult();
  Wait AwaitSocket(short events);
  absl::Status LostStatus(std::string_view how) const;
  absl::Status Error(const PGresult& result, std::string_view doing) const;

  const PostgresOptions options_;
  const std::string database_;
  PGconn* db_ = nullptr;
  bool lost_ = false;
  bool read_only_ = false;  // by choice
  bool unsent_ = false;     // libpq still holds bytes of what was put
  Countdown deadline_;

  PreparedList prepared_;  // the last used first; the maps point into the list's own strings
  std::array<absl::flat_hash_map<absl::string_view, PreparedList::iterator>, kUses> by_sql_;
  uint64_t names_ = 0;
  std::vector<std::string> to_close_;  // forgotten here, still prepared at the server

  std::vector<Step> steps_;
  // What PutValues hands to libpq; kept for their memory.
  std::vector<const char*> values_;
  std::vector<int> lengths_, formats_;
  std::vector<std::array<char, 8>> numbers_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_POSTGRES_CONNECTION_H_
