#include "services/survey/token.h"

#include "absl/strings/escaping.h"
#include "common/id/id.h"

namespace tandem::survey {

std::string MintToken(std::string_view secret, std::string_view purpose) {
  return absl::WebSafeBase64Escape(id::Hash({"survey token", purpose, secret}));
}

std::string TokenHash(std::string_view token) {
  return absl::BytesToHexString(id::Hash({"survey token hash", token}));
}

}  // namespace tandem::survey
