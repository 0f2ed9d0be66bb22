// PostgreSQL's binary COPY format: rows as bytes, in both directions.
#ifndef TANDEM_COMMON_POSTGRES_COPY_FORMAT_H_
#define TANDEM_COMMON_POSTGRES_COPY_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace tandem::store {

// What stands before the first row and behind the last one.
std::string_view CopyHeader();
std::string_view CopyTrailer();

// A row, column after column. Two rows are the same if their bytes are. One thread.
class CopyRow {
 public:
  // Begins another row of so many columns.
  void Start(int columns);
  void AddNull();
  void AddInt(int64_t number);            // BIGINT
  void AddBytes(std::string_view bytes);  // TEXT, BYTEA
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Takes a stream apart that comes in pieces of any size. One thread.
class CopyParser {
 public:
  // Calls `on_row` with each row that is whole now, its bytes as CopyRow makes them. DATA_LOSS for
  // what is no such stream.
  absl::Status Take(std::string_view piece, absl::FunctionRef<void(std::string_view row)> on_row);
  // Whether the trailer has come.
  bool is_complete() const { return is_complete_; }

 private:
  std::string rest_;
  bool has_header_ = false;
  bool is_complete_ = false;
};

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_COPY_FORMAT_H_
