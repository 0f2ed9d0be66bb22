// YAML files into protobuf messages, strictly: what the message does not know is an error.
//
//   tandem.sla.v1.SlaPolicy policy;
//   SourceLines lines;
//   absl::Status read = YamlToProto(text, "deploy/policies/sla.yaml", &policy, &lines);
//   // deploy/policies/sla.yaml:12: unknown key 'targts'; did you mean 'targets'?
//
// How each kind of field is written:
//   message            a map of field names as in the .proto (snake_case)
//   repeated           a list, also for one element
//   map                a map
//   enum               a value's name, with or without the enum's prefix, in any letter case
//                      (`critical` for SEVERITY_CRITICAL); the UNSPECIFIED value can't be written
//   bool               true or false
//   bytes              base64
//   Duration           30m, 4h, 1h30m, 5d (common/config/duration.h)
//   Timestamp          RFC 3339, or a date (midnight UTC)
//   Int32Value, …      as the value inside
// Struct, Any and groups are not supported. A key without a value is an error; leave it out
// instead.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace google::protobuf {
class Message;
}

namespace tandem::config {

// Where each value was written, so that a check after reading can name file and line as well.
class SourceLines {
 public:
  // "FILE:LINE" of the field at `path`, written like "targets[2].respond" or, in a map,
  // "holidays.easter". For a path that was not written: of the nearest part above it that was.
  std::string At(std::string_view path) const;

 private:
  friend class YamlMapper;
  std::string file_;
  std::map<std::string, int, std::less<>> lines_;
};

// Clears `message` and fills it from `text`; `file` only names the text in errors. On failure
// returns INVALID_ARGUMENT with all errors, one a line, at most 50 of them, and leaves `message`
// in no particular state. Safe for hostile text (limits: yaml.h). Thread-safe; blocks on nothing.
absl::Status YamlToProto(std::string_view text, std::string_view file,
                         google::protobuf::Message* message, SourceLines* lines = nullptr);

}  // namespace tandem::config
