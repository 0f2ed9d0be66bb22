// survey's tables and all of its SQL. Functions that read ranges propagate the view's status as it
// is; see common/corridor/view.h.
#ifndef TANDEM_SERVICES_SURVEY_RECORDS_H_
#define TANDEM_SERVICES_SURVEY_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/store/record.h"
#include "services/survey/records.pb.h"
#include "services/survey/scores.h"
#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

const store::Table<records::TicketRecord>& Tickets();
const store::Table<records::SurveyRecord>& Surveys();
const store::Table<records::TokenRecord>& Tokens();
const store::Table<records::AnswerRecord>& Answers();
const store::Table<records::FollowUpRecord>& FollowUps();
const store::Table<records::OptOutRecord>& OptOuts();

// Of an answer.
std::string AnswerKey(std::string_view survey_id, int32_t revision);

// Where a page ended: the next begins after it, whatever was added meanwhile.
struct Position {
  int64_t at_us = 0;
  std::string key;
};

// ---- ranges, each newest first, after `after` when given, at most `limit` rows
template <typename M>
using Rows = absl::StatusOr<std::vector<corridor::Loaded<M>>>;

Rows<records::SurveyRecord> SelectSurveys(corridor::View& view,
                                          const survey::v1::ListSurveysRequest& request,
                                          const Position* after, int64_t limit);
Rows<records::AnswerRecord> SelectAnswers(corridor::View& view,
                                          const survey::v1::ListAnswersRequest& request,
                                          const Position* after, int64_t limit);
Rows<records::FollowUpRecord> SelectFollowUps(corridor::View& view,
                                              const survey::v1::ListFollowUpsRequest& request,
                                              const Position* after, int64_t limit);

// Counts of what the filters let through: all together …
absl::StatusOr<ScoreCounts> CountAll(corridor::View& view,
                                     const survey::v1::GetScoresRequest& request);
// … and by request.group_by, ascending, the groups after `after` when given, at most `limit`.
absl::StatusOr<std::vector<ScoreCounts>> CountGroups(corridor::View& view,
                                                     const survey::v1::GetScoresRequest& request,
                                                     const std::string* after, int64_t limit);

// Surveys that are planned, or invited and not answered.
absl::StatusOr<int64_t> CountUnderWay(corridor::View& view);

// How much there is of what operators watch. Every few seconds: from indexes and small tables.
std::vector<corridor::ServiceDefinition::Measure> Measures();

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_RECORDS_H_
