#include "common/address/address.h"

#include <idn2.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/utf8.h"

namespace tandem::address {
namespace {

constexpr size_t kMaxLocalBytes = 64;    // RFC 5321 §4.5.3.1.1
constexpr size_t kMaxMailBytes = 254;    // §4.5.3.1.3: a path of 256 bytes has '<' and '>'
constexpr size_t kMaxDomainBytes = 253;  // RFC 1035 §2.3.4, written without the root's dot
constexpr size_t kMaxLabelBytes = 63;    // ibid.
constexpr size_t kMinPhoneDigits = 7;  // the shortest in use: three of country code, four of number
constexpr size_t kMaxPhoneDigits = 15;  // E.164 §6.1
constexpr int kMaxCommentDepth = 16;    // of comments within comments

absl::Status Bad(std::string_view problem) {
  return absl::InvalidArgumentError(absl::string_view(problem.data(), problem.size()));
}

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsBeyondAscii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// atext of RFC 5322 §3.2.3, with UTF8-non-ascii as RFC 6532 §3.2 adds it.
bool IsAtomText(char c) {
  return IsAlnum(c) || IsBeyondAscii(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  absl::AsciiStrToLower(&lower);
  return lower;
}

// What no line of mail holds anywhere.
absl::Status CheckText(std::string_view text) {
  if (text.size() > kMaxInputBytes) {
    return Bad(absl::StrCat("has more than ", kMaxInputBytes, " bytes"));
  }
  if (!config::IsValidUtf8(text)) return Bad("is not UTF-8");
  for (std::string_view rest = text; !rest.empty();) {
    const int32_t point = config::TakeCodePoint(&rest);
    if ((point < 0x20 && point != '\t') || (point >= 0x7F && point < 0xA0)) {
      return Bad("holds a control character");
    }
  }
  return absl::OkStatus();
}

// Blanks of other scripts, zero-width characters, marks that turn the direction of writing: with
// them two addresses that look the same would be different ones. (Only the ASCII blank may stand in
// quotes.)
bool HoldsInvisible(std::string_view local) {
  while (!local.empty()) {
    const int32_t point = config::TakeCodePoint(&local);
    if (point != ' ' && config::IsInvisible(point)) return true;
  }
  return false;
}

// Reads one mailbox from left to right.
class MailReader {
 public:
  explicit MailReader(std::string_view text) : rest_(text) {}

  absl::StatusOr<Address> Read() {
    if (absl::Status blanks = SkipComments(); !blanks.ok()) return blanks;
    if (rest_.empty()) return Bad("is empty");
    if (rest_.front() == '<') return ReadAngle();
    // Words up to the first special character: a local part before '@', a display name before '<'.
    Words words;
    if (absl::Status read = ReadWords(words); !read.ok()) return read;
    if (rest_.empty()) return Bad("has no '@'");
    switch (rest_.front()) {
      case '@':
        return ReadAfterLocalPart(std::move(words), /*in_angle=*/false);
      case '<':
        return ReadAngle();
      case ':':
        return Bad("is a group of addresses; name one");
      case ',':
      case ';':
        return Bad(
            "names more than one address; name one, and put a display name with a comma in quotes");
      default:
        return Bad("has a character that an address or a display name cannot hold unquoted");
    }
  }

 private:
  struct Words {
    std::string text;           // quotes removed
    bool is_spaced = false;     // a blank or comment stood between two words: a display name
    bool has_lone_dot = false;  // a dot at an end or beside another
    bool is_joined = false;     // a quoted string beside an atom without a dot between them
    int parts = 0;
  };

  bool At(char c) const { return !rest_.empty() && rest_.front() == c; }
  char Take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  // Blanks and comments (CFWS of RFC 5322 §3.2.2).
  absl::Status SkipComments() {
    while (!rest_.empty()) {
      if (IsBlank(rest_.front())) {
        Take();
      } else if (rest_.front() == '(') {
        if (absl::Status skipped = SkipComment(); !skipped.ok()) return skipped;
      } else {
        break;
      }
    }
    return absl::OkStatus();
  }

  absl::Status SkipComment() {
    int depth = 0;
    while (!rest_.empty()) {
      const char c = Take();
      if (c == '\\') {
        if (rest_.empty()) break;
        Take();
      } else if (c == '(') {
        if (++depth > kMaxCommentDepth) return Bad("nests comments too deeply");
      } else if (c == ')' && --depth == 0) {
        return absl::OkStatus();
      }
    }
    return Bad("has a comment that does not end");
  }

  absl::Status ReadQuoted(std::string& text) {
    Take();
    while (!rest_.empty()) {
      char c = Take();
      if (c == '"') return absl::OkStatus();
      if (c == '\\') {
        if (rest_.empty()) break;
        c = Take();
      }
      text.push_back(c);
    }
    return Bad("has a quoted string that does not end");
  }

  // Atoms, quoted strings and dots, with blanks and comments around them, up to something else.
  absl::Status ReadWords(Words& words) {
    bool dot_before = true;  // so that a leading dot is found
    bool quoted_before = false;
    while (!rest_.empty()) {
      const size_t before = rest_.size();
      if (absl::Status skipped = SkipComments(); !skipped.ok()) return skipped;
      const bool blank_before = rest_.size() != before;
      if (rest_.empty()) break;
      const char c = rest_.front();
      if (c == '.') {
        if (dot_before) words.has_lone_dot = true;
        words.text.push_back(Take());
        dot_before = true;
        continue;
      }
      if (c != '"' && !IsAtomText(c)) break;
      const bool continues = words.parts > 0 && !dot_before;
      // Obsolete syntax has blanks around the dots of a local part; between two words without a dot
      // they tell that this is a display name.
      if (continues && blank_before) words.is_spaced = true;
      if (continues && !blank_before && (c == '"' || quoted_before)) words.is_joined = true;
      if (c == '"') {
        if (absl::Status read = ReadQuoted(words.text); !read.ok()) return read;
      } else {
        while (!rest_.empty() && IsAtomText(rest_.front())) words.text.push_back(Take());
      }
      quoted_before = c == '"';
      ++words.parts;
      dot_before = false;
    }
    if (dot_before) words.has_lone_dot = true;
    return absl::OkStatus();
  }

  absl::StatusOr<Address> ReadAngle() {
    Take();
    if (absl::Status skipped = SkipComments(); !skipped.ok()) return skipped;
    if (At('>')) return Bad("is empty between '<' and '>'");
    if (At('@')) return Bad("has nothing before the '@', or names a route");
    Words words;
    if (absl::Status read = ReadWords(words); !read.ok()) return read;
    if (!At('@')) return Bad("has no '@' between '<' and '>'");
    return ReadAfterLocalPart(std::move(words), /*in_angle=*/true);
  }

  absl::StatusOr<Address> ReadAfterLocalPart(Words local, bool in_angle) {
    if (local.parts == 0 && local.text.empty()) return Bad("has nothing before the '@'");
    if (local.is_spaced) {
      return Bad("has a blank before the '@'; put '<' and '>' around the address after a name");
    }
    if (local.is_joined) return Bad("has quotes around only a part of what stands before the '@'");
    if (local.has_lone_dot) {
      return Bad("has a dot at the start, at the end or beside another dot before the '@'");
    }
    if (local.text.empty()) return Bad("has nothing before the '@'");
    if (HoldsInvisible(local.text)) return Bad("has an invisible character before the '@'");
    if (local.text.size() > kMaxLocalBytes) {
      return Bad(absl::StrCat("has more than ", kMaxLocalBytes, " bytes before the '@'"));
    }
    Take();  // '@'
    if (absl::Status skipped = SkipComments(); !skipped.ok()) return skipped;
    if (At('[')) return Bad("has an IP address for a domain; give the domain's name");
    std::string domain;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '@') return Bad("has two '@'");
      if (IsAtomText(c) || c == '.') {
        domain.push_back(Take());
        continue;
      }
      const std::string_view before = rest_;
      if (absl::Status skipped = SkipComments(); !skipped.ok()) return skipped;
      if (rest_.size() == before.size()) break;
      // Obsolete syntax allows blanks around the dots of a domain, and nowhere else.
      if (!rest_.empty() && IsAtomText(rest_.front()) && !domain.empty() && domain.back() != '.') {
        return Bad("has a blank within its domain, or text after it");
      }
    }
    if (in_angle) {
      if (!At('>')) return Bad("has no '>' after its domain");
      Take();
      if (absl::Status skipped = SkipComments(); !skipped.ok()) return skipped;
    }
    if (At(',') || At(';')) return Bad("names more than one address; name one");
    if (At('@')) return Bad("has two '@'");
    if (!rest_.empty()) return Bad("has text after the address");
    if (domain.empty()) return Bad("has nothing after the '@'");

    absl::StatusOr<std::string> normal = ParseDomain(domain);
    if (!normal.ok()) return normal.status();
    Address address;
    address.domain = *std::move(normal);
    address.deliverable = absl::StrCat(Quoted(local.text), "@", address.domain);
    address.canonical = absl::StrCat(Quoted(Lower(local.text)), "@", address.domain);
    if (address.canonical.size() > kMaxMailBytes) {
      return Bad(absl::StrCat("has more than ", kMaxMailBytes, " bytes"));
    }
    return address;
  }

  // A local part needs quotes only where it is no dot-atom: "carl"@ and carl@ are one address.
  static std::string Quoted(std::string_view local) {
    bool is_plain =
        local.front() != '.' && local.back() != '.' && local.find("..") == std::string_view::npos;
    for (const char c : local) is_plain = is_plain && (c == '.' || IsAtomText(c));
    if (is_plain) return std::string(local);
    std::string quoted = "\"";
    for (const char c : local) {
      if (c == '"' || c == '\\') quoted.push_back('\\');
      quoted.push_back(c);
    }
    quoted.push_back('"');
    return quoted;
  }

  std::string_view rest_;
};

// Letters, digits and hyphens, none at an end (RFC 1123 §2.1).
absl::Status CheckLabel(std::string_view label) {
  if (label.empty()) return Bad("has a domain with two dots in a row, or one at its start");
  if (label.size() > kMaxLabelBytes) {
    return Bad(absl::StrCat("has a domain label of more than ", kMaxLabelBytes, " bytes"));
  }
  for (const char c : label) {
    if (!IsAlnum(c) && c != '-') {
      return Bad("has a domain with a character other than letters, digits, '-' and '.'");
    }
  }
  if (label.front() == '-' || label.back() == '-') {
    return Bad("has a domain label that begins or ends with '-'");
  }
  return absl::OkStatus();
}

bool NeedsIdna(std::string_view lower) {
  for (const char c : lower) {
    if (IsBeyondAscii(c)) return true;
  }
  return lower.substr(0, 4) == "xn--" || lower.find(".xn--") != std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::string> ParseDomain(std::string_view text) {
  if (absl::Status sound = CheckText(text); !sound.ok()) return sound;
  std::string domain = Lower(text);
  // Names without such labels are not given to IDNA: it refuses "r3---a.example", which exists.
  if (NeedsIdna(domain)) {
    char* converted = nullptr;
    const int rc =
        idn2_to_ascii_8z(domain.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    const std::unique_ptr<char, void (*)(void*)> owned(converted, idn2_free);
    if (rc != IDN2_OK) {
      return Bad(absl::StrCat("has a domain that is no internationalized domain name: ",
                              idn2_strerror(rc)));
    }
    domain = converted;
  }
  if (!domain.empty() && domain.back() == '.') domain.pop_back();
  if (domain.empty()) return Bad("has an empty domain");
  if (domain.size() > kMaxDomainBytes) {
    return Bad(absl::StrCat("has a domain of more than ", kMaxDomainBytes, " bytes"));
  }
  if (domain.find('.') == std::string::npos) {
    return Bad("has a domain without a dot; give the full name");
  }
  std::string_view rest = domain;
  std::string_view last;
  while (true) {
    const size_t dot = rest.find('.');
    last = rest.substr(0, dot);
    if (absl::Status sound = CheckLabel(last); !sound.ok()) return sound;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // A top-level domain is never all digits (RFC 3696 §2): that is how an IP address is told apart.
  if (last.find_first_not_of("0123456789") == std::string_view::npos) {
    return Bad("has an IP address for a domain; give the domain's name");
  }
  return domain;
}

absl::StatusOr<Address> ParseMail(std::string_view text) {
  if (absl::Status sound = CheckText(text); !sound.ok()) return sound;
  return MailReader(text).Read();
}

absl::StatusOr<Address> ParsePhone(std::string_view text) {
  if (absl::Status sound = CheckText(text); !sound.ok()) return sound;
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  if (text.empty()) return Bad("is empty");
  if (text.front() != '+') {
    return Bad(
        "is neither a mail address (no '@') nor a phone number (no '+' before a country code)");
  }
  std::string digits;
  for (const char c : text.substr(1)) {
    if (IsDigit(c)) {
      digits.push_back(c);
    } else if (std::string_view(" \t.-/()").find(c) == std::string_view::npos) {
      return Bad("is a phone number with a character other than digits and ' .-/()'");
    }
  }
  if (text.find("(0)") != std::string_view::npos) {
    return Bad(
        "is a phone number with a trunk prefix \"(0)\", which is not dialled after a country "
        "code; leave it out");
  }
  if (digits.empty() || digits.front() == '0') {
    return Bad("is a phone number without a country code after the '+'");
  }
  if (digits.size() < kMinPhoneDigits || digits.size() > kMaxPhoneDigits) {
    return Bad(absl::StrCat("is a phone number of ", digits.size(), " digits, not ",
                            kMinPhoneDigits, " to ", kMaxPhoneDigits));
  }
  Address address;
  address.canonical = absl::StrCat("+", digits);
  address.deliverable = address.canonical;
  return address;
}

absl::StatusOr<Address> Parse(std::string_view text) {
  if (text.find('@') == std::string_view::npos) return ParsePhone(text);
  return ParseMail(text);
}

bool IsMail(std::string_view canonical) { return !DomainOf(canonical).empty(); }

std::string_view DomainOf(std::string_view canonical) {
  const size_t at = canonical.rfind('@');
  return at == std::string_view::npos ? std::string_view() : canonical.substr(at + 1);
}

}  // namespace tandem::address
