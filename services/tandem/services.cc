#include "services/tandem/services.h"

#include <utility>

#include "common/id/system_entropy.h"
#include "services/account_health/service.h"
#include "services/sla_timer/service.h"
#include "services/survey/mailbox.h"
#include "services/survey/service.h"
#include "services/survey/token_key_file.h"
#include "services/ticket_intake/service.h"
#include "services/triage/service.h"

namespace tandem::programs {

absl::StatusOr<std::vector<Service>> FiveServices(const ServicesOptions& options) {
  survey::Options survey_options;
  id::SystemEntropy entropy;
  if (options.mailbox.empty()) {
    survey_options.mailer = std::make_shared<survey::NoMailbox>();
    survey_options.token_keys = std::make_shared<const survey::TokenKeys>(
        std::vector<std::string>{entropy.Bytes(survey::TokenKeys::kKeyBytes)});
  } else {
    absl::StatusOr<std::unique_ptr<survey::FileMailbox>> mailbox =
        survey::FileMailbox::Open(options.mailbox, survey::FileMailbox::Durability::kFull);
    if (!mailbox.ok()) return mailbox.status();
    survey_options.mailer = *std::move(mailbox);
    absl::StatusOr<survey::TokenKeys> keys =
        survey::OpenTokenKeyFile(survey::TokenKeyBeside(options.mailbox), entropy);
    if (!keys.ok()) return keys.status();
    survey_options.token_keys = std::make_shared<const survey::TokenKeys>(*std::move(keys));
  }
  return std::vector<Service>{
      {"ticket_intake", [] { return ticket_intake::Make({}); }},
      {"triage", [] { return triage::Make({}); }},
      {"sla_timer", [] { return sla_timer::Make({}); }},
      {"survey", [survey_options] { return survey::Make(survey_options); }},
      {"account_health", [] { return account_health::Make({}); }},
  };
}

}  // namespace tandem::programs
