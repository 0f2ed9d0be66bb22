// An event as a Kafka record: CloudEvents 1.0, Kafka binding, binary mode. The record's key is the
// event's key, its value the event's body, and these are its headers:
//
//   ce_specversion    1.0
//   ce_id ce_source ce_type ce_subject ce_partitionkey ce_cause
//   ce_time           RFC 3339, UTC, microseconds
//   ce_sequence       decimal
//   content-type      application/protobuf
//   traceparent       only if there is one
//
// Pure functions: any thread may call them.
#ifndef TANDEM_COMMON_BUS_HEADERS_H_
#define TANDEM_COMMON_BUS_HEADERS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bus/event.h"

namespace tandem::bus {

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

// The longest body that any bus takes, so that an event which the embedded log took fits Kafka's
// default message.max.bytes, headers included.
inline constexpr size_t kMaxBodyBytes = 1'000'000;

// Whether the event can travel: id, source, type and key are there, the sequence is at least 1, the
// instant has an RFC 3339 text, the body is not too long. INVALID_ARGUMENT names the field.
absl::Status Validate(const Event& event);

// The headers of `event`, in the order above.
std::vector<Header> ToHeaders(const Event& event);

// The event of a record. Headers that are not listed above are ignored, as other producers may add
// theirs; a missing, doubled or malformed one is INVALID_ARGUMENT and named.
absl::StatusOr<Event> FromHeaders(const std::vector<Header>& headers, std::string_view body);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_HEADERS_H_
