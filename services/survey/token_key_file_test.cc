#include "services/survey/token_key_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/id/seeded_entropy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;
namespace fs = std::filesystem;

class TokenKeyFile : public ::testing::Test {
 protected:
  TokenKeyFile() {
    std::string pattern = (fs::temp_directory_path() / "tandem_token_key_XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    path_ = (root_ / "mailbox.key").string();
  }
  ~TokenKeyFile() override { fs::remove_all(root_); }

  absl::StatusOr<TokenKeys> Open() { return OpenTokenKeyFile(path_, entropy_); }
  void Write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }
  std::string Content() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  // Every refusal names the file and none quotes what is in it.
  void ExpectRefused(const std::string& problem) {
    const absl::Status status = Open().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
    EXPECT_THAT(std::string(status.message()), HasSubstr(problem));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("dead")));
  }

  fs::path root_;
  std::string path_;
  id::SeededEntropy entropy_{7};
};

const std::string kOldKey(64, 'a');
const std::string kNewKey(64, 'b');

TEST_F(TokenKeyFile, IsMadeForItsOwnerAloneAndReadAgain) {
  const auto made = Open();
  ASSERT_TRUE(made.ok()) << made.status();
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(Content().size(), 65u);
  const auto read = Open();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Make("svy_1", 1), made->Make("svy_1", 1));
  // Nothing is left beside it.
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), fs::directory_iterator()), 1);
}

TEST_F(TokenKeyFile, MakesTokensWithItsFirstKeyAndChecksThemWithBoth) {
  Write(kOldKey + "\n");
  const auto before = Open();
  ASSERT_TRUE(before.ok()) << before.status();
  Write(kNewKey + "\n" + kOldKey + "\n");
  const auto rotating = Open();
  ASSERT_TRUE(rotating.ok()) << rotating.status();
  EXPECT_THAT(rotating->SurveyOf(before->Make("svy_1", 1)), Optional(std::string("svy_1")));
  EXPECT_NE(rotating->Make("svy_1", 1), before->Make("svy_1", 1));
}

TEST_F(TokenKeyFile, IsRefusedWhenItHoldsNoKey) {
  Write("");
  ExpectRefused("is empty");
  Write("deadbeef\n");
  ExpectRefused("64 hexadecimal digits");
  Write(std::string(64, 'g') + "\n");
  ExpectRefused("64 hexadecimal digits");
  Write(kOldKey + "\n" + kNewKey + "\n" + kOldKey + "\n");
  ExpectRefused("one or two keys");
}

TEST_F(TokenKeyFile, IsRefusedWhenEverybodyMayReadIt) {
  Write(kOldKey + "\n", 0644);
  ExpectRefused("chmod o-rwx");
}

TEST_F(TokenKeyFile, SaysWhyItCannotBeMade) {
  path_ = (root_ / "absent" / "mailbox.key").string();
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST(TokenKeyBesideTheMailbox, HasTheMailboxesName) {
  EXPECT_EQ(TokenKeyBeside("data/mailbox"), "data/mailbox.key");
  EXPECT_EQ(TokenKeyBeside("data/mailbox//"), "data/mailbox.key");
}

}  // namespace
}  // namespace tandem::survey
