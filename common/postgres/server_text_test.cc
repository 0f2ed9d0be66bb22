#include "common/postgres/server_text.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::store {
namespace {

constexpr char kMiss[] = "SELECT 1/(count(*)=1)::int FROM ";

ServerText Made(const std::string& sql, Use use) {
  const absl::StatusOr<ServerText> made = MakeServerText(sql, use);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *made : ServerText();
}

TEST(ServerText, LeavesQueriesAndHousekeepingAsTheyAre) {
  EXPECT_EQ(Made("SELECT a FROM t WHERE b=$1", Use::kQuery).sql, "SELECT a FROM t WHERE b=$1");
  EXPECT_EQ(Made("DELETE FROM t WHERE b<$1", Use::kAnyRows).sql, "DELETE FROM t WHERE b<$1");
  EXPECT_EQ(Made("  SELECT 1 ; -- done\n", Use::kQuery).sql, "  SELECT 1");
}

TEST(ServerText, FramesAConditionalWrite) {
  EXPECT_EQ(
      Made("UPDATE t SET a=$1 WHERE b=$2", Use::kOneRow).sql,
      std::string("WITH line AS (UPDATE t SET a=$1 WHERE b=$2 RETURNING 1) ") + kMiss + "line");
}

TEST(ServerText, LeavesAnInsertOfOneRowOfValuesAsItIs) {
  const std::string plain = "INSERT INTO t (a, b) VALUES ($1, lower($2))";
  EXPECT_EQ(Made(plain, Use::kOneRow).sql, plain);
  for (const char* other :
       {"INSERT INTO t (a) VALUES ($1), ($2)", "INSERT INTO t (a) SELECT a FROM u",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING"}) {
    EXPECT_THAT(Made(other, Use::kOneRow).sql, testing::StartsWith("WITH line AS (INSERT"))
        << other;
  }
}

TEST(ServerText, LocksWhatACheckFinds) {
  EXPECT_EQ(Made("SELECT 1 FROM t WHERE a=$1", Use::kFinds).sql,
            std::string(kMiss) + "(SELECT 1 FROM t WHERE a=$1 FOR NO KEY UPDATE) AS line");
}

TEST(ServerText, KnowsACheckOfAbsenceAndAnInsert) {
  const ServerText absence =
      Made("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM t WHERE a=$1)", Use::kFinds);
  EXPECT_TRUE(absence.checks_absence);
  EXPECT_EQ(absence.sql, std::string(kMiss) +
                             "(SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM t WHERE a=$1)) AS line");
  EXPECT_FALSE(Made("SELECT 1 FROM t WHERE a=$1", Use::kFinds).checks_absence);
  // Hidden behind rows that it locks, it is one all the same.
  EXPECT_TRUE(
      Made("SELECT 1 FROM u WHERE NOT EXISTS (SELECT 1 FROM t)", Use::kFinds).checks_absence);
  EXPECT_TRUE(Made("INSERT INTO t (a) VALUES ($1)", Use::kAnyRows).inserts);
  EXPECT_TRUE(
      Made("WITH n AS (INSERT INTO t (a) VALUES (1) RETURNING 1) UPDATE t SET a=1", Use::kOneRow)
          .inserts);
  EXPECT_FALSE(Made("UPDATE t SET a=$1", Use::kOneRow).inserts);
}

TEST(ServerText, CountsParametersByNameAndOutsideOfLiterals) {
  EXPECT_EQ(Made("SELECT $2, $1, $2, '$9', \"$8\" /* $7 */ -- $6\n, $3", Use::kQuery).parameters,
            3u);
  for (const char* bad : {"SELECT $2", "SELECT $1, $3", "SELECT $0", "SELECT $", "SELECT $99999"}) {
    EXPECT_EQ(MakeServerText(bad, Use::kQuery).status().code(), absl::StatusCode::kInternal) << bad;
  }
}

TEST(ServerText, RefusesWhatIsNotOneStatementOfItsUse) {
  const std::vector<std::pair<const char*, Use>> refused = {
      {"", Use::kAnyRows},
      {" ; -- nothing", Use::kQuery},
      {"SELECT 1; SELECT 2", Use::kQuery},
      {"SELECT (1", Use::kQuery},
      {"SELECT 'open", Use::kQuery},
      {"SELECT /* open", Use::kQuery},
      {"DELETE FROM t", Use::kQuery},
      {"BEGIN", Use::kQuery},
      {"SELECT 1 INTO t", Use::kQuery},
      {"WITH gone AS (DELETE FROM t RETURNING 1) SELECT 1 FROM gone", Use::kQuery},
      {"DELETE FROM t", Use::kFinds},
      {"SELECT 1 FROM t", Use::kOneRow},
      {"WITH a AS (SELECT 1) SELECT 1 FROM a", Use::kAnyRows},
      {"COMMIT", Use::kAnyRows},
      {"ROLLBACK", Use::kOneRow},
      {"CREATE TABLE t (a BIGINT)", Use::kAnyRows},
  };
  for (const auto& [sql, use] : refused) {
    EXPECT_EQ(MakeServerText(sql, use).status().code(), absl::StatusCode::kInternal) << sql;
  }
  // What locks does not write, and a word in a literal is no word.
  Made("SELECT a FROM t FOR UPDATE", Use::kQuery);
  Made("SELECT a FROM t FOR NO KEY UPDATE", Use::kQuery);
  Made("SELECT 'it''s; DELETE' FROM t", Use::kQuery);
}

}  // namespace
}  // namespace tandem::store
