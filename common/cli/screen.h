// What a program prints to: a terminal or not, and how wide.
#pragma once

#include <ostream>

namespace tandem::cli {

struct Screen {
  std::ostream* out = nullptr;  // outlives the screen
  bool is_terminal = false;
  int columns = 80;  // of the terminal, 20 to 1000
};

// The process's stdout and stderr. A terminal's width is asked for at each call; COLUMNS and TERM
// from the environment count as in other tools (TERM=dumb is no terminal).
Screen StdoutScreen();
Screen StderrScreen();

}  // namespace tandem::cli
