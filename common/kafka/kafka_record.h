// A record of Kafka as an event, and an event as the headers of a record.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_RECORD_H_
#define TANDEM_COMMON_KAFKA_KAFKA_RECORD_H_

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/bus/event.h"
#include "common/bus/headers.h"

namespace tandem::bus {

// The first byte of the body of a record whose headers are not an event's; the rest is the body as
// it came. No protobuf message begins with it (field 0, wire type 7), so whoever uses the record's
// type finds that it does not parse, and parks it; whoever does not use the type skips it as any
// other.
inline constexpr char kUnreadable = '\x07';

struct ReadRecord {
  RecordPtr record;
  absl::Status headers;  // INVALID_ARGUMENT names the header that is missing or wrong
};

// Pure, any thread. `body` and `headers` as they came. Always a record: where the headers are not
// an event's, what they do say is kept, the rest is made up from the place in the log (id and
// subject "kafka/PARTITION/OFFSET", sequence OFFSET + 1), and the body begins with kUnreadable.
ReadRecord ToRecord(int partition, int64_t offset, const std::vector<Header>& headers,
                    std::string_view body);

// The same for a message that a consumer of librdkafka returned.
ReadRecord ToRecord(const rd_kafka_message_t& message);

// Puts the event into the producer's queue, for this partition; `opaque` comes back with its
// delivery. librdkafka copies what it is given. Any thread that may produce with the handle.
rd_kafka_resp_err_t Produce(rd_kafka_t* producer, const std::string& topic, int partition,
                            const Event& event, const std::vector<Header>& headers, void* opaque);

// What librdkafka and a broker count an event as, in bytes: its key, its body and its headers.
size_t WireBytes(const Event& event, const std::vector<Header>& headers);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_RECORD_H_
