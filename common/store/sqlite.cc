#include "common/store/sqlite.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/store/file_lock.h"
#include "common/store/folder_list.h"
#include "common/store/lock_order.h"
#include "common/store/open_file_check.h"
#include "common/store/sqlite_connection.h"
#include "common/store/sqlite_migrate.h"
#include "common/store/writable.h"

namespace tandem::store {
namespace {

using Transaction = SqliteConnection::Transaction;

constexpr char kMemory[] = ":memory:";
// Steps in memory that one COMMIT ends. A year of incidents took 69 s with 100, 62 s with 1000 and
// no less with 10,000; what a rollback would need costs 4 % more memory.
constexpr int kStepsTogether = 1000;
// "TNDM": tells Tandem's files from other programs' SQLite files.
constexpr int64_t kApplicationId = 0x544e444d;
// WAL pages (16 MiB) after which a commit also moves them into the file. Measured with 100 inserts
// a commit under keys in no order: 1000 pages give 47 k rows/s and a commit of 10 ms at worst, 4000
// give 68 k/s and 16 ms, 8000 give 76 k/s and 19 ms.
constexpr int kCheckpointPages = 4000;
constexpr int64_t kMaxIdleWalBytes = 64 << 20;

// A connection and whose turn it is. A file's connections have one thread each; the only one of a
// database in memory is shared by all its readers and the committer, under the mutex.
class Seat {
 public:
  Seat(std::unique_ptr<SqliteConnection> connection, bool shared)
      : connection_(std::move(connection)), shared_(shared) {}

  class Turn {
   public:
    explicit Turn(Seat& seat) : seat_(seat) {
      const std::thread::id self = std::this_thread::get_id();
      nested_ = seat_.holder_.load(std::memory_order_relaxed) == self;
      if (nested_) return;
      if (seat_.shared_) seat_.mutex_.Lock();
      seat_.holder_.store(self, std::memory_order_relaxed);
    }
    ~Turn() {
      if (nested_) return;
      seat_.holder_.store(std::thread::id(), std::memory_order_relaxed);
      if (seat_.shared_) seat_.mutex_.Unlock();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // INTERNAL when an on_row callback called back.
    absl::Status status() const {
      return nested_ ? absl::InternalError("on_row called the store that called it")
                     : absl::OkStatus();
    }

   private:
    Seat& seat_;
    bool nested_;
  };

  SqliteConnection& connection() { return *connection_; }

 private:
  const std::unique_ptr<SqliteConnection> connection_;
  const bool shared_;
  absl::Mutex mutex_;
  std::atomic<std::thread::id> holder_;
};

class SqliteReader final : public Reader {
 public:
  explicit SqliteReader(std::shared_ptr<Seat> seat) : seat_(std::move(seat)) {}
  absl::Status Query(const Statement& statement,
                     absl::FunctionRef<void(const RowView&)> on_row) override {
    const Seat::Turn turn(*seat_);
    if (absl::Status s = turn.status(); !s.ok()) return s;
    return seat_->connection().Query(statement, on_row);
  }

 private:
  const std::shared_ptr<Seat> seat_;
};

class SqliteStore final : public Store, public Writable {
 public:
  SqliteStore(SqliteOptions options, std::optional<FileLock> lock, std::shared_ptr<Seat> seat,
              OpenFileCheck files)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        seat_(seat),
        files_(std::move(files)),
        reader_(this) {}

  CommitResult Commit(const std::vector<Write>& batch) override {
    if (batch.empty()) return {};
    const CommitBarrier::Pass pass(options_.barrier);
    const Seat::Turn turn(*seat_);
    if (absl::Status s = turn.status(); !s.ok()) return Failed(std::move(s));
    if (is_lost_) {
      // Not for ever: a folder that was moved away and back is the same again.
      if (absl::Status s = files_.Check(); !s.ok()) return Failed(std::move(s));
      is_lost_ = false;
    }
    if (const int code = Begin(); code != SQLITE_OK) {
      return Refused(code, seat_->connection().Error(code, "BEGIN IMMEDIATE"));
    }
    SqliteConnection& db = seat_->connection();
    SortForLocking(batch, order_);
    for (const size_t i : order_) {
      SqliteConnection::LineResult line = db.Run(batch[i].statement, batch[i].expect);
      if (line.kind == SqliteConnection::LineResult::Kind::kDone) continue;
      RollBack();
      if (line.kind == SqliteConnection::LineResult::Kind::kMissed) {
        return {CommitResult::Kind::kMissed, {i}, absl::OkStatus()};
      }
      return Refused(line.code, std::move(line.status));
    }
    if (const int code = End(); code != SQLITE_OK) {
      absl::Status status = db.Error(code, "COMMIT");
      RollBack();
      // A failed write or fsync may have left the whole commit in the WAL, where the next start
      // would find it. A full disk has not: the frame that makes it valid is the last one, and is
      // missing.
      if ((code & 0xff) == SQLITE_IOERR) {
        return {CommitResult::Kind::kUnknown, {}, std::move(status)};
      }
      return Refused(code, std::move(status));
    }
    // Looked at behind the commit: what is acknowledged is in the files that the path leads to.
    if (absl::Status s = files_.Check(); !s.ok()) {
      is_lost_ = true;
      return {CommitResult::Kind::kUnknown, {}, std::move(s)};
    }
    is_full_.store(false, std::memory_order_relaxed);
    return {};
  }

  absl::Status CheckWritable() const override {
    if (options_.path == kMemory) return absl::OkStatus();
    if (absl::Status s = files_.Check(); !s.ok()) return s;
    const std::string folder = std::filesystem::path(options_.path).parent_path().string();
    if (absl::Status s = CheckRoom(folder, options_.reserve_bytes); !s.ok()) return s;
    // The disk has room again, or it is the file's own limit that was met.
    if (options_.max_pages > 0 && is_full_.load(std::memory_order_relaxed)) {
      return absl::ResourceExhaustedError(absl::StrCat(options_.path, " has grown to its limit"));
    }
    return absl::OkStatus();
  }

  Reader& reader() override { return reader_; }
  bool is_shared() const override { return options_.is_shared; }

  absl::StatusOr<std::unique_ptr<Reader>> OpenReader() override {
    if (options_.path == kMemory) return std::make_unique<SqliteReader>(seat_);
    absl::StatusOr<std::unique_ptr<SqliteConnection>> connection = SqliteConnection::Open(
        {options_.path, /*read_only=*/true, options_.reader_cache_bytes, options_.vfs});
    if (!connection.ok()) return connection.status();
    return std::make_unique<SqliteReader>(
        std::make_shared<Seat>(*std::move(connection), /*shared=*/false));
  }

 private:
  // What the committer reads between two commits is one transaction: nobody else writes, so it sees
  // nothing old and holds nothing up, for the committer is also who moves the log into the file. A
  // transaction a query would lock and unlock the file each time, a tenth of what a timer costs.
  class OwnReader final : public Reader {
   public:
    explicit OwnReader(SqliteStore* store) : store_(store) {}
    absl::Status Query(const Statement& statement,
                       absl::FunctionRef<void(const RowView&)> on_row) override {
      const Seat::Turn turn(*store_->seat_);
      if (absl::Status s = turn.status(); !s.ok()) return s;
      // A request that was decided into a lost file is not remembered either. No path: a caller may
      // be told.
      if (store_->is_lost_ && !store_->files_.Check().ok()) {
        return absl::UnavailableError(
            "the service's database was deleted or replaced while it was open; repeat the request "
            "when it is back");
      }
      SqliteConnection& db = store_->seat_->connection();
      if (store_->options_.path != kMemory && !db.in_transaction()) {
        if (const int code = db.Run(Transaction::kBeginReading); code != SQLITE_OK) {
          return db.Error(code, "BEGIN");
        }
        store_->is_reading_ = true;
      }
      return db.Query(statement, on_row);
    }

   private:
    SqliteStore* const store_;
  };

  static CommitResult Failed(absl::Status status) {
    return {CommitResult::Kind::kFailed, {}, std::move(status)};
  }

  // `code` is what SQLite said, or SQLITE_OK if it was not asked.
  CommitResult Refused(int code, absl::Status status) {
    if (absl::IsResourceExhausted(status)) is_full_.store(true, std::memory_order_relaxed);
    const int primary = code & 0xff;
    if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
      return {CommitResult::Kind::kConflict, {}, std::move(status)};
    }
    return Failed(std::move(status));
  }

  // A database in memory has nobody to be durable for, and each COMMIT there looks through all
  // cached pages (a balancing of its trees leaves a page number behind that makes it do so). So a
  // transaction stands for many commits, each a savepoint in it. Where a full database may make
  // SQLite roll the whole transaction back, a commit is a transaction.
  bool in_steps() const { return options_.path == kMemory && options_.max_pages == 0; }

  int Begin() {
    SqliteConnection& db = seat_->connection();
    if (std::exchange(is_reading_, false) && db.in_transaction()) {
      if (const int code = db.Run(Transaction::kCommit); code != SQLITE_OK) return code;
    }
    if (db.in_transaction() && !in_steps()) {  // a rollback that failed, tried again
      if (const int code = db.Run(Transaction::kRollback); code != SQLITE_OK) return code;
    }
    if (!db.in_transaction()) {
      if (const int code = db.Run(Transaction::kBegin); code != SQLITE_OK) return code;
    }
    return in_steps() ? db.Run(Transaction::kBeginStep) : SQLITE_OK;
  }

  int End() {
    SqliteConnection& db = seat_->connection();
    if (!in_steps()) return db.Run(Transaction::kCommit);
    if (const int code = db.Run(Transaction::kEndStep); code != SQLITE_OK) return code;
    if (++steps_ < kStepsTogether) return SQLITE_OK;
    steps_ = 0;
    return db.Run(Transaction::kCommit);
  }

  // SQLite itself rolls back on some errors, so there may be nothing left to do.
  void RollBack() {
    SqliteConnection& db = seat_->connection();
    if (!db.in_transaction()) return;
    if (!in_steps()) {
      db.Run(Transaction::kRollback);
    } else if (db.Run(Transaction::kUndoStep) == SQLITE_OK) {
      db.Run(Transaction::kEndStep);
    }
  }

  const SqliteOptions options_;
  const std::optional<FileLock> lock_;  // released last
  const std::shared_ptr<Seat> seat_;
  const OpenFileCheck files_;  // none for a database in memory
  OwnReader reader_;
  std::vector<size_t> order_;
  bool is_lost_ = false;               // the last commit found other files at the path
  std::atomic<bool> is_full_ = false;  // the last commit found no room
  bool is_reading_ = false;
  int steps_ = 0;
};

absl::StatusOr<int64_t> ReadNumber(SqliteConnection& connection, const std::string& sql) {
  int64_t number = 0;
  const absl::Status s =
      connection.Query({sql, {}}, [&](const RowView& row) { number = row.Int(0); });
  if (!s.ok()) return s;
  return number;
}

// Refuses a file that is not SQLite, not Tandem's, or corrupt as far as the header and the schema
// show; after an unclean stop, as far as all its pages show. Marks a new file as Tandem's.
absl::Status CheckFile(const SqliteOptions& options, bool unclean, SqliteConnection& connection) {
  const absl::StatusOr<int64_t> owner = ReadNumber(connection, "PRAGMA application_id");
  if (!owner.ok()) return owner.status();
  const absl::StatusOr<int64_t> objects =
      ReadNumber(connection, "SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();
  if (*owner != kApplicationId && (*owner != 0 || *objects != 0)) {
    return absl::FailedPreconditionError(absl::StrCat(
        options.path, " is an SQLite database of another program; give Tandem a file of its own"));
  }
  if (*owner != kApplicationId) {
    return connection.Execute(absl::StrCat("PRAGMA application_id=", kApplicationId));
  }
  if (!unclean) return absl::OkStatus();
  const absl::StatusOr<int64_t> pages = ReadNumber(connection, "PRAGMA page_count");
  if (!pages.ok()) return pages.status();
  const absl::StatusOr<int64_t> page_bytes = ReadNumber(connection, "PRAGMA page_size");
  if (!page_bytes.ok()) return page_bytes.status();
  if (*pages * *page_bytes > options.check_bytes) return absl::OkStatus();
  std::string verdict;
  const absl::Status checked = connection.Query({"PRAGMA quick_check(1)", {}},
                                                [&](const RowView& row) { verdict = row.Text(0); });
  if (!checked.ok()) return checked;
  if (verdict != "ok") {
    return absl::DataLossError(absl::StrCat(options.path, " is corrupt: ", verdict));
  }
  return absl::OkStatus();
}

// Made by us, so that only the owner may read it; SQLite gives its -wal and -shm the same mode.
absl::Status MakeFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  close(fd);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> OpenFile(SqliteOptions options) {
  // Two names of one file must meet at one lock.
  std::error_code error;
  const std::string given = std::filesystem::absolute(options.path, error).string();
  const std::filesystem::path canonical =
      std::filesystem::weakly_canonical(std::filesystem::absolute(options.path, error), error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot resolve ", options.path));
  }
  options.path = canonical.string();
  absl::StatusOr<FileLock> lock = FileLock::Take(options.path);
  if (!lock.ok()) return lock.status();
  if (absl::Status s = CheckFolderList(options.path, options.durability); !s.ok()) return s;
  if (absl::Status s = MakeFile(options.path); !s.ok()) return s;
  // SQLite deletes the WAL when the last connection closes; one that is there tells of a kill.
  struct stat wal;
  const bool unclean = stat((options.path + "-wal").c_str(), &wal) == 0 && wal.st_size > 0;

  absl::StatusOr<std::unique_ptr<SqliteConnection>> opened =
      SqliteConnection::Open({options.path, /*read_only=*/false, options.cache_bytes, options.vfs});
  if (!opened.ok()) return opened.status();
  SqliteConnection& connection = **opened;
  if (absl::Status s = CheckFile(options, unclean, connection); !s.ok()) return s;
  const absl::Status set =
      connection.Execute(absl::StrCat("PRAGMA journal_mode=WAL; PRAGMA synchronous=",
                                      options.durability == Durability::kFull ? "FULL" : "OFF",
                                      "; PRAGMA wal_autocheckpoint=", kCheckpointPages,
                                      "; PRAGMA journal_size_limit=", kMaxIdleWalBytes));
  if (!set.ok()) return set;
  // A file system without shared memory keeps the old mode and says nothing.
  std::string mode;
  const absl::Status read = connection.Query({"SELECT * FROM pragma_journal_mode", {}},
                                             [&](const RowView& row) { mode = row.Text(0); });
  if (!read.ok()) return read;
  if (mode != "wal") {
    return absl::FailedPreconditionError(absl::StrCat(
        options.path, ": its file system cannot hold SQLite's write-ahead log (journal mode ", mode,
        "); use a local one"));
  }
  if (absl::Status s = Migrate(options.path, options.schemas, connection); !s.ok()) return s;
  if (options.max_pages > 0) {
    if (absl::Status s =
            connection.Execute(absl::StrCat("PRAGMA max_page_count=", options.max_pages));
        !s.ok()) {
      return s;
    }
  }
  // Behind the first transaction in WAL mode, so that all four files are there. The database by the
  // name that was given, which the next start will follow too.
  const absl::StatusOr<int64_t> touched =
      ReadNumber(connection, "SELECT count(*) FROM sqlite_schema");
  if (!touched.ok()) return touched.status();
  absl::StatusOr<OpenFileCheck> files =
      OpenFileCheck::Of({given, options.path + "-wal", options.path + "-shm", lock->path()});
  if (!files.ok()) return files.status();
  if (absl::Status s = AddToFolderList(options.path, options.durability); !s.ok()) return s;
  auto seat = std::make_shared<Seat>(*std::move(opened), /*shared=*/false);
  return std::make_unique<SqliteStore>(std::move(options), *std::move(lock), std::move(seat),
                                       *std::move(files));
}

absl::StatusOr<std::unique_ptr<Store>> OpenMemory(SqliteOptions options) {
  absl::StatusOr<std::unique_ptr<SqliteConnection>> opened =
      SqliteConnection::Open({options.path, /*read_only=*/false, options.cache_bytes, options.vfs});
  if (!opened.ok()) return opened.status();
  if (options.is_shared) {
    if (absl::Status s = (*opened)->AddClock(options.now); !s.ok()) return s;
  }
  if (absl::Status s = Migrate(options.path, options.schemas, **opened); !s.ok()) return s;
  if (options.max_pages > 0) {
    if (absl::Status s =
            (*opened)->Execute(absl::StrCat("PRAGMA max_page_count=", options.max_pages));
        !s.ok()) {
      return s;
    }
  }
  auto seat = std::make_shared<Seat>(*std::move(opened), /*shared=*/true);
  return std::make_unique<SqliteStore>(std::move(options), std::nullopt, std::move(seat),
                                       OpenFileCheck());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(SqliteOptions options) {
  if (options.path.empty()) return absl::InvalidArgumentError("the store's path is empty");
  if (options.is_shared && (options.path != kMemory || options.now == nullptr)) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.path, ": only a database in memory is shared, and it needs a clock"));
  }
  if (options.path == kMemory) return OpenMemory(std::move(options));
  absl::StatusOr<std::unique_ptr<Store>> opened = OpenFile(std::move(options));
  // Whatever was found broken, the way out is one.
  if (absl::IsDataLoss(opened.status()) &&
      !absl::StrContains(opened.status().message(), "backup")) {
    return absl::DataLossError(
        absl::StrCat(opened.status().message(), ". Restore the file from a backup."));
  }
  return opened;
}

}  // namespace tandem::store
