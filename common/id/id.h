// Ids that come out the same whenever the same cause is decided again: SHA-256 over service, cause
// and ordinal. A retried request therefore meets its own rows instead of making new ones.
#ifndef TANDEM_COMMON_ID_ID_H_
#define TANDEM_COMMON_ID_ID_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tandem::id {

// 32 raw bytes of SHA-256 over the parts; each part is length-prefixed, so ("a","bc") !=
// ("ab","c").
std::string Hash(std::initializer_list<std::string_view> parts);

// `prefix` + "_" + 26 characters of lower-case base32 (130 bits) of Hash(parts).
std::string Derive(std::string_view prefix, std::initializer_list<std::string_view> parts);

// Whether `text` may be an id that a caller names: 1 to 128 bytes of [A-Za-z0-9_.:-].
bool IsWellFormed(std::string_view text);

// Hands out the ids of one decision: hash(service, cause, 0), hash(service, cause, 1), … Not
// thread-safe; belongs to one decision.
class Ids {
 public:
  Ids(std::string service, std::string cause);
  // The next id, as Derive(prefix, …).
  std::string Next(std::string_view prefix);

 private:
  std::string service_;
  std::string cause_;
  int64_t ordinal_ = 0;
};

}  // namespace tandem::id

#endif  // TANDEM_COMMON_ID_ID_H_
