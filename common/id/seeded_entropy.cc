#include "common/id/seeded_entropy.h"

#include <string>

#include "common/id/id.h"

namespace tandem::id {

SeededEntropy::SeededEntropy(uint64_t seed) : seed_(seed) {}

std::string SeededEntropy::Bytes(size_t size) {
  const std::lock_guard lock(mutex_);
  std::string bytes;
  while (bytes.size() < size) {
    bytes += Hash({"seeded entropy", std::to_string(seed_), std::to_string(blocks_++)});
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace tandem::id
