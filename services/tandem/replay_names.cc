#include "services/tandem/replay_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/id/id.h"

namespace tandem::programs {
namespace {

// Values are at most 48 bytes, but every byte may become three.
constexpr size_t kLongest = 56;

std::string Escaped(std::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.') {
      escaped += c;
    } else {
      absl::StrAppend(&escaped, "_", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  // A hash begins with what no escape has: "_" and a letter above f.
  if (escaped.size() > kLongest) return id::Derive("_long", {value});
  return escaped;
}

// A value as part of a host's name, where letter case tells nothing apart and "_" is not allowed:
// lower-case letters and digits stand for themselves, every other byte is "-" and two hex digits.
std::string HostPart(std::string_view value) {
  // With its prefix a label of at most 63 bytes.
  constexpr size_t kLongestLabel = 48;
  std::string part;
  for (const char c : value) {
    if (absl::ascii_islower(static_cast<unsigned char>(c)) ||
        absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      part += c;
    } else {
      absl::StrAppend(&part, "-", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  if (part.size() <= kLongestLabel) return part;
  // A hash begins with what no escape has: "-" and a letter above f.
  return absl::StrReplaceAll(id::Derive("-long", {value}), {{"_", "-"}});
}

}  // namespace

std::string AccountId(std::string_view location) {
  return absl::StrCat("location-", Escaped(location));
}

std::string ContactId(std::string_view location, std::string_view caller) {
  return absl::StrCat("caller-", Escaped(caller), ":", Escaped(location));
}

std::string AgentId(std::string_view assignee) { return absl::StrCat("agent-", Escaped(assignee)); }

std::string GroupStaffId(std::string_view group) {
  return group.empty() ? "group:unknown" : absl::StrCat("group-", Escaped(group));
}

std::string Domain(std::string_view location) {
  return absl::StrCat("location-", HostPart(location), ".example");
}

std::string Address(std::string_view location, std::string_view caller) {
  return absl::StrCat("caller-", HostPart(caller), "@", Domain(location));
}

std::string UnknownAddress(std::string_view incident) {
  return absl::StrCat("incident-", HostPart(incident), "@unknown.invalid");
}

std::string OnOneLine(std::string_view value) {
  std::string line(value);
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return line;
}

std::string CategoryKey(std::string_view category) {
  return absl::AsciiStrToLower(Escaped(category));
}

std::string ResolutionCode(std::string_view code) {
  return code.empty() ? "UNKNOWN" : absl::StrCat("code-", Escaped(code));
}

}  // namespace tandem::programs
