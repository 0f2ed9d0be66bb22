#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/backup/manifest.h"
#include "services/tandemctl/testing.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace v1 = admin::v1;

class BackupTest : public testing::ProgramTest {
 protected:
  static constexpr char kBegin[] = "tandem.admin.v1.AdminService/BeginBackup";
  static constexpr char kGet[] = "tandem.admin.v1.AdminService/GetBackup";

  // A process whose backup has come so far with each question.
  void Going(std::vector<v1::GetBackupResponse> answers) {
    tandem_.On<v1::BeginBackupRequest>(kBegin, [this](const v1::BeginBackupRequest& begin) {
      folder_ = begin.folder();
      return v1::BeginBackupResponse();
    });
    tandem_.On<v1::GetBackupRequest>(kGet, [this, answers](const auto&) {
      v1::GetBackupResponse answer = answers[std::min(asked_++, answers.size() - 1)];
      answer.set_folder(folder_);
      return answer;
    });
  }
  static v1::GetBackupResponse At(v1::BackupState state) {
    v1::GetBackupResponse answer;
    answer.set_state(state);
    answer.set_bytes_total(2'000'000);
    answer.set_bytes_done(1'000'000);
    return answer;
  }

  std::string folder_;
  size_t asked_ = 0;
};

TEST_F(BackupTest, WaitsForItsEndAndShowsOfWhatItConsists) {
  v1::GetBackupResponse done = At(v1::BACKUP_STATE_DONE);
  done.set_bytes_done(2'000'000);
  done.set_stood_still_us(420);
  done.mutable_taken_at()->set_seconds(1795442400);
  v1::BackedUpFile* file = done.add_files();
  file->set_name("log.db");
  file->set_bytes(2'000'000);
  file->set_sha256("0123456789abcdef0123456789abcdef");
  Going({At(v1::BACKUP_STATE_UNDER_WAY), At(v1::BACKUP_STATE_UNDER_WAY), done});
  const testing::Ran ran = Run({"backup", "--to", "somewhere/../here"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_EQ(folder_, (std::filesystem::current_path() / "here").string());
  EXPECT_EQ(pauses_.size(), 2u);
  EXPECT_THAT(ran.output, AllOf(HasSubstr("log.db"), HasSubstr("0123456789ab"),
                                HasSubstr("the state of 2026-11-23 14:00:00Z"),
                                HasSubstr("commits stood still for")));
}

TEST_F(BackupTest, ThatFailsSaysWhyAndThatThereIsNone) {
  v1::GetBackupResponse failed = At(v1::BACKUP_STATE_FAILED);
  failed.set_failure("the disk is full");
  Going({At(v1::BACKUP_STATE_UNDER_WAY), failed});
  const testing::Ran ran = Run({"backup", "--to", "/here"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("the disk is full"), HasSubstr("/here is no backup")));
}

TEST_F(BackupTest, OfAProcessThatWasRestartedMeanwhileHasFailed) {
  Going({At(v1::BACKUP_STATE_UNDER_WAY)});
  tandem_.On<v1::GetBackupRequest>(kGet, [](const auto&) { return At(v1::BACKUP_STATE_NONE); });
  const testing::Ran ran = Run({"backup", "--to", "/here"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, HasSubstr("the process was restarted"));
}

TEST_F(BackupTest, OfADatabaseDoesNotQuoteWhatMayHoldAPassword) {
  const testing::Ran ran = RunAt({"backup", "--to", "/here", "--store", "mysql://me:secret@db/x"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages,
              AllOf(HasSubstr("--store: is not postgresql://"), Not(HasSubstr("secret"))));
}

TEST_F(BackupTest, OfADatabaseEachNamesThatOfEveryServiceOnce) {
  std::vector<std::string> words = {"backup", "--to", "/here"};
  for (const char* service : {"ticket_intake", "triage", "sla_timer", "survey"}) {
    words.insert(words.end(), {"--store", std::string(service) + "=postgresql://me@db/x"});
  }
  testing::Ran ran = RunAt(words);
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--store: does not name the database of account_health"));
  words.insert(words.end(), {"--store", "survey=postgresql://me@db/y"});
  ran = RunAt(words);
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--store: names survey twice"));
}

TEST_F(BackupTest, ARestoreGoesToAFolderOrToADatabaseWithItsTopic) {
  testing::Ran ran = RunAt({"restore", "--from", "/nowhere"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("either --data or --store"));
  ran = RunAt({"restore", "--from", "/nowhere", "--data", "/x", "--store", "postgresql://o@db/x"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("either --data or --store"));
  ran = RunAt({"restore", "--from", "/nowhere", "--store", "postgresql://o@db/x"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--bus is required"));
  ran = RunAt({"restore", "--from", "/nowhere", "--data", "/x", "--bus", "kafka:db:9092"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages, HasSubstr("--bus, --topic"));
}

// A folder with the manifest of a backup and nothing else.
std::string FolderWith(const backup::BackupManifest& manifest) {
  std::string folder = (std::filesystem::temp_directory_path() / "backup_XXXXXX").string();
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_TRUE(backup::WriteManifest(folder, manifest).ok());
  return folder;
}

TEST_F(BackupTest, OfOneEngineIsNotRestoredIntoTheOther) {
  const std::string files = FolderWith(backup::BackupManifest());
  testing::Ran ran = RunAt({"restore", "--from", files, "--store", "postgresql://o@127.0.0.1:1/x",
                            "--bus", "kafka:127.0.0.1:1"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("files of `tandem serve`"), HasSubstr("--data")));
  backup::BackupManifest of_a_database;
  of_a_database.add_services()->set_service("triage");
  const std::string dump = FolderWith(of_a_database);
  const std::string data = dump + "/data";
  ran = RunAt({"restore", "--from", dump, "--data", data});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("PostgreSQL"), HasSubstr("--store")));
  EXPECT_FALSE(std::filesystem::exists(data));
  std::filesystem::remove_all(files);
  std::filesystem::remove_all(dump);
}

TEST_F(BackupTest, ARestoreOfNothingMakesNothing) {
  const testing::Ran ran = RunAt({"restore", "--from", "/nowhere", "--data", "/nowhere-either"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("NOT_FOUND"), HasSubstr("/nowhere holds no backup")));
  EXPECT_FALSE(std::filesystem::exists("/nowhere-either"));
  const testing::Ran json =
      RunAt({"restore", "--from", "/nowhere", "--data", "/nowhere-either", "--output", "json"});
  EXPECT_THAT(json.messages, HasSubstr("\"code\":\"NOT_FOUND\""));
}

}  // namespace
}  // namespace tandem::tandemctl
