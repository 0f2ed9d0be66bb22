// Comma-separated values as RFC 4180 has them, read strictly.
#ifndef TANDEM_SERVICES_TANDEM_CSV_H_
#define TANDEM_SERVICES_TANDEM_CSV_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::programs {

//   CsvReader reader(text, "incidents.csv");
//   while (true) {
//     absl::StatusOr<bool> read = reader.Next(fields);
//     if (!read.ok()) return read.status();
//     if (!*read) break;
//     …
//   }
//
// Not thread-safe. `text` outlives the reader; fields refer to it or to the reader, see
// TakeUnquoted.
class CsvReader {
 public:
  // A byte order mark, which spreadsheets put first, is passed over.
  CsvReader(std::string_view text, std::string file)
      : text_(text.substr(0, 3) == "\xEF\xBB\xBF" ? text.substr(3) : text),
        file_(std::move(file)) {}

  // The next row's fields; false at the end. A field may be quoted, and then hold commas, line ends
  // and doubled quotes; lines end in LF or CRLF, the last one may lack it. INVALID_ARGUMENT
  // "FILE:LINE: column N: …" for a quote out of place, a quoted field that does not end, a NUL
  // or what is not UTF-8. The columns are counted from 1. Lines that hold nothing but blanks are
  // passed over.
  absl::StatusOr<bool> Next(std::vector<std::string_view>& fields);

  // The line on which the last row began, from 1.
  int line() const { return row_line_; }

  // Blank lines passed over so far.
  int64_t blank_lines() const { return blank_lines_; }

  // What fields may refer to beside the text; keep it as long as them. At the end only.
  std::deque<std::string> TakeUnquoted() { return std::move(unquoted_); }

 private:
  absl::Status Fault(size_t column, std::string_view what) const;
  absl::StatusOr<std::string_view> Quoted(size_t column);
  void SkipBlankLines();

  const std::string_view text_;
  const std::string file_;
  size_t at_ = 0;
  int line_ = 1;
  int row_line_ = 0;
  int64_t blank_lines_ = 0;
  std::deque<std::string> unquoted_;  // fields with doubled quotes, without them
};

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_CSV_H_
