// Numbers as PostgreSQL's protocol and its COPY format have them. Pure; any thread.
#ifndef TANDEM_COMMON_POSTGRES_BIG_ENDIAN_H_
#define TANDEM_COMMON_POSTGRES_BIG_ENDIAN_H_

#include <endian.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace tandem::store {

inline int64_t Load64(const char* bytes) {
  uint64_t number;
  std::memcpy(&number, bytes, sizeof(number));
  return static_cast<int64_t>(be64toh(number));
}
inline int32_t Load32(const char* bytes) {
  uint32_t number;
  std::memcpy(&number, bytes, sizeof(number));
  return static_cast<int32_t>(be32toh(number));
}
inline int16_t Load16(const char* bytes) {
  uint16_t number;
  std::memcpy(&number, bytes, sizeof(number));
  return static_cast<int16_t>(be16toh(number));
}

inline void Append64(std::string& out, int64_t number) {
  const uint64_t big = htobe64(static_cast<uint64_t>(number));
  out.append(reinterpret_cast<const char*>(&big), sizeof(big));
}
inline void Append32(std::string& out, int32_t number) {
  const uint32_t big = htobe32(static_cast<uint32_t>(number));
  out.append(reinterpret_cast<const char*>(&big), sizeof(big));
}
inline void Append16(std::string& out, int16_t number) {
  const uint16_t big = htobe16(static_cast<uint16_t>(number));
  out.append(reinterpret_cast<const char*>(&big), sizeof(big));
}

}  // namespace tandem::store

#endif  // TANDEM_COMMON_POSTGRES_BIG_ENDIAN_H_
