// Several events as one value: what the local log stores in a row. Fields and bodies are
// length-prefixed (base 128 varints, low bits first), after a first byte that names the layout:
//
//   1, count, then for each event: id source type subject key cause traceparent body as
//   length + bytes, time (microseconds, 8 bytes, low byte first), sequence (varint)
#ifndef TANDEM_COMMON_BUS_SEGMENT_H_
#define TANDEM_COMMON_BUS_SEGMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/bus/event.h"

namespace tandem::bus {

// The records' events, in order; offsets and partition are not part of it. An instant is cut to
// whole microseconds.
std::string EncodeSegment(absl::Span<const RecordPtr> records);

// DATA_LOSS for anything that EncodeSegment did not write.
absl::StatusOr<std::vector<Event>> DecodeSegment(std::string_view bytes);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_BUS_SEGMENT_H_
