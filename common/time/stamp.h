// Between protobuf's instants and durations and Abseil's, in whole microseconds as everything that
// is stored or published. Pure functions; any thread.
#ifndef TANDEM_COMMON_TIME_STAMP_H_
#define TANDEM_COMMON_TIME_STAMP_H_

#include <algorithm>
#include <cstdint>
#include <limits>

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

// Seconds and nanos as a caller sent them: what an int64 of microseconds cannot hold becomes its
// nearest end, so that bounds may be checked behind the conversion.
inline int64_t SaturatedMicros(int64_t seconds, int32_t nanos) {
  constexpr int64_t kMostSeconds = std::numeric_limits<int64_t>::max() / 1'000'000 - 3;
  return std::clamp(seconds, -kMostSeconds, kMostSeconds) * 1'000'000 + nanos / 1000;
}

// Since 1970; below a microsecond is cut off towards the past.
inline int64_t MicrosOf(const google::protobuf::Timestamp& stamp) {
  return SaturatedMicros(stamp.seconds(), stamp.nanos());
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
  return SaturatedMicros(duration.seconds(), duration.nanos());
}

inline absl::Duration Span(const google::protobuf::Duration& duration) {
  return absl::Microseconds(MicrosOf(duration));
}

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_STAMP_H_
