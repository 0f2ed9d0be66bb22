#include "services/account_health/requesters.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace tandem::account_health {

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

std::string DomainOf(std::string_view normal_address) {
  const size_t at = normal_address.rfind('@');
  if (at == std::string_view::npos || at == 0) return "";
  std::string domain(normal_address.substr(at + 1));
  return IsDomain(domain) ? domain : "";
}

bool IsDomain(std::string_view domain) {
  if (domain.empty() || domain.size() > 253 || domain.find('.') == std::string_view::npos) {
    return false;
  }
  const std::vector<std::string> labels = absl::StrSplit(std::string(domain), '.');
  for (const std::string& label : labels) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    const bool is_clean = std::all_of(label.begin(), label.end(), [](char c) {
      return absl::ascii_islower(static_cast<unsigned char>(c)) ||
             absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
    });
    if (!is_clean) return false;
  }
  return true;
}

bool IsPublicMail(std::string_view domain, const account::v1::AccountPolicy& policy) {
  return std::find(policy.public_mail_domains().begin(), policy.public_mail_domains().end(),
                   domain) != policy.public_mail_domains().end();
}

Match FindRequester(std::string_view normal_address, const records::AddressRecord* address,
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
  const std::string mail_domain = DomainOf(normal_address);
  if (mail_domain.empty() || IsPublicMail(mail_domain, policy) || domain == nullptr) return {};
  if (domain->account_ids_size() == 1) {
    return {Match::Kind::kNewContact, domain->account_ids(0), {}};
  }
  return {
      Match::Kind::kUnresolved, "", {domain->account_ids().begin(), domain->account_ids().end()}};
}

}  // namespace tandem::account_health
