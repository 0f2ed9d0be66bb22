#include "services/survey/scores.h"

#include "absl/strings/numbers.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::survey {

survey::v1::Score MakeScore(const ScoreCounts& counts, int32_t few_answers_below) {
  survey::v1::Score score;
  score.set_delivered(counts.delivered);
  score.set_answered(counts.answered);
  score.set_good(counts.good);
  if (counts.delivered > 0) {
    score.set_response_rate(static_cast<double>(counts.answered) /
                            static_cast<double>(counts.delivered));
  }
  if (counts.answered > 0) {
    const auto answers = static_cast<double>(counts.answered);
    score.set_share(static_cast<double>(counts.good) / answers);
    score.set_mean(static_cast<double>(counts.score_sum) / answers);
  }
  score.set_few_answers(counts.answered < few_answers_below);
  return score;
}

std::string GroupName(survey::v1::ScoreGrouping grouping, const std::string& group) {
  int number = 0;
  if (!absl::SimpleAtoi(group, &number)) return group;
  switch (grouping) {
    case survey::v1::SCORE_GROUPING_SEVERITY:
      return type::v1::Severity_Name(static_cast<type::v1::Severity>(number));
    case survey::v1::SCORE_GROUPING_SEGMENT:
      return type::v1::Segment_Name(static_cast<type::v1::Segment>(number));
    case survey::v1::SCORE_GROUPING_CHANNEL:
      return type::v1::Channel_Name(static_cast<type::v1::Channel>(number));
    default:
      return group;
  }
}

}  // namespace tandem::survey
