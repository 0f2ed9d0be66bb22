#include "common/inbox/positions.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace tandem::inbox {
namespace {

// One text for one fault.
absl::Status OfDifferentInstants(const std::string& how) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the databases do not belong together: ", how,
      ". Files that were copied one by one while they were served are like that. Make copies with "
      "`tandemctl backup`, and bring them back with `tandemctl restore`"));
}

}  // namespace

absl::Status CheckPositions(std::string_view service, store::Reader& reader,
                            const bus::LogReader& log, int partitions) {
  absl::Status checked;
  absl::Status read =
      reader.Query({"SELECT partition, next_offset FROM positions ORDER BY partition", {}},
                   [&](const store::RowView& row) {
                     const auto partition = static_cast<int>(row.Int(0));
                     if (!checked.ok() || partition < 0 || partition >= partitions) return;
                     const int64_t end = log.BoundsOf(partition).end;
                     if (row.Int(1) <= end) return;
                     checked = OfDifferentInstants(
                         absl::StrCat(std::string(service), " has applied partition ", partition,
                                      " up to offset ", row.Int(1), ", and the log ends at ", end));
                   });
  return read.ok() ? checked : read;
}

absl::Status CheckApplied(std::string_view service, store::Reader& reader, std::string_view source,
                          int64_t last_sequence) {
  // A stream begins with its source and a bar; what follows the bar in ASCII ends the range.
  const std::string from = absl::StrCat(std::string(source), "|");
  const std::string to = absl::StrCat(std::string(source), "}");
  int64_t applied = 0;
  absl::Status read = reader.Query(
      {"SELECT COALESCE(MAX(sequence), 0) FROM event_marks WHERE stream >= $1 AND stream < $2",
       {from, to}},
      [&](const store::RowView& row) { applied = row.Int(0); });
  if (!read.ok() || applied <= last_sequence) return read;
  return OfDifferentInstants(absl::StrCat(std::string(service), " has applied event ", applied,
                                          " of ", std::string(source), ", which has decided ",
                                          last_sequence));
}

}  // namespace tandem::inbox
