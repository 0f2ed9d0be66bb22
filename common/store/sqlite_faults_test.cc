// What a commit reports when the disk below SQLite fails, and how often SQLite asks the system.
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/store/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/temp_folder.h"

namespace tandem::store {
namespace {

using testing::HasSubstr;
using Kind = CommitResult::Kind;

// A VFS in front of the system's. Each fault is the code that the operation gives, SQLITE_OK for
// none.
struct Faults {
  int wal_sync = SQLITE_OK;
  int wal_write = SQLITE_OK;
  int read = SQLITE_OK;
};
Faults faults;         // NOLINT: SQLite's callbacks are plain functions
int shared_locks = 0;  // NOLINT: likewise

struct FaultyFile {
  sqlite3_file base;
  bool is_wal;
  sqlite3_file* real;  // stands behind this in the same memory
};

sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file)->real; }
bool IsWal(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file)->is_wal; }

int Close(sqlite3_file* f) { return Real(f)->pMethods->xClose(Real(f)); }
int Read(sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
  return faults.read != SQLITE_OK ? faults.read : Real(f)->pMethods->xRead(Real(f), to, size, at);
}
int WriteTo(sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
  if (IsWal(f) && faults.wal_write != SQLITE_OK) return faults.wal_write;
  return Real(f)->pMethods->xWrite(Real(f), from, size, at);
}
int Truncate(sqlite3_file* f, sqlite3_int64 size) {
  return Real(f)->pMethods->xTruncate(Real(f), size);
}
int Sync(sqlite3_file* f, int flags) {
  if (IsWal(f) && faults.wal_sync != SQLITE_OK) return faults.wal_sync;
  return Real(f)->pMethods->xSync(Real(f), flags);
}
int FileSize(sqlite3_file* f, sqlite3_int64* size) {
  return Real(f)->pMethods->xFileSize(Real(f), size);
}
int Lock(sqlite3_file* f, int level) { return Real(f)->pMethods->xLock(Real(f), level); }
int Unlock(sqlite3_file* f, int level) { return Real(f)->pMethods->xUnlock(Real(f), level); }
int CheckReserved(sqlite3_file* f, int* out) {
  return Real(f)->pMethods->xCheckReservedLock(Real(f), out);
}
int Control(sqlite3_file* f, int what, void* data) {
  return Real(f)->pMethods->xFileControl(Real(f), what, data);
}
int SectorSize(sqlite3_file* f) { return Real(f)->pMethods->xSectorSize(Real(f)); }
int Traits(sqlite3_file* f) { return Real(f)->pMethods->xDeviceCharacteristics(Real(f)); }
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return Real(f)->pMethods->xShmMap(Real(f), page, size, extend, out);
}
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  if ((flags & SQLITE_SHM_SHARED) != 0) ++shared_locks;
  return Real(f)->pMethods->xShmLock(Real(f), offset, n, flags);
}
void ShmBarrier(sqlite3_file* f) { Real(f)->pMethods->xShmBarrier(Real(f)); }
int ShmUnmap(sqlite3_file* f, int del) { return Real(f)->pMethods->xShmUnmap(Real(f), del); }

const sqlite3_io_methods kMethods = {2,          Close,      Read,    WriteTo, Truncate,
                                     Sync,       FileSize,   Lock,    Unlock,  CheckReserved,
                                     Control,    SectorSize, Traits,  ShmMap,  ShmLock,
                                     ShmBarrier, ShmUnmap,   nullptr, nullptr};

int OpenFaulty(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  auto* faulty = reinterpret_cast<FaultyFile*>(file);
  faulty->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
  faulty->real = reinterpret_cast<sqlite3_file*>(faulty + 1);
  const int code = system->xOpen(system, name, faulty->real, flags, out_flags);
  faulty->base.pMethods = code == SQLITE_OK ? &kMethods : nullptr;
  return code;
}

class SqliteFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs faulty;
    faulty = *system;
    faulty.pNext = nullptr;
    faulty.zName = "faulty";
    faulty.szOsFile = static_cast<int>(sizeof(FaultyFile)) + system->szOsFile;
    faulty.pAppData = system;
    faulty.xOpen = OpenFaulty;
    ASSERT_EQ(sqlite3_vfs_register(&faulty, 0), SQLITE_OK);
  }
  void SetUp() override {
    faults = {};
    store_ = Open(path_, "faulty");
    ASSERT_NE(store_, nullptr);
  }
  void TearDown() override { faults = {}; }

  static std::unique_ptr<Store> Open(const std::string& path, const std::string& vfs) {
    SqliteOptions options;
    options.path = path;
    options.vfs = vfs;
    options.schemas = {{"test", {{1, 1, "001", "CREATE TABLE t (key TEXT PRIMARY KEY) STRICT"}}}};
    auto store = OpenSqlite(std::move(options));
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static std::vector<Write> Line(const std::string& key) {
    return {{"t", key, {"INSERT INTO t (key) VALUES ($1)", {key}}}};
  }
  static std::vector<std::string> Keys(Store& store) {
    std::vector<std::string> keys;
    const absl::Status s =
        store.reader().Query({"SELECT key FROM t ORDER BY key", {}},
                             [&](const RowView& row) { keys.emplace_back(row.Text(0)); });
    EXPECT_TRUE(s.ok()) << s;
    return keys;
  }
  // What the next start would find, were the process killed now.
  std::vector<std::string> KeysAfterAKill() {
    const std::string copy = folder_.File("copy.db");
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(path_ + suffix, copy + suffix,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    const std::unique_ptr<Store> store = Open(copy, "");
    return store == nullptr ? std::vector<std::string>{} : Keys(*store);
  }

  TempFolder folder_;
  const std::string path_ = folder_.File("store.db");
  std::unique_ptr<Store> store_;
};

TEST_F(SqliteFaults, AFailedFsyncOfACommitLeavesItsOutcomeUnknown) {
  ASSERT_EQ(store_->Commit(Line("a")).kind, Kind::kCommitted);
  faults.wal_sync = SQLITE_IOERR_FSYNC;
  const CommitResult result = store_->Commit(Line("b"));
  EXPECT_EQ(result.kind, Kind::kUnknown);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr(path_));
  // This process does not see it, but the next one would: hence neither "committed" nor "failed".
  EXPECT_THAT(Keys(*store_), testing::ElementsAre("a"));
  EXPECT_THAT(KeysAfterAKill(), testing::ElementsAre("a", "b"));
  faults = {};
  EXPECT_EQ(store_->Commit(Line("b")).kind, Kind::kCommitted);
  EXPECT_THAT(Keys(*store_), testing::ElementsAre("a", "b"));
  EXPECT_THAT(KeysAfterAKill(), testing::ElementsAre("a", "b"));
}

TEST_F(SqliteFaults, AFullDiskFailsTheCommitAndNothingOfItStays) {
  ASSERT_EQ(store_->Commit(Line("a")).kind, Kind::kCommitted);
  faults.wal_write = SQLITE_FULL;
  const CommitResult result = store_->Commit(Line("b"));
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kResourceExhausted) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr(path_));
  EXPECT_THAT(KeysAfterAKill(), testing::ElementsAre("a"));
  faults = {};
  EXPECT_EQ(store_->Commit(Line("c")).kind, Kind::kCommitted);
  EXPECT_THAT(Keys(*store_), testing::ElementsAre("a", "c"));
}

TEST_F(SqliteFaults, AFileThatCannotBeReadNowIsUnavailable) {
  ASSERT_EQ(store_->Commit(Line("a")).kind, Kind::kCommitted);
  const auto reader = store_->OpenReader();  // its cache is empty
  ASSERT_TRUE(reader.ok()) << reader.status();
  faults.read = SQLITE_IOERR_READ;
  const Statement select{"SELECT key FROM t", {}};
  const absl::Status status = (*reader)->Query(select, [](const RowView&) {});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  faults = {};
  EXPECT_TRUE((*reader)->Query(select, [](const RowView&) {}).ok());
}

// A lock and its release are two calls of the kernel, and a batch reads hundreds of rows.
TEST_F(SqliteFaults, WhatTheCommitterReadsBetweenTwoCommitsIsOneTransaction) {
  ASSERT_EQ(store_->Commit(Line("a")).kind, Kind::kCommitted);
  shared_locks = 0;
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Keys(*store_), testing::ElementsAre("a"));
  EXPECT_LE(shared_locks, 2);
  ASSERT_EQ(store_->Commit(Line("b")).kind, Kind::kCommitted);
  EXPECT_THAT(Keys(*store_), testing::ElementsAre("a", "b"));
}

// Reading does not keep the log from being moved into the file, and so from growing for ever.
TEST_F(SqliteFaults, ACommitterThatReadsDoesNotHoldBackItsOwnCheckpoints) {
  const std::string body(3000, 'x');
  uintmax_t largest = 0;
  for (int i = 0; i < 64; ++i) {
    std::vector<Write> lines;
    for (int j = 0; j < 100; ++j) {
      const std::string key = absl::StrCat(i, "-", j, body);
      lines.push_back({"t", key, {"INSERT INTO t (key) VALUES ($1)", {key}}});
    }
    ASSERT_EQ(store_->Commit(lines).kind, Kind::kCommitted);
    int64_t rows = 0;
    ASSERT_TRUE(
        store_->reader()
            .Query({"SELECT COUNT(*) FROM t", {}}, [&](const RowView& row) { rows = row.Int(0); })
            .ok());
    ASSERT_EQ(rows, (i + 1) * 100);
    largest = std::max(largest, std::filesystem::file_size(path_ + "-wal"));
  }
  EXPECT_LT(largest, 24u << 20);  // 16 MiB and the last commit; twice as much was written
}

}  // namespace
}  // namespace tandem::store
