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

// Whether nobody sees the code point: a control or format character, a blank of any script, or what
// Unicode calls default-ignorable (zero-width characters, fillers, variation selectors).
bool IsInvisible(int32_t point);

// Whether a person would see something: at least one code point that is not invisible.
bool HasVisible(std::string_view text);

}  // namespace tandem::config
