// A MAC over parts: what only a holder of the key can make.
#ifndef TANDEM_COMMON_ID_MAC_H_
#define TANDEM_COMMON_ID_MAC_H_

#include <initializer_list>
#include <string>
#include <string_view>

namespace tandem::id {

// 32 raw bytes of HMAC-SHA256 (RFC 2104) under `key` over the parts; each part is length-prefixed,
// so ("a","bc") != ("ab","c"). Any thread.
std::string Mac(std::string_view key, std::initializer_list<std::string_view> parts);

}  // namespace tandem::id

#endif  // TANDEM_COMMON_ID_MAC_H_
