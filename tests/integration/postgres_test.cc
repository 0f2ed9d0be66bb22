// PostgreSQL against the store contract, and what only a server shared by several processes
// promises. ctest starts the server; run by hand, the program starts one of its own.
#include "common/postgres/postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/postgres/oldest_snapshot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/store_contract.h"
#include "tests/integration/cutting_proxy.h"
#include "tests/integration/postgres_server.h"

namespace tandem::store {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Schema TestSchema() {
  return {"contract",
          {{1, 1, "001_contract.postgres.sql",
            ContractTables("BIGINT", "TEXT COLLATE \"C\"", "BYTEA")}}};
}

// Locks are given up soon, deadlocks found sooner, and a process that stands still loses its own
// before the tests lose their patience.
PostgresOptions OptionsFor(const PostgresServer& server, const std::string& schema) {
  PostgresOptions options;
  options.uri = server.UriWith("deadlock_timeout=100ms");
  options.schema = schema;
  options.schemas = {TestSchema()};
  options.migrate = true;
  options.lock_timeout = absl::Seconds(1);
  return options;
}

class PostgresWorld final : public SharedStoreWorld {
 public:
  PostgresWorld() : proxy_(PostgresServer::Shared()->port()) {}

  absl::StatusOr<std::unique_ptr<Store>> Open() override { return OpenPostgres(Options()); }

  absl::StatusOr<std::unique_ptr<Store>> OpenCuttable() override {
    PostgresOptions options = Options();
    options.uri = schema_.server().UriOver(proxy_.port());
    return OpenPostgres(options);
  }
  void CutNextCommit(bool applied) override {
    proxy_.CutNext(applied ? Cut::kAnswer : Cut::kRequest);
  }

  std::unique_ptr<Holder> Hold(const std::string& key) override {
    return std::make_unique<SessionHolder>(schema_, key);
  }
  std::unique_ptr<Holder> HoldStandingStill(const std::string& key) override {
    return std::make_unique<StoppedHolder>(schema_, key);
  }

  bool AwaitWaiting(int transactions) override {
    return AwaitAnswer(*schema_.NewSession(),
                       absl::StrCat("SELECT count(DISTINCT pid) >= ", transactions,
                                    " FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM "
                                    "pg_stat_activity WHERE application_name = '",
                                    schema_.name(), "')"),
                       "t");
  }

  const SchemaOfTest& schema() const { return schema_; }

 private:
  PostgresOptions Options() const {
    PostgresOptions options = OptionsFor(schema_.server(), schema_.name());
    options.application_name = schema_.name();
    return options;
  }

  static std::string Lock(const std::string& key) {
    return absl::StrCat("SELECT 1 FROM items WHERE key = '", key, "' FOR UPDATE");
  }

  class SessionHolder final : public Holder {
   public:
    SessionHolder(const SchemaOfTest& schema, const std::string& key)
        : session_(schema.NewSession()) {
      session_->Ask(absl::StrCat("SET application_name = ", schema.name()));
      session_->Ask("BEGIN");
      session_->Ask(Lock(key));
    }
    void AlsoTake(const std::string& key) override { session_->Send(Lock(key)); }

   private:
    const std::unique_ptr<Session> session_;
  };

  class StoppedHolder final : public Holder {
   public:
    StoppedHolder(const SchemaOfTest& schema, const std::string& key) {
      int ends[2];
      if (pipe(ends) != 0) std::abort();
      child_ = fork();
      if (child_ < 0) std::abort();
      if (child_ == 0) {
        Session session(schema.server().UriWith("idle_in_transaction_session_timeout=500ms"));
        session.Ask(absl::StrCat("SET search_path = ", schema.name()));
        session.Ask("BEGIN");
        session.Ask(Lock(key));
        if (write(ends[1], "", 1) != 1) _exit(1);
        raise(SIGSTOP);
        _exit(2);  // nobody wakes it
      }
      close(ends[1]);
      char told = 1;
      EXPECT_EQ(read(ends[0], &told, 1), 1);
      close(ends[0]);
      int status = 0;
      EXPECT_EQ(waitpid(child_, &status, WUNTRACED), child_);
      EXPECT_TRUE(WIFSTOPPED(status));
    }
    ~StoppedHolder() override {
      EXPECT_EQ(waitpid(child_, nullptr, WNOHANG | WCONTINUED), 0) << "it went on by itself";
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    void AlsoTake(const std::string&) override { FAIL() << "it stands still"; }

   private:
    pid_t child_ = -1;
  };

  const SchemaOfTest schema_{PostgresServer::Shared()};
  CuttingProxy proxy_;
};

StoreEngine Engine() {
  return {"Server", [] { return std::make_unique<PostgresWorld>(); }};
}

INSTANTIATE_TEST_SUITE_P(PostgreSql, StoreContract, testing::Values(Engine()), EngineName);
INSTANTIATE_TEST_SUITE_P(PostgreSql, DurableStoreContract, testing::Values(Engine()), EngineName);
INSTANTIATE_TEST_SUITE_P(PostgreSql, SharedStoreContract,
                         testing::Values(SharedStoreEngine{
                             "Server", [] { return std::make_unique<PostgresWorld>(); }}),
                         SharedEngineName);

// ---- what only this engine promises

class Postgres : public testing::Test {
 protected:
  using Kind = CommitResult::Kind;

  PostgresOptions Options() const { return OptionsFor(schema_.server(), schema_.name()); }
  static std::unique_ptr<Store> Open(const PostgresOptions& options) {
    absl::StatusOr<std::unique_ptr<Store>> opened = OpenPostgres(options);
    if (opened.ok()) return *std::move(opened);
    ADD_FAILURE() << opened.status();
    std::abort();
  }
  std::unique_ptr<Store> Open() const { return Open(Options()); }
  static void Refused(const PostgresOptions& options, absl::StatusCode code,
                      const testing::Matcher<std::string>& message) {
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenPostgres(options);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.status().code(), code) << store.status();
    EXPECT_THAT(std::string(store.status().message()), message);
  }
  static void Committed(Store& store, const std::vector<Write>& batch) {
    const CommitResult result = store.Commit(batch);
    ASSERT_EQ(result.kind, Kind::kCommitted) << result.status;
  }
  // The first column of the only row, as text.
  static std::string One(Reader& reader, const std::string& sql) {
    std::string one = "no row";
    const absl::Status status =
        reader.Query({sql, {}}, [&](const RowView& row) { one = std::string(row.Text(0)); });
    EXPECT_TRUE(status.ok()) << status;
    return one;
  }
  static int64_t Number(Reader& reader, const std::string& sql) {
    int64_t number = -1;
    const absl::Status status =
        reader.Query({sql, {}}, [&](const RowView& row) { number = row.Int(0); });
    EXPECT_TRUE(status.ok()) << status;
    return number;
  }
  static int64_t Backend(Reader& reader) { return Number(reader, "SELECT pg_backend_pid()"); }

  const SchemaOfTest schema_{PostgresServer::Shared()};
  const std::unique_ptr<Session> session_ = schema_.NewSession();
};

TEST_F(Postgres, CommitsInOneRoundTrip) {
  CuttingProxy proxy(schema_.server().port());
  PostgresOptions options = Options();
  options.uri = schema_.server().UriOver(proxy.port());
  const std::unique_ptr<Store> store = Open(options);
  std::vector<Write> batch = {CheckAbsent("z"), InsertOther("o", 1, 1)};
  for (int i = 0; i < 20; ++i) batch.push_back(Insert(absl::StrCat("k", i), 1));
  // The first commit prepares its statements on the way, the second one uses them.
  for (const int key : {0, 20}) {
    for (int i = 0; i < 20; ++i)
      batch[static_cast<size_t>(2 + i)] = Insert(absl::StrCat("k", key + i), 1);
    batch[1] = InsertOther(absl::StrCat("o", key), 1, key);
    const int before = proxy.round_trips();
    Committed(*store, batch);
    EXPECT_EQ(proxy.round_trips(), before + 1);
  }
  const int before = proxy.round_trips();
  EXPECT_EQ(Number(store->reader(), "SELECT count(*) FROM items"), 40);
  EXPECT_EQ(proxy.round_trips(), before + 1);
}

TEST_F(Postgres, SetsWhatEachConnectionNeeds) {
  PostgresOptions options = Options();
  options.lock_timeout = absl::Milliseconds(1234);
  options.application_name = "tandem-test";
  const std::unique_ptr<Store> store = Open(options);
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (Reader* each : {&store->reader(), reader->get()}) {
    const auto setting = [&](const std::string& name) {
      return One(*each, absl::StrCat("SELECT current_setting('", name, "')"));
    };
    EXPECT_EQ(setting("idle_in_transaction_session_timeout"), "5s");
    EXPECT_EQ(setting("lock_timeout"), "1234ms");
    EXPECT_EQ(setting("statement_timeout"), "5s");
    EXPECT_EQ(setting("tcp_user_timeout"), "10000");
    EXPECT_EQ(setting("transaction_isolation"), "read committed");
    EXPECT_EQ(setting("application_name"), "tandem-test");
    EXPECT_EQ(setting("search_path"), schema_.name());
    EXPECT_EQ(setting("transaction_read_only"), each == reader->get() ? "on" : "off");
  }
}

TEST_F(Postgres, KeepsNoMorePreparedStatementsThanItsBound) {
  const std::unique_ptr<Store> store = Open();
  for (int round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < 700; ++i) {
      int64_t got = -1;
      ASSERT_TRUE(store->reader()
                      .Query({absl::StrCat("SELECT ", i, " + $1"), {int64_t{round}}},
                             [&](const RowView& row) { got = row.Int(0); })
                      .ok());
      ASSERT_EQ(got, i + round);
    }
  }
  // One that is about to be closed may stand beside them.
  EXPECT_LE(Number(store->reader(), "SELECT count(*) FROM pg_prepared_statements"), 257);
}

TEST_F(Postgres, TakesABatchOfMoreTextsThanItKeeps) {
  const std::unique_ptr<Store> store = Open();
  std::vector<Write> batch;
  for (int i = 0; i < 600; ++i) {
    batch.push_back({"items",
                     absl::StrCat("k", i),
                     {absl::StrCat("INSERT INTO items (key, version) VALUES ($1, ", i, ")"),
                      {absl::StrCat("k", i)}}});
  }
  Committed(*store, batch);
  batch.push_back(Update("absent", 1, 2));
  EXPECT_EQ(store->Commit(batch).kind, Kind::kMissed);
  EXPECT_EQ(Number(store->reader(), "SELECT sum(version) FROM items"), 599 * 300);
  EXPECT_LE(Number(store->reader(), "SELECT count(*) FROM pg_prepared_statements"), 257);
}

TEST_F(Postgres, TakesOneTextWithValuesOfSeveralTypes) {
  const std::unique_ptr<Store> store = Open();
  const Sql sql("INSERT INTO items (key, version, body, note) VALUES ($1, $2, $3, $4)");
  const auto put = [&](const std::string& key, Value body, Value note) {
    return Write{"items", key, {sql, {key, int64_t{1}, std::move(body), std::move(note)}}};
  };
  // NULL first: its type is then the server's guess, until a value shows it.
  Committed(*store,
            {put("a", {}, {}), put("b", Blob{"bytes"}, {}), put("c", {}, std::string("x"))});
  Committed(*store, {put("d", Blob{"bytes"}, std::string("y")), put("e", {}, {})});
  EXPECT_EQ(Number(store->reader(), "SELECT count(body) + count(note) FROM items"), 4);
  std::string both;
  for (const Value& value : {Value(int64_t{7}), Value(std::string("seven")), Value(int64_t{8})}) {
    const bool number = std::holds_alternative<int64_t>(value);
    ASSERT_TRUE(store->reader()
                    .Query({"SELECT $1", {value}},
                           [&](const RowView& row) {
                             both += number ? absl::StrCat(row.Int(0)) : std::string(row.Text(0));
                           })
                    .ok());
  }
  EXPECT_EQ(both, "7seven8");
}

TEST_F(Postgres, ForgetsWhatAnAbortedBatchDidNotPrepare) {
  const std::unique_ptr<Store> store = Open();
  const auto put = [](const std::string& key, Value body) {
    return Write{
        "items",
        key,
        {"INSERT INTO items (key, version, body) VALUES ($1, 1, $2)", {key, std::move(body)}}};
  };
  // The first line misses, so that neither form of the text behind it reaches the server.
  EXPECT_EQ(store->Commit({Update("a", 7, 8), put("b", {}), put("c", Blob{"x"})}).kind,
            Kind::kMissed);
  Committed(*store, {put("b", {}), put("c", Blob{"x"})});
  Committed(*store, {Update("b", 1, 2), put("d", {})});
}

TEST_F(Postgres, ReadsEachKindOfNumberAndSaysWhatItDoesNotRead) {
  const std::unique_ptr<Store> store = Open();
  EXPECT_EQ(Number(store->reader(), "SELECT CAST(-7 AS SMALLINT)"), -7);
  EXPECT_EQ(Number(store->reader(), "SELECT CAST(-70000 AS INTEGER)"), -70000);
  EXPECT_EQ(Number(store->reader(), "SELECT CAST(-7000000000 AS BIGINT)"), -7000000000);
  EXPECT_EQ(Number(store->reader(), "SELECT 1=1"), 1);
  // A sum of BIGINTs is NUMERIC.
  for (const char* number : {"0", "7", "-7", "10000", "-100000000", "120034000056",
                             "9223372036854775807", "-9223372036854775808", "1.0"}) {
    EXPECT_EQ(Number(store->reader(), absl::StrCat("SELECT CAST(", number, " AS NUMERIC)")),
              Number(store->reader(), absl::StrCat("SELECT CAST(", number, " AS BIGINT)")));
  }
  const auto internal = [&](const std::string& sql, absl::FunctionRef<void(const RowView&)> read) {
    const absl::Status status = store->reader().Query({sql, {}}, read);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("CAST it"));
  };
  internal("SELECT 1, now()", [](const RowView&) { ADD_FAILURE(); });
  for (const char* number : {"1.5", "0.00001", "9223372036854775808", "-9223372036854775809",
                             "1e300", "CAST('NaN' AS NUMERIC)"}) {
    internal(absl::StrCat("SELECT ", number), [](const RowView& row) { row.Int(0); });
  }
  internal("SELECT 'text'", [](const RowView& row) { row.Int(0); });
  internal("SELECT 1", [](const RowView& row) { row.Text(0); });
}

TEST_F(Postgres, RefusesACallbackThatCallsTheStore) {
  const std::unique_ptr<Store> store = Open();
  Committed(*store, {Insert("a", 1)});
  absl::Status read;
  CommitResult result;
  EXPECT_TRUE(store->reader()
                  .Query({"SELECT 1 FROM items", {}},
                         [&](const RowView&) {
                           read = store->reader().Query({"SELECT 1", {}}, [](const RowView&) {});
                           result = store->Commit({Update("a", 1, 2)});
                         })
                  .ok());
  EXPECT_EQ(read.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInternal);
  Committed(*store, {Update("a", 1, 2)});
}

TEST_F(Postgres, AReaderWritesNothing) {
  const std::unique_ptr<Store> store = Open();
  session_->Ask(
      "CREATE FUNCTION sly() RETURNS BIGINT LANGUAGE SQL AS "
      "'INSERT INTO items (key, version) VALUES (''sly'', 1) RETURNING version'");
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  const auto refused = [](Reader& by, const std::string& sql) {
    const absl::Status status = by.Query({sql, {}}, [](const RowView&) { ADD_FAILURE(); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  };
  refused(**reader, "SELECT sly()");
  for (Reader* each : {&store->reader(), reader->get()}) {
    refused(*each, "WITH gone AS (DELETE FROM items RETURNING 1) SELECT 1 FROM gone");
  }
  EXPECT_EQ(Number(store->reader(), "SELECT count(*) FROM items"), 0);
}

TEST_F(Postgres, GoesOnWhenAColumnIsAddedUnderItsStatements) {
  const std::unique_ptr<Store> store = Open();
  Committed(*store, {Insert("a", 1)});
  EXPECT_EQ(One(store->reader(), "SELECT * FROM items"), "a");
  session_->Ask("ALTER TABLE items ADD COLUMN more BIGINT");
  EXPECT_EQ(One(store->reader(), "SELECT * FROM items"), "a");
  session_->Ask(absl::StrCat("SELECT pg_terminate_backend(", Backend(store->reader()), ", 5000)"));
  EXPECT_EQ(One(store->reader(), "SELECT * FROM items"), "a");
}

// The server's refusals, raised by a trigger: what the server would say if it meant it.
TEST_F(Postgres, SortsTheServersErrors) {
  const std::unique_ptr<Store> store = Open();
  session_->Ask(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.note IS NOT NULL THEN RAISE EXCEPTION 'refused' USING ERRCODE = NEW.note, "
      "DETAIL = 'a value of the row'; END IF; RETURN NEW; END $$");
  session_->Ask(
      "CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse()");
  const auto commit = [&](const std::string& state) {
    return store->Commit({InsertOther("beside", 1, 1),
                          {"items",
                           "k",
                           {"INSERT INTO items (key, version, note) VALUES ($1, 1, $2)",
                            {std::string("k"), state}}}});
  };
  using Code = absl::StatusCode;
  for (const auto& [state, code] : std::vector<std::pair<std::string, Code>>{
           {"53100", Code::kResourceExhausted},  // disk full
           {"53200", Code::kResourceExhausted},  // out of memory
           {"54000", Code::kResourceExhausted},  // a limit of the server's
           {"53300", Code::kUnavailable},        // too many connections
           {"XX001", Code::kDataLoss},           // a corrupt page
           {"XX002", Code::kDataLoss},           // a corrupt index
           {"XX000", Code::kInternal},
           {"57014", Code::kUnavailable},  // cancelled, or statement_timeout
           {"57P01", Code::kUnavailable},  // the administrator ends the connection
           {"57P02", Code::kUnavailable},  // after a crash
           {"57P03", Code::kUnavailable},  // starting
           {"58030", Code::kUnavailable},  // an I/O error
           {"25006", Code::kUnavailable},  // a standby
           {"42501", Code::kPermissionDenied},
           {"42703", Code::kInternal},
           {"22012",
            Code::kInternal},  // a division of the statement's own, in a line without a frame
       }) {
    const CommitResult result = commit(state);
    if (state == "22012") {
      EXPECT_EQ(result.kind, Kind::kMissed);  // told from the frame's own by nothing
      continue;
    }
    EXPECT_EQ(result.kind, Kind::kFailed) << state;
    EXPECT_EQ(result.status.code(), code) << result.status;
    EXPECT_THAT(std::string(result.status.message()),
                AllOf(HasSubstr(state), HasSubstr(schema_.name()), Not(HasSubstr("of the row"))));
  }
  for (const char* state : {"40001", "40P01", "55P03"}) {
    EXPECT_EQ(commit(state).kind, Kind::kConflict) << state;
  }
  EXPECT_EQ(commit("23505").kind, Kind::kMissed);
  EXPECT_EQ(Number(store->reader(), "SELECT count(*) FROM others"), 0);
}

TEST_F(Postgres, AValueThatDoesNotFitIsNotQuoted) {
  const std::unique_ptr<Store> store = Open();
  for (const std::string& value : {std::string("alice@example.com"), std::string("alice\xff")}) {
    const absl::Status status = store->reader().Query({"SELECT CAST($1 AS BIGINT)", {value}},
                                                      [](const RowView&) { ADD_FAILURE(); });
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("[PostgreSQL 22"), Not(HasSubstr("alice"))));
  }
}

TEST_F(Postgres, AConstraintThatIsCheckedAtTheCommitNamesNobody) {
  const std::unique_ptr<Store> store = Open();
  session_->Ask(
      "ALTER TABLE others ADD CONSTRAINT late UNIQUE (version) DEFERRABLE INITIALLY DEFERRED");
  const CommitResult result = store->Commit({InsertOther("a", 7, 1), InsertOther("b", 7, 2)});
  EXPECT_EQ(result.kind, Kind::kConflict) << result.status;
  EXPECT_THAT(result.missed, testing::IsEmpty());
  Committed(*store, {InsertOther("a", 7, 1), InsertOther("b", 8, 2)});
}

TEST_F(Postgres, GivesAStatementUpThatTakesTooLong) {
  PostgresOptions options = Options();
  options.statement_timeout = absl::Milliseconds(200);
  const std::unique_ptr<Store> store = Open(options);
  const absl::Status status = store->reader().Query(
      {"SELECT 1 FROM (SELECT pg_sleep(60)) AS slow", {}}, [](const RowView&) { ADD_FAILURE(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(Number(store->reader(), "SELECT 7"), 7);
}

TEST_F(Postgres, GivesAServerUpThatDoesNotAnswer) {
  PostgresOptions options = Options();
  options.answer_timeout = absl::Milliseconds(300);
  options.lock_timeout = absl::Seconds(60);
  const std::unique_ptr<Store> store = Open(options);
  Committed(*store, {Insert("a", 1)});
  session_->Ask("BEGIN");
  session_->Ask("SELECT 1 FROM items FOR UPDATE");
  const CommitResult result = store->Commit({Update("a", 1, 2)});
  EXPECT_EQ(result.kind, Kind::kUnknown) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("no answer within 300ms"));
  // That one may still be under way; it misses if this one comes first, and the other way round.
  session_->Ask("ROLLBACK");
  const CommitResult again = store->Commit({Update("a", 1, 2)});
  EXPECT_TRUE(again.kind == Kind::kCommitted || again.kind == Kind::kMissed) << again.status;
  EXPECT_EQ(Number(store->reader(), "SELECT version FROM items"), 2);
}

TEST_F(Postgres, AConnectionThatIsEndedInsideALineHasDoneNothing) {
  const std::unique_ptr<Store> store = Open();
  Committed(*store, {Insert("a", 1), Insert("b", 1)});
  const int64_t backend = Backend(store->reader());
  session_->Ask("BEGIN");
  session_->Ask("SELECT 1 FROM items WHERE key = 'b' FOR UPDATE");
  CommitResult result;
  std::thread committing([&] { result = store->Commit({Update("a", 1, 2), Update("b", 1, 2)}); });
  const std::unique_ptr<Session> other = schema_.NewSession();
  EXPECT_TRUE(AwaitAnswer(
      *other, absl::StrCat("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ", backend),
      "1"));
  other->Ask(absl::StrCat("SELECT pg_terminate_backend(", backend, ")"));
  committing.join();
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("57P01"));
  session_->Ask("ROLLBACK");
  Committed(*store, {Update("a", 1, 2), Update("b", 1, 2)});
}

TEST_F(Postgres, AConnectionThatDiedUnnoticedIsReplacedBeforeAnythingIsSent) {
  const std::unique_ptr<Store> store = Open();
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  for (int64_t version = 1; version < 4; ++version) {
    for (Reader* each : {&store->reader(), reader->get()}) {
      session_->Ask(absl::StrCat("SELECT pg_terminate_backend(", Backend(*each), ", 5000)"));
    }
    Committed(*store, {version == 1 ? Insert("a", 1) : Update("a", version - 1, version)});
    EXPECT_EQ(Number(**reader, "SELECT version FROM items"), version);
  }
}

TEST_F(Postgres, TellsOfEachLostConnectionThatIsOpenedAgain) {
  std::vector<absl::Status> told;
  PostgresOptions options = Options();
  options.reconnected = [&told](const absl::Status& status) { told.push_back(status); };
  const std::unique_ptr<Store> store = Open(options);
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  Committed(*store, {Insert("a", 1)});
  EXPECT_THAT(told, testing::IsEmpty());
  for (Reader* each : {&store->reader(), reader->get()}) {
    session_->Ask(absl::StrCat("SELECT pg_terminate_backend(", Backend(*each), ", 5000)"));
  }
  Committed(*store, {Update("a", 1, 2)});
  EXPECT_EQ(Number(**reader, "SELECT version FROM items"), 2);
  EXPECT_THAT(told, ElementsAre(absl::OkStatus(), absl::OkStatus()));
}

TEST_F(Postgres, AQuestionIsAskedOnceMoreOverANewConnection) {
  CuttingProxy proxy(schema_.server().port());
  PostgresOptions options = Options();
  options.uri = schema_.server().UriOver(proxy.port());
  const std::unique_ptr<Store> store = Open(options);
  Committed(*store, {Insert("a", 1)});
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  for (const Cut cut : {Cut::kRequest, Cut::kAnswer}) {
    proxy.CutNext(cut);
    int rows = 0;
    const absl::Status status =
        (*reader)->Query({"SELECT 1 FROM items", {}}, [&](const RowView&) { ++rows; });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(rows, 1);
  }
}

// A process of the same service that is stopped between the first and the last byte of a commit: a
// batch above 8 KiB leaves in pieces, and the server has carried out what came.
class StoppedCommit {
 public:
  StoppedCommit(const SchemaOfTest& schema, const std::string& application_name) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    child_ = fork();
    if (child_ < 0) std::abort();
    if (child_ == 0) {
      // The server's timeout for transactions that idle does not end it.
      PGconn* const db =
          PQconnectdb(schema.server().UriWith("idle_in_transaction_session_timeout=100ms").c_str());
      const std::string set = absl::StrCat("SET search_path = ", schema.name(),
                                           "; SET application_name = \"", application_name, "\"");
      PQclear(PQexec(db, set.c_str()));
      const bool sent = PQenterPipelineMode(db) == 1 &&
                        PQsendQueryParams(db, "UPDATE items SET version = 99 WHERE key = 'a'", 0,
                                          nullptr, nullptr, nullptr, nullptr, 1) == 1 &&
                        PQflush(db) == 0;  // and no Sync
      const int pid = PQbackendPID(db);
      if (!sent || write(ends[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
      raise(SIGSTOP);
      _exit(2);  // nobody wakes it
    }
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &backend_, sizeof(backend_)), static_cast<ssize_t>(sizeof(backend_)));
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, WUNTRACED), child_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  ~StoppedCommit() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  StoppedCommit(const StoppedCommit&) = delete;
  StoppedCommit& operator=(const StoppedCommit&) = delete;

  // Whether its session stands in the middle of a pipeline, with the row.
  std::string StandsStill() const {
    return absl::StrCat("SELECT count(*) FROM pg_stat_activity WHERE pid = ", backend_,
                        " AND state = 'active' AND wait_event = 'ClientRead'");
  }

 private:
  pid_t child_ = -1;
  int backend_ = 0;
};

TEST_F(Postgres, GoesOnWhenAProcessOfItsServiceIsStoppedInTheMiddleOfSendingACommit) {
  PostgresOptions options = Options();
  options.application_name = schema_.name();
  options.lock_timeout = absl::Milliseconds(300);
  options.idle_in_transaction_timeout = absl::Milliseconds(500);
  const std::unique_ptr<Store> store = Open(options);
  Committed(*store, {Insert("a", 1)});
  const StoppedCommit stopped(schema_, options.application_name);
  ASSERT_TRUE(AwaitAnswer(*session_, stopped.StandsStill(), "1"));
  // The first attempts give the lock up; one of them finds that the holder has stood still for long
  // enough, and the next has the row.
  int attempts = 1;
  CommitResult result = store->Commit({Update("a", 1, 2)});
  for (; result.kind == Kind::kConflict && attempts < 10; ++attempts) {
    result = store->Commit({Update("a", 1, 2)});
  }
  EXPECT_EQ(result.kind, Kind::kCommitted) << result.status;
  EXPECT_GT(attempts, 1);
  EXPECT_EQ(Number(store->reader(), "SELECT version FROM items"), 2);
}

TEST_F(Postgres, EndsNoStoppedSessionOfAnotherProgram) {
  PostgresOptions options = Options();
  options.application_name = schema_.name();
  options.lock_timeout = absl::Milliseconds(300);
  options.idle_in_transaction_timeout = absl::Milliseconds(300);
  const std::unique_ptr<Store> store = Open(options);
  Committed(*store, {Insert("a", 1)});
  const StoppedCommit stopped(schema_, "another program");
  ASSERT_TRUE(AwaitAnswer(*session_, stopped.StandsStill(), "1"));
  for (int attempt = 0; attempt < 4; ++attempt) {
    EXPECT_EQ(store->Commit({Update("a", 1, 2)}).kind, Kind::kConflict);
  }
  EXPECT_EQ(session_->AskOne(stopped.StandsStill()), "1");
}

// ---- who may do what

class PostgresRoles : public Postgres {
 protected:
  void SetUp() override {
    for (const std::string& role : {migrator_, runtime_}) {
      session_->Ask(absl::StrCat("CREATE ROLE ", role, " LOGIN PASSWORD '",
                                 schema_.server().password(), "'"));
    }
    session_->Ask(absl::StrCat("ALTER SCHEMA ", schema_.name(), " OWNER TO ", migrator_));
  }
  void TearDown() override {
    session_->Ask(absl::StrCat("ALTER SCHEMA ", schema_.name(), " OWNER TO CURRENT_USER"));
    for (const std::string& role : {runtime_, migrator_}) {
      session_->Ask(absl::StrCat("DROP OWNED BY ", role));
      session_->Ask(absl::StrCat("DROP ROLE ", role));
    }
  }
  PostgresOptions As(const std::string& role) const {
    PostgresOptions options = Options();
    options.uri = schema_.server().UriAs(role);
    options.migrate = false;
    options.migrate_command = "tandem-example migrate";
    options.schemas[0].migrations[0].sql +=
        "CREATE TABLE log (id BIGINT GENERATED BY DEFAULT AS "
        "IDENTITY (CACHE 1) PRIMARY KEY, word TEXT);";
    return options;
  }

  const std::string migrator_ = schema_.name() + "_migrator";
  const std::string runtime_ = schema_.name() + "_runtime";
};

TEST_F(PostgresRoles, TheServiceIsToldToMigrateFirst) {
  Refused(As(migrator_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(schema_.name()), HasSubstr("step 1 of schema contract"),
                HasSubstr("were not applied. Run tandem-example migrate")));
  EXPECT_EQ(session_->AskOne("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"),
            "0");
}

TEST_F(PostgresRoles, TheServiceHasTheRightsThatItNeedsAndNoOthers) {
  PostgresOptions migrator = As(migrator_);
  migrator.runtime_role = runtime_;
  for (int run = 0; run < 2; ++run) {  // also when there is nothing left to do
    const absl::Status migrated = MigratePostgres(migrator);
    ASSERT_TRUE(migrated.ok()) << migrated;
  }
  const std::unique_ptr<Store> store = Open(As(runtime_));
  Committed(*store, {Insert("a", 1),
                     {"log", "", {"INSERT INTO log (word) VALUES ($1)", {std::string("x")}}}});
  Committed(*store, {CheckVersion("a", 1), Update("a", 1, 2)});
  Committed(*store, {Delete("a", 2)});
  Session runtime(schema_.server().UriAs(runtime_));
  runtime.Ask(absl::StrCat("SET search_path = ", schema_.name()));
  EXPECT_FALSE(runtime.Try("CREATE TABLE mine (x BIGINT)"));
  EXPECT_FALSE(runtime.Try("DROP TABLE items"));
  EXPECT_FALSE(runtime.Try("ALTER TABLE items ADD COLUMN x BIGINT"));
  EXPECT_FALSE(runtime.Try("TRUNCATE items"));
  EXPECT_FALSE(runtime.Try("UPDATE schema_migrations SET number = 9"));
  EXPECT_FALSE(runtime.Try("SELECT setval('log_id_seq', 1)"));
  EXPECT_TRUE(runtime.Try("SELECT count(*) FROM schema_migrations"));
}

TEST_F(PostgresRoles, AServiceWithoutRightsIsDenied) {
  ASSERT_TRUE(MigratePostgres(As(migrator_)).ok());
  Refused(As(runtime_), absl::StatusCode::kPermissionDenied, HasSubstr(schema_.name()));
}

TEST_F(PostgresRoles, AMigratorThatMayNotGiveRightsSaysSo) {
  session_->Ask(absl::StrCat("ALTER SCHEMA ", schema_.name(), " OWNER TO CURRENT_USER"));
  session_->Ask(absl::StrCat("GRANT USAGE, CREATE ON SCHEMA ", schema_.name(), " TO ", migrator_));
  PostgresOptions migrator = As(migrator_);
  migrator.runtime_role = runtime_;
  const absl::Status migrated = MigratePostgres(migrator);
  EXPECT_EQ(migrated.code(), absl::StatusCode::kPermissionDenied) << migrated;
  EXPECT_THAT(std::string(migrated.message()), HasSubstr("schema " + schema_.name()));
}

TEST_F(PostgresRoles, ARoleThatIsNotThereIsNamed) {
  PostgresOptions migrator = As(migrator_);
  migrator.runtime_role = "nobody_of_this_name";
  const absl::Status migrated = MigratePostgres(migrator);
  EXPECT_EQ(migrated.code(), absl::StatusCode::kFailedPrecondition) << migrated;
  EXPECT_THAT(std::string(migrated.message()), HasSubstr("nobody_of_this_name"));
}

// ---- migrations

TEST_F(Postgres, OfANewerSchemaIsRefused) {
  PostgresOptions newer = Options();
  newer.schemas[0].migrations.push_back(
      {2, 2, "002_drop.postgres.sql", "ALTER TABLE items DROP COLUMN note"});
  Open(newer);
  for (const bool migrate : {true, false}) {
    PostgresOptions older = Options();
    older.migrate = migrate;
    Refused(older, absl::StatusCode::kFailedPrecondition,
            AllOf(HasSubstr(schema_.name()), HasSubstr("schema contract is at step 2"),
                  HasSubstr("this program knows step 1")));
  }
  newer.migrate = false;
  Open(newer);
}

TEST_F(Postgres, AStepThatFailsLeavesNothingOfItself) {
  PostgresOptions options = Options();
  options.schemas[0].migrations.push_back(
      {2, 1, "002_broken.postgres.sql",
       "CREATE TABLE half (x BIGINT); CREATE TABLE items (x BIGINT)"});
  Refused(options, absl::StatusCode::kInternal,
          AllOf(HasSubstr("step 2 of schema contract"), HasSubstr("002_broken.postgres.sql"),
                HasSubstr("already exists")));
  EXPECT_THAT(session_->Ask("SELECT name FROM schema_migrations"),
              ElementsAre("001_contract.postgres.sql"));
  EXPECT_EQ(session_->AskOne("SELECT to_regclass('half') IS NULL"), "t");
  Open();
}

TEST_F(Postgres, AStepMayNotEndItsTransaction) {
  PostgresOptions options = Options();
  options.schemas = {
      {"one", {{1, 1, "001_commit.postgres.sql", "CREATE TABLE a (x BIGINT); COMMIT"}}}};
  Refused(options, absl::StatusCode::kInternal, HasSubstr("ends the transaction"));
  EXPECT_EQ(session_->AskOne("SELECT count(*) FROM schema_migrations"), "0");
}

TEST_F(Postgres, AStepThatWasChangedIsRefused) {
  Open();
  PostgresOptions changed = Options();
  changed.schemas[0].migrations[0].sql += "-- changed\n";
  Refused(changed, absl::StatusCode::kFailedPrecondition, HasSubstr("another text"));
}

TEST_F(Postgres, SeveralMigratorsApplyEachStepOnce) {
  PostgresOptions options = Options();
  for (int step = 2; step < 12; ++step) {
    options.schemas[0].migrations.push_back(
        {step, 1, absl::StrCat("0", step, "_more.postgres.sql"),
         absl::StrCat("CREATE TABLE more", step, " (x BIGINT)")});
  }
  std::vector<absl::Status> statuses(4);
  std::vector<std::thread> migrators;
  for (absl::Status& status : statuses) {
    migrators.emplace_back([&] { status = MigratePostgres(options); });
  }
  for (std::thread& migrator : migrators) migrator.join();
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(session_->AskOne("SELECT count(*) FROM schema_migrations"), "11");
}

TEST_F(Postgres, AMigratorWaitsForAnotherOnlyForAWhile) {
  session_->Ask(absl::StrCat("SELECT pg_advisory_lock(hashtextextended('tandem schema_migrations ",
                             schema_.name(), "', 0))"));
  PostgresOptions options = Options();
  options.migrate_timeout = absl::Milliseconds(300);
  const absl::Status status = MigratePostgres(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another migrator"));
}

TEST_F(Postgres, ASchemaOfAnyNameIsMadeWhenItIsAbsent) {
  PostgresOptions options = Options();
  options.schema = absl::StrCat(schema_.name(), " \"Odd\"; Näme");
  {
    const std::unique_ptr<Store> store = Open(options);
    Committed(*store, {Insert("a", 1)});
    EXPECT_EQ(One(store->reader(), "SELECT current_schema()"), options.schema);
  }
  session_->Ask(absl::StrCat("DROP SCHEMA \"",
                             absl::StrReplaceAll(options.schema, {{"\"", "\"\""}}), "\" CASCADE"));
}

TEST_F(Postgres, SchemasOfOneDatabaseDoNotSeeEachOther) {
  const SchemaOfTest other(PostgresServer::Shared());
  const std::unique_ptr<Store> mine = Open();
  const std::unique_ptr<Store> theirs = Open(OptionsFor(other.server(), other.name()));
  Committed(*mine, {Insert("a", 1)});
  Committed(*theirs, {CheckAbsent("a"), Insert("a", 5)});
  EXPECT_EQ(Number(mine->reader(), "SELECT version FROM items"), 1);
}

// ---- servers that are not there

TEST_F(Postgres, SaysWhyItCannotConnectAndNeverThePassword) {
  const std::string secret = "not" + schema_.server().password();
  PostgresOptions options = Options();
  const std::string address = absl::StrCat("@127.0.0.1:", schema_.server().port(), "/");
  options.uri = absl::StrCat("postgresql://tandem:", secret, address, "postgres");
  Refused(options, absl::StatusCode::kPermissionDenied,
          AllOf(HasSubstr("password authentication failed"), HasSubstr("28P01"),
                Not(HasSubstr(secret))));
  options.uri =
      absl::StrCat("postgresql://tandem:", schema_.server().password(), address, "absent");
  Refused(
      options, absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr("\"absent\" does not exist"), Not(HasSubstr(schema_.server().password()))));
  options.uri = absl::StrCat("postgresql://tandem:", secret, "@127.0.0.1:1/postgres");
  Refused(options, absl::StatusCode::kUnavailable,
          AllOf(HasSubstr("refused"), HasSubstr("127.0.0.1:1"), Not(HasSubstr(secret))));
  for (const std::string& broken :
       {absl::StrCat("postgresql://tandem:", secret, "%zz@host/db"), std::string(),
        absl::StrCat("postgresql://tandem:", secret, "@[::1/db")}) {
    options.uri = broken;
    Refused(options, absl::StatusCode::kInvalidArgument,
            AllOf(HasSubstr("postgresql://user@host"), Not(HasSubstr(secret))));
  }
}

TEST_F(Postgres, WaitsForAServerOnlyForAWhile) {
  const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 4), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  PostgresOptions options = Options();
  options.uri = schema_.server().UriOver(ntohs(address.sin_port));
  options.connect_timeout = absl::Milliseconds(200);
  const absl::Time begun = absl::Now();
  Refused(options, absl::StatusCode::kUnavailable, HasSubstr("no server answered within 200ms"));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(10));
  close(silent);
}

TEST_F(Postgres, RefusesADatabaseOfAnotherEncoding) {
  const std::string name = schema_.name() + "_latin";
  session_->Ask(
      absl::StrCat("CREATE DATABASE ", name,
                   " TEMPLATE template0 ENCODING LATIN1 LOCALE 'C' LOCALE_PROVIDER libc"));
  PostgresOptions options = Options();
  options.uri = absl::StrReplaceAll(options.uri, {{"/postgres?", absl::StrCat("/", name, "?")}});
  Refused(options, absl::StatusCode::kFailedPrecondition, HasSubstr("LATIN1"));
  session_->Ask(absl::StrCat("DROP DATABASE ", name));
}

// ---- servers that go away, each test with one of its own

class PostgresKilled : public testing::Test {
 protected:
  using Kind = CommitResult::Kind;

  // Commits one row after the other until it is told to end, and remembers what it was told of
  // each.
  class Writer {
   public:
    explicit Writer(Store& store) : thread_([this, &store] { Write(store); }) {}
    // Once `commits` of them were acknowledged from now on.
    void Await(int64_t commits) {
      absl::MutexLock lock(&mutex_);
      const int64_t wanted = acknowledged_ + commits;
      const auto reached = [this, wanted]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return acknowledged_ >= wanted;
      };
      EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&reached), absl::Seconds(60)));
    }
    const std::vector<Kind>& End() {
      {
        absl::MutexLock lock(&mutex_);
        ending_ = true;
      }
      thread_.join();
      return outcomes_;
    }

   private:
    void Write(Store& store) {
      const auto goes_on = [this] {
        absl::MutexLock lock(&mutex_);
        return !ending_;
      };
      while (goes_on()) {
        const auto n = static_cast<int64_t>(outcomes_.size());
        const std::string key = absl::StrCat("k", n);
        const CommitResult result =
            store.Commit({Insert(key, n, std::string(300, 'x')), InsertOther(key, 1, n)});
        outcomes_.push_back(result.kind);
        absl::MutexLock lock(&mutex_);
        if (result.kind == Kind::kCommitted) {
          ++acknowledged_;
        } else {  // as a caller would that backs off
          mutex_.AwaitWithTimeout(absl::Condition(&ending_), absl::Milliseconds(5));
        }
      }
    }

    std::vector<Kind> outcomes_;
    absl::Mutex mutex_;
    bool ending_ ABSL_GUARDED_BY(mutex_) = false;
    int64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
    std::thread thread_;
  };

  PostgresOptions Options() const {
    PostgresOptions options = OptionsFor(*server_, "public");
    options.last_back_off = absl::Milliseconds(200);
    return options;
  }
  // What was acknowledged is there, what failed is not, and each row whole.
  static void Check(Store& store, const std::vector<Kind>& outcomes) {
    std::vector<bool> there(outcomes.size());
    const absl::Status status = store.reader().Query(
        {"SELECT o.serial FROM others o JOIN items i ON i.key = o.key", {}},
        [&](const RowView& row) { there[static_cast<size_t>(row.Int(0))] = true; });
    ASSERT_TRUE(status.ok()) << status;
    int64_t unsure = 0;
    for (size_t n = 0; n < outcomes.size(); ++n) {
      if (outcomes[n] != Kind::kUnknown) {
        ASSERT_EQ(there[n], outcomes[n] == Kind::kCommitted) << n;
      }
      unsure += outcomes[n] == Kind::kUnknown;
      ASSERT_TRUE(outcomes[n] == Kind::kCommitted || outcomes[n] == Kind::kFailed ||
                  outcomes[n] == Kind::kUnknown);
    }
    std::printf("%zu commits, %lld of them unknown\n", outcomes.size(),
                static_cast<long long>(unsure));
  }

  const std::unique_ptr<PostgresServer> server_ = PostgresServer::Start();
};

TEST_F(PostgresKilled, LosesNothingThatWasAcknowledgedAndServesAgain) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenPostgres(Options());
  ASSERT_TRUE(store.ok()) << store.status();
  Writer writer(**store);
  for (int round = 0; round < 3; ++round) {
    writer.Await(100 + 37 * round);
    server_->Kill();
    server_->Restart();
  }
  writer.Await(100);
  Check(**store, writer.End());
}

TEST_F(PostgresKilled, SurvivesTheKillOfItsOwnProcessAtTheServer) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenPostgres(Options());
  ASSERT_TRUE(store.ok()) << store.status();
  Writer writer(**store);
  for (int round = 0; round < 3; ++round) {
    writer.Await(50 + 29 * round);
    // The postmaster then ends all sessions, recovers, and takes new ones.
    const std::string backend =
        Session(server_->uri())
            .AskOne("SELECT pid FROM pg_stat_activity WHERE application_name = 'tandem' LIMIT 1");
    if (!backend.empty()) kill(static_cast<pid_t>(std::stol(backend)), SIGKILL);
  }
  writer.Await(100);
  Check(**store, writer.End());
}

TEST_F(PostgresKilled, IsUnavailableAtOnceWhileItIsAway) {
  PostgresOptions options = Options();
  options.first_back_off = options.last_back_off = absl::Minutes(10);
  int attempts = 0;
  options.reconnected = [&attempts](const absl::Status& status) {
    EXPECT_FALSE(status.ok());
    ++attempts;
  };
  absl::StatusOr<std::unique_ptr<Store>> store = OpenPostgres(options);
  ASSERT_TRUE(store.ok()) << store.status();
  absl::StatusOr<std::unique_ptr<Reader>> reader = (*store)->OpenReader();
  ASSERT_TRUE(reader.ok());
  server_->Kill();
  for (int call = 0; call < 1000; ++call) {
    const CommitResult result = (*store)->Commit({Insert("a", 1)});
    ASSERT_EQ(result.kind, Kind::kFailed);
    ASSERT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
    const absl::Status read = (*reader)->Query({"SELECT 1", {}}, [](const RowView&) {});
    ASSERT_EQ(read.code(), absl::StatusCode::kUnavailable) << read;
    // After the first failure nobody knocks again for minutes.
    if (call > 0) {
      ASSERT_THAT(std::string(read.message()), HasSubstr("after a pause"));
    }
  }
  EXPECT_EQ(attempts, 2) << "one a connection";
  server_->Restart();
}

// ---- the oldest snapshot, on a server where nobody else holds one

class OldestSnapshotTest : public testing::Test {
 protected:
  // As a role that is told nothing of others' transactions but that they are there.
  absl::StatusOr<std::unique_ptr<Store>> OpenAs(const std::string& role) {
    Session session(server_->uri());
    session.Ask(absl::StrCat("CREATE ROLE ", role, " LOGIN PASSWORD '", server_->password(), "'"));
    session.Ask(absl::StrCat("CREATE SCHEMA ", role, " AUTHORIZATION ", role));
    PostgresOptions options = OptionsFor(*server_, role);
    options.uri = server_->UriAs(role);
    return OpenPostgres(options);
  }
  absl::Duration Ask(Reader& reader, absl::Time now) {
    const absl::StatusOr<absl::Duration> oldest = snapshots_.Ask(reader, now);
    EXPECT_TRUE(oldest.ok()) << oldest.status();
    return oldest.value_or(absl::InfiniteDuration());
  }
  void Hold(Session& session) {
    session.Ask("BEGIN ISOLATION LEVEL REPEATABLE READ");
    session.Ask("SELECT 1");
  }

  const std::unique_ptr<PostgresServer> server_ = PostgresServer::Start();
  const absl::Time now_ = absl::FromUnixSeconds(1'795'442'400);
  OldestSnapshot snapshots_;
};

TEST_F(OldestSnapshotTest, OfTheServicesOwnRoleIsAsOldAsItsTransaction) {
  const auto store = OpenAs("service");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Ask((*store)->reader(), now_), absl::ZeroDuration());
  Session holder(server_->UriAs("service"));
  Hold(holder);
  Session session(server_->uri());
  EXPECT_TRUE(AwaitAnswer(session,
                          absl::StrCat("SELECT clock_timestamp() - xact_start >= '300 ms' FROM "
                                       "pg_stat_activity WHERE pid = ",
                                       holder.backend()),
                          "t"));
  const absl::Duration held = Ask((*store)->reader(), now_);
  EXPECT_GE(held, absl::Milliseconds(300));
  EXPECT_LE(held, absl::Minutes(2));
  holder.Ask("COMMIT");
  EXPECT_EQ(Ask((*store)->reader(), now_), absl::ZeroDuration());
}

TEST_F(OldestSnapshotTest, OfAnotherRoleCountsFromWhenItWasSeen) {
  const auto store = OpenAs("service");
  ASSERT_TRUE(store.ok()) << store.status();
  Session holder(server_->uri());
  Hold(holder);
  // Nothing was written since: it keeps nothing from being cleaned away.
  EXPECT_EQ(Ask((*store)->reader(), now_), absl::ZeroDuration());
  EXPECT_EQ(Ask((*store)->reader(), now_ + absl::Minutes(5)), absl::ZeroDuration());
  ASSERT_EQ((*store)->Commit({Insert("a", 1)}).kind, CommitResult::Kind::kCommitted);
  EXPECT_EQ(Ask((*store)->reader(), now_ + absl::Minutes(10)), absl::ZeroDuration());
  EXPECT_EQ(Ask((*store)->reader(), now_ + absl::Minutes(12)), absl::Minutes(2));
  holder.Ask("COMMIT");
  EXPECT_EQ(Ask((*store)->reader(), now_ + absl::Minutes(13)), absl::ZeroDuration());
}

TEST_F(OldestSnapshotTest, OfAPreparedTransactionIsAsOldAsThat) {
  Session(server_->uri()).Ask("ALTER SYSTEM SET max_prepared_transactions = 5");
  server_->Kill();
  server_->Restart();
  const auto store = OpenAs("service");
  ASSERT_TRUE(store.ok()) << store.status();
  Session session(server_->uri());
  session.Ask("BEGIN");
  session.Ask("SELECT txid_current()");
  session.Ask("PREPARE TRANSACTION 'left'");
  EXPECT_TRUE(AwaitAnswer(
      session, "SELECT clock_timestamp() - prepared >= '300 ms' FROM pg_prepared_xacts", "t"));
  EXPECT_GE(Ask((*store)->reader(), now_), absl::Milliseconds(300));
  session.Ask("ROLLBACK PREPARED 'left'");
}

}  // namespace
}  // namespace tandem::store
