// The one source of secrets.
#ifndef TANDEM_COMMON_ID_ENTROPY_H_
#define TANDEM_COMMON_ID_ENTROPY_H_

#include <cstddef>
#include <string>

namespace tandem::id {

// Callable from any thread.
class Entropy {
 public:
  virtual ~Entropy() = default;
  // `size` unguessable bytes.
  virtual std::string Bytes(size_t size) = 0;
};

}  // namespace tandem::id

#endif  // TANDEM_COMMON_ID_ENTROPY_H_
