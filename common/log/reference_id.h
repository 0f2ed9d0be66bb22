// Ids that join an answer sent to a caller with the line in the log that tells the reason.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace tandem::log {

// Gives ids such as "ref-0d4k9s3m1x7qa": 13 characters of [0-9a-z] after the prefix, different from
// each other for one seed. They are no secret. Thread-safe; any thread may call it.
class ReferenceIds {
 public:
  // A process takes a random seed, a simulation a fixed one.
  explicit ReferenceIds(uint64_t seed) : seed_(seed) {}

  std::string Next();

 private:
  const uint64_t seed_;
  std::atomic<uint64_t> count_{0};
};

}  // namespace tandem::log
