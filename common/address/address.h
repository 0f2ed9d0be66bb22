// Mail addresses and phone numbers: read once where they enter, compared by one canonical form.
#ifndef TANDEM_COMMON_ADDRESS_ADDRESS_H_
#define TANDEM_COMMON_ADDRESS_ADDRESS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tandem::address {

// The longest text that is read at all: a line of mail (RFC 5322 §2.1.1).
inline constexpr size_t kMaxInputBytes = 998;

// What was read.
struct Address {
  // The one spelling by which two addresses are the same: "c@k4.example", "+4930123456". The domain
  // is in lower case and A-labels, without a dot at its end; ASCII letters of the local part are in
  // lower case. (RFC 5321 lets a host tell "Carl" from "carl"; none that people use does, and they
  // write their own address both ways.)
  std::string canonical;
  // The spelling to send to: `canonical`, but with the local part as it was written.
  std::string deliverable;
  // Of a mail address: "k4.example". Empty for a phone number.
  std::string domain;

  bool is_mail() const { return !domain.empty(); }
};

// All functions: any thread; no file, locale, clock or network is touched. A refusal is
// INVALID_ARGUMENT with a message that completes "<field> …", such as "has two '@'". It never
// repeats the text, which may be personal data.

// A mail address when the text has an '@', else a phone number.
absl::StatusOr<Address> Parse(std::string_view text);

// One mailbox of RFC 5322 §3.4: `c@k4.example`, `<c@k4.example>` or `Carl C <c@k4.example>`, with
// comments and quoted strings wherever the RFC allows them. Refused: two '@', several mailboxes,
// groups, routes, a domain that is an IP address or has no dot. Sizes are those of RFC 5321
// §4.5.3.1: 64 bytes of local part, 254 bytes in all. Beyond ASCII (RFC 6531) the domain is
// converted by IDNA2008 with UTS #46 non-transitional mapping; the local part is kept as it was
// written.
absl::StatusOr<Address> ParseMail(std::string_view text);

// A number of ITU-T E.164: '+', then 7 to 15 digits that begin with a country code. Spaces, dots,
// hyphens, slashes and brackets between digits (E.123) are dropped. Refused: a number without '+',
// a trunk prefix "(0)", letters, an extension.
absl::StatusOr<Address> ParsePhone(std::string_view text);

// A domain of at least two labels in any case, with or without a dot at its end, in Unicode or
// A-labels: as A-labels in lower case without that dot.
absl::StatusOr<std::string> ParseDomain(std::string_view text);

// Whether a canonical address is a mail address.
bool IsMail(std::string_view canonical);

// The domain of a canonical address; empty for a phone number.
std::string_view DomainOf(std::string_view canonical);

}  // namespace tandem::address

#endif  // TANDEM_COMMON_ADDRESS_ADDRESS_H_
