#include "services/survey/letter.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/config/views.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/survey/scale.h"

namespace tandem::survey {

using config::Absl;

namespace {

std::string_view QuestionOf(type::v1::SurveyKind kind) {
  return kind == type::v1::SURVEY_KIND_CES
             ? "How easy was it to have your request handled?"
             : "How satisfied are you with the way your request was handled?";
}

std::string_view EndsOf(type::v1::SurveyKind kind) {
  return kind == type::v1::SURVEY_KIND_CES ? "(very hard to very easy)"
                                           : "(not at all to very satisfied)";
}

}  // namespace

std::string InvitationName(std::string_view survey_id) {
  return absl::StrCat(Absl(survey_id), "-invitation.eml");
}

std::string ReminderName(std::string_view survey_id) {
  return absl::StrCat(Absl(survey_id), "-reminder.eml");
}

std::string WriteLetter(const records::Delivery& delivery, std::string_view token) {
  const Scale scale = ScaleOf(delivery.kind());
  return absl::StrCat(
      "To: ", delivery.address(), "\n", "Subject: ", delivery.reminder() ? "Reminder: how" : "How",
      " did we do?\n", "Date: ",
      absl::FormatTime(absl::RFC1123_full, time::Instant(delivery.sent_at()), absl::UTCTimeZone()),
      "\n", "Message-ID: <", delivery.name(), "@tandem>\n",
      "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n",
      "X-Tandem-Survey: ", delivery.survey_id(), "\nX-Tandem-Token: ", Absl(token), "\n\n",
      "Your request ", delivery.ticket_id(), " was handled.\n\n", Absl(QuestionOf(delivery.kind())),
      "\n", "Answer with a number from ", scale.lowest, " to ", scale.highest, " ",
      Absl(EndsOf(delivery.kind())), ".\n\n", "Your token: ", Absl(token), "\n",
      "It answers until ", time::FormatInstant(time::Instant(delivery.expires_at())),
      ", and until then the answer may be changed.\n");
}

}  // namespace tandem::survey
