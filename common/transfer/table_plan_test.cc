#include "common/transfer/table_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tandem::transfer {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table InFile(std::string name, std::vector<Column> columns) {
  Table table;
  table.name = std::move(name);
  table.columns = std::move(columns);
  table.key = {table.columns.front().name};
  return table;
}

Table InPostgres(std::string name, std::vector<Column> columns) {
  Table table;
  table.name = std::move(name);
  table.columns = std::move(columns);
  return table;
}

std::string Refusal(const Table& source, const Table& target) {
  const auto plan = PlanTables({source}, {target});
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kFailedPrecondition) << plan.status();
  return std::string(plan.status().message());
}

TEST(TablePlan, TakesColumnsByNameInTheTargetsOrder) {
  const auto plan =
      PlanTables({InFile("staff", {{"key", "TEXT"}, {"body", "BLOB"}, {"units", "INTEGER"}})},
                 {InPostgres("staff", {{"key", "text"}, {"units", "bigint"}, {"body", "bytea"}})});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->size(), 1);
  std::vector<std::string> names;
  std::vector<Kind> kinds;
  for (const PlannedColumn& column : plan->front().columns) {
    names.push_back(column.name);
    kinds.push_back(column.kind);
    EXPECT_EQ(column.rewrite, Rewrite::kNone);
  }
  EXPECT_THAT(names, ElementsAre("key", "units", "body"));
  EXPECT_THAT(kinds, ElementsAre(Kind::kText, Kind::kInteger, Kind::kBytes));
  EXPECT_THAT(plan->front().key, ElementsAre("key"));
  EXPECT_TRUE(plan->front().keeps_offsets());
}

TEST(TablePlan, AColumnOnOneSideOnlyIsRefused) {
  EXPECT_THAT(Refusal(InFile("staff", {{"key", "TEXT"}, {"shift", "TEXT"}}),
                      InPostgres("staff", {{"key", "text"}})),
              HasSubstr("table staff has the column shift in the file and not in PostgreSQL"));
  EXPECT_THAT(Refusal(InFile("staff", {{"key", "TEXT"}}),
                      InPostgres("staff", {{"key", "text"}, {"shift", "text"}})),
              HasSubstr("table staff has the column shift in PostgreSQL and not in the file"));
}

TEST(TablePlan, ATableOnOneSideOnlyIsRefused) {
  EXPECT_THAT(Refusal(InFile("staff", {{"key", "TEXT"}}), InPostgres("loads", {{"key", "text"}})),
              HasSubstr("table loads is in PostgreSQL and not in the file"));
  const auto plan = PlanTables({InFile("staff", {{"key", "TEXT"}})}, {});
  EXPECT_THAT(std::string(plan.status().message()),
              HasSubstr("table staff is in the file and not in PostgreSQL"));
}

TEST(TablePlan, AnotherTypeIsRefused) {
  EXPECT_THAT(Refusal(InFile("staff", {{"key", "TEXT"}}), InPostgres("staff", {{"key", "bytea"}})),
              HasSubstr("column key of table staff is TEXT in the file and bytea in PostgreSQL"));
  EXPECT_THAT(Refusal(InFile("staff", {{"key", "REAL"}}),
                      InPostgres("staff", {{"key", "double precision"}})),
              HasSubstr("is REAL in the file"));
}

TEST(TablePlan, TheOrderThatSqliteKeepsByItselfIsAColumn) {
  Table source = InFile("marks", {{"scope", "TEXT"}});
  const Table target = InPostgres("marks", {{"scope", "text"}, {"rowid", "bigint"}});
  EXPECT_THAT(Refusal(source, target), HasSubstr("the column rowid"));
  source.has_rowid = true;
  EXPECT_TRUE(PlanTables({source}, {target}).ok());
}

TEST(TablePlan, WhoHeldSomethingIsForgottenAndPlacesInTheLogAreMapped) {
  const std::vector<Column> file = {{"partition", "INTEGER"},
                                    {"next_offset", "INTEGER"},
                                    {"epoch", "INTEGER"},
                                    {"owner", "TEXT"}};
  const std::vector<Column> postgres = {
      {"partition", "bigint"}, {"next_offset", "bigint"}, {"epoch", "bigint"}, {"owner", "text"}};
  const auto plan = PlanTables({InFile("positions", file)}, {InPostgres("positions", postgres)});
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<Rewrite> rewrites;
  for (const PlannedColumn& column : plan->front().columns) rewrites.push_back(column.rewrite);
  EXPECT_THAT(rewrites,
              ElementsAre(Rewrite::kNone, Rewrite::kOffset, Rewrite::kNone, Rewrite::kClear));
  EXPECT_EQ(plan->front().partition_column, 0);
  EXPECT_FALSE(plan->front().keeps_offsets());
  // Another table's column of that name means something else.
  const auto other = PlanTables({InFile("loads", file)}, {InPostgres("loads", postgres)});
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->front().keeps_offsets());
}

TEST(Steps, OfBothSidesMustBeTheSame) {
  EXPECT_TRUE(CompareSteps("triage", {{"a", 2}, {"b", 1}}, {{"a", 2}, {"b", 1}}, "", "").ok());
  const auto refusal = [](const Steps& source, const Steps& target) {
    const absl::Status status = CompareSteps("triage", source, target, "SERVE", "MIGRATE");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({{"a", 1}}, {{"a", 2}}),
              AllOf(HasSubstr("triage: schema a is at step 1 in the file and at step 2"),
                    HasSubstr("Run SERVE")));
  EXPECT_THAT(refusal({{"a", 3}}, {{"a", 2}}), HasSubstr("Run MIGRATE"));
  EXPECT_THAT(refusal({{"a", 1}, {"b", 1}}, {{"a", 1}}),
              AllOf(HasSubstr("schema b is at step 1 in the file and at step 0"),
                    HasSubstr("Run MIGRATE")));
}

}  // namespace
}  // namespace tandem::transfer
