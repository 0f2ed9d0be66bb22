#include "services/survey/queries.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/survey/commands.h"
#include "services/survey/records.h"
#include "services/survey/scale.h"
#include "services/survey/scores.h"

namespace tandem::survey {
namespace {

using corridor::Inputs;
using corridor::View;
using corridor::Violations;
namespace sv = survey::v1;

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 500;
constexpr char kBadToken[] = "is not one that this question was answered with";

std::string Written(const google::protobuf::Timestamp& at, const std::string& key) {
  return absl::StrCat(time::ToMicros(time::Instant(at)), "|", key);
}

std::optional<Position> ReadPosition(const std::string& text) {
  const size_t bar = text.find('|');
  Position position;
  if (bar == std::string::npos || !absl::SimpleAtoi(text.substr(0, bar), &position.at_us)) {
    return std::nullopt;
  }
  position.key = text.substr(bar + 1);
  return position;
}

// After which group to go on. The first group may be the nameless one, so a name alone would not
// tell its end from the end of the list.
std::optional<std::string> ReadGroup(const std::string& text) {
  constexpr std::string_view kAfter = "after:";
  if (text.compare(0, kAfter.size(), kAfter) != 0) return std::nullopt;
  return text.substr(kAfter.size());
}

template <typename Request>
void CheckPage(const Request& request, Violations& violations) {
  violations.PageSize(request.page_size(), kMaxPage);
  violations.Require(request.page_token().empty() || ReadPosition(request.page_token()).has_value(),
                     "page_token", kBadToken);
}

template <typename Request>
int PageSize(const Request& request) {
  return request.page_size() == 0 ? kDefaultPage : request.page_size();
}

// Reads one page: `select` reads rows after a position, `add` takes a row into the response and
// tells its instant.
template <typename Request, typename Response, typename Select, typename Add>
absl::StatusOr<Response> ReadPage(const Request& request, Select select, Add add) {
  const std::optional<Position> after =
      request.page_token().empty() ? std::nullopt : ReadPosition(request.page_token());
  const auto page = static_cast<size_t>(PageSize(request));
  auto rows = select(after ? &*after : nullptr, static_cast<int64_t>(page) + 1);
  if (!rows.ok()) return rows.status();
  Response response;
  std::string last;
  for (size_t i = 0; i < rows->size() && i < page; ++i) {
    last = Written(add((*rows)[i], response), (*rows)[i].key);
  }
  if (rows->size() > page) response.set_next_page_token(last);
  return response;
}

}  // namespace

absl::StatusOr<sv::GetInvitationResponse> GetInvitation(const sv::GetInvitationRequest& request,
                                                        const Inputs& in, View& view,
                                                        const TokenKeys& keys) {
  auto loaded = FindByToken(view, keys, request.token());
  if (!loaded.ok()) return loaded.status();
  const sv::Survey& survey = (*loaded)->survey();
  absl::Status status = CheckAnswerable(survey, in.now);
  if (!status.ok()) return status;
  sv::GetInvitationResponse response;
  const Scale scale = ScaleOf(survey.kind());
  response.set_kind(survey.kind());
  response.set_lowest_score(scale.lowest);
  response.set_highest_score(scale.highest);
  response.set_ticket_id(survey.ticket_id());
  *response.mutable_expires_at() = survey.expires_at();
  if (survey.revision() > 0) {
    auto answer = view.Load(Answers(), AnswerKey(loaded->key, survey.revision()));
    if (!answer.ok()) return answer.status();
    if (!*answer) return absl::DataLossError("an answer is missing in the database");
    response.set_score((*answer)->answer().score());
    *response.mutable_reasons() = (*answer)->answer().reasons();
    response.set_text((*answer)->answer().text());
  }
  return response;
}

absl::Status ValidateListAnswers(const sv::ListAnswersRequest& request) {
  Violations violations;
  violations.Id("survey_id", request.survey_id(), true);
  violations.Id("account_id", request.account_id(), true);
  violations.Id("contact_id", request.contact_id(), true);
  violations.Id("ticket_id", request.ticket_id(), true);
  violations.Id("assignee_id", request.assignee_id(), true);
  CheckPage(request, violations);
  return violations.status();
}

absl::StatusOr<sv::ListAnswersResponse> ListAnswers(const sv::ListAnswersRequest& request,
                                                    const Inputs&, View& view) {
  return ReadPage<sv::ListAnswersRequest, sv::ListAnswersResponse>(
      request,
      [&](const Position* after, int64_t limit) {
        return SelectAnswers(view, request, after, limit);
      },
      [](const corridor::Loaded<records::AnswerRecord>& row, sv::ListAnswersResponse& response) {
        *response.add_answers() = row->answer();
        return row->answer().answered_at();
      });
}

absl::Status ValidateGetScores(const sv::GetScoresRequest& request) {
  Violations violations;
  violations.Require(ScaleOf(request.kind()).highest > 0, "kind", "must be CSAT or CES");
  violations.Id("account_id", request.account_id(), true);
  violations.Id("assignee_id", request.assignee_id(), true);
  violations.Id("team", request.team(), true);
  violations.Key("category", request.category(), true);
  violations.PageSize(request.page_size(), kMaxPage);
  violations.Require(request.page_token().empty() || ReadGroup(request.page_token()).has_value(),
                     "page_token", kBadToken);
  return violations.status();
}

absl::StatusOr<sv::GetScoresResponse> GetScores(const sv::GetScoresRequest& request, const Inputs&,
                                                View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const int32_t few = policy->made->few_answers_below();
  auto total = CountAll(view, request);
  if (!total.ok()) return total.status();
  const std::optional<std::string> after =
      request.page_token().empty() ? std::nullopt : ReadGroup(request.page_token());
  const auto page = static_cast<size_t>(PageSize(request));
  auto groups =
      CountGroups(view, request, after ? &*after : nullptr, static_cast<int64_t>(page) + 1);
  if (!groups.ok()) return groups.status();
  sv::GetScoresResponse response;
  *response.mutable_total() = MakeScore(*total, few);
  *response.mutable_policy() = policy->ref;
  for (size_t i = 0; i < groups->size() && i < page; ++i) {
    sv::GroupScore& group = *response.add_groups();
    group.set_group(GroupName(request.group_by(), (*groups)[i].group));
    *group.mutable_score() = MakeScore((*groups)[i], few);
  }
  if (groups->size() > page) {
    response.set_next_page_token(absl::StrCat("after:", (*groups)[page - 1].group));
  }
  return response;
}

absl::Status ValidateListFollowUps(const sv::ListFollowUpsRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  violations.Id("assignee_id", request.assignee_id(), true);
  CheckPage(request, violations);
  return violations.status();
}

absl::StatusOr<sv::ListFollowUpsResponse> ListFollowUps(const sv::ListFollowUpsRequest& request,
                                                        const Inputs&, View& view) {
  return ReadPage<sv::ListFollowUpsRequest, sv::ListFollowUpsResponse>(
      request,
      [&](const Position* after, int64_t limit) {
        return SelectFollowUps(view, request, after, limit);
      },
      [](const corridor::Loaded<records::FollowUpRecord>& row,
         sv::ListFollowUpsResponse& response) {
        *response.add_follow_ups() = row->follow_up();
        return row->follow_up().requested_at();
      });
}

absl::Status ValidateListSurveys(const sv::ListSurveysRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  violations.Id("contact_id", request.contact_id(), true);
  violations.Id("ticket_id", request.ticket_id(), true);
  violations.Count("states", static_cast<size_t>(request.states_size()), 10);
  for (const int state : request.states()) {
    violations.Require(state != sv::SURVEY_STATE_UNSPECIFIED, "states", "names no state");
  }
  CheckPage(request, violations);
  return violations.status();
}

absl::StatusOr<sv::ListSurveysResponse> ListSurveys(const sv::ListSurveysRequest& request,
                                                    const Inputs&, View& view) {
  return ReadPage<sv::ListSurveysRequest, sv::ListSurveysResponse>(
      request,
      [&](const Position* after, int64_t limit) {
        return SelectSurveys(view, request, after, limit);
      },
      [](const corridor::Loaded<records::SurveyRecord>& row, sv::ListSurveysResponse& response) {
        sv::Survey& survey = *response.add_surveys();
        survey = row->survey();
        survey.set_version(row.version);
        return row->survey().planned_at();
      });
}

}  // namespace tandem::survey
