// The bytes of a message, the same for the same content whatever order a map was filled in.
#ifndef TANDEM_COMMON_CORRIDOR_CANONICAL_H_
#define TANDEM_COMMON_CORRIDOR_CANONICAL_H_

#include <string>

#include "google/protobuf/message.h"

namespace tandem::corridor {

// For hashes that outlive the process: of requests, policies, questions. Pure; any thread.
std::string CanonicalBytes(const google::protobuf::Message& message);

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_CANONICAL_H_
