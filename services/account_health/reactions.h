// What account_health makes of events and due timers. Functions of what they load; see
// common/corridor/definition.h for when they are called.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_REACTIONS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_REACTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "services/account_health/policy.h"
#include "services/account_health/records.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::account_health {

// The functions of this room share what they are called with.
struct EventCall {
  const Policies& policies;
  const bus::Event& event;
  const corridor::Inputs& in;
  corridor::View& view;
};
using Decided = absl::StatusOr<corridor::Decision>;

// ---- tickets: what blocks, what health counts
Decided OnTicketOpened(const events::v1::TicketOpened& opened, const EventCall& call);
Decided OnTicketRequesterResolved(const events::v1::TicketRequesterResolved& resolved,
                                  const EventCall& call);
Decided OnTicketUpdated(const events::v1::TicketUpdated& updated, const EventCall& call);
Decided OnTicketMessageAdded(const events::v1::TicketMessageAdded& added, const EventCall& call);
Decided OnTicketResolved(const events::v1::TicketResolved& resolved, const EventCall& call);
Decided OnTicketReopened(const events::v1::TicketReopened& reopened, const EventCall& call);
Decided OnTicketClosed(const events::v1::TicketClosed& closed, const EventCall& call);
Decided OnTicketTriaged(const events::v1::TicketTriaged& triaged, const EventCall& call);
Decided OnSeverityChanged(const events::v1::SeverityChanged& changed, const EventCall& call);
Decided OnSlaBreached(const events::v1::SlaBreached& breached, const EventCall& call);
Decided OnSlaVerdictCorrected(const events::v1::SlaVerdictCorrected& corrected,
                              const EventCall& call);

// ---- surveys
Decided OnSurveyInvited(const events::v1::SurveyInvited& invited, const EventCall& call);
Decided OnSurveyAnswered(const events::v1::SurveyAnswered& answered, const EventCall& call);
Decided OnSurveyWithdrawn(const events::v1::SurveyWithdrawn& withdrawn, const EventCall& call);
Decided OnSurveyFollowUpRequested(const events::v1::SurveyFollowUpRequested& requested,
                                  const EventCall& call);
Decided OnSurveyFollowUpClosed(const events::v1::SurveyFollowUpClosed& closed,
                               const EventCall& call);

// A contact's word on surveys, given there instead of here.
Decided OnSurveyOptedOut(const events::v1::SurveyOptedOut& opted, const EventCall& call);

// ---- staff
Decided OnStaffChanged(const events::v1::StaffChanged& changed, const EventCall& call);

// ---- everything else about an account: an entry of its timeline. `account_id` and `ticket_id` as
// the event says, either may be empty.
Decided NoteOnTimeline(std::string_view ticket_id, std::string_view account_id,
                       const EventCall& call);

// ---- parking
// While events of a subject are parked, the accounts that they may concern are held: the one that
// the bus key names, that of the ticket that the subject or the key is, and `named_account_id`, the
// one that the body names if anybody can read it: a move stands behind what cannot be read.
Decided OnParking(const bus::Event& event, bool parked, const std::string& named_account_id,
                  const Policies& policies, const corridor::Inputs& in, corridor::View& view);

// ---- timers
// Facts leave their windows.
Decided OnDecay(const corridor::FiredTimer& timer, const records::AccountTimer& payload,
                const Policies& policies, const corridor::Inputs& in, corridor::View& view);
// Somebody left who holds more clearances than one commit revokes.
Decided OnStaffLeft(const corridor::FiredTimer& timer, const records::StaffTimer& payload,
                    const Policies& policies, const corridor::Inputs& in, corridor::View& view);
// Entries of the unresolved list that a mail domain settles; addresses to be indexed anew.
Decided OnSettleDomain(const corridor::FiredTimer& timer, const records::DomainSettling& payload,
                       const Policies& policies, const corridor::Inputs& in, corridor::View& view);
Decided OnIndexAddresses(const corridor::FiredTimer& timer, const records::AddressIndexing& payload,
                         const Policies& policies, const corridor::Inputs& in,
                         corridor::View& view);
// A new policy goes through the accounts, a page a firing.
Decided OnPolicyWalk(const corridor::FiredTimer& timer, const records::PolicyWalk& payload,
                     const Policies& policies, const corridor::Inputs& in, corridor::View& view);
// Begins that walk, in the commit that applies the policy.
absl::Status BeginPolicyWalk(const Policies::InForce& in_force, const corridor::Inputs& in,
                             corridor::View& view, corridor::Decision& decision);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_REACTIONS_H_
