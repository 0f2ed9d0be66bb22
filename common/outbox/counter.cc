#include "common/outbox/counter.h"

namespace tandem::outbox {

absl::StatusOr<std::optional<int64_t>> LastSequence(store::Reader& reader) {
  bool has_outbox = false;
  absl::Status read =
      reader.Query({"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'outbox'", {}},
                   [&](const store::RowView&) { has_outbox = true; });
  if (!read.ok()) return read;
  if (!has_outbox) return std::nullopt;
  int64_t last = 0;
  read = reader.Query({"SELECT seq FROM sqlite_sequence WHERE name = 'outbox'", {}},
                      [&](const store::RowView& row) { last = row.Int(0); });
  if (!read.ok()) return read;
  return last;
}

std::vector<store::Write> SetLastSequence(int64_t last) {
  return {{"sqlite_sequence",
           "1",
           {"DELETE FROM sqlite_sequence WHERE name = 'outbox'", {}},
           store::Expect::kAnyRows},
          {"sqlite_sequence",
           "2",
           {"INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', $1)", {last}},
           store::Expect::kOneRow}};
}

}  // namespace tandem::outbox
