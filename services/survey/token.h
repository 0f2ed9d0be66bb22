// The token that answers a survey. It stands in the letter alone; what is stored is its hash. Pure;
// any thread.
#ifndef TANDEM_SERVICES_SURVEY_TOKEN_H_
#define TANDEM_SERVICES_SURVEY_TOKEN_H_

#include <string>
#include <string_view>

namespace tandem::survey {

// 256 bits out of `secret` (at least 32 unguessable bytes): 43 characters of [A-Za-z0-9_-].
// `purpose` keeps two tokens of one secret apart.
std::string MintToken(std::string_view secret, std::string_view purpose);

// What a token is found by: 64 hexadecimal digits. Whatever a caller sends has a hash, so a wrong
// token is never more than a key that does not exist.
std::string TokenHash(std::string_view token);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_TOKEN_H_
