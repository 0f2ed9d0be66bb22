#include "common/config/error_list.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/views.h"

namespace tandem::config {

void ErrorList::Add(std::string message) {
  if (messages_.size() < kMax) {
    messages_.push_back(std::move(message));
  } else {
    ++left_out_;
  }
}

void ErrorList::AddAt(std::string_view file, int line, std::string_view message) {
  Add(absl::StrCat(Absl(file), ":", line, ": ", Absl(message)));
}

absl::Status ErrorList::ToStatus() const {
  if (messages_.empty()) return absl::OkStatus();
  std::string text = absl::StrJoin(messages_, "\n");
  if (left_out_ > 0) absl::StrAppend(&text, "\nand ", left_out_, " more errors");
  return absl::InvalidArgumentError(text);
}

std::string Quoted(std::string_view text) {
  constexpr size_t kMaxShown = 60;
  const bool cut = text.size() > kMaxShown;
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(Absl(text.substr(0, kMaxShown))),
                      cut ? "..." : "", "'");
}

}  // namespace tandem::config
