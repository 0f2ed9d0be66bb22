#include "common/config/utf8.h"

#include <cstddef>

namespace tandem::config {

int32_t TakeCodePoint(std::string_view* text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>((*text)[i]); };
  const uint8_t lead = byte(0);
  size_t length = 1;
  int32_t point = lead;
  int32_t smallest = 0;
  if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, point = lead & 0x07, smallest = 0x10000;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3, point = lead & 0x0F, smallest = 0x800;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    length = 2, point = lead & 0x1F, smallest = 0x80;
  } else if (lead >= 0x80) {
    text->remove_prefix(1);
    return -1;
  }
  bool well_formed = length <= text->size();
  for (size_t i = 1; well_formed && i < length; ++i) {
    well_formed = (byte(i) & 0xC0) == 0x80;
    point = (point << 6) | (byte(i) & 0x3F);
  }
  if (!well_formed || point < smallest || point > 0x10FFFF ||
      (point >= 0xD800 && point <= 0xDFFF)) {
    text->remove_prefix(1);
    return -1;
  }
  text->remove_prefix(length);
  return point;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    if (TakeCodePoint(&text) < 0) return false;
  }
  return true;
}

}  // namespace tandem::config
