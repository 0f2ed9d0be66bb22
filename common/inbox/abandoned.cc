#include "common/inbox/abandoned.h"

namespace tandem::inbox {

absl::StatusOr<Abandoned> Abandoned::Read(store::Reader& reader) {
  Abandoned abandoned;
  const absl::Status read =
      reader.Query({"SELECT source, after_sequence, until_sequence FROM abandoned_events", {}},
                   [&](const store::RowView& row) {
                     abandoned.Add(std::string(row.Text(0)), row.Int(1), row.Int(2));
                   });
  if (!read.ok()) return read;
  return abandoned;
}

void Abandoned::Add(const std::string& source, int64_t after, int64_t until) {
  ranges_[source].push_back({after, until});
}

bool Abandoned::Contains(const bus::Event& event) const {
  if (ranges_.empty()) return false;
  const auto found = ranges_.find(event.source);
  if (found == ranges_.end()) return false;
  for (const Range& range : found->second) {
    if (event.sequence > range.after && event.sequence <= range.until) return true;
  }
  return false;
}

store::Write NoteAbandoned(const std::string& source, int64_t after, int64_t until,
                           int64_t restored_at_us) {
  return {"abandoned_events",
          source,
          {"INSERT INTO abandoned_events (source, after_sequence, until_sequence, restored_at) "
           "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
           {source, after, until, restored_at_us}},
          store::Expect::kAnyRows};
}

}  // namespace tandem::inbox
