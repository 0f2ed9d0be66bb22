#include "common/config/nearest_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tandem::config {
namespace {

constexpr size_t kMaxCompared = 64;
constexpr size_t kMaxListed = 20;

std::string Folded(std::string_view name) {
  std::string folded(name.substr(0, kMaxCompared));
  for (char& c : folded) c = (c == '-' || c == ' ') ? '_' : absl::ascii_tolower(c);
  return folded;
}

}  // namespace

// Optimal string alignment: Levenshtein with swaps, three rows of the matrix at a time.
size_t EditDistance(std::string_view a_raw, std::string_view b_raw) {
  const std::string a = Folded(a_raw);
  const std::string b = Folded(b_raw);
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::optional<std::string> NearestName(std::string_view mistyped,
                                       const std::vector<std::string>& known) {
  const size_t bound = std::max<size_t>(2, std::min(mistyped.size(), kMaxCompared) / 3);
  std::optional<std::string> nearest;
  size_t nearest_distance = bound + 1;
  for (const std::string& name : known) {
    const size_t distance = EditDistance(mistyped, name);
    // A name of one or two letters would otherwise be "near" to anything as short.
    if (distance >= std::max(name.size(), mistyped.size())) continue;
    if (distance < nearest_distance) {
      nearest = name;
      nearest_distance = distance;
    }
  }
  return nearest;
}

std::string Suggestion(std::string_view mistyped, const std::vector<std::string>& known) {
  if (const auto nearest = NearestName(mistyped, known)) {
    return absl::StrCat("; did you mean '", *nearest, "'?");
  }
  if (known.empty()) return "";
  const bool cut = known.size() > kMaxListed;
  const auto end = cut ? known.begin() + kMaxListed : known.end();
  return absl::StrCat("; known: ", absl::StrJoin(known.begin(), end, ", "), cut ? ", ..." : "");
}

}  // namespace tandem::config
