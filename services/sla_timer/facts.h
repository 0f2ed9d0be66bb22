// What a ticket's clocks are judged by: facts with their own instants, in the order that they
// count.
#ifndef TANDEM_SERVICES_SLA_TIMER_FACTS_H_
#define TANDEM_SERVICES_SLA_TIMER_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/sla_timer/sla_rules.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::sla_timer {

enum class FactKind {
  kOpened = 1,
  kTriaged,     // classified; only the first one is this, later ones are kSeverity
  kSeverity,    // severity changed
  kAttributes,  // what rules look at beside the severity changed
  kPolicy,      // another version of the policy took the ticket
  kReply,       // a public message by an agent
  kOwned,       // an agent accepted it
  kState,       // moved between NEW, OPEN, PENDING and ON_HOLD
  kResolved,    // by an agent
  kSelfServed,  // resolved by the customer
  kReopened,
  kClosed,
  kSpam,    // closed as no request at all
  kMerged,  // goes on in another ticket
};

// One fact. Which fields count depends on the kind.
struct Fact {
  FactKind kind = FactKind::kOpened;
  absl::Time at;
  int64_t ticket_version = 0;  // of intake's facts; 0 = of another service
  int arrival = 0;             // its place in the ticket's list, which names it in answers
  Attributes attributes = {};  // kOpened, kAttributes; severity: kTriaged, kSeverity
  bool internal = false;       // kOpened, kAttributes
  type::v1::TicketState state = type::v1::TICKET_STATE_UNSPECIFIED;  // kState
  int64_t policy_version = 0;                                        // kOpened, kPolicy
};

// Sorts by the facts' own instants; the opening is first, and nothing is dated before it. Within
// one instant what stops, pauses or resumes a clock comes before what changes its target, and
// intake's facts keep the order in which intake decided them: no time passes in an instant, so that
// order decides only where the ticket ends up. (A breach comes last: the evaluation sees to that.)
void SortFacts(std::vector<Fact>& facts);

// Why a ticket is out of attainment, whatever was judged of its clocks: "spam" (no request at all),
// "merged" (another ticket stands for it) or "internal" (no customer's); empty = it counts. One
// that is only suspected to be spam counts. `facts` are sorted.
std::string ExclusionOf(const std::vector<Fact>& facts);

}  // namespace tandem::sla_timer

#endif  // TANDEM_SERVICES_SLA_TIMER_FACTS_H_
