#include "common/postgres/oldest_snapshot.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tandem::store {
namespace {

// A holder's name and for how many microseconds he holds his snapshot, NULL where the server does
// not tell. A session whose snapshot is as new as the newest transaction holds nothing back, and
// would look like one that is held for ever while nobody writes. Other databases' sessions hold
// nothing back here, but standbys', which have no database, do. A vacuum's snapshot is not waited
// for.
constexpr char kHolders[] =
    "SELECT 'session ' || pid || ' ' || backend_xmin, CAST(EXTRACT(EPOCH FROM clock_timestamp() - "
    "xact_start) * 1000000 AS BIGINT) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND "
    "(xact_start IS NOT NULL OR age(backend_xmin) > 0) AND (datname = current_database() OR "
    "datname IS NULL) AND pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum "
    "worker' UNION ALL SELECT 'prepared ' || gid, CAST(EXTRACT(EPOCH FROM clock_timestamp() - "
    "prepared) * 1000000 AS BIGINT) FROM pg_prepared_xacts WHERE database = current_database() "
    "UNION ALL SELECT 'slot ' || slot_name || ' ' || xmin, NULL FROM pg_replication_slots WHERE "
    "xmin IS NOT NULL AND age(xmin) > 0";

}  // namespace

absl::StatusOr<absl::Duration> OldestSnapshot::Ask(Reader& reader, absl::Time now) {
  std::map<std::string, absl::Time> seen;
  absl::Duration oldest;
  absl::Status status = reader.Query({kHolders, {}}, [&](const RowView& row) {
    std::string holder(row.Text(0));
    if (!row.IsNull(1)) {
      oldest = std::max(oldest, absl::Microseconds(row.Int(1)));
      return;
    }
    const auto known = seen_.find(holder);
    const absl::Time since = known == seen_.end() ? now : known->second;
    oldest = std::max(oldest, now - since);
    seen.emplace(std::move(holder), since);
  });
  if (!status.ok()) return status;
  seen_ = std::move(seen);
  return oldest;
}

}  // namespace tandem::store
