// What a store offers whose place to write can be lost while it is open.
#ifndef TANDEM_COMMON_STORE_WRITABLE_H_
#define TANDEM_COMMON_STORE_WRITABLE_H_

#include "absl/status/status.h"
#include "common/store/store.h"

namespace tandem::store {

class Writable {
 public:
  virtual ~Writable() = default;
  // Whether a commit would be kept, as far as that can be told without one: UNAVAILABLE if the
  // database's file was deleted or replaced, RESOURCE_EXHAUSTED if its disk is full. Any thread.
  virtual absl::Status CheckWritable() const = 0;
};

// The same of any store; OK for one that cannot tell.
inline absl::Status CheckWritable(const Store& store) {
  const auto* const writable = dynamic_cast<const Writable*>(&store);
  return writable == nullptr ? absl::OkStatus() : writable->CheckWritable();
}

}  // namespace tandem::store

#endif  // TANDEM_COMMON_STORE_WRITABLE_H_
