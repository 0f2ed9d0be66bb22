#include "common/rpc/traceparent.h"

#include <algorithm>
#include <cstdint>
#include <random>

namespace tandem::rpc {
namespace {

constexpr size_t kTraceAt = 3, kTraceSize = 32;
constexpr size_t kSpanAt = 36, kSpanSize = 16;
constexpr size_t kFlagsAt = 53, kFlagsSize = 2;
constexpr size_t kSize = 55;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

// 16 hex digits, not all zero. Trace ids need to differ, not to be unguessable.
void AppendRandom64(std::string& text) {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  uint64_t value = 0;
  while (value == 0) value = random();
  for (int shift = 60; shift >= 0; shift -= 4)
    text.push_back("0123456789abcdef"[value >> shift & 15]);
}

}  // namespace

bool IsTraceparent(std::string_view text) {
  if (text.size() < kSize || text[2] != '-' || text[kSpanAt - 1] != '-' ||
      text[kFlagsAt - 1] != '-') {
    return false;
  }
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(kTraceAt, kTraceSize);
  const std::string_view span = text.substr(kSpanAt, kSpanSize);
  if (!IsHex(version) || !IsHex(trace) || !IsHex(span) ||
      !IsHex(text.substr(kFlagsAt, kFlagsSize)) || version == "ff" || IsZero(trace) ||
      IsZero(span)) {
    return false;
  }
  if (text.size() == kSize) return true;
  return version != "00" && text[kSize] == '-';
}

std::string ServedTraceparent(std::string_view received) {
  std::string served;
  served.reserve(kSize);
  served.append("00-");
  const bool known = IsTraceparent(received);
  if (known) {
    served.append(received.substr(kTraceAt, kTraceSize));
  } else {
    AppendRandom64(served);
    AppendRandom64(served);
  }
  served.push_back('-');
  AppendRandom64(served);
  served.push_back('-');
  served.append(known ? received.substr(kFlagsAt, kFlagsSize) : "00");
  return served;
}

}  // namespace tandem::rpc
