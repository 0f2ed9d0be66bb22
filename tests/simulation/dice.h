// The dice of a simulation: everything that is drawn comes from the seed, the same on every
// machine.
#ifndef TANDEM_TESTS_SIMULATION_DICE_H_
#define TANDEM_TESTS_SIMULATION_DICE_H_

#include <cstdint>
#include <string_view>

#include "absl/time/time.h"

namespace tandem::simulation {

// FNV-1a, 64 bits: of what happened, and of names into seeds. Not for hash tables.
inline uint64_t Fold(uint64_t hash, std::string_view bytes) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  return hash;
}
inline uint64_t Fold(uint64_t hash, uint64_t number) {
  for (int i = 0; i < 8; ++i) hash = (hash ^ (number >> (8 * i) & 0xff)) * 0x100000001b3ULL;
  return hash;
}
inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
inline constexpr uint64_t kFoldStart = 0xcbf29ce484222325ULL;

// SplitMix64 (Steele, Lea, Flood 2014). Each purpose has dice of its own, so that what is drawn for
// one is not changed by what is left out of another: shrinking lives on that. One thread.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  Dice(uint64_t seed, std::string_view purpose) : state_(Fold(Fold(kFoldStart, seed), purpose)) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // 0 <= result < end; 0 for an empty range.
  uint64_t Below(uint64_t end) { return end == 0 ? 0 : Next() % end; }
  int Int(int low, int high) {
    return low + static_cast<int>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  // 0 <= result < 1.
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // Draws nothing where nothing can happen.
  bool Chance(double probability) { return probability > 0 && Unit() < probability; }
  // Whole microseconds, low <= result < high.
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    const int64_t span = absl::ToInt64Microseconds(high - low);
    return low + absl::Microseconds(
                     span <= 0 ? 0 : static_cast<int64_t>(Below(static_cast<uint64_t>(span))));
  }
  template <typename List>
  const auto& Pick(const List& list) {
    return list[Below(list.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_DICE_H_
