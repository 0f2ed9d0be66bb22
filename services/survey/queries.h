// The reading RPCs of SurveyService, answered from committed state.
#ifndef TANDEM_SERVICES_SURVEY_QUERIES_H_
#define TANDEM_SERVICES_SURVEY_QUERIES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/survey/policy.h"
#include "services/survey/token.h"
#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

absl::StatusOr<survey::v1::GetInvitationResponse> GetInvitation(
    const survey::v1::GetInvitationRequest& request, const corridor::Inputs& in,
    corridor::View& view, const TokenKeys& keys);

absl::Status ValidateListAnswers(const survey::v1::ListAnswersRequest& request);
absl::StatusOr<survey::v1::ListAnswersResponse> ListAnswers(
    const survey::v1::ListAnswersRequest& request, const corridor::Inputs& in,
    corridor::View& view);

absl::Status ValidateGetScores(const survey::v1::GetScoresRequest& request);
absl::StatusOr<survey::v1::GetScoresResponse> GetScores(const survey::v1::GetScoresRequest& request,
                                                        const corridor::Inputs& in,
                                                        corridor::View& view,
                                                        const Policies& policies);

absl::Status ValidateListFollowUps(const survey::v1::ListFollowUpsRequest& request);
absl::StatusOr<survey::v1::ListFollowUpsResponse> ListFollowUps(
    const survey::v1::ListFollowUpsRequest& request, const corridor::Inputs& in,
    corridor::View& view);

absl::Status ValidateListSurveys(const survey::v1::ListSurveysRequest& request);
absl::StatusOr<survey::v1::ListSurveysResponse> ListSurveys(
    const survey::v1::ListSurveysRequest& request, const corridor::Inputs& in,
    corridor::View& view);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_QUERIES_H_
