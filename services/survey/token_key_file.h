// The file that holds the keys of survey tokens.
#ifndef TANDEM_SERVICES_SURVEY_TOKEN_KEY_FILE_H_
#define TANDEM_SERVICES_SURVEY_TOKEN_KEY_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/id/entropy.h"
#include "services/survey/token.h"

namespace tandem::survey {

// Reads the key file: one key a line, 64 hexadecimal digits each, one or two lines. A key is
// replaced by putting the new one in front, and taking the old one out once every survey that was
// sent under it has expired. A file that does not exist is made, with a key from `entropy` and mode
// 0600; of several processes that find none, one makes it and the others read that one.
// FAILED_PRECONDITION names the file and what is wrong with it: its content, or that everybody may
// read it. UNAVAILABLE: it could not be made now.
absl::StatusOr<TokenKeys> OpenTokenKeyFile(const std::string& path, id::Entropy& entropy);

// Where a program keeps the file unless it is told another place: beside the mailbox.
std::string TokenKeyBeside(const std::string& mailbox);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_TOKEN_KEY_FILE_H_
