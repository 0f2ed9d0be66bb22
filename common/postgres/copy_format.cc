#include "common/postgres/copy_format.h"

#include <cstddef>
#include <optional>

#include "common/postgres/big_endian.h"

namespace tandem::store {
namespace {

// Signature, flags (none) and the length of the header's extension (none); see the manual's page
// of COPY, "Binary Format".
constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::string_view kTrailer("\377\377", 2);

constexpr size_t kBroken = static_cast<size_t>(-1);

// The length of the row of `columns` columns that `bytes` begins with; nothing if it is not whole.
std::optional<size_t> LengthOfRow(std::string_view bytes, int columns) {
  size_t at = 2;
  for (int i = 0; i < columns; ++i) {
    if (bytes.size() < at + 4) return std::nullopt;
    const int32_t length = Load32(bytes.data() + at);
    if (length < -1) return kBroken;
    at += 4 + static_cast<size_t>(length < 0 ? 0 : length);
  }
  if (bytes.size() < at) return std::nullopt;
  return at;
}

}  // namespace

std::string_view CopyHeader() { return kHeader; }
std::string_view CopyTrailer() { return kTrailer; }

void CopyRow::Start(int columns) {
  bytes_.clear();
  Append16(bytes_, static_cast<int16_t>(columns));
}

void CopyRow::AddNull() { Append32(bytes_, -1); }

void CopyRow::AddInt(int64_t number) {
  Append32(bytes_, 8);
  Append64(bytes_, number);
}

void CopyRow::AddBytes(std::string_view bytes) {
  Append32(bytes_, static_cast<int32_t>(bytes.size()));
  bytes_.append(bytes);
}

absl::Status CopyParser::Take(std::string_view piece,
                              absl::FunctionRef<void(std::string_view row)> on_row) {
  rest_.append(piece);
  std::string_view left = rest_;
  if (!has_header_) {
    if (left.size() < kHeader.size()) return absl::OkStatus();
    if (left.substr(0, kHeader.size()) != kHeader) {
      return absl::DataLossError("the server's copy has another format than was asked for");
    }
    left.remove_prefix(kHeader.size());
    has_header_ = true;
  }
  while (left.size() >= 2) {
    const int columns = Load16(left.data());
    if (is_complete_ || columns < -1) return absl::DataLossError("the server's copy is no rows");
    if (columns == -1) {
      is_complete_ = true;
      left.remove_prefix(2);
      continue;
    }
    const std::optional<size_t> length = LengthOfRow(left, columns);
    if (!length.has_value()) break;
    if (*length == kBroken) return absl::DataLossError("the server's copy is no rows");
    on_row(left.substr(0, *length));
    left.remove_prefix(*length);
  }
  rest_.erase(0, rest_.size() - left.size());
  return absl::OkStatus();
}

}  // namespace tandem::store
