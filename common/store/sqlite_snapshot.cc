#include "common/store/sqlite_snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/store/durable_file.h"
#include "common/store/sqlite_connection.h"

namespace tandem::store {
namespace {

constexpr int64_t kCacheBytes = 1 << 20;
constexpr int kPagesAStep = 1024;

absl::StatusOr<int64_t> Number(SqliteConnection& connection, const char* sql) {
  int64_t number = 0;
  const absl::Status read =
      connection.Query({std::string(sql), {}}, [&](const RowView& row) { number = row.Int(0); });
  if (!read.ok()) return read;
  return number;
}

// By a connection of its own: what is checked is what a later reader finds.
absl::Status CheckCopy(const std::string& path) {
  const auto copy = SqliteConnection::Open({path, /*read_only=*/false, kCacheBytes, ""});
  if (!copy.ok()) return copy.status();
  std::string verdict;
  const absl::Status checked = (*copy)->Query({"PRAGMA quick_check(1)", {}},
                                              [&](const RowView& row) { verdict = row.Text(0); });
  if (!checked.ok()) return checked;
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " is corrupt: ", verdict));
}

}  // namespace

SqliteSnapshot::SqliteSnapshot(std::string path, std::unique_ptr<SqliteConnection> connection)
    : path_(std::move(path)), connection_(std::move(connection)) {}

SqliteSnapshot::~SqliteSnapshot() = default;

absl::StatusOr<std::unique_ptr<SqliteSnapshot>> SqliteSnapshot::Prepare(const std::string& path) {
  auto connection = SqliteConnection::Open({path, /*read_only=*/true, kCacheBytes, ""});
  if (!connection.ok()) return connection.status();
  // Read once beforehand, so that nothing has to be opened in the instant that counts.
  if (const auto read = Number(**connection, "SELECT count(*) FROM sqlite_schema"); !read.ok()) {
    return read.status();
  }
  return std::unique_ptr<SqliteSnapshot>(new SqliteSnapshot(path, *std::move(connection)));
}

absl::Status SqliteSnapshot::Begin() {
  if (const int code = connection_->Run(SqliteConnection::Transaction::kBeginReading);
      code != SQLITE_OK) {
    return connection_->Error(code, "BEGIN");
  }
  // BEGIN alone reads nothing and fixes nothing.
  return Number(*connection_, "SELECT count(*) FROM sqlite_schema").status();
}

absl::StatusOr<int64_t> SqliteSnapshot::bytes() {
  const auto pages = Number(*connection_, "PRAGMA page_count");
  if (!pages.ok()) return pages.status();
  const auto page_bytes = Number(*connection_, "PRAGMA page_size");
  if (!page_bytes.ok()) return page_bytes.status();
  return *pages * *page_bytes;
}

absl::Status SqliteSnapshot::CopyTo(const std::string& path, Progress progress) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  close(fd);
  {
    const auto copy = SqliteConnection::Open({path, /*read_only=*/false, kCacheBytes, ""});
    if (!copy.ok()) return copy.status();
    // One fsync of the whole behind the last page is enough: before it the copy is not complete.
    if (absl::Status s = (*copy)->Execute("PRAGMA synchronous=OFF"); !s.ok()) return s;
    if (absl::Status s = (*copy)->CopyFrom(*connection_, kPagesAStep, progress); !s.ok()) return s;
  }
  if (absl::Status s = CheckCopy(path); !s.ok()) return s;
  return SyncPath(path);
}

}  // namespace tandem::store
