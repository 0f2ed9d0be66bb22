#include "common/store/migration_plan.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::store {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Migration Step(int number, int serves_from = 1) {
  const std::string n = std::to_string(number);
  return {number, serves_from, "00" + n + "_step.sqlite.sql", "CREATE TABLE t" + n + " (x)"};
}

std::vector<int> Numbers(const std::vector<const Migration*>& steps) {
  std::vector<int> numbers;
  for (const Migration* step : steps) numbers.push_back(step->number);
  return numbers;
}

std::string Refusal(absl::StatusCode code, const Schema& known,
                    const std::vector<Migration>& recorded) {
  const auto plan = PlanMigrations("/data/survey.db", known, recorded);
  EXPECT_EQ(plan.status().code(), code) << plan.status();
  return std::string(plan.status().message());
}

TEST(MigrationPlan, HoldsTheMissingStepsInOrder) {
  const Schema known{"survey", {Step(1), Step(2), Step(3)}};
  EXPECT_THAT(Numbers(PlanMigrations("f", known, {}).value()), ElementsAre(1, 2, 3));
  EXPECT_THAT(Numbers(PlanMigrations("f", known, {Step(1), Step(2)}).value()), ElementsAre(3));
  EXPECT_THAT(Numbers(PlanMigrations("f", known, known.migrations).value()), IsEmpty());
}

TEST(MigrationPlan, LetsAnOlderBinaryOnWhatStillServesIt) {
  const Schema known{"survey", {Step(1), Step(2)}};
  EXPECT_THAT(Numbers(PlanMigrations("f", known, {Step(1), Step(2), Step(3, 2)}).value()),
              IsEmpty());
}

TEST(MigrationPlan, RefusesABinaryThatIsTooOld) {
  const Schema known{"survey", {Step(1), Step(2)}};
  EXPECT_THAT(Refusal(absl::StatusCode::kFailedPrecondition, known,
                      {Step(1), Step(2), Step(3), Step(4, 3)}),
              AllOf(HasSubstr("/data/survey.db"), HasSubstr("schema survey is at step 4"),
                    HasSubstr("know step 3 or later"), HasSubstr("this program knows step 2"),
                    HasSubstr("newer program"), HasSubstr("backup")));
}

TEST(MigrationPlan, ALaterStepDoesNotLetAnOlderBinaryInAgain) {
  const Schema known{"survey", {Step(1)}};
  EXPECT_THAT(
      Refusal(absl::StatusCode::kFailedPrecondition, known, {Step(1), Step(2, 2), Step(3, 1)}),
      HasSubstr("know step 2 or later"));
}

TEST(MigrationPlan, AComponentOfANewerBinaryIsRefusedUnlessItServesAll) {
  EXPECT_THAT(Refusal(absl::StatusCode::kFailedPrecondition, {"fresh", {}}, {Step(1)}),
              HasSubstr("this program knows none"));
  EXPECT_THAT(Numbers(PlanMigrations("f", {"fresh", {}}, {Step(1, 0)}).value()), IsEmpty());
}

TEST(MigrationPlan, ADatabaseThatIsBeingFilledIsRefusedWithTheWayOut) {
  EXPECT_THAT(Refusal(absl::StatusCode::kFailedPrecondition, {kUnfinished, {}},
                      {{1, 1, "the move of yesterday", "Move again."}}),
              AllOf(HasSubstr("/data/survey.db"),
                    HasSubstr("the move of yesterday has not come to its end. Move again.")));
  EXPECT_THAT(Numbers(PlanMigrations("f", {kUnfinished, {}}, {}).value()), IsEmpty());
}

TEST(MigrationPlan, ADatabaseWhoseDataWasMovedIsRefusedWithThePlaceAndTheWayBack) {
  EXPECT_THAT(
      Refusal(absl::StatusCode::kFailedPrecondition, {kMovedAway, {}},
              {{1, 1, "postgresql://db/tandem", "yesterday. Release it."}}),
      AllOf(HasSubstr("/data/survey.db"),
            HasSubstr("what it held was moved to postgresql://db/tandem yesterday. Release it.")));
  EXPECT_THAT(Numbers(PlanMigrations("f", {kMovedAway, {}}, {}).value()), IsEmpty());
}

TEST(MigrationPlan, RefusesAStepWhoseTextChanged) {
  Migration changed = Step(2);
  changed.sql += " ";
  EXPECT_THAT(Refusal(absl::StatusCode::kFailedPrecondition, {"survey", {Step(1), Step(2)}},
                      {Step(1), changed}),
              AllOf(HasSubstr("/data/survey.db"), HasSubstr("step 2 of schema survey"),
                    HasSubstr("another text")));
}

TEST(MigrationPlan, ReportsAHoleInTheRecord) {
  EXPECT_THAT(Refusal(absl::StatusCode::kDataLoss, {"survey", {Step(1), Step(2), Step(3)}},
                      {Step(1), Step(3)}),
              AllOf(HasSubstr("no step 2 of survey"), HasSubstr("/data/survey.db")));
}

TEST(Schemas, AreRefusedWhenTheBuildIsAtFault) {
  EXPECT_TRUE(CheckSchemas({{"a", {Step(1), Step(2, 2)}}, {"b", {Step(1, 0)}}, {"c", {}}}).ok());
  const auto message = [](const std::vector<Schema>& schemas) {
    const absl::Status status = CheckSchemas(schemas);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    return std::string(status.message());
  };
  EXPECT_THAT(message({{"a", {Step(1), Step(3)}}}), HasSubstr("number 3 where 2 was due"));
  EXPECT_THAT(message({{"a", {Step(2)}}}), HasSubstr("number 2 where 1 was due"));
  EXPECT_THAT(message({{"a", {Step(1, 2)}}}), HasSubstr("serves_from 2"));
  EXPECT_THAT(message({{"a", {Step(1, -1)}}}), HasSubstr("serves_from -1"));
  EXPECT_THAT(message({{"a", {}}, {"a", {}}}), HasSubstr("\"a\" is empty or given twice"));
  EXPECT_THAT(message({{"", {}}}), HasSubstr("empty or given twice"));
}

}  // namespace
}  // namespace tandem::store
