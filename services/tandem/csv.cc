#include "services/tandem/csv.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config/utf8.h"
#include "common/config/views.h"

namespace tandem::programs {

absl::Status CsvReader::Fault(size_t column, std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat(file_, ":", line_, ": column ", column, ": ", config::Absl(what)));
}

absl::StatusOr<std::string_view> CsvReader::Quoted(size_t column) {
  const int opened_on = line_;
  const size_t begin = ++at_;
  std::string* unquoted = nullptr;
  size_t copied = begin;
  for (;; ++at_) {
    if (at_ == text_.size()) {
      line_ = opened_on;
      return Fault(column, "a quoted field does not end");
    }
    const char c = text_[at_];
    if (c == '\n') ++line_;
    if (c == '\0') return Fault(column, "a NUL byte");
    if (c != '"') continue;
    if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      if (unquoted == nullptr) unquoted = &unquoted_.emplace_back();
      ++at_;
      unquoted->append(text_.substr(copied, at_ - copied));
      copied = at_ + 1;
      continue;
    }
    break;
  }
  std::string_view field = text_.substr(begin, at_ - begin);
  if (unquoted != nullptr) {
    unquoted->append(text_.substr(copied, at_ - copied));
    field = *unquoted;
  }
  ++at_;
  if (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' &&
      text_.substr(at_, 2) != "\r\n") {
    return Fault(column, "text after the closing quote");
  }
  return field;
}

void CsvReader::SkipBlankLines() {
  while (at_ < text_.size()) {
    const size_t end = text_.find_first_not_of(" \t\r", at_);
    if (end != std::string_view::npos && text_[end] != '\n') return;
    at_ = end == std::string_view::npos ? text_.size() : end + 1;
    ++line_;
    ++blank_lines_;
  }
}

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string_view>& fields) {
  fields.clear();
  SkipBlankLines();
  if (at_ == text_.size()) return false;
  row_line_ = line_;
  for (;;) {
    const size_t column = fields.size() + 1;
    if (at_ < text_.size() && text_[at_] == '"') {
      absl::StatusOr<std::string_view> field = Quoted(column);
      if (!field.ok()) return field.status();
      fields.push_back(*field);
    } else {
      const size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n') {
        if (text_[at_] == '"') return Fault(column, "a quote inside a field that is not quoted");
        if (text_[at_] == '\0') return Fault(column, "a NUL byte");
        ++at_;
      }
      size_t end = at_;
      const bool ends_line = at_ == text_.size() || text_[at_] == '\n';
      if (ends_line && end > begin && text_[end - 1] == '\r') --end;
      fields.push_back(text_.substr(begin, end - begin));
    }
    if (!config::IsValidUtf8(fields.back())) {
      return Fault(column, "is not UTF-8; is this a CSV file, and saved as UTF-8?");
    }
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;  // after a quoted field
    if (at_ == text_.size()) break;
    if (text_[at_++] == '\n') break;
  }
  if (at_ > 0 && text_[at_ - 1] == '\n') ++line_;
  return true;
}

}  // namespace tandem::programs
