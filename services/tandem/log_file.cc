#include "services/tandem/log_file.h"

#include <lzma.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/config/text_file.h"

namespace tandem::programs {
namespace {

constexpr std::string_view kXzMagic(
    "\xFD"
    "7zXZ\0",
    6);
// What xz itself needs for its largest preset (-9) is 65 MiB.
constexpr uint64_t kUnpackerBytes = 256 << 20;

absl::StatusOr<std::string> Unpack(std::string_view packed, const std::string& path,
                                   size_t max_bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  const auto ender = absl::MakeCleanup([&stream] { lzma_end(&stream); });
  if (lzma_stream_decoder(&stream, kUnpackerBytes, LZMA_CONCATENATED) != LZMA_OK) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot unpack ", path, ": no memory"));
  }
  stream.next_in = reinterpret_cast<const uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::string text;
  for (;;) {
    const size_t before = text.size();
    text.resize(std::min(std::max(before * 2, size_t{1} << 20), max_bytes + 1));
    stream.next_out = reinterpret_cast<uint8_t*>(text.data()) + before;
    stream.avail_out = text.size() - before;
    const lzma_ret result = lzma_code(&stream, LZMA_FINISH);
    text.resize(text.size() - stream.avail_out);
    if (text.size() > max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": unpacked it is larger than ", max_bytes, " bytes"));
    }
    if (result == LZMA_STREAM_END) return text;
    if (result == LZMA_OK) continue;
    if (result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot unpack ", path, ": it needs too much memory"));
    }
    return absl::DataLossError(
        absl::StrCat("cannot unpack ", path, ": the file is damaged or ends early"));
  }
}

}  // namespace

absl::StatusOr<std::string> ReadLogFile(const std::string& path, size_t max_bytes) {
  absl::StatusOr<std::string> text = config::ReadTextFile(path, max_bytes);
  if (!text.ok()) return text.status();
  if (std::string_view(*text).substr(0, kXzMagic.size()) != kXzMagic) return text;
  return Unpack(*text, path, max_bytes);
}

}  // namespace tandem::programs
