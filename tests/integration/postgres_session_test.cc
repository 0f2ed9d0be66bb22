// An operator's session over a real PostgreSQL: transactions and bulk copies.
#include "common/postgres/postgres_session.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/postgres/copy_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/postgres_server.h"

namespace tandem::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PostgresSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PostgresOptions options;
    options.uri = PostgresServer::Shared()->uri();
    auto opened = PostgresSession::Open(options, absl::Milliseconds(200), absl::Seconds(30));
    ASSERT_TRUE(opened.ok()) << opened.status();
    session_ = *std::move(opened);
    table_ = session_->Quoted(schema_.name()) + ".\"a table\"";
    const auto made = session_->Run(
        absl::StrCat("CREATE TABLE ", table_, " (id BIGINT PRIMARY KEY, name TEXT, body BYTEA)"));
    ASSERT_TRUE(made.ok()) << made.status();
  }

  static std::string Row(int64_t id, std::string_view name, std::string_view body) {
    CopyRow row;
    row.Start(3);
    row.AddInt(id);
    row.AddBytes(name);
    body.empty() ? row.AddNull() : row.AddBytes(body);
    return std::string(row.bytes());
  }
  absl::Status Put(const std::vector<std::string>& rows, const absl::Status& end = {}) {
    return session_->CopyIn(absl::StrCat("COPY ", table_, " FROM STDIN (FORMAT binary)"),
                            [&](const PostgresSession::AddRow& add) {
                              for (const std::string& row : rows) {
                                if (absl::Status s = add(row); !s.ok()) return s;
                              }
                              return end;
                            });
  }
  std::vector<std::string> Get() {
    std::vector<std::string> rows;
    const absl::Status read = session_->CopyOut(
        absl::StrCat("COPY (SELECT * FROM ", table_, " ORDER BY id) TO STDOUT (FORMAT binary)"),
        [&](std::string_view row) { rows.emplace_back(row); });
    EXPECT_TRUE(read.ok()) << read;
    return rows;
  }

  SchemaOfTest schema_{PostgresServer::Shared()};
  std::unique_ptr<PostgresSession> session_;
  std::string table_;
};

TEST_F(PostgresSessionTest, RowsComeBackAsTheyWere) {
  std::vector<std::string> rows = {Row(-5, "", ""), Row(0, "\xc3\xa4", std::string("\0\377", 2))};
  // More than a socket takes at a time.
  for (int i = 1; i <= 2000; ++i) rows.push_back(Row(i, std::string(2000, 'n'), "b"));
  ASSERT_TRUE(Put(rows).ok());
  EXPECT_EQ(Get(), rows);
  ASSERT_TRUE(session_->Run(absl::StrCat("TRUNCATE ", table_)).ok());
  EXPECT_TRUE(Get().empty());
}

TEST_F(PostgresSessionTest, ACopyThatIsGivenUpLeavesNothing) {
  const absl::Status given_up =
      Put({Row(1, "one", "1"), Row(2, "two", "2")}, absl::DataLossError("the source is damaged"));
  EXPECT_EQ(given_up, absl::DataLossError("the source is damaged"));
  EXPECT_TRUE(Get().empty());
}

TEST_F(PostgresSessionTest, ARefusedCopySaysWhyAndShowsNoValue) {
  const absl::Status taken = Put({Row(1, "secret", "1"), Row(1, "secret", "1")});
  EXPECT_EQ(taken.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(taken.message()), AllOf(HasSubstr("23505"), Not(HasSubstr("secret"))));
  // PostgreSQL's texts hold no zero.
  const absl::Status zero = Put({Row(1, std::string_view("secret\0", 7), "1")});
  EXPECT_THAT(std::string(zero.message()), AllOf(HasSubstr("22021"), Not(HasSubstr("secret"))));
  const absl::Status nowhere =
      session_->CopyIn("COPY nowhere FROM STDIN", [](const PostgresSession::AddRow&) {
        ADD_FAILURE() << "nothing is asked for";
        return absl::OkStatus();
      });
  EXPECT_THAT(std::string(nowhere.message()), HasSubstr("42P01"));
  const absl::Status unread =
      session_->CopyOut("COPY (SELECT 1/0) TO STDOUT (FORMAT binary)", [](std::string_view) {});
  EXPECT_THAT(std::string(unread.message()), HasSubstr("22012"));
  // And the session goes on.
  EXPECT_TRUE(Put({Row(1, "one", "1")}).ok());
}

TEST_F(PostgresSessionTest, ATransactionIsWholeOrNothing) {
  const absl::Status failed = session_->Transaction([&]() -> absl::Status {
    EXPECT_TRUE(Put({Row(1, "one", "1")}).ok());
    EXPECT_EQ(Get().size(), 1);  // it sees its own rows
    return absl::FailedPreconditionError("no");
  });
  EXPECT_EQ(failed, absl::FailedPreconditionError("no"));
  EXPECT_TRUE(Get().empty());
  ASSERT_TRUE(session_->Transaction([&] { return Put({Row(1, "one", "1")}); }).ok());
  EXPECT_EQ(Get().size(), 1);
}

TEST_F(PostgresSessionTest, AnswersHaveNullsAndParameters) {
  const auto rows = session_->Run("SELECT $1 || 'b', NULL", {"a"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 1);
  EXPECT_EQ(rows->front(), (TextRow{"ab", std::nullopt}));
}

TEST_F(PostgresSessionTest, ALockIsNotWaitedForLongerThanSaid) {
  Session other(PostgresServer::Shared()->uri());
  other.Ask("BEGIN");
  other.Ask(absl::StrCat("LOCK TABLE ", table_));
  const absl::Status status = session_->Run(absl::StrCat("SELECT count(*) FROM ", table_)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("55P03"));
  other.Ask("ROLLBACK");
}

TEST_F(PostgresSessionTest, ALostConnectionStaysLost) {
  Session other(PostgresServer::Shared()->uri());
  const absl::Status lost = session_->Transaction([&]() -> absl::Status {
    const auto backend = session_->Run("SELECT pg_backend_pid()");
    if (!backend.ok()) return backend.status();
    other.Ask(absl::StrCat("SELECT pg_terminate_backend(", *backend->front().front(), ", 5000)"));
    return Put({Row(1, "one", "1")});
  });
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable) << lost;
  EXPECT_EQ(session_->Run("SELECT 1").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(other.AskOne(absl::StrCat("SELECT count(*) FROM ", table_)), "0");
}

}  // namespace
}  // namespace tandem::store
