// Walking UTF-8 that may be broken.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem::config {

// Takes the next code point off the front of `text`, which must not be empty. A byte that does not
// belong to well-formed UTF-8 (overlong forms and surrogates included) is taken alone and given
// as -1.
int32_t TakeCodePoint(std::string_view* text);

bool IsValidUtf8(std::string_view text);

}  // namespace tandem::config
