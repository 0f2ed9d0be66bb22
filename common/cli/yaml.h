// Messages as YAML, for people who will edit them and for files.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}

namespace tandem::cli {

// `message` as ToJson writes it (json.h), in YAML's block form: the same fields in the same order,
// read back by config::YamlToProto. A string stands in quotes where a reader could take it for
// something else. INTERNAL as ToJson. Thread-safe.
absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message);

}  // namespace tandem::cli
