// Who a requester is (product §5.10): the exact address, else the company's mail domain. Pure; any
// thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_REQUESTERS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_REQUESTERS_H_

#include <string>
#include <string_view>
#include <vector>

#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"

namespace tandem::account_health {

// The form by which stored addresses are compared (common/address). What was stored before
// addresses were parsed, and is none, keeps the form below.
std::string CanonicalAddress(std::string_view stored);
// The form by which addresses were compared before they were parsed: mail addresses in lower case
// without blanks around them, phone numbers without blanks, dots, dashes and brackets.
std::string NormalAddress(std::string_view address);
// The mail domain of a canonical address; empty for a phone number or what is no address.
std::string DomainOf(std::string_view canonical);
// Whether a text is a mail domain in its canonical form.
bool IsDomain(std::string_view domain);
bool IsPublicMail(std::string_view domain, const account::v1::AccountPolicy& policy);

struct Match {
  enum class Kind {
    kContact,     // id = the contact
    kNewContact,  // id = the account that gets a new MEMBER
    kUnresolved,  // nobody, or several (candidates)
  };
  Kind kind = Kind::kUnresolved;
  std::string id;
  std::vector<std::string> candidates;
};
// `address` and `domain` are what is stored under the canonical address and its domain; null =
// nothing.
Match FindRequester(std::string_view canonical, const records::AddressRecord* address,
                    const records::DomainRecord* domain, const account::v1::AccountPolicy& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_REQUESTERS_H_
