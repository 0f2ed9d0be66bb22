// From counts to scores (product §4.5). Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_SCORES_H_
#define TANDEM_SERVICES_SURVEY_SCORES_H_

#include <cstdint>
#include <string>

#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

// Counted over surveys that were delivered and not withdrawn.
struct ScoreCounts {
  std::string group;  // as the tables have it
  int64_t delivered = 0;
  int64_t answered = 0;
  int64_t good = 0;
  int64_t score_sum = 0;  // of the answers that count
};

// No answers give no number, and fewer than `few_answers_below` say so.
survey::v1::Score MakeScore(const ScoreCounts& counts, int32_t few_answers_below);

// A group as people read it: an enum's value name, or the value itself.
std::string GroupName(survey::v1::ScoreGrouping grouping, const std::string& group);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_SCORES_H_
