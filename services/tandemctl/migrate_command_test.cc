#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/tandemctl/testing.h"

namespace tandem::tandemctl {
namespace {

using ::testing::AllOf;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

// Nobody is asked for any of these: a Tandem need not run.
class MigrateTest : public testing::ProgramTest {
 protected:
  testing::Ran Migrate(const std::string& data, const std::string& store, const std::string& bus) {
    return RunAt({"migrate", "--data", data, "--store", store, "--bus", bus});
  }
};

TEST_F(MigrateTest, NeedsToKnowFromWhereAndWhereTo) {
  EXPECT_THAT(RunAt({"migrate"}), AllOf(Field(&testing::Ran::code, 2),
                                        Field(&testing::Ran::messages, HasSubstr("--data"))));
  const testing::Ran ran = RunAt({"migrate", "--data", "/nowhere"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("--store"), HasSubstr("--bus")));
}

TEST_F(MigrateTest, AReleaseTakesTheFolderAlone) {
  const testing::Ran ran =
      RunAt({"migrate", "--data", "/nowhere", "--release", "--bus", "kafka:k:9092"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--release takes --data alone"));
}

TEST_F(MigrateTest, AReleaseOfAFolderThatIsNotThereMakesNone) {
  const testing::Ran ran = RunAt({"migrate", "--data", "/nowhere", "--release"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("NOT_FOUND"), HasSubstr("/nowhere/log.db")));
}

TEST_F(MigrateTest, AStoreThatIsNoPostgresIsNotQuoted) {
  const testing::Ran ran = Migrate("/nowhere", "mysql://me:secret@db/tandem", "kafka:k:9092");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages,
              AllOf(HasSubstr("--store: is not postgresql://"), Not(HasSubstr("secret"))));
}

TEST_F(MigrateTest, ABusThatIsNoKafkaIsRefused) {
  const testing::Ran ran = Migrate("/nowhere", "postgresql://me@db/tandem", "local:/somewhere");
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--bus: \"local:/somewhere\" is not kafka:"));
}

TEST_F(MigrateTest, AFolderWithoutDataIsNamedBeforeAnyServerIsAsked) {
  const testing::Ran ran =
      Migrate("/nowhere", "postgresql://me@127.0.0.1:1/tandem", "kafka:127.0.0.1:1");
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("NOT_FOUND"), HasSubstr("/nowhere/log.db")));
  EXPECT_EQ(ran.output, "");
}

}  // namespace
}  // namespace tandem::tandemctl
