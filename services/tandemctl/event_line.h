// An event of the bus as a line: for people, or as JSON for scripts.
#ifndef TANDEM_SERVICES_TANDEMCTL_EVENT_LINE_H_
#define TANDEM_SERVICES_TANDEMCTL_EVENT_LINE_H_

#include <string>

#include "google/protobuf/message.h"
#include "services/tandemctl/cells.h"
#include "tandem/admin/v1/admin_service.pb.h"

namespace tandem::tandemctl {

// An empty body of "tandem.events.v1.TicketOpened"; null when this program does not know the type.
const google::protobuf::Message* PrototypeOfEvent(const std::string& type);

// One line of JSON: the event's fields as in BusEvent, its body decoded. A body of an unknown type
// stays base64.
std::string EventJson(const admin::v1::BusEvent& event);

// When, what, key and body, cut to a terminal.
std::string EventLine(const admin::v1::BusEvent& event, const Looks& looks);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_EVENT_LINE_H_
