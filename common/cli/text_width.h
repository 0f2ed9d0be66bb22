// Text on a terminal: how wide it is, and without what could steer the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem::cli {

// Columns that `text` takes: 2 for East Asian wide characters and most emoji, 0 for combining
// marks, 1 for others. `text` must be Printable.
size_t TextWidth(std::string_view text);

// `text` on one line: control characters (also C1 and those that turn the direction of writing)
// and broken UTF-8 become U+FFFD, line ends and tabs a blank. A subject is written by strangers: it
// must not move the cursor or set a title.
std::string Printable(std::string_view text);

// The first `columns` columns of `text`, with "…" in the last if something is cut.
std::string CutToWidth(std::string_view text, size_t columns);

}  // namespace tandem::cli
