// When a bad answer asks for a follow-up (product §4.6). Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_FOLLOW_UP_H_
#define TANDEM_SERVICES_SURVEY_FOLLOW_UP_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "services/survey/records.pb.h"
#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

// Whether the plan calls the score bad.
bool IsBad(const records::PlanRecord& plan, int32_t score);

enum class FollowUpStep {
  kNone,
  kRequest,   // ask for one
  kWithdraw,  // the customer took the complaint back: end the open one
};

// What an answer does. `was_bad` is the answer before it (absent = it is the first), `has_open`
// whether a follow-up is open. A complaint is followed up once: an answer that stays bad asks for
// no second one, one that was good in between does.
FollowUpStep StepOf(const records::PlanRecord& plan, std::optional<bool> was_bad, bool is_bad,
                    bool has_open);

// The key of an outcome on the bus: "fixed", "explained", "no_reply", "withdrawn".
std::string_view OutcomeKey(survey::v1::FollowUpOutcome outcome);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_FOLLOW_UP_H_
