#include "common/id/mac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace tandem::id {

std::string Mac(std::string_view key, std::initializer_list<std::string_view> parts) {
  std::string input;
  for (const std::string_view part : parts) {
    input.append(std::to_string(part.size())).append(":").append(part);
  }
  std::string digest(32, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &size);
  return digest;
}

}  // namespace tandem::id
