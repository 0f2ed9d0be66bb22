// What a program may set of survey.
#ifndef TANDEM_SERVICES_SURVEY_OPTIONS_H_
#define TANDEM_SERVICES_SURVEY_OPTIONS_H_

#include <memory>
#include <optional>

#include "common/executor/executor.h"
#include "services/survey/mailbox.h"
#include "services/survey/token.h"
#include "tandem/survey/v1/survey_policy.pb.h"

namespace tandem::survey {

struct Options {
  // Where letters are handed over. Required. Kept by the service.
  std::shared_ptr<Mailer> mailer;
  // The keys of the tokens in letters. Required; the same in every process of the service.
  std::shared_ptr<const TokenKeys> token_keys;
  // Where the mailer may block on its disk; null = on the executor of the service's timers.
  // Outlives the service, and runs what it was given in the order of posting.
  executor::Executor* mail_executor = nullptr;
  // In force as version 0 until one is applied; absent = the product's defaults. Has to be sound.
  std::optional<survey::v1::SurveyPolicy> built_in_policy = std::nullopt;
};

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_OPTIONS_H_
