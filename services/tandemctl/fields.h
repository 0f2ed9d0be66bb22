// Words of a command line into fields of a request, by the request's descriptor alone.
#ifndef TANDEM_SERVICES_TANDEMCTL_FIELDS_H_
#define TANDEM_SERVICES_TANDEMCTL_FIELDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace tandem::tandemctl {

// The field at a path such as "requester.address"; null when there is none. Only the last part may
// be repeated.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type,
                                                   const std::string& path);

// "SEVERITY_CRITICAL" → "CRITICAL".
std::string EnumWord(const google::protobuf::EnumValueDescriptor& value);
// The words of all values but the unspecified one.
std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor& type);

// What the proto says about the field and how a value is written, for help.
std::string ValueHelp(const google::protobuf::FieldDescriptor& field);

// A message of two fields that one word can name, written FIRST=SECOND: an external id, a place of
// a team.
bool IsPair(const google::protobuf::Descriptor& type);

// Sets the field at `path`, or adds to it when it is repeated. Written are
//   enums        by the value's word in any letter case; "none" for the unspecified value
//   Timestamp    RFC 3339, a date (midnight UTC), "now", or +2h and -7d from now
//   Duration     30m, 4h, 1h30m, 5d
//   FieldMask    names with commas
//   map          KEY=VALUE
//   a pair       FIRST=SECOND
//   other        messages as JSON
// INVALID_ARGUMENT says what was expected and what was found. Pure; any thread.
absl::Status SetField(google::protobuf::Message* message, const std::string& path,
                      const std::string& text, absl::Time now);

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_FIELDS_H_
