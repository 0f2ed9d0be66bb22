// A running `tandem serve`, as a test or a benchmark sees it: started, asked, killed by pid,
// started again.
#ifndef TANDEM_TESTS_END_TO_END_PROGRAM_H_
#define TANDEM_TESTS_END_TO_END_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::end_to_end {

// Runs a command to its end, or for `limit`; both streams come back, and the exit code (128 +
// signal).
struct Finished {
  int exit_code = 0;
  std::string output, errors;
};
absl::StatusOr<Finished> RunToEnd(const std::vector<std::string>& command, absl::Duration limit);

// One thread. Ends the process that it started, with SIGKILL.
class Program {
 public:
  // Starts `tandem serve` on any free loopback ports with its data in `data`; OK once it serves. An
  // error holds what the program printed.
  static absl::StatusOr<Program> Serve(const std::string& binary, const std::string& data,
                                       const std::vector<std::string>& more = {});
  ~Program();
  Program(Program&& other) noexcept;
  Program& operator=(Program&& other) noexcept;

  const std::string& address() const { return address_; }
  const std::string& http_address() const { return http_address_; }
  pid_t pid() const { return pid_; }
  // SIGKILL, and waits for its end.
  void Kill();
  // SIGTERM; the exit code, or DEADLINE_EXCEEDED.
  absl::StatusOr<int> Terminate(absl::Duration limit);

 private:
  Program() = default;
  pid_t pid_ = -1;
  int errors_ = -1;
  std::string address_, http_address_;
};

}  // namespace tandem::end_to_end

#endif  // TANDEM_TESTS_END_TO_END_PROGRAM_H_
