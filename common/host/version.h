// The version of Tandem's programs and of the protos that they speak.
#ifndef TANDEM_COMMON_HOST_VERSION_H_
#define TANDEM_COMMON_HOST_VERSION_H_

namespace tandem::host {

inline constexpr char kVersion[] = TANDEM_VERSION;

}  // namespace tandem::host

#endif  // TANDEM_COMMON_HOST_VERSION_H_
