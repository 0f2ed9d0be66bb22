// "host:port" as people write it.
#ifndef TANDEM_COMMON_CONFIG_HOST_PORT_H_
#define TANDEM_COMMON_CONFIG_HOST_PORT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace tandem::config {

struct HostPort {
  std::string host;  // an IPv6 address without its brackets
  int port = 0;      // 0 to 65535
};

// "127.0.0.1:7400", "[::1]:7400", "localhost:7400". INVALID_ARGUMENT names the address.
absl::StatusOr<HostPort> ParseHostPort(std::string_view address);
std::string JoinHostPort(const HostPort& address);

// Whether only this machine can reach `host`: 127.0.0.0/8, ::1 or localhost, as literals. Any other
// name counts as not, wherever it points today.
bool IsLoopback(std::string_view host);

}  // namespace tandem::config

#endif  // TANDEM_COMMON_CONFIG_HOST_PORT_H_
