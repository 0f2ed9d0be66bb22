// All that is wrong with an input, told at once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tandem::config {

// Collects messages, at most kMax; the rest are counted. Not thread-safe; lives on one stack.
class ErrorList {
 public:
  static constexpr size_t kMax = 50;

  void Add(std::string message);
  // "FILE:LINE: message".
  void AddAt(std::string_view file, int line, std::string_view message);

  bool empty() const { return messages_.empty(); }
  size_t total() const { return messages_.size() + left_out_; }

  // OK when empty, else INVALID_ARGUMENT with one message a line and, last, how many were left out.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> messages_;
  size_t left_out_ = 0;
};

// `text` in quotes, escaped and cut, fit to stand in an error message whatever it holds.
std::string Quoted(std::string_view text);

}  // namespace tandem::config
