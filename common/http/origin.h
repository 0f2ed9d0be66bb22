// Who counts as one when connections are counted. Pure; any thread.
#ifndef TANDEM_COMMON_HTTP_ORIGIN_H_
#define TANDEM_COMMON_HTTP_ORIGIN_H_

#include <sys/socket.h>

#include <string>

namespace tandem::http {

// The bytes of an IPv4 address, also of one written as IPv6, or of the 64 bits of an IPv6 network;
// empty for anything else.
std::string Origin(const sockaddr* address);

}  // namespace tandem::http

#endif  // TANDEM_COMMON_HTTP_ORIGIN_H_
