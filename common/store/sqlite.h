// The embedded store: one SQLite file of one process, in WAL mode, or a database in memory.
//
//   SqliteOptions options;
//   options.path = "/var/lib/tandem/survey.db";
//   options.schemas = {lane::SqliteSchema(), survey::SqliteSchema()};
//   absl::StatusOr<std::unique_ptr<Store>> store = OpenSqlite(std::move(options));
#ifndef TANDEM_COMMON_STORE_SQLITE_H_
#define TANDEM_COMMON_STORE_SQLITE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/store/commit_barrier.h"
#include "common/store/durability.h"
#include "common/store/migration.h"
#include "common/store/store.h"

namespace tandem::store {

struct SqliteOptions {
  // The file, made (mode 0600) if absent; its folder must exist. ":memory:" is a database in
  // memory, private to the Store that opened it; its readers see it, and take turns with the
  // committer.
  std::string path;
  Durability durability = Durability::kFull;
  // Applied in this order before OpenSqlite returns.
  std::vector<Schema> schemas;
  // Page cache in bytes, filled as used: of the committer, and of each reader beside it.
  int64_t cache_bytes = 16 << 20;
  int64_t reader_cache_bytes = 4 << 20;
  // The file never grows beyond this many pages of 4 KiB (a commit that would is
  // RESOURCE_EXHAUSTED); 0 = no limit.
  int64_t max_pages = 0;
  // CheckWritable (writable.h) wants room for that many bytes on the file's disk.
  int64_t reserve_bytes = 1 << 20;
  // After an unclean stop a file of up to this size is checked whole before it serves.
  int64_t check_bytes = 64 << 20;
  // Each commit passes it, if there is one; it outlives the store.
  CommitBarrier* barrier = nullptr;
  // A VFS registered with SQLite, for fault injection; empty = the system's.
  std::string vfs;
  // In memory only: several services may use the store in turn, as replicas use a database; then
  // database_now() is what `now` says, in microseconds.
  bool is_shared = false;
  std::function<int64_t()> now;
};

// Opens, checks and migrates. Threads: as Store says; the readers of OpenReader each belong to one
// thread of its own, and all end before the Store. An on_row callback must not call the store
// (INTERNAL).
//
//   FAILED_PRECONDITION  another process or handle has the file open (names it and the process);
//                        the folder's list says that the file was in use, and it is missing or
//                        empty (folder_list.h); a newer schema than this binary serves; an SQLite
//                        file that is not Tandem's
//   DATA_LOSS            the file is corrupt
//   NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE  as the system answers, naming
//                        the file
//   INTERNAL             a migration that SQLite refuses, or a fault in `schemas`
//   INVALID_ARGUMENT     a shared database in a file, or without a clock
absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(SqliteOptions options);

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_SQLITE_H_
