// Where lines of the log go.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::log {

// Takes whole lines, without the line end. Any thread may call it.
class LineSink {
 public:
  virtual ~LineSink() = default;
  virtual void Write(std::string_view line) = 0;
  // Returns when everything written before has left the process.
  virtual void Flush() = 0;
};

// To stderr through spdlog, each line in one write. Blocks while nobody reads stderr.
std::unique_ptr<LineSink> StderrSink();

// Keeps the lines, for tests.
class MemorySink : public LineSink {
 public:
  void Write(std::string_view line) override {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(line);
  }
  void Flush() override {}

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace tandem::log
