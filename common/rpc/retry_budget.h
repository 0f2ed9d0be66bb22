// How many calls may be repeated: a share of those that were made. When a peer is down its callers
// must not multiply their load on it.
#ifndef TANDEM_COMMON_RPC_RETRY_BUDGET_H_
#define TANDEM_COMMON_RPC_RETRY_BUDGET_H_

#include <atomic>
#include <cstdint>

namespace tandem::rpc {

// A bucket of tokens, full at first. Callable from any thread.
class RetryBudget {
 public:
  // Each call puts `percent` hundredths of a token in, each retry takes one out; at most `burst`
  // tokens.
  RetryBudget(int percent, int burst)
      : percent_(percent), full_(int64_t{burst} * 100), hundredths_(full_) {}

  void Called() {
    int64_t have = hundredths_.load(std::memory_order_relaxed);
    while (have < full_ && !hundredths_.compare_exchange_weak(
                               have, have + percent_ < full_ ? have + percent_ : full_,
                               std::memory_order_relaxed)) {
    }
  }

  // Whether one more retry may be made.
  bool TryTake() {
    int64_t have = hundredths_.load(std::memory_order_relaxed);
    while (have >= 100) {
      if (hundredths_.compare_exchange_weak(have, have - 100, std::memory_order_relaxed))
        return true;
    }
    return false;
  }

 private:
  const int64_t percent_;
  const int64_t full_;
  std::atomic<int64_t> hundredths_;
};

}  // namespace tandem::rpc

#endif  // TANDEM_COMMON_RPC_RETRY_BUDGET_H_
