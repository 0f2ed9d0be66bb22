// The known name nearest to one that was mistyped, for "did you mean" in error messages.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::config {

// Number of single-character insertions, deletions, replacements and swaps of neighbours that turn
// `a` into `b`; letter case and the difference between '-', '_' and ' ' do not count. Cost is
// |a| * |b|, so both are cut at 64 bytes.
size_t EditDistance(std::string_view a, std::string_view b);

// The name in `known` nearest to `mistyped`, the first of equals. Nothing when none is near: more
// than a third of the characters (at least two) would have to change.
std::optional<std::string> NearestName(std::string_view mistyped,
                                       const std::vector<std::string>& known);

// "; did you mean 'targets'?", or "; known: a, b, c" (at most 20) when no name is near.
std::string Suggestion(std::string_view mistyped, const std::vector<std::string>& known);

}  // namespace tandem::config
