#include "common/log/scrub.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace tandem::log {
namespace {

// Only so much is looked at: a message may be megabytes of foreign text.
constexpr size_t kMaxRead = 4096;

bool IsLetter(std::string_view text, size_t i) {
  return i < text.size() && absl::ascii_isalnum(static_cast<unsigned char>(text[i]));
}

// Length of the quotation mark at `i`, 0 if there is none.
size_t QuoteAt(std::string_view text, size_t i) {
  switch (text[i]) {
    case '"':
    case '`':
      return 1;
    case '\'':
      return i > 0 && IsLetter(text, i - 1) && IsLetter(text, i + 1) ? 0 : 1;
    default:
      break;
  }
  for (const std::string_view mark : {"\xE2\x80\x9C", "\xE2\x80\x9D", "\xE2\x80\x9E",
                                      "\xE2\x80\x98", "\xE2\x80\x9A", "\xC2\xAB", "\xC2\xBB"}) {
    if (text.substr(i, mark.size()) == mark) return mark.size();
  }
  return 0;
}

std::string WithoutQuoted(std::string_view text) {
  size_t first = std::string_view::npos;
  size_t end = 0;
  int marks = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t length = QuoteAt(text, i);
    if (length == 0) continue;
    if (marks++ == 0) first = i;
    end = i + length;
    i += length - 1;
  }
  if (marks == 0) return std::string(text);
  std::string kept(text.substr(0, first));
  kept += "\"<quoted>\"";
  if (marks > 1) kept += text.substr(end);
  return kept;
}

bool EndsToken(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c)) || c == '<' || c == '>' || c == '(' ||
         c == ')' || c == '[' || c == ']' || c == ',' || c == ';' || c == '=';
}

std::string WithoutAddresses(std::string_view text) {
  std::string kept;
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i;
    while (end < text.size() && !EndsToken(text[end])) ++end;
    const std::string_view token = text.substr(i, end - i);
    if (token.find('@') != std::string_view::npos) {
      kept += "<address>";
    } else {
      kept += token;
    }
    if (end < text.size()) kept += text[end++];
    i = end;
  }
  return kept;
}

std::string WithoutPhones(std::string_view text) {
  std::string kept;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts = text[i] == '+' && i + 1 < text.size() &&
                        absl::ascii_isdigit(static_cast<unsigned char>(text[i + 1])) &&
                        (i == 0 || !IsLetter(text, i - 1));
    size_t end = i + 1;
    int digits = 0;
    if (starts) {
      size_t next = end;
      while (next < text.size() &&
             std::string_view("0123456789 -/().").find(text[next]) != std::string_view::npos) {
        if (absl::ascii_isdigit(static_cast<unsigned char>(text[next++]))) {
          ++digits;
          end = next;
        }
      }
    }
    if (digits >= 6) {
      kept += "<phone>";
      i = end - 1;
    } else {
      kept += text[i];
    }
  }
  return kept;
}

std::string PrintableOnly(std::string_view text) {
  std::string kept;
  bool in_run = false;
  for (const char c : text) {
    const bool is_printable = absl::ascii_isprint(static_cast<unsigned char>(c));
    // The lines of a message of many errors stay apart.
    if (is_printable || c == '\n') {
      kept += is_printable ? c : ' ';
    } else if (!in_run) {
      kept += "<text>";
    }
    in_run = !is_printable && c != '\n';
  }
  return kept;
}

}  // namespace

std::string Scrubbed(std::string_view message) {
  const bool is_cut = message.size() > kMaxRead;
  std::string kept =
      PrintableOnly(WithoutPhones(WithoutAddresses(WithoutQuoted(message.substr(0, kMaxRead)))));
  if (is_cut || kept.size() > kMaxMessageBytes) {
    kept.resize(std::min(kept.size(), kMaxMessageBytes - 3));
    kept += "...";
  }
  return kept;
}

}  // namespace tandem::log
