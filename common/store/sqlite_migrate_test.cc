#include "common/store/sqlite_migrate.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::store {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SqliteMigrate : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = SqliteConnection::Open({":memory:", false, 1 << 20, ""});
    ASSERT_TRUE(opened.ok()) << opened.status();
    db_ = *std::move(opened);
  }
  absl::Status Run(const std::vector<Schema>& schemas) { return Migrate("file", schemas, *db_); }
  // The first column of each row.
  std::vector<std::string> Read(const std::string& sql) {
    std::vector<std::string> rows;
    const absl::Status s =
        db_->Query({sql, {}}, [&](const RowView& row) { rows.emplace_back(row.Text(0)); });
    EXPECT_TRUE(s.ok()) << s;
    return rows;
  }
  std::vector<std::string> Steps() {
    return Read(
        "SELECT component || ' ' || number || ' ' || serves_from || ' ' || name "
        "FROM schema_migrations ORDER BY component, number");
  }

  std::unique_ptr<SqliteConnection> db_;
  const Migration first_{1, 1, "001_a.sqlite.sql", "CREATE TABLE a (x); INSERT INTO a VALUES (1);"};
  const Migration second_{2, 2, "002_b.sqlite.sql",
                          "-- more\nUPDATE a SET x = x + 1; CREATE TABLE b (y)"};
};

TEST_F(SqliteMigrate, AppliesEachStepOnceAndRecordsIt) {
  ASSERT_TRUE(Run({{"one", {first_}}}).ok());
  ASSERT_TRUE(
      Run({{"one", {first_, second_}}, {"two", {{1, 0, "001_c", "CREATE TABLE c (z)"}}}}).ok());
  ASSERT_TRUE(
      Run({{"one", {first_, second_}}, {"two", {{1, 0, "001_c", "CREATE TABLE c (z)"}}}}).ok());
  EXPECT_THAT(Steps(),
              ElementsAre("one 1 1 001_a.sqlite.sql", "one 2 2 002_b.sqlite.sql", "two 1 0 001_c"));
  EXPECT_THAT(Read("SELECT x FROM a"), ElementsAre("2"));
  EXPECT_THAT(Read("SELECT count(*) FROM schema_migrations WHERE applied_at BETWEEN "
                   "1577836800000000 AND 4102444800000000"),
              ElementsAre("3"));  // microseconds between 2020 and 2100
}

TEST_F(SqliteMigrate, AStepThatFailsLeavesNothingOfItself) {
  const Migration broken{2, 1, "002_broken.sqlite.sql", "UPDATE a SET x = 9; CREATE TABLE a (x)"};
  const absl::Status status = Run({{"one", {first_, broken}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("step 2 of schema one"), HasSubstr("002_broken.sqlite.sql"),
                    HasSubstr("already exists")));
  EXPECT_THAT(Steps(), ElementsAre("one 1 1 001_a.sqlite.sql"));
  EXPECT_THAT(Read("SELECT x FROM a"), ElementsAre("1"));
  EXPECT_FALSE(db_->in_transaction());
  EXPECT_TRUE(Run({{"one", {first_, second_}}}).ok());
}

TEST_F(SqliteMigrate, AStepMayNotEndItsTransaction) {
  const absl::Status status =
      Run({{"one", {{1, 1, "001_commit.sqlite.sql", "CREATE TABLE a (x); COMMIT"}}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ends the transaction"));
  EXPECT_THAT(Steps(), ElementsAre());
}

TEST_F(SqliteMigrate, RefusesBeforeItChangesAnything) {
  ASSERT_TRUE(Run({{"one", {first_, second_}}}).ok());
  const Schema fresh{"fresh", {{1, 1, "001_c.sqlite.sql", "CREATE TABLE c (z)"}}};
  EXPECT_EQ(Run({fresh, {"one", {first_}}}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Run({fresh}).code(),
            absl::StatusCode::kFailedPrecondition);  // does not know "one" at all
  EXPECT_EQ(Steps().size(), 2u);
  EXPECT_THAT(Read("SELECT count(*) FROM sqlite_schema WHERE name='c'"), ElementsAre("0"));
}

TEST_F(SqliteMigrate, NoticesAHoleAndAChangedStep) {
  ASSERT_TRUE(Run({{"one", {first_, second_}}}).ok());
  Migration changed = first_;
  changed.sql = "CREATE TABLE a (x, y)";
  EXPECT_EQ(Run({{"one", {changed, second_}}}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(db_->Execute("DELETE FROM schema_migrations WHERE number=1").ok());
  EXPECT_EQ(Run({{"one", {first_, second_}}}).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tandem::store
