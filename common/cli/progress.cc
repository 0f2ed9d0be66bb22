#include "common/cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/cli/text_width.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr int64_t kUnknownStep = 10'000;

}  // namespace

Progress::Progress(Screen screen, std::string noun, int64_t total, std::function<absl::Time()> now)
    : screen_(screen),
      noun_(std::move(noun)),
      total_(std::max<int64_t>(total, 0)),
      now_(std::move(now)),
      start_(now_()) {}

Progress::~Progress() {
  if (!is_finished_ && screen_.is_terminal && drawn_width_ > 0) {
    *screen_.out << "\n" << std::flush;
  }
}

void Progress::Advance(int64_t by) {
  if (is_finished_) return;
  done_ += by;
  if (screen_.is_terminal) {
    const absl::Time now = now_();
    if (now - drawn_ >= kRedraw || now < drawn_) Draw(now);
    return;
  }
  // Without a known end there are no tenths: every so many is told instead.
  const int64_t told =
      total_ > 0 ? std::min<int64_t>(done_ * 10 / total_, 9) : done_ / kUnknownStep;
  if (told > tenths_told_) {
    tenths_told_ = told;
    Draw(now_());
  }
}

void Progress::Finish() {
  if (is_finished_) return;
  Draw(now_());
  if (screen_.is_terminal) *screen_.out << "\n" << std::flush;
  is_finished_ = true;
}

std::string Progress::Line(absl::Time now) const {
  const absl::Duration elapsed = std::max(now - start_, absl::ZeroDuration());
  const double seconds = absl::ToDoubleSeconds(elapsed);
  std::string tail;
  if (total_ > 0) {
    absl::StrAppend(&tail, std::min<int64_t>(100, done_ * 100 / total_), " %  ", HumanCount(done_),
                    " of ", HumanCount(total_));
  } else {
    tail = HumanCount(done_);
  }
  // A rate over less than a second says nothing.
  if (seconds >= 1) {
    const double rate = static_cast<double>(done_) / seconds;
    absl::StrAppend(&tail, "  ", HumanCount(static_cast<int64_t>(rate)), "/s");
    if (total_ > done_ && rate > 0) {
      const auto left = absl::Seconds(static_cast<double>(total_ - done_) / rate);
      absl::StrAppend(&tail, "  ", HumanDuration(absl::Ceil(left, absl::Seconds(1))), " left");
    }
  }
  if (!screen_.is_terminal || total_ == 0) return absl::StrCat(noun_, " ", tail);
  const int64_t room =
      screen_.columns - 1 - static_cast<int64_t>(TextWidth(noun_) + tail.size()) - 4;
  const int64_t width = std::min<int64_t>(room, 40);
  if (width < 5) return absl::StrCat(noun_, " ", tail);
  const int64_t filled = std::clamp<int64_t>(done_ * width / total_, 0, width);
  return absl::StrCat(noun_, " [", std::string(static_cast<size_t>(filled), '#'),
                      std::string(static_cast<size_t>(width - filled), '-'), "] ", tail);
}

void Progress::Draw(absl::Time now) {
  drawn_ = now;
  std::string line = Line(now);
  if (!screen_.is_terminal) {
    *screen_.out << line << "\n" << std::flush;
    return;
  }
  // One column stays free: a full last column wraps on some terminals.
  line = CutToWidth(line, static_cast<size_t>(screen_.columns) - 1);
  const size_t width = TextWidth(line);
  const size_t leftover = drawn_width_ > width ? drawn_width_ - width : 0;
  *screen_.out << "\r" << line << std::string(leftover, ' ') << std::flush;
  drawn_width_ = width;
}

}  // namespace tandem::cli
