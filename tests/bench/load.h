// Load on a gRPC server: a fixed number of unary calls outstanding, for a bounded time.
#ifndef TANDEM_TESTS_BENCH_LOAD_H_
#define TANDEM_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tandem::bench {

// Durations, counted in buckets of at most 1 % width, from 1 µs to 100 s. Not thread-safe.
class Histogram {
 public:
  Histogram();
  void Add(absl::Duration value);
  void Merge(const Histogram& other);
  int64_t count() const { return count_; }
  // The value that the share `quantile` (0 to 1) of all lies at or below; zero without values.
  absl::Duration At(double quantile) const;
  absl::Duration max() const { return max_; }

 private:
  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  absl::Duration max_;
};

struct LoadOptions {
  std::string target;    // "127.0.0.1:7400"
  std::string method;    // "package.Service/Method"
  std::string caller;    // tandem-caller; empty = not stated
  int outstanding = 32;  // calls at any time
  int channels = 1;      // connections, each with a thread of its own; calls are shared out evenly
  double rate = 0;  // calls a second, evenly spaced, whatever the answers take; 0 = as many as go
  absl::Duration warm_up = absl::Seconds(1);  // not counted
  absl::Duration measured = absl::Seconds(5);
  absl::Duration timeout = absl::Seconds(10);  // of one call
  // The serialised request number `index` (0, 1, …, each once). Called from several threads.
  std::function<std::string(int64_t index)> request;
  // Told of each good answer, and how long ago its call was due; from several threads. May be
  // empty.
  std::function<void(int64_t index, absl::Duration latency, const std::string& reply)> answered =
      nullptr;
};

struct LoadReport {
  double rate = 0;       // good answers a second
  int64_t answered = 0;  // good answers, the warm-up's included
  Histogram latencies;   // of good answers; with a rate, from the instant the call was due
  std::map<absl::StatusCode, int64_t> errors;
  std::string first_error;

  std::string ToString() const;  // one line
};

// Blocks for the whole time and until the last call is answered.
LoadReport RunLoad(const LoadOptions& options);

}  // namespace tandem::bench

#endif  // TANDEM_TESTS_BENCH_LOAD_H_
