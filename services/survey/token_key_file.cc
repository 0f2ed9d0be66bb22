#include "services/survey/token_key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tandem::survey {
namespace {

constexpr size_t kMaxKeys = 2;

absl::Status Unusable(const std::string& path, const std::string& problem) {
  return absl::FailedPreconditionError(absl::StrCat("the token key file ", path, " ", problem));
}

absl::Status CannotWrite(const std::string& path, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot write the token key file ", path, ": ", std::strerror(error)));
}

// Makes the file with one new key, whole or not at all; one that is there already stays.
absl::Status Create(const std::string& path, id::Entropy& entropy) {
  const std::string draft = absl::StrCat(path, ".", ::getpid(), ".draft");
  const std::string line =
      absl::StrCat(absl::BytesToHexString(entropy.Bytes(TokenKeys::kKeyBytes)), "\n");
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return CannotWrite(path, errno);
  const bool written =
      ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
      ::fsync(file) == 0;
  int error = written ? 0 : errno;
  ::close(file);
  // A link never replaces what another process made in the meantime.
  if (error == 0 && ::link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST) error = errno;
  ::unlink(draft.c_str());
  if (error != 0) return CannotWrite(path, error);
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  const int parent = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return CannotWrite(path, errno);
  error = ::fsync(parent) == 0 ? 0 : errno;
  ::close(parent);
  return error == 0 ? absl::OkStatus() : CannotWrite(path, error);
}

bool IsKey(std::string_view line) {
  if (line.size() != 2 * TokenKeys::kKeyBytes) return false;
  for (const char c : line) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return false;
  }
  return true;
}

}  // namespace

std::string TokenKeyBeside(const std::string& mailbox) {
  const size_t last = mailbox.find_last_not_of('/');
  return absl::StrCat(mailbox.substr(0, last == std::string::npos ? 0 : last + 1), ".key");
}

absl::StatusOr<TokenKeys> OpenTokenKeyFile(const std::string& path, id::Entropy& entropy) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT)
      return Unusable(path, absl::StrCat("cannot be read: ", std::strerror(errno)));
    absl::Status status = Create(path, entropy);
    if (!status.ok()) return status;
    if (::stat(path.c_str(), &info) != 0) {
      return Unusable(path, absl::StrCat("cannot be read: ", std::strerror(errno)));
    }
  }
  if (!S_ISREG(info.st_mode)) return Unusable(path, "is not a file");
  if ((info.st_mode & S_IRWXO) != 0) {
    return Unusable(path, absl::StrCat("may be read by everybody; run: chmod o-rwx ", path));
  }
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return Unusable(path, "cannot be read");
  std::vector<std::string> keys;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    // The line itself is a secret, or nearly one: a message never quotes it.
    if (!IsKey({line.data(), line.size()}) || keys.size() == kMaxKeys) {
      return Unusable(path, absl::StrCat("must hold one or two keys, a line each, of ",
                                         2 * TokenKeys::kKeyBytes, " hexadecimal digits"));
    }
    keys.push_back(absl::HexStringToBytes(line));
  }
  if (keys.empty()) return Unusable(path, "is empty; remove it, and a new key is made");
  return TokenKeys(std::move(keys));
}

}  // namespace tandem::survey
