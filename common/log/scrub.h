// Taking out of an error message what came from people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem::log {

inline constexpr size_t kMaxMessageBytes = 500;

// `message` fit for the log:
//   * everything from the first quote to the last ("…", '…', `…` and typographic ones) becomes
//     "<quoted>": foreign text stands in quotes in our messages, and may hold quotes itself. One
//     lone quote redacts to the end. An apostrophe between letters is none.
//   * whatever hangs together with an '@' becomes <address>, what looks like +49 30 1234, <phone>
//   * runs that are not printable ASCII become <text>: our own messages are ASCII
//   * the rest is cut at kMaxMessageBytes, with "..." at the end
// What it can't know is foreign text without quotes: whoever writes a Status puts such text into
// quotes, or leaves it out.
std::string Scrubbed(std::string_view message);

}  // namespace tandem::log
