#include "common/runtime/lag.h"

#include <algorithm>
#include <utility>

namespace tandem::runtime {

void Lag::Saw(int partition, absl::Time asked_at, int64_t end) {
  Partition& seen = partitions_[partition];
  // A log that was made anew ends earlier: what was noted is of another one.
  if (end < seen.end) seen.marks.clear();
  const bool is_new = end != seen.end;
  seen.end = end;
  if (!is_new) return;
  std::deque<Mark>& marks = seen.marks;
  if (marks.empty()) seen.spacing = absl::ZeroDuration();
  // The last one moves on until it is far enough from the one before it.
  const bool is_dense =
      marks.size() > 1 && marks.back().at - marks[marks.size() - 2].at < seen.spacing;
  if (is_dense) marks.pop_back();
  marks.push_back({asked_at, end});
  if (marks.size() <= static_cast<size_t>(kMaxMarks)) return;
  // Evenly, or the early ones would be gone first; the earliest stays: it says since when.
  seen.spacing = (marks.back().at - marks.front().at) / (kMaxMarks / 2);
  std::deque<Mark> kept;
  for (size_t i = 0; i < marks.size(); i += 2) kept.push_back(marks[i]);
  marks = std::move(kept);
}

void Lag::KeepOnly(const std::vector<int>& partitions) {
  std::erase_if(partitions_, [&](const auto& known) {
    return std::find(partitions.begin(), partitions.end(), known.first) == partitions.end();
  });
}

Lag::Behind Lag::Of(int partition, int64_t next_offset, absl::Time now) {
  const auto found = partitions_.find(partition);
  if (found == partitions_.end()) return {};
  std::deque<Mark>& marks = found->second.marks;
  while (!marks.empty() && marks.front().end <= next_offset) marks.pop_front();
  Behind behind;
  behind.events = std::max<int64_t>(0, found->second.end - next_offset);
  // A clock that was set back does not make it negative.
  if (!marks.empty()) behind.time = std::max(absl::ZeroDuration(), now - marks.front().at);
  return behind;
}

}  // namespace tandem::runtime
