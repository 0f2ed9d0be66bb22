#include "services/account_health/instants.h"

#include "common/time/micros.h"

namespace tandem::account_health {

google::protobuf::Timestamp InstantOf(int64_t micros) {
  // Rounds down, as protobuf wants it: nanos are never negative.
  int64_t seconds = micros / kMicrosPerSecond;
  int64_t rest = micros % kMicrosPerSecond;
  if (rest < 0) {
    rest += kMicrosPerSecond;
    --seconds;
  }
  google::protobuf::Timestamp instant;
  instant.set_seconds(seconds);
  instant.set_nanos(static_cast<int32_t>(rest * 1000));
  return instant;
}

google::protobuf::Timestamp InstantOf(absl::Time at) { return InstantOf(time::ToMicros(at)); }

int64_t MicrosOf(const google::protobuf::Timestamp& instant) {
  return instant.seconds() * kMicrosPerSecond + instant.nanos() / 1000;
}

int64_t MicrosOf(const google::protobuf::Duration& duration) {
  return duration.seconds() * kMicrosPerSecond + duration.nanos() / 1000;
}

google::protobuf::Duration DurationOf(int64_t micros) {
  google::protobuf::Duration duration;
  duration.set_seconds(micros / kMicrosPerSecond);
  duration.set_nanos(static_cast<int32_t>(micros % kMicrosPerSecond * 1000));
  return duration;
}

}  // namespace tandem::account_health
