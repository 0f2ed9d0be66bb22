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

// One spelling for one address: mail addresses in lower case without blanks around them, phone
// numbers without blanks, dots, dashes and brackets.
std::string NormalAddress(std::string_view address);
// The mail domain of a normal address in lower case; empty for a phone number or what is no
// address.
std::string DomainOf(std::string_view normal_address);
// Whether a text may stand as a company's mail domain: lower-case labels of [a-z0-9-] with dots
// between.
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
// `address` and `domain` are what is stored under the normal address and its domain; null =
// nothing.
Match FindRequester(std::string_view normal_address, const records::AddressRecord* address,
                    const records::DomainRecord* domain, const account::v1::AccountPolicy& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_REQUESTERS_H_
