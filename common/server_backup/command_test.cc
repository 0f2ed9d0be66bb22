#include "common/server_backup/command.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::backup {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(RunCommand, WaitsForTheEndOfAProgramThatSucceeds) {
  EXPECT_EQ(RunCommand({"true"}), absl::OkStatus());
}

TEST(RunCommand, SaysWhichProgramIsMissingAndWhatToInstall) {
  const absl::Status missing = RunCommand({"tandem-no-such-program"});
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(),
              AllOf(HasSubstr("tandem-no-such-program"), HasSubstr("client programs")));
}

TEST(RunCommand, RepeatsTheLastThatAFailedProgramWrote) {
  const absl::Status failed =
      RunCommand({"sh", "-c", "yes noise | head -n 5000 >&2; echo the reason >&2; exit 3"});
  EXPECT_EQ(failed.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(failed.message(),
              AllOf(HasSubstr("sh failed with exit code 3: "), HasSubstr("the reason")));
  EXPECT_LT(failed.message().size(), 3000u);
}

TEST(RunCommand, SaysWhichSignalEndedAProgram) {
  const absl::Status ended = RunCommand({"sh", "-c", "kill -TERM $$"});
  EXPECT_EQ(ended.message(), "sh was ended by signal 15");
}

TEST(RunCommand, GivesAProgramNothingToRead) {
  EXPECT_EQ(RunCommand({"sh", "-c", "test -z \"$(cat)\""}), absl::OkStatus());
}

}  // namespace
}  // namespace tandem::backup
