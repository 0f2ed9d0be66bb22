// A copy of a database file as it was at one instant, taken while others go on writing to it.
#ifndef TANDEM_COMMON_STORE_SQLITE_SNAPSHOT_H_
#define TANDEM_COMMON_STORE_SQLITE_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::store {

class SqliteConnection;

// One thread at a time. While it lives the write-ahead log keeps what the copy still needs, and so
// grows with what is written meanwhile; it shrinks again afterwards. (A backup that SQLite makes in
// steps without such a transaction starts over at every commit, and never ends under load.)
class SqliteSnapshot {
 public:
  // Opens the file, which somebody has open in WAL mode. Nothing is fixed yet. Errors name the
  // file.
  static absl::StatusOr<std::unique_ptr<SqliteSnapshot>> Prepare(const std::string& path);
  ~SqliteSnapshot();

  // From now on the copy is what the file holds now: a read transaction, begun in microseconds.
  absl::Status Begin();
  // Bytes of the copy, as far as they can be told before.
  absl::StatusOr<int64_t> bytes();

  // Called now and then; false ends the copying with CANCELLED.
  using Progress = absl::FunctionRef<bool(int64_t bytes_done)>;
  // Writes the copy into `path`, which is made (mode 0600) and must not exist, checks each of its
  // pages, and makes it durable. Blocks. RESOURCE_EXHAUSTED if the disk is full, DATA_LOSS if the
  // file or its copy is damaged.
  absl::Status CopyTo(const std::string& path, Progress progress);

 private:
  SqliteSnapshot(std::string path, std::unique_ptr<SqliteConnection> connection);
  const std::string path_;
  const std::unique_ptr<SqliteConnection> connection_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_SQLITE_SNAPSHOT_H_
