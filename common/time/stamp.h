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

inline google::protobuf::Timestamp Stamp(absl::Time instant) {
  const int64_t micros = ToMicros(instant);
  int64_t seconds = micros / 1'000'000;
  if (micros % 1'000'000 < 0) --seconds;  // nanos are never negative
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(seconds);
  stamp.set_nanos(static_cast<int32_t>((micros - seconds * 1'000'000) * 1000));
  return stamp;
}

inline absl::Time Instant(const google::protobuf::Timestamp& stamp) {
  return TruncateToMicros(absl::FromUnixSeconds(stamp.seconds()) +
                          absl::Nanoseconds(stamp.nanos()));
}

inline google::protobuf::Duration StampSpan(absl::Duration span) {
  const int64_t micros = absl::ToInt64Microseconds(span);
  google::protobuf::Duration duration;
  duration.set_seconds(micros / 1'000'000);
  duration.set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  return duration;
}

inline absl::Duration Span(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Microseconds(duration.nanos() / 1000);
}

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_STAMP_H_
