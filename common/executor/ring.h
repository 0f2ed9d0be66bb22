// A first-in-first-out queue in one block of memory that grows by doubling and is then reused: no
// allocation a task, unlike std::deque, which frees and fetches its blocks as the queue moves
// along.
#ifndef TANDEM_COMMON_EXECUTOR_RING_H_
#define TANDEM_COMMON_EXECUTOR_RING_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace tandem::executor {

// Not thread-safe.
template <typename T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void Push(T value) {
    if (size_ == items_.size()) Grow();
    items_[(head_ + size_) & (items_.size() - 1)] = std::move(value);
    ++size_;
  }

  // Not of an empty ring.
  T Pop() {
    T value = std::move(items_[head_]);
    items_[head_] = T();
    head_ = (head_ + 1) & (items_.size() - 1);
    --size_;
    return value;
  }

 private:
  void Grow() {
    std::vector<T> larger(items_.empty() ? 16 : items_.size() * 2);
    for (size_t i = 0; i < size_; ++i) {
      larger[i] = std::move(items_[(head_ + i) & (items_.size() - 1)]);
    }
    items_ = std::move(larger);
    head_ = 0;
  }

  std::vector<T> items_;  // a power of two of them
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_RING_H_
