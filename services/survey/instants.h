// Between protobuf's instants and durations and Abseil's. Pure functions.
#ifndef TANDEM_SERVICES_SURVEY_INSTANTS_H_
#define TANDEM_SERVICES_SURVEY_INSTANTS_H_

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace tandem::survey {

// Whole microseconds, as everything that is stored or published.
inline google::protobuf::Timestamp Stamp(absl::Time instant) {
  const absl::Time whole = time::TruncateToMicros(instant);
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(absl::ToUnixSeconds(whole));
  stamp.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(whole - absl::FromUnixSeconds(stamp.seconds()))));
  return stamp;
}

inline absl::Time Instant(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

inline absl::Duration Span(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_INSTANTS_H_
