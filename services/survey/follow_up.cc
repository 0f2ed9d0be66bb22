#include "services/survey/follow_up.h"

namespace tandem::survey {

bool IsBad(const records::PlanRecord& plan, int32_t score) { return score <= plan.bad_at_most(); }

FollowUpStep StepOf(const records::PlanRecord& plan, std::optional<bool> was_bad, bool is_bad,
                    bool has_open) {
  if (!is_bad) return has_open ? FollowUpStep::kWithdraw : FollowUpStep::kNone;
  if (!plan.follow_up() || has_open || was_bad.value_or(false)) return FollowUpStep::kNone;
  return FollowUpStep::kRequest;
}

std::string_view OutcomeKey(survey::v1::FollowUpOutcome outcome) {
  switch (outcome) {
    case survey::v1::FOLLOW_UP_OUTCOME_FIXED:
      return "fixed";
    case survey::v1::FOLLOW_UP_OUTCOME_EXPLAINED:
      return "explained";
    case survey::v1::FOLLOW_UP_OUTCOME_NO_REPLY:
      return "no_reply";
    case survey::v1::FOLLOW_UP_OUTCOME_WITHDRAWN:
      return "withdrawn";
    default:
      return "";
  }
}

}  // namespace tandem::survey
