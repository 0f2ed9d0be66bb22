// SQLite against the store contract, and what only a file of one process promises.
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/store/commit_barrier.h"
#include "common/store/folder_list.h"
#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/store_contract.h"
#include "tests/contract/temp_folder.h"

namespace tandem::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Schema TestSchema() {
  return {"contract",
          {{1, 1, "001_contract.sqlite.sql", ContractTables("BIGINT", "TEXT", "BLOB")}}};
}

SqliteOptions OptionsFor(const std::string& path) {
  SqliteOptions options;
  options.path = path;
  options.schemas = {TestSchema()};
  return options;
}

class SqliteWorld final : public StoreWorld {
 public:
  // An empty `file` is a database in memory.
  SqliteWorld(std::string file, Durability durability)
      : options_(OptionsFor(file.empty() ? ":memory:" : folder_.File(file))) {
    options_.durability = durability;
  }
  absl::StatusOr<std::unique_ptr<Store>> Open() override { return OpenSqlite(options_); }

 private:
  TempFolder folder_;
  SqliteOptions options_;
};

StoreEngine File(std::string name, Durability durability) {
  return {std::move(name),
          [durability] { return std::make_unique<SqliteWorld>("store.db", durability); }};
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         testing::Values(File("File", Durability::kFull),
                                         StoreEngine{"Memory",
                                                     [] {
                                                       return std::make_unique<SqliteWorld>(
                                                           "", Durability::kOff);
                                                     }}),
                         EngineName);

// Without fsync a commit still survives the process: the system has its bytes.
INSTANTIATE_TEST_SUITE_P(Sqlite, DurableStoreContract,
                         testing::Values(File("Full", Durability::kFull),
                                         File("Off", Durability::kOff)),
                         EngineName);

// One file in a folder of its own.
class SqliteFile : public testing::Test {
 protected:
  std::unique_ptr<Store> Open(SqliteOptions options) {
    absl::StatusOr<std::unique_ptr<Store>> store = OpenSqlite(std::move(options));
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::unique_ptr<Store> Open() { return Open(OptionsFor(path_)); }

  static void Refused(const SqliteOptions& options, absl::StatusCode code,
                      const testing::Matcher<std::string>& message) {
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenSqlite(options);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.status().code(), code) << store.status();
    EXPECT_THAT(std::string(store.status().message()), message);
  }

  static void Committed(Store& store, const std::vector<Write>& batch) {
    const CommitResult result = store.Commit(batch);
    ASSERT_EQ(result.kind, CommitResult::Kind::kCommitted) << result.status;
  }

  static absl::Status Count(Reader& reader, int64_t* count) {
    return reader.Query({"SELECT count(*), sum(length(body)) FROM items", {}},
                        [count](const RowView& row) { *count = row.Int(0); });
  }

  // A database of many pages, closed cleanly.
  void Fill() {
    const std::unique_ptr<Store> store = Open();
    std::vector<Write> batch;
    for (int i = 0; i < 500; ++i) {
      batch.push_back(Insert(absl::StrCat("k", i), 1, std::string(1000, 'x')));
    }
    Committed(*store, batch);
  }

  static void Overwrite(const std::string& path, int64_t from, int64_t bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(from);
    for (int64_t i = 0; i < bytes; ++i) file.put(static_cast<char>(0xa5));
    ASSERT_TRUE(file.flush().good());
  }

  TempFolder folder_;
  const std::string path_ = std::filesystem::canonical(folder_.path()).string() + "/store.db";
};

TEST_F(SqliteFile, IsRefusedToASecondHandle) {
  std::unique_ptr<Store> store = Open();
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr(absl::StrCat("process ", getpid()))));
  store.reset();
  EXPECT_NE(Open(), nullptr);
}

TEST_F(SqliteFile, IsRefusedUnderAnotherName) {
  const std::unique_ptr<Store> store = Open();
  const std::string link = folder_.File("link.db");
  std::filesystem::create_symlink(path_, link);
  Refused(OptionsFor(link), absl::StatusCode::kFailedPrecondition,
          HasSubstr("is in use by process"));
}

TEST_F(SqliteFile, IsRefusedToASecondProcessUntilTheFirstIsDead) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenSqlite(OptionsFor(path_));
    const char opened = store.ok() ? 'y' : 'n';
    if (write(ends[1], &opened, 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  char opened = 0;
  ASSERT_EQ(read(ends[0], &opened, 1), 1);
  close(ends[0]);
  EXPECT_EQ(opened, 'y');
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr(absl::StrCat("process ", child)),
                HasSubstr(path_ + ".lock")));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_NE(Open(), nullptr);
}

TEST_F(SqliteFile, IsReadableByItsOwnerOnly) {
  const std::unique_ptr<Store> store = Open();
  Committed(*store, {Insert("a", 1)});
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat found;
    ASSERT_EQ(stat((path_ + suffix).c_str(), &found), 0) << suffix;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteFile, NamesAFolderThatIsMissing) {
  Refused(OptionsFor(folder_.File("absent/store.db")), absl::StatusCode::kNotFound,
          HasSubstr("absent/store.db"));
  Refused(OptionsFor(""), absl::StatusCode::kInvalidArgument, HasSubstr("empty"));
}

TEST_F(SqliteFile, NamesAFolderInThePlaceOfTheFile) {
  std::filesystem::create_directory(path_);
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition, HasSubstr(path_));
}

TEST_F(SqliteFile, FullIsResourceExhaustedAndServesAgainOnceThereIsRoom) {
  SqliteOptions options = OptionsFor(path_);
  options.max_pages = 60;
  const std::unique_ptr<Store> store = Open(options);
  int64_t rows = 0;
  CommitResult result;
  while (rows < 100) {
    result = store->Commit({Insert(absl::StrCat("k", rows), 1, std::string(10000, 'x')),
                            InsertOther(absl::StrCat("k", rows), 1, rows)});
    if (result.kind != CommitResult::Kind::kCommitted) break;
    ++rows;
  }
  ASSERT_EQ(result.kind, CommitResult::Kind::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kResourceExhausted) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr(path_));
  EXPECT_GT(rows, 5);
  int64_t count = 0;
  ASSERT_TRUE(Count(store->reader(), &count).ok());
  EXPECT_EQ(count, rows);
  EXPECT_EQ(CheckWritable(*store).code(), absl::StatusCode::kResourceExhausted);
  Committed(*store, {{"items", "", {"DELETE FROM items WHERE version=1", {}}, Expect::kAnyRows}});
  EXPECT_TRUE(CheckWritable(*store).ok());
  Committed(*store, {Insert("again", 1, std::string(10000, 'x'))});
}

TEST_F(SqliteFile, SaysThatItsDiskIsFullBeforeACommitMeetsIt) {
  SqliteOptions options = OptionsFor(path_);
  options.reserve_bytes = int64_t{1} << 60;
  const std::unique_ptr<Store> store = Open(options);
  const absl::Status writable = CheckWritable(*store);
  EXPECT_EQ(writable.code(), absl::StatusCode::kResourceExhausted) << writable;
  EXPECT_THAT(std::string(writable.message()), HasSubstr("full"));
  Committed(*store, {Insert("a", 1)});  // there is room, only not that much
}

// Never red by chance: with the barrier nothing is written, however long it takes to look.
TEST_F(SqliteFile, StandsStillTogetherWithTheOthersOfItsBarrier) {
  CommitBarrier barrier;
  SqliteOptions options = OptionsFor(path_);
  options.barrier = &barrier;
  const std::unique_ptr<Store> store = Open(options);
  const auto reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      Committed(*store, {Insert(absl::StrCat("k", i), 1)});
      ++written;
    }
  });
  while (written.load() < 10) std::this_thread::yield();
  barrier.StandStill([&] {
    int64_t first = 0;
    ASSERT_TRUE(Count(**reader, &first).ok());
    for (int look = 0; look < 2'000; ++look) {
      int64_t now = 0;
      ASSERT_TRUE(Count(**reader, &now).ok());
      ASSERT_EQ(now, first) << "somebody committed";
      std::this_thread::yield();
    }
  });
  const int behind = written.load();
  while (written.load() < behind + 10) std::this_thread::yield();  // and goes on afterwards
  stop.store(true);
  writer.join();
}

// What is done to the files of an open database.
struct Mishap {
  std::string name;
  std::function<void(const std::string& folder, const std::string& path)> happen;
};

void Replace(const std::string& path) {
  std::filesystem::copy_file(path, path + ".copy");
  std::filesystem::rename(path + ".copy", path);
}

const Mishap kMishaps[] = {
    {"TheFileIsDeleted", [](auto&, auto& path) { std::filesystem::remove(path); }},
    {"ItsWriteAheadLogIsDeleted",
     [](auto&, auto& path) { std::filesystem::remove(path + "-wal"); }},
    {"ItsSharedMemoryIsDeleted", [](auto&, auto& path) { std::filesystem::remove(path + "-shm"); }},
    {"ItsLockIsDeleted", [](auto&, auto& path) { std::filesystem::remove(path + ".lock"); }},
    {"ACopyTakesItsPlace", [](auto&, auto& path) { Replace(path); }},
    {"TheFolderIsDeleted", [](auto& folder, auto&) { std::filesystem::remove_all(folder); }},
    {"TheFolderIsMovedAway",
     [](auto& folder, auto&) { std::filesystem::rename(folder, folder + ".old"); }},
    {"ACopyTakesTheFoldersPlace",
     [](auto& folder, auto&) {
       std::filesystem::copy(folder, folder + ".copy");
       std::filesystem::rename(folder, folder + ".old");
       std::filesystem::rename(folder + ".copy", folder);
     }},
};

class LostSqliteFile : public testing::TestWithParam<Mishap> {};

// The writer asks nobody before each commit: what is acknowledged is where the next start finds it.
TEST_P(LostSqliteFile, AcknowledgesNothingMore) {
  const TempFolder parent;
  const std::string folder = parent.File("data");
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/store.db";
  auto store = OpenSqlite(OptionsFor(path));
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Commit({Insert("a", 1)}).kind, CommitResult::Kind::kCommitted);
  EXPECT_TRUE(CheckWritable(**store).ok());

  GetParam().happen(folder, path);
  const absl::Status writable = CheckWritable(**store);
  EXPECT_EQ(writable.code(), absl::StatusCode::kUnavailable) << writable;
  EXPECT_THAT(std::string(writable.message()), HasSubstr("while it was open"));
  // The first one may be in the old file, so nobody can say; no later one is even tried.
  EXPECT_EQ((*store)->Commit({Insert("b", 1)}).kind, CommitResult::Kind::kUnknown);
  // Nor is it read back, or a repeated request would be told that it was done.
  EXPECT_EQ((*store)->reader().Query({"SELECT 1", {}}, [](const RowView&) {}).code(),
            absl::StatusCode::kUnavailable);
  const CommitResult later = (*store)->Commit({Insert("c", 1)});
  EXPECT_EQ(later.kind, CommitResult::Kind::kFailed);
  EXPECT_EQ(later.status.code(), absl::StatusCode::kUnavailable) << later.status;
}

INSTANTIATE_TEST_SUITE_P(Mishaps, LostSqliteFile, testing::ValuesIn(kMishaps),
                         [](const auto& mishap) { return mishap.param.name; });

TEST_F(SqliteFile, TakesWritesAgainOnceItsFolderIsBackAsItWas) {
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const std::unique_ptr<Store> store = Open();
  std::filesystem::rename(folder, folder + ".away");
  EXPECT_EQ(store->Commit({Insert("a", 1)}).kind, CommitResult::Kind::kUnknown);
  std::filesystem::rename(folder + ".away", folder);
  EXPECT_TRUE(CheckWritable(*store).ok());
  Committed(*store, {Insert("b", 1)});
}

TEST_F(SqliteFile, ThatWasEmptiedIsNotTakenForANewOne) {
  Fill();
  std::filesystem::resize_file(path_, 0);
  Refused(
      OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr(path_ + " is empty"), HasSubstr("tandem.databases"), HasSubstr("backup")));
  EXPECT_EQ(std::filesystem::file_size(path_), 0u);  // and it is left alone
}

TEST_F(SqliteFile, ThatIsMissingIsNotTakenForANewOne) {
  Fill();
  for (const char* suffix : {"", ".lock"}) std::filesystem::remove(path_ + suffix);
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_ + " is not there"), HasSubstr("backup")));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteFile, IsMadeBesideOthersThatAreInUse) {
  Fill();
  EXPECT_NE(Open(OptionsFor(folder_.File("second.db"))), nullptr);
  EXPECT_NE(Open(OptionsFor(folder_.File("second.db"))), nullptr);
}

TEST_F(SqliteFile, WhoseFirstStartWasKilledIsMadeAgain) {
  std::ofstream(path_).close();  // made, and not opened yet
  EXPECT_NE(Open(), nullptr);
  // Likewise where the list was cut in the middle of its line.
  const std::string other = folder_.File("other.db");
  std::ofstream(folder_.File(kFolderList), std::ios::app) << "durable other.db";
  EXPECT_NE(Open(OptionsFor(other)), nullptr);
  std::filesystem::resize_file(other, 0);
  Refused(OptionsFor(other), absl::StatusCode::kFailedPrecondition, HasSubstr("is empty"));
}

TEST_F(SqliteFile, WrittenWithoutWaitingForTheDiskIsNotServed) {
  SqliteOptions replayed = OptionsFor(path_);
  replayed.durability = Durability::kOff;
  Open(replayed);
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr("written by a replay"), HasSubstr("another folder")));
  const std::string served = folder_.File("served.db");
  Open(OptionsFor(served));
  replayed.path = served;
  Refused(replayed, absl::StatusCode::kFailedPrecondition, HasSubstr("what a server wrote"));
}

TEST_F(SqliteFile, InAFolderThatIsBeingFilledIsRefused) {
  ASSERT_TRUE(MarkFolderUnfinished(folder_.path(), "Wait for it.").ok());
  ASSERT_TRUE(MarkFolderUnfinished(folder_.path(), "Run it again.").ok());
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr("Run it again."), Not(HasSubstr("Wait for it."))));
  ASSERT_TRUE(ClearFolderUnfinished(folder_.path()).ok());
  EXPECT_NE(Open(), nullptr);
}

TEST_F(SqliteFile, WithAnotherHeaderIsDataLoss) {
  Fill();
  Overwrite(path_, 0, 16);
  Refused(OptionsFor(path_), absl::StatusCode::kDataLoss,
          AllOf(HasSubstr(path_), HasSubstr("backup")));
}

TEST_F(SqliteFile, ThatIsNoDatabaseIsDataLoss) {
  std::ofstream(path_) << "Dear diary, this is not a database, and it is longer than a header: "
                       << std::string(1000, '.');
  Refused(OptionsFor(path_), absl::StatusCode::kDataLoss,
          AllOf(HasSubstr(path_), HasSubstr("backup")));
}

TEST_F(SqliteFile, ThatWasCutShortIsDataLoss) {
  Fill();
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 8192 * 4096);
  Refused(OptionsFor(path_), absl::StatusCode::kDataLoss,
          AllOf(HasSubstr(path_), HasSubstr("backup")));
}

TEST_F(SqliteFile, WithABrokenSchemaIsDataLoss) {
  Fill();
  Overwrite(path_, 100, 3996);
  Refused(OptionsFor(path_), absl::StatusCode::kDataLoss,
          AllOf(HasSubstr(path_), HasSubstr("backup")));
}

TEST_F(SqliteFile, WithABrokenPageIsDataLossWhereItIsMet) {
  Fill();
  const int64_t size = static_cast<int64_t>(std::filesystem::file_size(path_));
  Overwrite(path_, 8 * 4096, size - 8 * 4096);
  const std::unique_ptr<Store> store = Open();
  ASSERT_NE(store, nullptr);
  int64_t count = 0;
  const absl::Status read = Count(store->reader(), &count);
  EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss) << read;
  EXPECT_THAT(std::string(read.message()), HasSubstr(path_));
  const CommitResult result =
      store->Commit({{"items", "", {"UPDATE items SET body=NULL", {}}, Expect::kAnyRows}});
  EXPECT_EQ(result.kind, CommitResult::Kind::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kDataLoss) << result.status;
  const absl::StatusOr<std::unique_ptr<Reader>> reader = store->OpenReader();
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(Count(**reader, &count).code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteFile, WithABrokenPageIsDataLossAtTheStartAfterAKill) {
  Fill();
  const std::string copy = folder_.File("copy.db");
  {
    const std::unique_ptr<Store> store = Open();
    Committed(*store, {Insert("late", 1)});
    // What a kill would leave: the file, and a WAL that nobody moved into it.
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(path_ + suffix, copy + suffix);
    }
  }
  Overwrite(copy, 40 * 4096, 4096);
  SqliteOptions options = OptionsFor(copy);
  Refused(options, absl::StatusCode::kDataLoss, AllOf(HasSubstr("copy.db"), HasSubstr("backup")));
  // A file above the limit starts at once.
  options.check_bytes = 4096;
  EXPECT_NE(Open(options), nullptr);
}

TEST_F(SqliteFile, OfAnotherProgramIsLeftAlone) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE theirs (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr("another program")));
}

TEST_F(SqliteFile, HeldByAnOperatorsShellIsAConflict) {
  const std::unique_ptr<Store> store = Open();
  Committed(*store, {Insert("a", 1)});
  sqlite3* shell = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &shell), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(shell, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(store->Commit({Update("a", 1, 2)}).kind, CommitResult::Kind::kConflict);
  int64_t count = 0;
  EXPECT_TRUE(Count(store->reader(), &count).ok());
  sqlite3_close(shell);
  Committed(*store, {Update("a", 1, 2)});
}

TEST_F(SqliteFile, OfANewerSchemaIsRefused) {
  SqliteOptions newer = OptionsFor(path_);
  newer.schemas[0].migrations.push_back(
      {2, 2, "002_drop.sqlite.sql", "ALTER TABLE items DROP COLUMN note"});
  Open(newer);
  Refused(OptionsFor(path_), absl::StatusCode::kFailedPrecondition,
          AllOf(HasSubstr(path_), HasSubstr("schema contract is at step 2"),
                HasSubstr("this program knows step 1")));
  EXPECT_NE(Open(newer), nullptr);
}

TEST_F(SqliteFile, KeepsAnErasedTextNowhere) {
  const std::string secret = "a text that a customer asked us to forget";
  {
    const std::unique_ptr<Store> store = Open();
    Committed(*store,
              {Insert("a", 1, secret), Insert("long", 1, std::string(20000, 'x') + secret)});
    Committed(*store, {Delete("a", 1), Delete("long", 1)});
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    EXPECT_THAT(bytes, testing::Not(HasSubstr(secret))) << entry.path();
  }
}

TEST_F(SqliteFile, TakesMoreTextsThanItKeepsPrepared) {
  const std::unique_ptr<Store> store = Open();
  for (int round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < 700; ++i) {
      int64_t got = -1;
      ASSERT_TRUE(store->reader()
                      .Query({absl::StrCat("SELECT ", i, " + $1"), {int64_t{round}}},
                             [&](const RowView& row) { got = row.Int(0); })
                      .ok());
      ASSERT_EQ(got, i + round);
    }
  }
}

TEST_F(SqliteFile, RefusesACallbackThatCallsTheStore) {
  for (const std::string& path : {path_, std::string(":memory:")}) {
    const std::unique_ptr<Store> store = Open(OptionsFor(path));
    Committed(*store, {Insert("a", 1)});
    absl::Status read;
    CommitResult result;
    EXPECT_TRUE(store->reader()
                    .Query({"SELECT 1 FROM items", {}},
                           [&](const RowView&) {
                             read = store->reader().Query({"SELECT 1", {}}, [](const RowView&) {});
                             result = store->Commit({Update("a", 1, 2)});
                           })
                    .ok());
    EXPECT_EQ(read.code(), absl::StatusCode::kInternal);
    EXPECT_EQ(result.kind, CommitResult::Kind::kFailed);
    EXPECT_EQ(result.status.code(), absl::StatusCode::kInternal);
    Committed(*store, {Update("a", 1, 2)});
  }
}

TEST(SqliteMemory, IsPrivateToItsStore) {
  const auto one = OpenSqlite(OptionsFor(":memory:"));
  const auto two = OpenSqlite(OptionsFor(":memory:"));
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ((*one)->Commit({Insert("a", 1)}).kind, CommitResult::Kind::kCommitted);
  EXPECT_EQ((*two)->Commit({Insert("a", 1)}).kind, CommitResult::Kind::kCommitted);
}

}  // namespace
}  // namespace tandem::store
