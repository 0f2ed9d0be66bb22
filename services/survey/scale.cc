#include "services/survey/scale.h"

namespace tandem::survey {

Scale ScaleOf(type::v1::SurveyKind kind) {
  switch (kind) {
    case type::v1::SURVEY_KIND_CSAT:
      return {.lowest = 1, .highest = 5, .good_from = 4, .bad_at_most = 2};
    case type::v1::SURVEY_KIND_CES:
      return {.lowest = 1, .highest = 7, .good_from = 5, .bad_at_most = 3};
    default:
      return {};
  }
}

bool IsOnScale(type::v1::SurveyKind kind, int32_t score) {
  const Scale scale = ScaleOf(kind);
  return scale.highest > 0 && score >= scale.lowest && score <= scale.highest;
}

bool IsGood(type::v1::SurveyKind kind, int32_t score) {
  return IsOnScale(kind, score) && score >= ScaleOf(kind).good_from;
}

}  // namespace tandem::survey
