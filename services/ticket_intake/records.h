// ticket_intake's tables and all of its SQL.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_RECORDS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/store/record.h"
#include "services/ticket_intake/records.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

const store::Table<records::TicketRecord>& Tickets();
const store::Table<records::MessageRecord>& Messages();
const store::Table<records::TriageViewRecord>& TriageViews();
const store::Table<records::NameRecord>& Names();
const store::Table<records::KnownRequesterRecord>& KnownRequesters();
const store::Table<records::UnresolvedRequesterRecord>& UnresolvedRequesters();
const store::Table<records::StaffRecord>& Staff();
const store::Table<records::ContactRecord>& Contacts();
const store::Table<records::AccountRecord>& Accounts();
const store::Table<records::AddressHistoryRecord>& AddressHistories();

// Keys. Neither an address nor a thread_ref stands in one as it is: keys go into errors and logs.
std::string MessageKey(std::string_view ticket_id, int64_t number);
std::string ExternalIdKey(const type::v1::ExternalId& external_id);
std::string ThreadKey(std::string_view thread_ref);
// Of a canonical address (common/address).
std::string AddressKey(std::string_view canonical);
// `requester` has an address that was read and written anew: deliverable.
std::string RequesterKey(const intake::v1::Requester& requester);

// Where a page of tickets ended: the next begins after it, whatever was opened or changed
// meanwhile.
struct TicketPosition {
  absl::Time opened_at;
  std::string ticket_id;
};

// At most `limit` tickets that fit the filters of `request`, newest first, after `after` when
// given. The external id is not looked at: the caller finds the one ticket that it names and gives
// it as `only` (empty = any).
absl::StatusOr<std::vector<corridor::Loaded<records::TicketRecord>>> SelectTickets(
    corridor::View& view, const intake::v1::ListTicketsRequest& request, std::string_view only,
    const TicketPosition* after, int64_t limit);

// At most `limit` messages of a ticket numbered above `after`, in order.
absl::StatusOr<std::vector<corridor::Loaded<records::MessageRecord>>> SelectMessages(
    corridor::View& view, std::string_view ticket_id, int64_t after, int64_t limit);

// How much there is of what operators watch. Every few seconds: from indexes and small tables.
std::vector<corridor::ServiceDefinition::Measure> Measures();

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_RECORDS_H_
