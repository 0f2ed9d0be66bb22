// The version of the program, which is that of the protos that it speaks.
#ifndef TANDEM_SERVICES_TANDEMCTL_VERSION_H_
#define TANDEM_SERVICES_TANDEMCTL_VERSION_H_

namespace tandem::tandemctl {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace tandem::tandemctl

#endif  // TANDEM_SERVICES_TANDEMCTL_VERSION_H_
