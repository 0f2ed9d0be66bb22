// How long the oldest snapshot of a database has been held. Rows that were deleted since cannot be
// cleaned away, so a table that is filled and emptied all the time, as an outbox is, grows under it
// and its oldest rows take ever longer to find.
#ifndef TANDEM_COMMON_POSTGRES_OLDEST_SNAPSHOT_H_
#define TANDEM_COMMON_POSTGRES_OLDEST_SNAPSHOT_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/store/store.h"

namespace tandem::store {

// Ask it regularly: the server tells when a transaction began only to its own role, to members of
// pg_read_all_stats and to superusers. A snapshot of anybody else counts from the first time that
// it was seen here. One thread at a time.
class OldestSnapshot {
 public:
  // Over a reader of the database in question. Sessions, prepared transactions and replication
  // slots are looked at; the reader's own session is left out. Zero if none is held. Errors as
  // Reader::Query.
  absl::StatusOr<absl::Duration> Ask(Reader& reader, absl::Time now);

 private:
  // Who holds one, as the server names him, and since when he was seen to. As many as the server
  // has sessions, prepared transactions and slots.
  std::map<std::string, absl::Time> seen_;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_OLDEST_SNAPSHOT_H_
