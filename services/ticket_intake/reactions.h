// What intake does about events of the other services and about its own timers.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_REACTIONS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_REACTIONS_H_

#include "absl/status/statusor.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "services/ticket_intake/policies.h"
#include "services/ticket_intake/records.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::ticket_intake {

// What triage published is shown beside the ticket; the ticket itself does not change.
absl::StatusOr<corridor::Decision> OnTicketTriaged(const events::v1::TicketTriaged& fact,
                                                   const bus::Event& event,
                                                   const corridor::Inputs& in,
                                                   corridor::View& view);
absl::StatusOr<corridor::Decision> OnSeverityChanged(const events::v1::SeverityChanged& fact,
                                                     const bus::Event& event,
                                                     const corridor::Inputs& in,
                                                     corridor::View& view);
absl::StatusOr<corridor::Decision> OnTicketQueued(const events::v1::TicketQueued& fact,
                                                  const bus::Event& event,
                                                  const corridor::Inputs& in, corridor::View& view);
absl::StatusOr<corridor::Decision> OnAssignmentAccepted(const events::v1::AssignmentAccepted& fact,
                                                        const bus::Event& event,
                                                        const corridor::Inputs& in,
                                                        corridor::View& view);
absl::StatusOr<corridor::Decision> OnAssignmentReleased(const events::v1::AssignmentReleased& fact,
                                                        const bus::Event& event,
                                                        const corridor::Inputs& in,
                                                        corridor::View& view);

// A person said who an unresolved requester is: every ticket that waited for it has its contact
// now.
absl::StatusOr<corridor::Decision> OnRequesterAssigned(const events::v1::RequesterAssigned& fact,
                                                       const bus::Event& event,
                                                       const corridor::Inputs& in,
                                                       corridor::View& view);

// Who our people are, and which of them work here.
absl::StatusOr<corridor::Decision> OnStaffChanged(const events::v1::StaffChanged& fact,
                                                  const bus::Event& event,
                                                  const corridor::Inputs& in, corridor::View& view);
// Who the customers' contacts are. What is remembered of one, or of an account, is asked for anew
// after any change of it: an address may have moved, and addresses never travel on the bus.
absl::StatusOr<corridor::Decision> OnContactChanged(const events::v1::ContactChanged& fact,
                                                    const bus::Event& event,
                                                    const corridor::Inputs& in,
                                                    corridor::View& view);
absl::StatusOr<corridor::Decision> OnAccountRegistered(const events::v1::AccountRegistered& fact,
                                                       const bus::Event& event,
                                                       const corridor::Inputs& in,
                                                       corridor::View& view);
absl::StatusOr<corridor::Decision> OnJourneyAdvanced(const events::v1::JourneyAdvanced& fact,
                                                     const bus::Event& event,
                                                     const corridor::Inputs& in,
                                                     corridor::View& view);

// Nobody objected to the resolution: the ticket is closed as of the due instant.
absl::StatusOr<corridor::Decision> OnAutoClose(const corridor::FiredTimer& timer,
                                               const records::AutoCloseTimer& payload,
                                               const corridor::Inputs& in, corridor::View& view);

// account_health could not be asked before: it is asked again.
absl::StatusOr<corridor::Decision> OnResolveRequester(const corridor::FiredTimer& timer,
                                                      const records::RequesterTimer& payload,
                                                      const corridor::Inputs& in,
                                                      corridor::View& view,
                                                      const Policies& policies);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_REACTIONS_H_
