#include "services/tandem/replay_folder.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::programs {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string> kDatabases = {"triage", "survey"};

class ReplayFolderTest : public ::testing::Test {
 protected:
  ReplayFolderTest()
      : path_(absl::StrCat(::testing::TempDir(), "/",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(path_);
  }
  absl::StatusOr<ReplayFolder> Open() { return ReplayFolder::Open(path_, kDatabases); }
  void Write(const std::string& name) { std::ofstream(absl::StrCat(path_, "/", name)) << "x"; }
  bool Has(const std::string& name) { return fs::exists(absl::StrCat(path_, "/", name)); }

  const std::string path_;
};

TEST_F(ReplayFolderTest, IsMadeAndMarkedUntilTheEnd) {
  absl::StatusOr<ReplayFolder> folder = Open();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_TRUE(Has("replay.incomplete"));
  ASSERT_TRUE(folder->Complete().ok());
  EXPECT_FALSE(Has("replay.incomplete"));
  EXPECT_TRUE(Has("replay.complete"));
}

TEST_F(ReplayFolderTest, StartsOverAfterAKilledRun) {
  {
    absl::StatusOr<ReplayFolder> killed = Open();
    ASSERT_TRUE(killed.ok());
    for (const char* name :
         {"triage.db", "triage.db-wal", "triage.db-shm", "triage.db.lock", "survey.db"}) {
      Write(name);
    }
  }
  absl::StatusOr<ReplayFolder> folder = Open();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_FALSE(Has("triage.db"));
  EXPECT_FALSE(Has("triage.db-wal"));
  EXPECT_FALSE(Has("triage.db-shm"));
  EXPECT_FALSE(Has("survey.db"));
  EXPECT_TRUE(Has("replay.incomplete"));
}

TEST_F(ReplayFolderTest, StartsOverAfterAWholeRun) {
  {
    absl::StatusOr<ReplayFolder> earlier = Open();
    ASSERT_TRUE(earlier.ok());
    Write("triage.db");
    ASSERT_TRUE(earlier->Complete().ok());
  }
  absl::StatusOr<ReplayFolder> folder = Open();
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_FALSE(Has("triage.db"));
  EXPECT_FALSE(Has("replay.complete"));
}

TEST_F(ReplayFolderTest, RefusesAFolderThatHoldsAnythingElseAndLeavesItAlone) {
  fs::create_directories(path_);
  Write("replay.incomplete");
  Write("triage.db");
  Write("letter.txt");
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("holds letter.txt, which no replay made"));
  EXPECT_TRUE(Has("triage.db"));
  EXPECT_FALSE(Has("replay.lock"));
}

TEST_F(ReplayFolderTest, RefusesTheDatabasesOfAServer) {
  fs::create_directories(path_);
  Write("triage.db");
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has("triage.db"));
}

TEST_F(ReplayFolderTest, RefusesAFolderThatAnotherReplayUses) {
  absl::StatusOr<ReplayFolder> first = Open();
  ASSERT_TRUE(first.ok());
  Write("triage.db");
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has("triage.db"));
}

TEST_F(ReplayFolderTest, IsNotServedWhetherOrNotTheReplayCameToItsEnd) {
  EXPECT_TRUE(ReplayFolder::CheckServable(path_).ok());
  absl::StatusOr<ReplayFolder> folder = Open();
  ASSERT_TRUE(folder.ok());
  absl::Status status = ReplayFolder::CheckServable(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(path_), HasSubstr("replay.incomplete"), HasSubstr("another folder")));
  ASSERT_TRUE(folder->Complete().ok());
  status = ReplayFolder::CheckServable(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("replay.complete"));
}

TEST_F(ReplayFolderTest, StartsOverWithDatabasesThatTheFolderListed) {
  {
    absl::StatusOr<ReplayFolder> earlier = Open();
    ASSERT_TRUE(earlier.ok());
    Write("triage.db");
    Write("tandem.databases");
  }
  ASSERT_TRUE(Open().ok());
  EXPECT_FALSE(Has("tandem.databases"));
}

TEST_F(ReplayFolderTest, RefusesAFolderWhoseDatabasesAServerHasLost) {
  fs::create_directories(path_);
  Write("tandem.databases");
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Has("tandem.databases"));
}

TEST_F(ReplayFolderTest, NamesAPathThatCannotBeAFolder) {
  std::ofstream(path_) << "a file";
  const absl::Status status = Open().status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

}  // namespace
}  // namespace tandem::programs
