// Between protobuf's instants and durations and Abseil's, in whole microseconds as everything that
// is stored or published. Pure functions; any thread.
#ifndef TANDEM_COMMON_TIME_STAMP_H_
#define TANDEM_COMMON_TIME_STAMP_H_

#include <cstdint>

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace tandem::time {

inline google::protobuf::Timestamp StampOfMicros(int64_t micros) {
  int64_t seconds = micros / 1'000'000;
  if (micros % 1'000'000 < 0) --seconds;  // nanos are never negative
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(seconds);
  stamp.set_nanos(static_cast<int32_t>((micros - seconds * 1'000'000) * 1000));
  return stamp;
}

inline google::protobuf::Timestamp Stamp(absl::Time instant) {
  return StampOfMicros(ToMicros(instant));
}

// Since 1970; below a microsecond is cut off towards the past.
inline int64_t MicrosOf(const google::protobuf::Timestamp& stamp) {
  return stamp.seconds() * 1'000'000 + stamp.nanos() / 1000;
}

inline absl::Time Instant(const google::protobuf::Timestamp& stamp) {
  return FromMicros(MicrosOf(stamp));
}

inline google::protobuf::Duration StampSpanOfMicros(int64_t micros) {
  google::protobuf::Duration duration;
  duration.set_seconds(micros / 1'000'000);
  duration.set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  return duration;
}

inline google::protobuf::Duration StampSpan(absl::Duration span) {
  return StampSpanOfMicros(absl::ToInt64Microseconds(span));
}

inline int64_t MicrosOf(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1'000'000 + duration.nanos() / 1000;
}

inline absl::Duration Span(const google::protobuf::Duration& duration) {
  return absl::Microseconds(MicrosOf(duration));
}

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_STAMP_H_
