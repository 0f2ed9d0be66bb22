// A ticket's record and the rules of its clocks brought together: facts go in, verdicts, events and
// timers come out. Pure but for what it is given.
#ifndef TANDEM_SERVICES_SLA_TIMER_TICKET_CLOCKS_H_
#define TANDEM_SERVICES_SLA_TIMER_TICKET_CLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "services/sla_timer/clock.h"
#include "services/sla_timer/facts.h"
#include "services/sla_timer/records.pb.h"
#include "services/sla_timer/sla_rules.h"

namespace tandem::sla_timer {

inline constexpr std::string_view kServiceName = "sla_timer";
inline constexpr std::string_view kClockTimer = "clock";
// More facts than this about one ticket are refused: its events are then parked.
inline constexpr int kMostFacts = 2000;
// Replies and acceptances beyond this are kept only where they may stop a clock.
inline constexpr int kManyRepeats = 100;

// What a stored verdict is.
enum JudgedKind : int {
  kJudgedMet = 1,
  kJudgedBreached,
  kJudgedStopped,
  kJudgedCancelled,
  kJudgedCorrected
};
std::string_view NameOf(int judged_kind);

// The facts of a record as values: the first `count` of them, in their own order.
std::vector<Fact> FactsOf(const records::TicketRecord& record, int count);
std::vector<Fact> FactsOf(const records::TicketRecord& record);
// The stored clock of a metric; null when it never had one.
const records::Clock* FindClock(const records::TicketRecord& record, type::v1::SlaMetric metric);
Authority AuthorityOf(const records::Clock* clock);
// The versions of the policy that the facts name, without repetition.
std::vector<int64_t> VersionsOf(const records::TicketRecord& record);

// Adds a fact unless its event is known already or it says nothing new. FAILED_PRECONDITION when
// the ticket has too many.
absl::StatusOr<bool> AddFact(records::TicketRecord& record, records::Fact fact);
// Adds the versions of the policy that took the ticket since, in their order, at the instants of
// their application: not before the opening, nor before an earlier version.
absl::Status TakePolicies(records::TicketRecord& record, const records::PolicyHistory& history);
// The version in force, which takes a ticket whose opening is applied now; 0 = the built-in one. By
// the order of commits and never by instants: clocks differ, and are set back.
int64_t VersionInForce(const records::PolicyHistory& history);

// A timer that fired.
struct Firing {
  type::v1::SlaMetric metric = type::v1::SLA_METRIC_UNSPECIFIED;
  absl::Time due;
  bool judged_while_lagging = false;
};

// Judges all clocks after facts came in behind the first `facts_before`, or after a timer fired;
// stores what was judged in `record` and puts events and timers into `decision`.
void Judge(std::string_view ticket_id, records::TicketRecord& record, int facts_before,
           const std::optional<Firing>& firing, const PolicyVersions& policies,
           const corridor::Inputs& in, corridor::Decision& decision);

// The timer of a clock: unique within the service.
std::string TimerId(std::string_view ticket_id, type::v1::SlaMetric metric);

// Stores where a clock's latest cycle stands.
void Summarise(const Evaluation& evaluation, records::Clock& clock);

// What an answer or an event cites.
void Cite(const Leg& leg, type::v1::PolicyRef* ref);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_TICKET_CLOCKS_H_
