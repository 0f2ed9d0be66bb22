#include "tests/end_to_end/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace tandem::end_to_end {
namespace {

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, int output, int errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (output >= 0) {
    posix_spawn_file_actions_adddup2(&actions, output, 1);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  }
  posix_spawn_file_actions_adddup2(&actions, errors, 2);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, command[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat(command[0], ": ", std::strerror(error)));
  }
  return pid;
}

bool MakePipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0; }

}  // namespace

absl::StatusOr<Finished> RunToEnd(const std::vector<std::string>& command, absl::Duration limit) {
  int output[2], errors[2];
  if (!MakePipe(output) || !MakePipe(errors)) return absl::ResourceExhaustedError("pipe");
  absl::StatusOr<pid_t> pid = Spawn(command, output[1], errors[1]);
  close(output[1]);
  close(errors[1]);
  if (!pid.ok()) return pid.status();
  Finished finished;
  const absl::Time deadline = absl::Now() + limit;
  pollfd fds[2] = {{output[0], POLLIN, 0}, {errors[0], POLLIN, 0}};
  std::string* texts[2] = {&finished.output, &finished.errors};
  int open_streams = 2;
  bool killed = false;
  while (open_streams > 0) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 && !killed) {
      kill(*pid, SIGKILL);
      killed = true;
    }
    poll(fds, 2, killed ? 1000 : static_cast<int>(std::min<int64_t>(left, 1000)));
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[65536];
      const ssize_t got = read(fds[i].fd, buffer, sizeof(buffer));
      if (got > 0) {
        texts[i]->append(buffer, static_cast<size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        close(fds[i].fd);
        fds[i].fd = -1;
        --open_streams;
      }
    }
  }
  int status = 0;
  waitpid(*pid, &status, 0);
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (killed) return absl::DeadlineExceededError(absl::StrCat(command[0], " did not end in time"));
  return finished;
}

absl::StatusOr<Program> Program::Serve(const std::string& binary, const std::string& data,
                                       const std::vector<std::string>& more) {
  // A file in memory: a pipe that nobody reads would fill, and block the program.
  const int errors = memfd_create("tandem-serve-log", MFD_CLOEXEC);
  if (errors < 0) return absl::ResourceExhaustedError("memfd_create");
  std::vector<std::string> command = {binary,     "serve",       "--data",        data,
                                      "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"};
  command.insert(command.end(), more.begin(), more.end());
  absl::StatusOr<pid_t> pid = Spawn(command, -1, errors);
  if (!pid.ok()) {
    close(errors);
    return pid.status();
  }
  Program program;
  program.pid_ = *pid;
  program.errors_ = errors;
  // {…,"event":"serving","grpc":"ADDRESS","http":"ADDRESS"}
  std::string text;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (absl::Now() < deadline) {
    char buffer[4096];
    const ssize_t got = pread(errors, buffer, sizeof(buffer), static_cast<off_t>(text.size()));
    if (got > 0) {
      text.append(buffer, static_cast<size_t>(got));
      continue;
    }
    const size_t serving = text.find("\"event\":\"serving\"");
    if (serving != std::string::npos && text.find('\n', serving) != std::string::npos) {
      const auto field = [&](const std::string& name) {
        const size_t from = text.find("\"" + name + "\":\"", serving) + name.size() + 4;
        return text.substr(from, text.find('"', from) - from);
      };
      program.address_ = field("grpc");
      program.http_address_ = field("http");
      return program;
    }
    if (waitpid(program.pid_, nullptr, WNOHANG) == program.pid_) {
      program.pid_ = -1;
      break;
    }
    poll(nullptr, 0, 5);
  }
  return absl::UnavailableError(absl::StrCat("tandem serve did not come up:\n", text));
}

Program::Program(Program&& other) noexcept { *this = std::move(other); }

Program& Program::operator=(Program&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(errors_, other.errors_);
  std::swap(address_, other.address_);
  std::swap(http_address_, other.http_address_);
  return *this;
}

Program::~Program() {
  Kill();
  if (errors_ >= 0) close(errors_);
}

void Program::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

absl::StatusOr<int> Program::Terminate(absl::Duration limit) {
  kill(pid_, SIGTERM);
  const absl::Time deadline = absl::Now() + limit;
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd fd = {pidfd, POLLIN, 0};
  while (absl::Now() < deadline) {
    if (poll(&fd, 1, 200) > 0) {
      close(pidfd);
      int status = 0;
      waitpid(pid_, &status, 0);
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
  close(pidfd);
  return absl::DeadlineExceededError("tandem serve did not end after SIGTERM");
}

}  // namespace tandem::end_to_end
