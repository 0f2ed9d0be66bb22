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
//                      (`critical` for SEVERITY_CRITICAL); the UNSPECIFIED value says nothing, as
//                      if the key were left out, and can't stand in a list
//   64-bit numbers     also in quotes, as protobuf's JSON has them
//   bool               true or false
//   bytes              base64
//   Duration           30m, 4h, 1h30m, 5d (common/config/duration.h); where the message has a field
//                      of that name and "_text" as well, that one keeps what was written, which may
//                      then be another form: "5 working days"
//   Timestamp          RFC 3339, or a date (midnight UTC)
//   Int32Value, …      as the value inside
// Struct, Any and groups are not supported. A key without a value is an error; leave it out
// instead. JSON is read as well, being YAML; with field names as in the .proto.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace tandem::config {

// Where each value was written, so that a check after reading can name file and line as well.
class SourceLines {
 public:
  // "FILE:LINE" of the field at `path`, written like "targets[2].respond" or, in a map,
  // "holidays.easter". For a path that was not written: of the nearest part above it that was.
  std::string At(std::string_view path) const;

  // Whether something in the file that could not be read may be why a later check complains of
  // `path`: its own value, what stands around or in it, or a key beside it that nobody knows.
  bool MayComeOfUnread(std::string_view path) const;

 private:
  friend class YamlMapper;
  std::string file_;
  std::map<std::string, int, std::less<>> lines_;
  std::vector<std::string> unread_;     // paths whose values could not be read
  std::set<std::string> with_unknown_;  // paths of messages with unknown keys
};

// The message may also stand under `key` of a map that otherwise has only keys of `beside`: so a
// reply that was printed whole can be read again. Paths then begin below `key`.
struct Wrapping {
  std::string_view key;
  std::vector<std::string_view> beside;
};

// The field that keeps how the duration of `field` was written: its name and "_text". Null when the
// message has none, and for any other type.
const google::protobuf::FieldDescriptor* TextBeside(const google::protobuf::FieldDescriptor& field);

// Clears `message` and fills it from `text`; `file` only names the text in errors. On failure
// returns INVALID_ARGUMENT with all errors, one a line, at most 50 of them, and `message` holds
// what could be read. Safe for hostile text (limits: yaml.h). Thread-safe; blocks on nothing.
absl::Status YamlToProto(std::string_view text, std::string_view file,
                         google::protobuf::Message* message, SourceLines* lines = nullptr,
                         const Wrapping& wrapping = {});

}  // namespace tandem::config
