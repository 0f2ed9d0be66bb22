// The version of Tandem's programs.
#ifndef TANDEM_SERVICES_TANDEM_VERSION_H_
#define TANDEM_SERVICES_TANDEM_VERSION_H_

namespace tandem::programs {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace tandem::programs

#endif  // TANDEM_SERVICES_TANDEM_VERSION_H_
