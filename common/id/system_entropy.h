// The kernel's random bytes. Only a program's main.cc names it.
#ifndef TANDEM_COMMON_ID_SYSTEM_ENTROPY_H_
#define TANDEM_COMMON_ID_SYSTEM_ENTROPY_H_

#include "common/id/entropy.h"

namespace tandem::id {

// Callable from any thread.
class SystemEntropy : public Entropy {
 public:
  // Waits only while the kernel has not gathered its first randomness after boot. A kernel that has
  // no getrandom ends the process: going on with guessable secrets would be worse.
  std::string Bytes(size_t size) override;
};

}  // namespace tandem::id

#endif  // TANDEM_COMMON_ID_SYSTEM_ENTROPY_H_
