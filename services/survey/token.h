// The token that answers a survey. It stands in the letter alone and is stored nowhere: it is made
// of the survey's id, an ordinal and a MAC over both, so that it can be made again when the letter
// is written, and checked when it comes back. Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_TOKEN_H_
#define TANDEM_SERVICES_SURVEY_TOKEN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::survey {

// The keys of tokens. Immutable.
class TokenKeys {
 public:
  static constexpr size_t kKeyBytes = 32;

  // `keys`: at least one, of kKeyBytes bytes each. The first makes new tokens, all of them check
  // tokens.
  explicit TokenKeys(std::vector<std::string> keys);

  // The `ordinal`-th token of a survey: "<survey id>.<ordinal>.<43 characters of [A-Za-z0-9_-]>".
  // The same survey and ordinal give the same token.
  std::string Make(std::string_view survey_id, int32_t ordinal) const;

  // The survey that a token was made for; nothing when none of the keys made it.
  std::optional<std::string> SurveyOf(std::string_view token) const;

 private:
  std::vector<std::string> keys_;
};

// What a token of a release that stored hashes is found by: 64 hexadecimal digits.
std::string TokenHash(std::string_view token);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_TOKEN_H_
