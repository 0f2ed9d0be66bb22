// How far a long piece of work has come.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "common/cli/screen.h"

namespace tandem::cli {

//   Progress progress(StderrScreen(), "incidents", 24'918, [&] { return clock.Now(); });
//   for (...) progress.Advance();
//   progress.Finish();
//
// On a terminal a bar that is drawn anew, at most ten times a second:
//   incidents [########--------] 50 %  12,459 of 24,918  1,245/s  10s left
// Elsewhere a line for each tenth of the way. Not thread-safe: for the thread that does the work.
class Progress {
 public:
  // `total` of 0 or less is unknown: only the count is shown. `now` gives real time, not simulated.
  Progress(Screen screen, std::string noun, int64_t total, std::function<absl::Time()> now);
  // Leaves the line of an unfinished bar as it is, and ends it.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(int64_t by = 1);
  // Draws the last state once and ends the line. Further calls do nothing.
  void Finish();

 private:
  void Draw(absl::Time now);
  std::string Line(absl::Time now) const;

  const Screen screen_;
  const std::string noun_;
  const int64_t total_;
  const std::function<absl::Time()> now_;
  const absl::Time start_;
  int64_t done_ = 0;
  int64_t tenths_told_ = 0;
  absl::Time drawn_ = absl::InfinitePast();
  size_t drawn_width_ = 0;
  bool is_finished_ = false;
};

}  // namespace tandem::cli
