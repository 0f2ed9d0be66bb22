// Messages as JSON, for scripts.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}

namespace tandem::cli {

enum class JsonLayout { kOneLine, kIndented };

// `message` in protobuf's JSON form with the field names of the .proto, fields without presence
// shown also when they are empty, and a line end. The same message gives the same bytes: fields
// stand in the order of the .proto, maps in the order of their keys. 64-bit integers are
// strings, as that form has them. INTERNAL for a message that has no JSON form (an Any of an
// unknown type, a Duration out of range). Thread-safe.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message, JsonLayout layout);

}  // namespace tandem::cli
