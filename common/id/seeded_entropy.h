// Repeatable bytes for replay, simulation and tests: the same seed gives the same bytes on every
// machine.
#ifndef TANDEM_COMMON_ID_SEEDED_ENTROPY_H_
#define TANDEM_COMMON_ID_SEEDED_ENTROPY_H_

#include <cstdint>
#include <mutex>

#include "common/id/entropy.h"

namespace tandem::id {

// Callable from any thread; which thread gets which bytes is then up to their order.
class SeededEntropy : public Entropy {
 public:
  explicit SeededEntropy(uint64_t seed);
  // SHA-256 over seed and a counter, so that nothing is shared with a simulation's other dice.
  std::string Bytes(size_t size) override;

 private:
  const uint64_t seed_;
  std::mutex mutex_;
  uint64_t blocks_ = 0;
};

}  // namespace tandem::id

#endif  // TANDEM_COMMON_ID_SEEDED_ENTROPY_H_
