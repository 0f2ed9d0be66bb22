// sla_timer's tables and all of its SQL.
#ifndef TANDEM_SERVICES_SLA_TIMER_RECORDS_H_
#define TANDEM_SERVICES_SLA_TIMER_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/store/record.h"
#include "services/sla_timer/records.pb.h"

namespace tandem::sla_timer {

const store::Table<records::TicketRecord>& Tickets();
const store::Table<records::PolicyHistory>& PolicyHistories();
const store::Table<records::VerificationRecord>& Verifications();

// The only key of PolicyHistories, and of Verifications.
inline constexpr std::string_view kHistoryKey = "sla";

using TicketRows = std::vector<corridor::Loaded<records::TicketRecord>>;

// At most `limit` tickets with a clock that runs or is overdue and is due at or before `until_us`,
// the earliest due first, after (`after_due_us`, `after_key`); `account_id` empty = any.
absl::StatusOr<TicketRows> SelectDue(corridor::View& view, int64_t until_us,
                                     std::string_view account_id, int64_t after_due_us,
                                     std::string_view after_key, int64_t limit);
// At most `limit` tickets with a clock that runs, stands still or is overdue, by id.
absl::StatusOr<TicketRows> SelectLive(corridor::View& view, int64_t limit);
// How many there are.
absl::StatusOr<int64_t> CountLive(corridor::View& view);
// At most `limit` tickets, by id, after `after_key`.
absl::StatusOr<TicketRows> SelectAll(corridor::View& view, std::string_view after_key,
                                     int64_t limit);
// At most `limit` tickets opened in [from_us, to_us), by instant and id, after (`after_us`,
// `after_key`); `account_id` empty = any.
absl::StatusOr<TicketRows> SelectOpened(corridor::View& view, int64_t from_us, int64_t to_us,
                                        std::string_view account_id, int64_t after_us,
                                        std::string_view after_key, int64_t limit);
// At most `limit` tickets that are not closed and that an earlier version of the policy took, by
// id, after `after_key`.
absl::StatusOr<TicketRows> SelectOpenUnder(corridor::View& view, int64_t before_version,
                                           std::string_view after_key, int64_t limit);
// How much there is of what operators watch. Every few seconds: from indexes and small tables.
std::vector<corridor::ServiceDefinition::Measure> Measures();

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_RECORDS_H_
