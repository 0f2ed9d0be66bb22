// The program tandemctl, without the process around it.
#ifndef TANDEM_SERVICES_TANDEMCTL_PROGRAM_H_
#define TANDEM_SERVICES_TANDEMCTL_PROGRAM_H_

#include <functional>
#include <istream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/cli/screen.h"
#include "common/id/entropy.h"
#include "common/time/clock.h"

namespace tandem::tandemctl {

// What the program has of the world. Everything outlives Run.
struct World {
  const time::Clock* clock = nullptr;
  id::Entropy* entropy = nullptr;
  std::function<void(absl::Duration)> pause;
  absl::TimeZone zone;
  std::string caller;  // unless --caller names one
  cli::Screen output;  // data
  std::ostream* messages = nullptr;
  std::istream* input = nullptr;
};

// "USER:HOST" with what may not be in a caller's name replaced by '-'.
std::string DefaultCaller(const std::string& user, const std::string& host);

// Runs the command that the arguments (without the program's name) ask for. Gives the exit code: 0
// = done, 1 = a call failed, 2 = the command line is wrong. Blocks until it is done.
int Run(const std::vector<std::string>& arguments,
        const std::map<std::string, std::string>& environment, const World& world);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_PROGRAM_H_
