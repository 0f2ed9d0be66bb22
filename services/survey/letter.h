// The letter that carries a token. Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_LETTER_H_
#define TANDEM_SERVICES_SURVEY_LETTER_H_

#include <string>
#include <string_view>

#include "services/survey/records.pb.h"

namespace tandem::survey {

// The names of a survey's letters in the mailbox.
std::string InvitationName(std::string_view survey_id);
std::string ReminderName(std::string_view survey_id);

// A mail as RFC 5322 has it, lines ended by LF, with the token that answers the survey. The same
// delivery and token are the same letter, byte by byte, so that one that is put again changes
// nothing.
std::string WriteLetter(const records::Delivery& delivery, std::string_view token);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_LETTER_H_
