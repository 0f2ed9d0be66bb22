// The mutating RPCs of SurveyService. Each is decided on the lane; a Validate… function names every
// bad field that can be seen without state.
#ifndef TANDEM_SERVICES_SURVEY_COMMANDS_H_
#define TANDEM_SERVICES_SURVEY_COMMANDS_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/survey/records.pb.h"
#include "services/survey/token.h"
#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

// The survey behind a token. Whatever is wrong with a token: NOT_FOUND with the same words.
absl::StatusOr<corridor::Loaded<records::SurveyRecord>> FindByToken(corridor::View& view,
                                                                    const TokenKeys& keys,
                                                                    std::string_view token);
// OK while a token of the survey answers at `now`, else FAILED_PRECONDITION.
absl::Status CheckAnswerable(const survey::v1::Survey& survey, absl::Time now);

absl::Status ValidateAnswerSurvey(const survey::v1::AnswerSurveyRequest& request);
absl::StatusOr<corridor::Decision> AnswerSurvey(const survey::v1::AnswerSurveyRequest& request,
                                                const corridor::Inputs& in, corridor::View& view,
                                                const TokenKeys& keys);

absl::Status ValidateOptOut(const survey::v1::OptOutRequest& request);
absl::StatusOr<corridor::Decision> OptOut(const survey::v1::OptOutRequest& request,
                                          const corridor::Inputs& in, corridor::View& view,
                                          const TokenKeys& keys);

absl::Status ValidateCloseFollowUp(const survey::v1::CloseFollowUpRequest& request);
absl::StatusOr<corridor::Decision> CloseFollowUp(const survey::v1::CloseFollowUpRequest& request,
                                                 const corridor::Inputs& in, corridor::View& view);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_COMMANDS_H_
