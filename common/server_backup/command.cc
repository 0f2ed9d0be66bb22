#include "common/server_backup/command.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tandem::backup {
namespace {

// Of standard error: an error and what led to it.
constexpr size_t kLastBytes = 2000;
// By convention of shells: the program was not found.
constexpr int kNotFound = 127;

// In the child, between fork and exec: system calls alone.
[[noreturn]] void Become(char* const* arguments, int nowhere, int errors, pid_t parent) {
  // A restore that is killed must not go on behind the back of the next one.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kNotFound);
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execvp(arguments[0], arguments);
  _exit(kNotFound);
}

// Up to its end; the last bytes of it.
std::string ReadToEnd(int fd) {
  std::string read_so_far;
  char buffer[4096];
  for (;;) {
    const ssize_t size = read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return read_so_far;
    read_so_far.append(buffer, static_cast<size_t>(size));
    if (read_so_far.size() > kLastBytes) read_so_far.erase(0, read_so_far.size() - kLastBytes);
  }
}

}  // namespace

absl::Status RunCommand(const std::vector<std::string>& words) {
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) return absl::ErrnoToStatus(errno, "cannot open /dev/null");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    const int error = errno;
    close(nowhere);
    return absl::ErrnoToStatus(error, "cannot make a pipe");
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  const int error = errno;
  if (child == 0) Become(arguments.data(), nowhere, ends[1], parent);
  close(nowhere);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return absl::ErrnoToStatus(error, absl::StrCat("cannot run ", words[0]));
  }
  const std::string said = ReadToEnd(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFound && said.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no program ", words[0],
                                            " on this machine: install PostgreSQL's client "
                                            "programs, or add their folder to PATH"));
  }
  return absl::AbortedError(absl::StrCat(
      words[0],
      WIFSIGNALED(status) ? absl::StrCat(" was ended by signal ", WTERMSIG(status))
                          : absl::StrCat(" failed with exit code ", WEXITSTATUS(status)),
      said.empty() ? "" : ": ", absl::StripAsciiWhitespace(said)));
}

}  // namespace tandem::backup
