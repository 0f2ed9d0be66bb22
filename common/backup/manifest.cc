#include "common/backup/manifest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/store/durable_file.h"
#include "google/protobuf/util/json_util.h"

namespace tandem::backup {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

std::string PathOf(const std::string& folder, const std::string& name) {
  return absl::StrCat(folder, "/", name);
}

}  // namespace

absl::Status MakeEmptyFolder(const std::string& folder) {
  std::error_code error;
  const bool is_new = fs::create_directories(folder, error);
  if (error) return store::FileError("make", folder, error.value());
  if (is_new) {
    // Owner only: customers' words are in there.
    fs::permissions(folder, fs::perms::owner_all, error);
    return error ? store::FileError("protect", folder, error.value()) : absl::OkStatus();
  }
  const bool is_empty = fs::is_empty(folder, error);
  if (error) return store::FileError("look into", folder, error.value());
  if (is_empty) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(folder, " is not empty; name a folder that is empty or absent"));
}

absl::StatusOr<BackupFile> Describe(const std::string& folder, const std::string& name) {
  const std::string path = PathOf(folder, name);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return store::FileError("open", path, errno);
  const auto closed = absl::MakeCleanup([fd] { close(fd); });
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  BackupFile file;
  file.set_name(name);
  int64_t bytes = 0;
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    const ssize_t size = read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return store::FileError("read", path, errno);
    if (size == 0) break;
    EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<size_t>(size));
    bytes += size;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(hash.get(), digest, &length);
  file.set_bytes(bytes);
  file.set_sha256(
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), length)));
  return file;
}

absl::Status WriteManifest(const std::string& folder, const BackupManifest& manifest) {
  BackupManifest stamped = manifest;
  stamped.set_format(kFormat);
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(stamped, &json, options).ok()) {
    return absl::InternalError("the manifest cannot be written as JSON");
  }
  return store::AppendDurably(PathOf(folder, kManifest), json);
}

absl::StatusOr<BackupManifest> ReadManifest(const std::string& folder) {
  const std::string path = PathOf(folder, kManifest);
  const absl::StatusOr<std::string> json = store::ReadSmallFile(path);
  if (absl::IsNotFound(json.status())) {
    return absl::NotFoundError(
        absl::StrCat(folder, " holds no backup, or one that did not come to its end: ", kManifest,
                     " is not there"));
  }
  if (!json.ok()) return json.status();
  BackupManifest manifest;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(*json, &manifest, options).ok()) {
    return absl::DataLossError(absl::StrCat(path, " cannot be read; use another backup"));
  }
  if (manifest.format() != kFormat) {
    return absl::FailedPreconditionError(absl::StrCat(path, " has layout ", manifest.format(),
                                                      ", made by version ", manifest.version(),
                                                      "; restore it with that version"));
  }
  return manifest;
}

absl::Status CheckFiles(const std::string& folder, const BackupManifest& manifest) {
  for (const BackupFile& expected : manifest.files()) {
    const absl::StatusOr<BackupFile> found = Describe(folder, expected.name());
    if (found.ok() && found->bytes() == expected.bytes() && found->sha256() == expected.sha256()) {
      continue;
    }
    return absl::DataLossError(absl::StrCat(
        PathOf(folder, expected.name()), found.ok() ? " is not as it was written" : " is missing",
        ": the backup is damaged; use another one"));
  }
  return absl::OkStatus();
}

}  // namespace tandem::backup
