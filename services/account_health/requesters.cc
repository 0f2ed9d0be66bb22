#include "services/account_health/requesters.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "common/address/address.h"

namespace tandem::account_health {

std::string CanonicalAddress(std::string_view stored) {
  absl::StatusOr<address::Address> parsed = address::Parse(stored);
  return parsed.ok() ? std::move(parsed->canonical) : NormalAddress(stored);
}

std::string NormalAddress(std::string_view address) {
  std::string normal = absl::AsciiStrToLower(std::string(address));
  absl::StripAsciiWhitespace(&normal);
  if (normal.find('@') != std::string::npos) return normal;
  const bool is_phone = !normal.empty() && std::all_of(normal.begin(), normal.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           std::string_view("+ .-()/").find(c) != std::string_view::npos;
  });
  if (!is_phone) return normal;
  std::string digits;
  for (const char c : normal) {
    if (c == '+' || absl::ascii_isdigit(static_cast<unsigned char>(c))) digits.push_back(c);
  }
  // Only punctuation is no number; keep it apart from other such texts.
  return digits.empty() ? normal : digits;
}

std::string DomainOf(std::string_view canonical) {
  if (canonical.empty() || canonical.front() == '@') return "";
  return IsDomain(address::DomainOf(canonical)) ? std::string(address::DomainOf(canonical)) : "";
}

bool IsDomain(std::string_view domain) {
  const absl::StatusOr<std::string> parsed = address::ParseDomain(domain);
  return parsed.ok() && *parsed == domain;
}

bool IsPublicMail(std::string_view domain, const account::v1::AccountPolicy& policy) {
  return std::find(policy.public_mail_domains().begin(), policy.public_mail_domains().end(),
                   domain) != policy.public_mail_domains().end();
}

Match FindRequester(std::string_view canonical, const records::AddressRecord* address,
                    const records::DomainRecord* domain, const account::v1::AccountPolicy& policy) {
  if (address != nullptr && address->contact_ids_size() == 1) {
    return {Match::Kind::kContact, address->contact_ids(0), {}};
  }
  if (address != nullptr && address->contact_ids_size() > 1) {
    // The domain cannot tell which of them it is.
    return {Match::Kind::kUnresolved,
            "",
            {address->contact_ids().begin(), address->contact_ids().end()}};
  }
  const std::string mail_domain = DomainOf(canonical);
  if (mail_domain.empty() || IsPublicMail(mail_domain, policy) || domain == nullptr) return {};
  if (domain->account_ids_size() == 1) {
    return {Match::Kind::kNewContact, domain->account_ids(0), {}};
  }
  return {
      Match::Kind::kUnresolved, "", {domain->account_ids().begin(), domain->account_ids().end()}};
}

}  // namespace tandem::account_health
