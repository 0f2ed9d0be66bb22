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
// A message that matched a frustration rule; any other changes nothing here.
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
// Triggers of an escalation; a warning also tells when the clock is due.
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
ReactionResult OnTextTimer(const corridor::FiredTimer& timer, const records::TextTimer& payload,
                           const corridor::Inputs& in, corridor::View& view,
                           const Policies& policies);

// Events of a ticket are parked, or none is any more.
ReactionResult OnParking(const bus::Event& event, bool parked, const corridor::Inputs& in,
                         corridor::View& view);

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_REACTIONS_H_
