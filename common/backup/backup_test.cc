#include "common/backup/backup.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/manifest.h"
#include "common/backup/restore.h"
#include "common/inbox/abandoned.h"
#include "common/lane/migrations.h"
#include "common/outbox/sequence.h"
#include "common/store/folder_list.h"
#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/temp_folder.h"

namespace tandem::backup {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StoppedClock : public time::Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1'795'442'400); }
};

// Two services, one.db and two.db, each with the mechanism's tables.
class Data {
 public:
  explicit Data(std::string path) : path_(std::move(path)) {
    one_ = Open("one.db");
    two_ = Open("two.db");
  }
  const std::string& path() const { return path_; }
  store::Store& one() { return *one_; }
  store::Store& two() { return *two_; }

  BackupOptions options() {
    BackupOptions options;
    options.data = path_;
    options.databases = {"one.db", "two.db"};
    options.files = {"mailbox.key", "absent.key"};
    options.barrier = &barrier_;
    options.clock = &clock_;
    options.version = "1.2.3";
    return options;
  }
  absl::StatusOr<BackupManifest> BackUp(const std::string& folder) {
    return TakeBackup(options(), folder, [](const BackupProgress&) { return true; });
  }

 private:
  std::unique_ptr<store::Store> Open(const std::string& name) {
    store::SqliteOptions options;
    options.path = absl::StrCat(path_, "/", name);
    options.schemas = {lane::SqliteSchema()};
    options.barrier = &barrier_;
    auto store = store::OpenSqlite(std::move(options));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  const std::string path_;
  store::CommitBarrier barrier_;
  StoppedClock clock_;
  std::unique_ptr<store::Store> one_, two_;
};

bool Put(store::Store& store, const std::string& key, size_t bytes = 10) {
  return store
             .Commit({{"policies",
                       key,
                       {"INSERT INTO policies (key, version, body) VALUES ($1, 1, $2)",
                        {key, store::Blob{std::string(bytes, 'x')}}}}})
             .kind == store::CommitResult::Kind::kCommitted;
}

// Publishes an event's row, and gives its id.
int64_t Publish(store::Store& store) {
  const auto result = store.Commit(
      {{"outbox",
        "",
        {"INSERT INTO outbox (event_id, type, subject, key, time, cause, traceparent, created_at, "
         "body) VALUES ('', '', '', '', 0, '', '', 0, '')",
         {}}}});
  EXPECT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  int64_t id = 0;
  EXPECT_TRUE(store.reader()
                  .Query({"SELECT MAX(id) FROM outbox", {}},
                         [&](const store::RowView& row) { id = row.Int(0); })
                  .ok());
  return id;
}

int64_t Count(store::Store& store) {
  int64_t count = -1;
  EXPECT_TRUE(store.reader()
                  .Query({"SELECT COUNT(*) FROM policies", {}},
                         [&](const store::RowView& row) { count = row.Int(0); })
                  .ok());
  return count;
}

std::string MakeFolder(const TempFolder& parent, const std::string& name) {
  const std::string path = parent.File(name);
  std::filesystem::create_directory(path);
  return path;
}

RestoreOptions Into(const std::string& backup, const std::string& data) {
  RestoreOptions options;
  options.backup = backup;
  options.data = data;
  static const StoppedClock clock;
  options.clock = &clock;
  options.command = "tandemctl restore";
  return options;
}

TEST(Backup, IsOneInstantOfAllDatabasesWhileTheyAreWritten) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  // Whatever is in the second was in the first before.
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      ASSERT_TRUE(Put(data.one(), absl::StrCat("k", i)));
      ASSERT_TRUE(Put(data.two(), absl::StrCat("k", i)));
      written.store(i + 1);
    }
  });
  for (int round = 0; round < 8; ++round) {
    const int before = written.load();
    const std::string backup = folder.File(absl::StrCat("backup", round));
    const auto taken = data.BackUp(backup);
    ASSERT_TRUE(taken.ok()) << taken.status();
    const std::string restored = folder.File(absl::StrCat("restored", round));
    ASSERT_TRUE(Restore(Into(backup, restored)).ok());
    Data copy(restored);
    const int64_t one = Count(copy.one());
    const int64_t two = Count(copy.two());
    EXPECT_GE(one, two);
    EXPECT_LE(one, two + 1);
    EXPECT_GE(two, before) << "what was acknowledged before it began is missing";
  }
  stop.store(true);
  writer.join();
}

TEST(Backup, HoldsItsInstantWhateverIsWrittenAndCheckpointedMeanwhile) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(Put(data.one(), absl::StrCat("k", i), 200'000));
  int looks = 0;
  const std::string backup = folder.File("backup");
  // 20 MB of pages a look: each time beyond what makes a commit checkpoint.
  const auto taken = TakeBackup(data.options(), backup, [&](const BackupProgress&) {
    if (++looks <= 3) {
      for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(Put(data.one(), absl::StrCat("late", looks, "/", i), 200'000));
      }
      EXPECT_EQ(data.one()
                    .Commit({{"policies",
                              "",
                              {"UPDATE policies SET body = '' WHERE key LIKE 'k%'", {}},
                              store::Expect::kAnyRows}})
                    .kind,
                store::CommitResult::Kind::kCommitted);
    }
    return true;
  });
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_GE(looks, 3);
  const std::string restored = folder.File("restored");
  ASSERT_TRUE(Restore(Into(backup, restored)).ok());
  Data copy(restored);
  int64_t bytes = 0;
  ASSERT_TRUE(copy.one()
                  .reader()
                  .Query({"SELECT SUM(length(body)) FROM policies", {}},
                         [&](const store::RowView& row) { bytes = row.Int(0); })
                  .ok());
  EXPECT_EQ(Count(copy.one()), 40);
  EXPECT_EQ(bytes, 40 * 200'000);
  EXPECT_EQ(Count(data.one()), 340);
}

TEST(Backup, SaysOfWhatItConsistsAndIsForItsOwnerOnly) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  std::ofstream(data.path() + "/mailbox.key") << "secret";
  const std::string backup = folder.File("backup");
  const auto taken = data.BackUp(backup);
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(taken->files_size(), 3);
  EXPECT_EQ(taken->files(2).name(), "mailbox.key");
  EXPECT_FALSE(taken->files(2).is_database());
  EXPECT_EQ(taken->files(2).sha256(),
            "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
  const auto read = ReadManifest(backup);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->version(), "1.2.3");
  EXPECT_EQ(read->files_size(), 3);
  EXPECT_EQ(std::filesystem::status(backup).permissions(), std::filesystem::perms::owner_all);
  EXPECT_EQ(std::filesystem::status(backup + "/one.db").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(Backup, IntoAFolderThatHoldsSomethingIsRefused) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  const std::string backup = MakeFolder(folder, "backup");
  std::ofstream(backup + "/other") << "x";
  const absl::Status status = data.BackUp(backup).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(backup), HasSubstr("empty or absent")));
}

TEST(Backup, ThatWasEndedEarlyIsNone) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  const std::string backup = folder.File("backup");
  EXPECT_EQ(TakeBackup(data.options(), backup, [](const BackupProgress&) { return false; })
                .status()
                .code(),
            absl::StatusCode::kCancelled);
  const absl::Status status = Restore(Into(backup, folder.File("restored"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("did not come to its end"));
}

TEST(Restore, BeginsAHistoryAboveEveryNumberThatWasGiven) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  EXPECT_EQ(Publish(data.one()), 1);
  const std::string backup = folder.File("backup");
  ASSERT_TRUE(data.BackUp(backup).ok());
  const int64_t abandoned = Publish(data.one());  // what the backup does not have

  auto restored = Restore(Into(backup, folder.File("first")));
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->history, 1);
  Data first(folder.File("first"));
  const int64_t next = Publish(first.one());
  EXPECT_EQ(next, outbox::BeginningOf(1) + 1);
  EXPECT_GT(next, abandoned);
  // Whoever still meets what the backup does not have passes it over.
  const auto ranges = inbox::Abandoned::Read(first.two().reader());
  ASSERT_TRUE(ranges.ok()) << ranges.status();
  const auto is_abandoned = [&ranges](const char* source, int64_t sequence) {
    bus::Event event;
    event.source = source;
    event.sequence = sequence;
    return ranges->Contains(event);
  };
  EXPECT_FALSE(is_abandoned("one", 1));
  EXPECT_TRUE(is_abandoned("one", abandoned));
  EXPECT_FALSE(is_abandoned("one", next));
  EXPECT_TRUE(is_abandoned("two", 1));
  // Also where the outbox never had a row.
  EXPECT_EQ(Publish(first.two()), outbox::BeginningOf(1) + 1);

  // A restore of what was restored begins the next one; of the same backup again, as told.
  ASSERT_TRUE(first.BackUp(folder.File("again")).ok());
  restored = Restore(Into(folder.File("again"), folder.File("second")));
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->history, 2);
  RestoreOptions options = Into(backup, folder.File("third"));
  options.at_least_history = 3;
  restored = Restore(options);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->history, 3);
  Data third(folder.File("third"));
  EXPECT_EQ(outbox::HistoryOf(Publish(third.one())), 3);
}

TEST(Restore, RefusesADamagedBackup) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  const std::string backup = folder.File("backup");
  ASSERT_TRUE(data.BackUp(backup).ok());
  {
    std::fstream file(backup + "/two.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('!');
  }
  absl::Status status = Restore(Into(backup, folder.File("restored"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("two.db"));
  std::filesystem::remove(backup + "/two.db");
  status = Restore(Into(backup, folder.File("restored"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(folder.File("restored")));
}

TEST(Restore, IntoAFolderThatHoldsSomethingIsRefusedAndLeavesItAlone) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  const std::string backup = folder.File("backup");
  ASSERT_TRUE(data.BackUp(backup).ok());
  const absl::Status status = Restore(Into(backup, data.path())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("empty or absent"));
  EXPECT_TRUE(Put(data.one(), "still there"));
}

TEST(Restore, ThatWasKilledIsServedByNobodyAndStartsOver) {
  const TempFolder folder;
  Data data(MakeFolder(folder, "data"));
  ASSERT_TRUE(Put(data.one(), "a"));
  const std::string backup = folder.File("backup");
  ASSERT_TRUE(data.BackUp(backup).ok());
  // What a kill in the middle leaves: one file moved up, the other still half there.
  const std::string restored = MakeFolder(folder, "restored");
  ASSERT_TRUE(store::MarkFolderUnfinished(restored, "Run `tandemctl restore` again.").ok());
  std::filesystem::create_directory(restored + "/tandem.restoring");
  std::ofstream(restored + "/tandem.restoring/two.db") << "half";
  std::ofstream(restored + "/one.db") << "whole";
  store::SqliteOptions options;
  options.path = restored + "/one.db";
  const absl::Status refused = store::OpenSqlite(options).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("`tandemctl restore` again"));

  ASSERT_TRUE(Restore(Into(backup, restored)).ok());
  EXPECT_FALSE(std::filesystem::exists(restored + "/tandem.restoring"));
  Data copy(restored);
  EXPECT_EQ(Count(copy.one()), 1);
}

}  // namespace
}  // namespace tandem::backup
