// Contacts and what finds them: their addresses, names in other systems and companies' mail
// domains, and the entries of the unresolved list that a change settles. A change applies to what
// has arrived already as it does to what arrives next (product §5.10).
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_CONTACTS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_CONTACTS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"

namespace tandem::account_health {

inline constexpr size_t kMaxAddresses = 10;
inline constexpr size_t kMaxExternalIds = 20;

// Moves names in other systems from `before` to `after`: each belongs to one thing of a kind
// ("account", "contact"). ALREADY_EXISTS names whose it is.
absl::Status PutNames(Work& work, std::string_view kind, const std::string& id,
                      const google::protobuf::RepeatedPtrField<type::v1::ExternalId>& before,
                      const google::protobuf::RepeatedPtrField<type::v1::ExternalId>& after);

// Stores `after`, whose version is the new one, with all that finds it; tells the change, and ends
// the clearances that what it wants no more has given. `cause_event_id`: the event that changed it,
// empty for a request.
absl::Status PutContact(Work& work, const account::v1::Contact& after,
                        std::string_view cause_event_id = "");

// A MEMBER for a requester, not stored yet.
account::v1::Contact NewMember(std::string contact_id, const std::string& account_id,
                               const std::string& address, const type::v1::ExternalId& name,
                               absl::Time now);

// Settles the entry of the unresolved list as that contact, which is stored already: its address or
// name is the contact's from now on, whoever else states it too, its tickets go to the contact's
// account, and whoever asked intake about that account must ask again.
absl::Status SettleRequester(Work& work, const corridor::Inputs& in,
                             const std::string& requester_id, const account::v1::Contact& contact,
                             const std::string& staff_id);

// Settles what a change of the contact has made plain: entries of addresses that it has now or had
// before, of its names and of its id.
absl::Status SettleForContact(Work& work, const corridor::Inputs& in,
                              const account::v1::Contact& before,
                              const account::v1::Contact& after);

// Moves the account's mail domains and settles the entries of those that are one account's now.
absl::Status PutDomains(Work& work, const corridor::Inputs& in, const account::v1::Account& before,
                        const account::v1::Account& after);
// A page of the entries of a domain; what is left is settled by the timer "settle_domain".
absl::Status SettleDomain(Work& work, const corridor::Inputs& in,
                          const records::DomainSettling& page);

// A page of the contacts, then of the open entries, that were stored before addresses were parsed:
// from then on they are found by the canonical form. What is left is done by the timer
// "index_addresses".
absl::Status IndexAddresses(Work& work, const corridor::Inputs& in,
                            const records::AddressIndexing& page);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_CONTACTS_H_
