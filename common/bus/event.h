// A lifecycle event as it stands on the bus: a CloudEvents 1.0 envelope (Kafka binary mode) and a
// protobuf body. It holds ids and classifications only, never personal data.
#ifndef TANDEM_COMMON_BUS_EVENT_H_
#define TANDEM_COMMON_BUS_EVENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace tandem::bus {

struct Event {
  std::string id;           // ce_id: hash(service, cause, ordinal)
  std::string source;       // ce_source: the publishing service
  std::string type;         // ce_type: the body's full message name
  std::string subject;      // ce_subject: the aggregate's id
  std::string key;          // ce_partitionkey
  absl::Time time;          // ce_time: the instant of the fact
  int64_t sequence = 0;     // ce_sequence: rises within (source, subject, key)
  std::string cause;        // ce_cause: the event, request or timer that caused it
  std::string traceparent;  // W3C trace context; may be empty
  std::string body;         // serialised protobuf

  bool operator==(const Event&) const = default;
};

struct Record {
  int partition = 0;
  int64_t offset = 0;
  Event event;
};

// One record serves every group that reads it.
using RecordPtr = std::shared_ptr<const Record>;

// The partition of a key: murmur2 over its bytes, as Kafka's Java client has it, so that keys land
// where clients of other families expect them. 0 <= result < partitions.
int PartitionOf(std::string_view key, int partitions);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_EVENT_H_
