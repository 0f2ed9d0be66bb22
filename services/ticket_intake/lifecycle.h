// The states of a ticket and what may move it from one to another (product §1.2). Pure functions.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_LIFECYCLE_H_
#define TANDEM_SERVICES_TICKET_INTAKE_LIFECYCLE_H_

#include <string_view>

#include "absl/status/status.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::ticket_intake {

// NEW, OPEN, PENDING or ON_HOLD.
bool IsUnresolved(type::v1::TicketState state);

// The state without its prefix: "PENDING".
std::string_view StateName(type::v1::TicketState state);

// Whether somebody may move a ticket to OPEN, PENDING or ON_HOLD by hand. Staying where it is is
// allowed. FAILED_PRECONDITION TICKET_STATE names the state that forbids it.
absl::Status CheckMove(type::v1::TicketState from, type::v1::TicketState to);

// What a resolution stands on.
struct ResolutionGrounds {
  type::v1::TicketState state = type::v1::TICKET_STATE_UNSPECIFIED;
  type::v1::ResolvedBy resolved_by = type::v1::RESOLVED_BY_UNSPECIFIED;
  bool has_assignee = false;
  bool has_agent_answer = false;      // a public AGENT message since opening or the last reopening
  bool has_automatic_answer = false;  // the same by BOT or SYSTEM; enough for SELF_SERVICE only
};

// FAILED_PRECONDITION TICKET_STATE, NO_ASSIGNEE or NO_PUBLIC_ANSWER.
absl::Status CheckResolve(const ResolutionGrounds& grounds);

// Only a RESOLVED ticket is reopened. FAILED_PRECONDITION TICKET_STATE.
absl::Status CheckReopen(type::v1::TicketState state);

// CONFIRMED and AUTO close a RESOLVED ticket, SPAM any that is not closed. FAILED_PRECONDITION
// TICKET_STATE.
absl::Status CheckClose(type::v1::TicketState state, type::v1::CloseReason reason);

// What a message does to the ticket that it is sent to.
enum class MessageEffect {
  kNone,      // it is stored
  kOpens,     // stored; the ticket is OPEN from now on
  kReopens,   // stored; the resolution is undone
  kThanks,    // stored; a thank-you leaves a resolved ticket resolved
  kFollowUp,  // not stored here: it continues in another ticket
  kRefused,   // not stored
};

// `is_thank_you` says that the text matches the policy's patterns; it counts on RESOLVED only.
// `third_party_reopens` is the policy's: a stranger's message then opens and reopens what the
// requester's would, but is never continued in another ticket.
MessageEffect EffectOf(type::v1::TicketState state, type::v1::AuthorKind author,
                       type::v1::Visibility visibility, bool is_thank_you,
                       bool third_party_reopens = false);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_LIFECYCLE_H_
