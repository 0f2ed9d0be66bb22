#include "services/survey/mailbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
namespace fs = std::filesystem;

class Mailbox : public ::testing::Test {
 protected:
  Mailbox() {
    std::string pattern = (fs::temp_directory_path() / "tandem_mailbox_XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    folder_ = (root_ / "mailbox").string();
  }
  ~Mailbox() override { fs::remove_all(root_); }

  std::unique_ptr<FileMailbox> Open() {
    auto mailbox = FileMailbox::Open(folder_, FileMailbox::Durability::kFull);
    EXPECT_TRUE(mailbox.ok()) << mailbox.status();
    return *std::move(mailbox);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      names.push_back(entry.path().filename());
    return names;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(folder_ + "/" + name);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path root_;
  std::string folder_;
};

TEST_F(Mailbox, KeepsALetterThatOnlyItsOwnerCanRead) {
  auto mailbox = Open();
  ASSERT_TRUE(mailbox->Put("a.eml", "text").ok());
  EXPECT_EQ(Read("a.eml"), "text");
  struct stat found {};
  ASSERT_EQ(::stat((folder_ + "/a.eml").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(folder_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
}

TEST_F(Mailbox, HasOneLetterHoweverOftenItIsPut) {
  auto mailbox = Open();
  ASSERT_TRUE(mailbox->Put("a.eml", "a longer text").ok());
  ASSERT_TRUE(mailbox->Put("a.eml", "short").ok());
  EXPECT_EQ(Read("a.eml"), "short");
  EXPECT_THAT(Names(), ElementsAre("a.eml"));
}

TEST_F(Mailbox, FinishesWhatACrashLeftHalfWritten) {
  auto mailbox = Open();
  std::ofstream(folder_ + "/.a.eml.part") << "half a lett";
  ASSERT_TRUE(mailbox->Put("a.eml", "whole").ok());
  EXPECT_EQ(Read("a.eml"), "whole");
  EXPECT_THAT(Names(), ElementsAre("a.eml"));
}

TEST_F(Mailbox, DoesNotWriteThroughALinkThatSomebodyPutThere) {
  auto mailbox = Open();
  const fs::path victim = root_ / "victim";
  std::ofstream(victim) << "mine";
  fs::create_symlink(victim, folder_ + "/.a.eml.part");
  fs::create_symlink(victim, folder_ + "/a.eml");
  ASSERT_TRUE(mailbox->Put("a.eml", "letter").ok());
  std::ifstream in(victim);
  std::string text;
  std::getline(in, text);
  EXPECT_EQ(text, "mine");
  EXPECT_EQ(Read("a.eml"), "letter");
}

TEST_F(Mailbox, TakesALetterBackAndIsContentWhenThereIsNone) {
  auto mailbox = Open();
  ASSERT_TRUE(mailbox->Put("a.eml", "text").ok());
  EXPECT_TRUE(mailbox->Remove("a.eml").ok());
  EXPECT_TRUE(mailbox->Remove("a.eml").ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(Mailbox, CallsATroubledDiskUnavailableAndNeverQuotesTheLetter) {
  auto mailbox = Open();
  fs::remove_all(folder_);
  const absl::Status gone = mailbox->Put("a.eml", "secret words");
  EXPECT_EQ(gone.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone.message()), HasSubstr("mailbox"));
  EXPECT_THAT(std::string(gone.message()), Not(HasSubstr("secret")));
  // A folder stands where the letter should go.
  fs::create_directories(folder_ + "/a.eml/in_the_way");
  EXPECT_EQ(mailbox->Put("a.eml", "secret words").code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Names(), ElementsAre("a.eml"));
  fs::remove_all(folder_ + "/a.eml");
  EXPECT_TRUE(mailbox->Put("a.eml", "secret words").ok());
}

TEST_F(Mailbox, RefusesANameThatLeavesTheFolder) {
  auto mailbox = Open();
  for (const std::string& name :
       {std::string(), std::string("../a"), std::string("a/b"), std::string(".hidden"),
        std::string(201, 'a'), std::string("a\0b", 3), std::string("a b")}) {
    EXPECT_EQ(mailbox->Put(name, "text").code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(mailbox->Remove(name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(Mailbox, CannotBeOpenedWhereAFileIs) {
  std::ofstream{folder_} << "a file";
  EXPECT_EQ(FileMailbox::Open(folder_, FileMailbox::Durability::kOff).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tandem::survey
