// The protos of Tandem that are part of this program: a static library gives only those that
// somebody names, and `call` and `event tail` take names from the user.
#ifndef TANDEM_SERVICES_TANDEMCTL_LINKED_PROTOS_H_
#define TANDEM_SERVICES_TANDEMCTL_LINKED_PROTOS_H_

#include <vector>

#include "google/protobuf/descriptor.h"

namespace tandem::tandemctl {

// Every file with a service or an event.
std::vector<const google::protobuf::FileDescriptor*> LinkedFiles();
std::vector<const google::protobuf::ServiceDescriptor*> LinkedServices();

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_LINKED_PROTOS_H_
