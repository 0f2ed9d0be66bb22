// triage's tables and all of its SQL.
#ifndef TANDEM_SERVICES_TRIAGE_RECORDS_H_
#define TANDEM_SERVICES_TRIAGE_RECORDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/store/record.h"
#include "services/triage/records.pb.h"

namespace tandem::triage {

const store::Table<records::TicketRecord>& Tickets();
const store::Table<records::StaffRecord>& StaffTable();
const store::Table<records::LoadRecord>& Loads();
const store::Table<records::RosterRecord>& Rosters();
const store::Table<records::EscalationRecord>& Escalations();
const store::Table<records::ClocksRecord>& Clocks();

// When the earliest of the clocks is due; the infinite future = never.
absl::Time EarliestDue(const records::ClocksRecord& clocks);
// The severity in force: by hand, else by the rules.
type::v1::Severity SeverityOf(const records::TicketRecord& ticket);
// What makes tickets alike: product and category; empty when neither is known.
std::string AlikeKey(const records::TicketRecord& ticket);
// The product in such a key.
std::string ProductOf(std::string_view alike_key);

// At most `limit` tickets that wait in `queue`, by effective severity at `now` and by how long they
// wait.
absl::StatusOr<std::vector<corridor::Loaded<records::TicketRecord>>> SelectWaiting(
    corridor::View& view, std::string_view queue, absl::Time now, int64_t limit);

// When the earliest running clock of each ticket that waits in `queue` is due, by ticket; one
// without a due instant is left out.
absl::StatusOr<std::map<std::string, absl::Time>> SelectDue(corridor::View& view,
                                                            std::string_view queue);

// At most `limit` open tickets that somebody owns with an id above `after`, by id.
absl::StatusOr<std::vector<corridor::Loaded<records::TicketRecord>>> SelectOwned(
    corridor::View& view, std::string_view after, int64_t limit);

// How many open tickets were opened at or after `since`, by AlikeKey.
absl::StatusOr<std::map<std::string, int64_t>> CountAlike(corridor::View& view, absl::Time since);

// What waits in one queue.
struct WaitingCount {
  type::v1::Severity severity;            // in force
  type::v1::Severity effective_severity;  // with the rise by waiting
  int64_t tickets = 0;
  absl::Time oldest_since;
};
// By queue, then by severity and effective severity at `now`.
absl::StatusOr<std::map<std::string, std::vector<WaitingCount>>> CountWaiting(corridor::View& view,
                                                                              absl::Time now);
// Open tickets of `queue` that somebody owns.
absl::StatusOr<int64_t> CountOwned(corridor::View& view, std::string_view queue);

// Open tickets, by queue.
absl::StatusOr<std::map<std::string, int64_t>> CountOpenByQueue(corridor::View& view);

// At most `limit` staff with an id above `after`, by id; of `function` unless it is unspecified.
absl::StatusOr<std::vector<corridor::Loaded<records::StaffRecord>>> SelectStaff(
    corridor::View& view, type::v1::StaffFunction function, std::string_view after, int64_t limit);

// At most `limit` escalations that ring or are acknowledged, with an id above `after`, by id.
absl::StatusOr<std::vector<corridor::Loaded<records::EscalationRecord>>> SelectLiveEscalations(
    corridor::View& view, std::string_view after, int64_t limit);

// Where a page of escalations ended.
struct EscalationPosition {
  absl::Time raised_at;
  std::string escalation_id;
};
// At most `limit` escalations that fit the filters, newest first, after `after` when given.
absl::StatusOr<std::vector<corridor::Loaded<records::EscalationRecord>>> SelectEscalations(
    corridor::View& view, const v1::ListEscalationsRequest& request,
    const EscalationPosition* after, int64_t limit);

// How much there is of what operators watch. Every few seconds: from indexes and small tables.
std::vector<corridor::ServiceDefinition::Measure> Measures();

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_RECORDS_H_
