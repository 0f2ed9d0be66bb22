#include "common/log/reference_id.h"

namespace tandem::log {
namespace {

// splitmix64 (Steele, Lea, Flood 2014): one to one, so ids of one seed never meet.
uint64_t Mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

std::string ReferenceIds::Next() {
  uint64_t value = Mixed(seed_ + count_.fetch_add(1, std::memory_order_relaxed));
  std::string id = "ref-";
  // 13 digits of 5 bits hold all 64. No i, l, o, u: people read these ids to each other.
  for (int digit = 0; digit < 13; ++digit) {
    id += "0123456789abcdefghjkmnpqrstvwxyz"[value & 31];
    value >>= 5;
  }
  return id;
}

}  // namespace tandem::log
