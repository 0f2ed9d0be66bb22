#include "common/bus/log_segments.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/bus/segment.h"

namespace tandem::bus {
namespace {

using store::RowView;
using store::Value;

// With the size of a segment it bounds how long one read holds up the appends.
constexpr int64_t kSegmentsPerRead = 8;

}  // namespace

absl::StatusOr<std::optional<int64_t>> ReadPartitions(store::Reader& reader) {
  std::optional<int64_t> stored;
  absl::Status status = reader.Query({"SELECT partitions FROM log_shape WHERE key='log'", {}},
                                     [&](const RowView& row) { stored = row.Int(0); });
  if (!status.ok()) return status;
  return stored;
}

absl::StatusOr<std::vector<Bounds>> ReadBounds(store::Reader& reader, int partitions) {
  std::vector<Bounds> all(static_cast<size_t>(partitions));
  for (int p = 0; p < partitions; ++p) {
    Bounds& bounds = all[static_cast<size_t>(p)];
    absl::Status status = reader.Query(
        {"SELECT first_offset FROM log_segments WHERE partition=$1 ORDER BY last_offset LIMIT 1",
         {Value(int64_t{p})}},
        [&](const RowView& row) { bounds.first = row.Int(0); });
    if (!status.ok()) return status;
    status = reader.Query({"SELECT last_offset FROM log_segments WHERE partition=$1 "
                           "ORDER BY last_offset DESC LIMIT 1",
                           {Value(int64_t{p})}},
                          [&](const RowView& row) { bounds.end = row.Int(0) + 1; });
    if (!status.ok()) return status;
  }
  return all;
}

absl::StatusOr<std::vector<RecordPtr>> ReadSegments(store::Reader& reader, int partition,
                                                    int64_t from) {
  std::vector<RecordPtr> records;
  absl::Status damage;
  int64_t next = from;
  const absl::Status status = reader.Query(
      {"SELECT first_offset, last_offset, events FROM log_segments "
       "WHERE partition=$1 AND last_offset>=$2 ORDER BY last_offset LIMIT $3",
       {Value(int64_t{partition}), Value(from), Value(kSegmentsPerRead)}},
      [&](const RowView& row) {
        if (!damage.ok()) return;
        const int64_t first = row.Int(0);
        const auto count = static_cast<size_t>(row.Int(1) - first + 1);
        absl::StatusOr<std::vector<Event>> events = DecodeSegment(row.Text(2));
        // Only the first segment may begin before what is asked for.
        if (!events.ok() || events->size() != count ||
            (records.empty() ? first > next : first != next)) {
          damage = absl::DataLossError(
              absl::StrCat("partition ", partition, ": the segment of offsets ", first, " to ",
                           row.Int(1), " cannot be read as what follows offset ", next - 1));
          return;
        }
        for (size_t i = 0; i < count; ++i) {
          const int64_t offset = first + static_cast<int64_t>(i);
          if (offset < from) continue;
          records.push_back(
              std::make_shared<const Record>(Record{partition, offset, std::move((*events)[i])}));
        }
        next = first + static_cast<int64_t>(count);
      });
  if (!status.ok()) return status;
  if (records.empty() && !damage.ok()) return damage;
  return records;
}

}  // namespace tandem::bus
