// The scales of what is asked (product §4.1, §4.5). Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_SCALE_H_
#define TANDEM_SERVICES_SURVEY_SCALE_H_

#include <cstdint>

#include "tandem/type/v1/types.pb.h"

namespace tandem::survey {

struct Scale {
  int32_t lowest = 0;
  int32_t highest = 0;
  int32_t good_from = 0;  // this score and higher ones are good
  // The highest score that counts as bad unless the policy says otherwise.
  int32_t bad_at_most = 0;
};

// CSAT or CES; any other kind is not asked after a ticket and has an empty scale.
Scale ScaleOf(type::v1::SurveyKind kind);

// Whether `score` stands on the scale of `kind`.
bool IsOnScale(type::v1::SurveyKind kind, int32_t score);

// CSAT 4 to 5, CES 5 to 7.
bool IsGood(type::v1::SurveyKind kind, int32_t score);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_SCALE_H_
