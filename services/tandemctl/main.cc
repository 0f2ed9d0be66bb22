// tandemctl: the operator's and integrator's command line.
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/id/system_entropy.h"
#include "common/time/system_clock.h"
#include "services/tandemctl/program.h"

extern char** environ;

namespace {

std::string UserName() {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return "";
  }
  return found->pw_name;
}

std::string HostName() {
  std::array<char, 256> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "";
  return buffer.data();
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  tandem::time::SystemClock clock;
  tandem::id::SystemEntropy entropy;
  tandem::tandemctl::World world;
  world.clock = &clock;
  world.entropy = &entropy;
  world.pause = [](absl::Duration duration) {
    absl::Notification never;
    never.WaitForNotificationWithTimeout(duration);
  };
  world.zone = absl::LocalTimeZone();
  world.caller = tandem::tandemctl::DefaultCaller(UserName(), HostName());
  world.output = tandem::cli::StdoutScreen();
  world.messages = &std::cerr;
  world.input = &std::cin;
  return tandem::tandemctl::Run(std::vector<std::string>(argv + 1, argv + argc), environment,
                                world);
}
