#include "common/config/utf8.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace tandem::config {
namespace {

struct Range {
  int32_t first;
  int32_t last;
};

// Unicode 15: Cc, White_Space and Default_Ignorable_Code_Point; of Cf what is not drawn; the
// braille blank. In order.
constexpr Range kInvisible[] = {
    {0x0000, 0x0020},   {0x007F, 0x00A0},   {0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C},
    {0x115F, 0x1160},   {0x1680, 0x1680},   {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x2000, 0x200F},
    {0x2028, 0x202F},   {0x205F, 0x206F},   {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},
    {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

}  // namespace

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

bool IsInvisible(int32_t point) {
  const Range* const after =
      std::upper_bound(std::begin(kInvisible), std::end(kInvisible), point,
                       [](int32_t wanted, const Range& range) { return wanted < range.first; });
  return after != std::begin(kInvisible) && point <= std::prev(after)->last;
}

bool HasVisible(std::string_view text) {
  while (!text.empty()) {
    if (!IsInvisible(TakeCodePoint(&text))) return true;
  }
  return false;
}

}  // namespace tandem::config
