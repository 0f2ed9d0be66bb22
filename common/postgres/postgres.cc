#include "common/postgres/postgres.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/postgres/countdown.h"
#include "common/postgres/postgres_connection.h"
#include "common/postgres/postgres_migrate.h"
#include "common/store/lock_order.h"

namespace tandem::store {
namespace {

using Answer = PostgresConnection::Answer;
using Purpose = PostgresConnection::Purpose;

constexpr char kLockNotHad[] = "55P03";

// Ends this service's sessions whose process has stood still for $1 microseconds in the middle of
// sending a commit, with the locks of the lines that had come. To the server such a session is
// active, not idle, so none of its timeouts count before PostgreSQL 17. A role may end its own.
constexpr char kEndThoseThatStandStill[] =
    "SELECT count(CASE WHEN pg_terminate_backend(pid) THEN 1 END) FROM pg_stat_activity "
    "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() "
    "AND application_name = current_setting('application_name') AND state = 'active' "
    "AND wait_event = 'ClientRead' "
    "AND query_start < clock_timestamp() - CAST($1 AS BIGINT) * INTERVAL '1 microsecond'";

// A connection that comes back: it is opened when it is needed and not there, and after a failure
// not again before the back-off is over. One thread at a time.
class Link {
 public:
  Link(const PostgresOptions& options, Purpose purpose,
       std::unique_ptr<PostgresConnection> connection)
      : options_(options),
        purpose_(purpose),
        connection_(std::move(connection)),
        back_off_(options.first_back_off) {}

  // INTERNAL when an on_row callback called back.
  class Turn {
   public:
    explicit Turn(Link& link) : link_(link), nested_(std::exchange(link.in_turn_, true)) {}
    ~Turn() { link_.in_turn_ = nested_; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    absl::Status status() const {
      return nested_ ? absl::InternalError("on_row called the store that called it")
                     : absl::OkStatus();
    }

   private:
    Link& link_;
    const bool nested_;
  };

  // UNAVAILABLE and the like, at once during the back-off.
  absl::StatusOr<PostgresConnection*> Get() {
    if (connection_ != nullptr && connection_->Stands()) return connection_.get();
    connection_.reset();
    if (pause_.Runs()) {
      return absl::UnavailableError(
          absl::StrCat(trouble_.message(), " (the next attempt comes after a pause)"));
    }
    absl::StatusOr<std::unique_ptr<PostgresConnection>> opened =
        PostgresConnection::Open(options_, purpose_);
    if (options_.reconnected) options_.reconnected(opened.status());
    if (!opened.ok()) {
      Failed(opened.status());
      return opened.status();
    }
    connection_ = *std::move(opened);
    return connection_.get();
  }

  // The connection answered, be it with a refusal.
  void Answered() { back_off_ = options_.first_back_off; }
  // It did not. The first attempt afterwards is free: a server that was restarted is there again.
  void Lost(const absl::Status& status) {
    connection_.reset();
    if (back_off_ > options_.first_back_off) Failed(status);
    back_off_ = std::max(back_off_, options_.first_back_off * 2);
  }

 private:
  void Failed(const absl::Status& status) {
    trouble_ = status;
    // Half of it by chance, so that those who lost the server together do not return together.
    pause_.Start(back_off_ * std::uniform_real_distribution<double>(0.5, 1.0)(random_));
    back_off_ = std::min(back_off_ * 2, options_.last_back_off);
  }

  const PostgresOptions options_;
  const Purpose purpose_;
  std::unique_ptr<PostgresConnection> connection_;
  Countdown pause_;
  absl::Duration back_off_;
  absl::Status trouble_;
  std::minstd_rand random_{std::random_device{}()};
  bool in_turn_ = false;
};

class PostgresReader final : public Reader {
 public:
  explicit PostgresReader(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  absl::Status Query(const Statement& statement,
                     absl::FunctionRef<void(const RowView&)> on_row) override {
    const Link::Turn turn(*link_);
    if (absl::Status s = turn.status(); !s.ok()) return s;
    // A connection may have died unnoticed. No row was delivered then, so the question is asked
    // once more over a new one.
    for (bool again = true;; again = false) {
      const absl::StatusOr<PostgresConnection*> connection = link_->Get();
      if (!connection.ok()) return connection.status();
      PostgresConnection::QueryAnswer answer = (*connection)->Query(statement, on_row);
      if (answer.lost) {
        link_->Lost(answer.status);
      } else {
        link_->Answered();
      }
      if (!again || !answer.again) return answer.status;
    }
  }

 private:
  const std::shared_ptr<Link> link_;
};

class PostgresStore final : public Store {
 public:
  PostgresStore(PostgresOptions options, std::shared_ptr<Link> link)
      : options_(std::move(options)), link_(link), reader_(link) {}

  CommitResult Commit(const std::vector<Write>& batch) override {
    using Kind = CommitResult::Kind;
    if (batch.empty()) return {};
    const Link::Turn turn(*link_);
    if (absl::Status s = turn.status(); !s.ok()) return {Kind::kFailed, {}, std::move(s)};
    const absl::StatusOr<PostgresConnection*> connection = link_->Get();
    if (!connection.ok()) return {Kind::kFailed, {}, connection.status()};
    Sort(batch);
    Answer answer = (*connection)->Run(lines_);
    // Whoever gives a lock up looks whether its holder can still come to an end by itself.
    if (answer.state == kLockNotHad && !(*connection)->lost()) {
      const Statement end{Sql::Lasting(kEndThoseThatStandStill),
                          {absl::ToInt64Microseconds(options_.idle_in_transaction_timeout)}};
      (*connection)->Query(end, [](const RowView&) {}).status.IgnoreError();  // the next one looks
    }
    if ((*connection)->lost()) {
      link_->Lost(answer.status);
    } else {
      link_->Answered();
    }
    switch (answer.kind) {
      case Answer::Kind::kDone:
        return {};
      case Answer::Kind::kLost:
        return {answer.perhaps_done ? Kind::kUnknown : Kind::kFailed, {}, std::move(answer.status)};
      case Answer::Kind::kRefused:
        return Refused(std::move(answer));
    }
    return {};
  }

  Reader& reader() override { return reader_; }
  bool is_shared() const override { return true; }
  std::string_view SkipLocked() const override { return "FOR UPDATE SKIP LOCKED"; }

  absl::StatusOr<std::unique_ptr<Reader>> OpenReader() override {
    absl::StatusOr<std::unique_ptr<PostgresConnection>> connection =
        PostgresConnection::Open(options_, Purpose::kReads);
    if (!connection.ok()) return connection.status();
    return std::make_unique<PostgresReader>(
        std::make_shared<Link>(options_, Purpose::kReads, *std::move(connection)));
  }

 private:
  void Sort(const std::vector<Write>& batch) {
    SortForLocking(batch, order_);
    lines_.clear();
    for (const size_t i : order_) {
      const Write& write = batch[i];
      const Use use = write.expect == Expect::kOneRow    ? Use::kOneRow
                      : write.expect == Expect::kAnyRows ? Use::kAnyRows
                                                         : Use::kFinds;
      lines_.push_back({&write.statement, use, &write});
    }
  }

  CommitResult Refused(Answer answer) const {
    using Kind = CommitResult::Kind;
    if (answer.line != Answer::kNoLine) {
      // 22012: the frame's own division, of a line that changed or found not just one row. 23505:
      // the key, or another unique column, is taken.
      const bool missed = (answer.state == "22012" && lines_[answer.line].use != Use::kAnyRows) ||
                          answer.state == "23505";
      if (missed) return {Kind::kMissed, {order_[answer.line]}, absl::OkStatus()};
    }
    // 40: serialisation failure, deadlock. 55P03: a lock was not had in time. 23505 of a constraint
    // that is looked at when all is done. A statement that has to be prepared anew.
    const bool conflict = absl::StartsWith(answer.state, "40") || answer.state == kLockNotHad ||
                          answer.state == "23505" || answer.prepares_anew;
    return {conflict ? Kind::kConflict : Kind::kFailed, {}, std::move(answer.status)};
  }

  const PostgresOptions options_;
  const std::shared_ptr<Link> link_;
  PostgresReader reader_;
  std::vector<size_t> order_;
  std::vector<PostgresConnection::Line> lines_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenPostgres(PostgresOptions options) {
  {
    absl::StatusOr<std::unique_ptr<PostgresConnection>> looks =
        PostgresConnection::Open(options, Purpose::kMigrates);
    if (!looks.ok()) return looks.status();
    const absl::Status status =
        options.migrate ? Migrate(options, **looks) : CheckMigrated(options, **looks);
    if (!status.ok()) return status;
  }
  absl::StatusOr<std::unique_ptr<PostgresConnection>> opened =
      PostgresConnection::Open(options, Purpose::kCommits);
  if (!opened.ok()) return opened.status();
  auto link = std::make_shared<Link>(options, Purpose::kCommits, *std::move(opened));
  return std::make_unique<PostgresStore>(std::move(options), std::move(link));
}

absl::Status MigratePostgres(const PostgresOptions& options) {
  absl::StatusOr<std::unique_ptr<PostgresConnection>> connection =
      PostgresConnection::Open(options, Purpose::kMigrates);
  if (!connection.ok()) return connection.status();
  return Migrate(options, **connection);
}

}  // namespace tandem::store
