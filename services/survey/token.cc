#include "services/survey/token.h"

#include <openssl/crypto.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/config/views.h"
#include "common/id/id.h"
#include "common/id/mac.h"

namespace tandem::survey {

using config::Absl;

namespace {

std::string MacOf(std::string_view key, std::string_view survey_id, std::string_view ordinal) {
  return absl::WebSafeBase64Escape(id::Mac(key, {"survey token", survey_id, ordinal}));
}

}  // namespace

TokenKeys::TokenKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {
  if (keys_.empty()) std::abort();  // a program that was wired wrong
}

std::string TokenKeys::Make(std::string_view survey_id, int32_t ordinal) const {
  const std::string number = absl::StrCat(ordinal);
  return absl::StrCat(Absl(survey_id), ".", number, ".", MacOf(keys_.front(), survey_id, number));
}

std::optional<std::string> TokenKeys::SurveyOf(std::string_view token) const {
  const size_t mac_at = token.rfind('.');
  if (mac_at == std::string_view::npos || mac_at == 0) return std::nullopt;
  const size_t ordinal_at = token.rfind('.', mac_at - 1);
  if (ordinal_at == std::string_view::npos) return std::nullopt;
  const std::string_view survey_id = token.substr(0, ordinal_at);
  const std::string_view ordinal = token.substr(ordinal_at + 1, mac_at - ordinal_at - 1);
  const std::string_view mac = token.substr(mac_at + 1);
  for (const std::string& key : keys_) {
    const std::string expected = MacOf(key, survey_id, ordinal);
    // In constant time: how long a comparison takes must not tell how much of a guess is right.
    if (mac.size() == expected.size() &&
        CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) == 0) {
      return std::string(survey_id);
    }
  }
  return std::nullopt;
}

std::string TokenHash(std::string_view token) {
  return absl::BytesToHexString(id::Hash({"survey token hash", token}));
}

}  // namespace tandem::survey
