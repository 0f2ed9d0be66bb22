// Between stored microseconds and protobuf instants. Pure; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_INSTANTS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_INSTANTS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace tandem::account_health {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerHour = 3600 * kMicrosPerSecond;

google::protobuf::Timestamp InstantOf(int64_t micros);
google::protobuf::Timestamp InstantOf(absl::Time at);
int64_t MicrosOf(const google::protobuf::Timestamp& instant);
int64_t MicrosOf(const google::protobuf::Duration& duration);
google::protobuf::Duration DurationOf(int64_t micros);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_INSTANTS_H_
