// What triage does about events of the other services and about its own timers.
#ifndef TANDEM_SERVICES_TRIAGE_REACTIONS_H_
#define TANDEM_SERVICES_TRIAGE_REACTIONS_H_

#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "services/triage/policies.h"
#include "services/triage/records.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"

namespace tandem::triage {

using ReactionResult = absl::StatusOr<corridor::Decision>;

// Classified and queued; escalated when it is CRITICAL or its words are those of a frustrated
// person.
ReactionResult OnTicketOpened(const events::v1::TicketOpened& fact, const bus::Event& event,
                              const corridor::Inputs& in, corridor::View& view,
                              const Policies& policies);
// Classified anew.
ReactionResult OnTicketUpdated(const events::v1::TicketUpdated& fact, const bus::Event& event,
                               const corridor::Inputs& in, corridor::View& view,
                               const Policies& policies);
ReactionResult OnTicketRequesterResolved(const events::v1::TicketRequesterResolved& fact,
                                         const bus::Event& event, const corridor::Inputs& in,
                                         corridor::View& view, const Policies& policies);
// A requester's message that matched a frustration rule; any other changes nothing here.
ReactionResult OnTicketMessageAdded(const events::v1::TicketMessageAdded& fact,
                                    const bus::Event& event, const corridor::Inputs& in,
                                    corridor::View& view, const Policies& policies);
// The load is the owner's no more, the credit stays; ringing stops.
ReactionResult OnTicketResolved(const events::v1::TicketResolved& fact, const bus::Event& event,
                                const corridor::Inputs& in, corridor::View& view,
                                const Policies& policies);
ReactionResult OnTicketClosed(const events::v1::TicketClosed& fact, const bus::Event& event,
                              const corridor::Inputs& in, corridor::View& view,
                              const Policies& policies);
// The owner carries it again, or it waits again.
ReactionResult OnTicketReopened(const events::v1::TicketReopened& fact, const bus::Event& event,
                                const corridor::Inputs& in, corridor::View& view,
                                const Policies& policies);
// The clocks that run for a ticket, and when they are due.
ReactionResult OnSlaClockStarted(const events::v1::SlaClockStarted& fact, const bus::Event& event,
                                 const corridor::Inputs& in, corridor::View& view);
ReactionResult OnSlaClockPaused(const events::v1::SlaClockPaused& fact, const bus::Event& event,
                                const corridor::Inputs& in, corridor::View& view);
ReactionResult OnSlaClockResumed(const events::v1::SlaClockResumed& fact, const bus::Event& event,
                                 const corridor::Inputs& in, corridor::View& view);
ReactionResult OnSlaMet(const events::v1::SlaMet& fact, const bus::Event& event,
                        const corridor::Inputs& in, corridor::View& view);
ReactionResult OnSlaStopped(const events::v1::SlaStopped& fact, const bus::Event& event,
                            const corridor::Inputs& in, corridor::View& view);
ReactionResult OnSlaCancelled(const events::v1::SlaCancelled& fact, const bus::Event& event,
                              const corridor::Inputs& in, corridor::View& view);
// A breach that comes true after it had been corrected away is told by this alone, and escalates.
ReactionResult OnSlaVerdictCorrected(const events::v1::SlaVerdictCorrected& fact,
                                     const bus::Event& event, const corridor::Inputs& in,
                                     corridor::View& view, const Policies& policies);
// Triggers of an escalation.
ReactionResult OnSlaWarning(const events::v1::SlaWarning& fact, const bus::Event& event,
                            const corridor::Inputs& in, corridor::View& view,
                            const Policies& policies);
ReactionResult OnSlaBreached(const events::v1::SlaBreached& fact, const bus::Event& event,
                             const corridor::Inputs& in, corridor::View& view,
                             const Policies& policies);

ReactionResult OnEscalationTimer(const corridor::FiredTimer& timer,
                                 const records::EscalationTimer& payload,
                                 const corridor::Inputs& in, corridor::View& view,
                                 const Policies& policies);
// A page of what somebody carries is looked through: a timer for each ticket that they may not
// keep, and escalations that they hold ring on.
ReactionResult OnStaffTimer(const corridor::FiredTimer& timer, const records::StaffTimer& payload,
                            const corridor::Inputs& in, corridor::View& view,
                            const Policies& policies);
ReactionResult OnReleaseTimer(const corridor::FiredTimer& timer,
                              const records::ReleaseTimer& payload, const corridor::Inputs& in,
                              corridor::View& view, const Policies& policies);
ReactionResult OnTextTimer(const corridor::FiredTimer& timer, const records::TextTimer& payload,
                           const corridor::Inputs& in, corridor::View& view,
                           const Policies& policies);

// Events of a ticket are parked, or none is any more.
ReactionResult OnParking(const bus::Event& event, bool parked, const corridor::Inputs& in,
                         corridor::View& view);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_REACTIONS_H_
