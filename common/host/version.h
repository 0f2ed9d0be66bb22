// The version of Tandem's programs and of the protos that they speak.
#ifndef TANDEM_COMMON_HOST_VERSION_H_
#define TANDEM_COMMON_HOST_VERSION_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "common/time/zones.h"

namespace tandem::host {

inline constexpr char kVersion[] = TANDEM_VERSION;

// What --version prints: deadlines depend on the time zones as well as on the program.
// "0.1.0 (tzdata 2025b)"
inline std::string VersionText(const std::string& version = kVersion) {
  return absl::StrCat(version, " (tzdata ", time::TzdataVersion(), ")");
}

}  // namespace tandem::host

#endif  // TANDEM_COMMON_HOST_VERSION_H_
