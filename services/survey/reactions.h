// What survey does about events of the other services and about its own timers.
#ifndef TANDEM_SERVICES_SURVEY_REACTIONS_H_
#define TANDEM_SERVICES_SURVEY_REACTIONS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "services/survey/policy.h"
#include "services/survey/records.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::survey {

using Decided = absl::StatusOr<corridor::Decision>;

// What a survey needs to know of a ticket is kept as it becomes known.
Decided OnTicketOpened(const events::v1::TicketOpened& fact, const bus::Event& event,
                       const corridor::Inputs& in, corridor::View& view);
Decided OnTicketTriaged(const events::v1::TicketTriaged& fact, const bus::Event& event,
                        const corridor::Inputs& in, corridor::View& view);
Decided OnSeverityChanged(const events::v1::SeverityChanged& fact, const bus::Event& event,
                          const corridor::Inputs& in, corridor::View& view);
Decided OnTicketQueued(const events::v1::TicketQueued& fact, const bus::Event& event,
                       const corridor::Inputs& in, corridor::View& view);
// These may also move a ticket to another account; its unanswered surveys follow it.
Decided OnTicketUpdated(const events::v1::TicketUpdated& fact, const bus::Event& event,
                        const corridor::Inputs& in, corridor::View& view);
Decided OnTicketRequesterResolved(const events::v1::TicketRequesterResolved& fact,
                                  const bus::Event& event, const corridor::Inputs& in,
                                  corridor::View& view);

// These may ask for a survey …
Decided OnTicketResolved(const events::v1::TicketResolved& fact, const bus::Event& event,
                         const corridor::Inputs& in, corridor::View& view,
                         const Policies& policies);
Decided OnTicketClosed(const events::v1::TicketClosed& fact, const bus::Event& event,
                       const corridor::Inputs& in, corridor::View& view, const Policies& policies);
// … and this takes one back that was not answered.
Decided OnTicketReopened(const events::v1::TicketReopened& fact, const bus::Event& event,
                         const corridor::Inputs& in, corridor::View& view);

// Asks for the contact's address and for clearance, and then invites, waits or gives up.
Decided OnInvite(const corridor::FiredTimer& timer, const records::SurveyTimer& payload,
                 const corridor::Inputs& in, corridor::View& view);
// The same for the one reminder.
Decided OnRemind(const corridor::FiredTimer& timer, const records::SurveyTimer& payload,
                 const corridor::Inputs& in, corridor::View& view);
// Nobody answered in time.
Decided OnExpire(const corridor::FiredTimer& timer, const records::SurveyTimer& payload,
                 const corridor::Inputs& in, corridor::View& view);
// A letter was put into the mailbox, or refused for good.
Decided OnDelivered(const corridor::FiredTimer& timer, const records::Delivery& payload,
                    const absl::Status& result, const corridor::Inputs& in, corridor::View& view);
// Letters were taken out again.
Decided OnRemoved(const corridor::FiredTimer& timer, const records::Removal& payload,
                  const absl::Status& result, const corridor::Inputs& in, corridor::View& view);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_REACTIONS_H_
