#include "common/cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "absl/strings/numbers.h"

namespace tandem::cli {
namespace {

Screen ScreenOf(int file, std::ostream* out) {
  Screen screen;
  screen.out = out;
  const char* const term = std::getenv("TERM");
  screen.is_terminal = isatty(file) == 1 && (term == nullptr || std::string_view(term) != "dumb");
  int columns = 0;
  const char* const wish = std::getenv("COLUMNS");
  winsize size = {};
  if (wish != nullptr && absl::SimpleAtoi(wish, &columns) && columns > 0) {
    screen.columns = columns;
  } else if (screen.is_terminal && ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    screen.columns = size.ws_col;
  }
  screen.columns = std::clamp(screen.columns, 20, 1000);
  return screen;
}

}  // namespace

Screen StdoutScreen() { return ScreenOf(STDOUT_FILENO, &std::cout); }
Screen StderrScreen() { return ScreenOf(STDERR_FILENO, &std::cerr); }

}  // namespace tandem::cli
