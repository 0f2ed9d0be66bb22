#include "services/survey/follow_up.h"

#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

records::PlanRecord Plan(bool follow_up = true) {
  records::PlanRecord plan;
  plan.set_bad_at_most(2);
  plan.set_follow_up(follow_up);
  return plan;
}

TEST(FollowUp, IsAskedForOnceForOneComplaint) {
  struct Case {
    std::optional<bool> was_bad;
    bool is_bad;
    bool has_open;
    FollowUpStep step;
  };
  for (const Case& one : {
           Case{std::nullopt, true, false, FollowUpStep::kRequest},
           Case{std::nullopt, false, false, FollowUpStep::kNone},
           Case{true, true, true, FollowUpStep::kNone},
           Case{true, true, false, FollowUpStep::kNone},  // it was closed by our staff
           Case{true, false, true, FollowUpStep::kWithdraw},
           Case{true, false, false, FollowUpStep::kNone},
           Case{false, true, false, FollowUpStep::kRequest},
           Case{false, false, false, FollowUpStep::kNone},
       }) {
    EXPECT_EQ(StepOf(Plan(), one.was_bad, one.is_bad, one.has_open), one.step)
        << one.was_bad.value_or(false) << one.is_bad << one.has_open;
  }
}

TEST(FollowUp, IsNotAskedForWhereThePolicyWantsNone) {
  EXPECT_EQ(StepOf(Plan(false), std::nullopt, true, false), FollowUpStep::kNone);
}

TEST(FollowUp, DependsOnTheThreshold) {
  EXPECT_TRUE(IsBad(Plan(), 2));
  EXPECT_FALSE(IsBad(Plan(), 3));
  EXPECT_FALSE(IsBad(records::PlanRecord(), 1));
}

TEST(FollowUp, HasAKeyForEachOutcome) {
  EXPECT_EQ(OutcomeKey(survey::v1::FOLLOW_UP_OUTCOME_FIXED), "fixed");
  EXPECT_EQ(OutcomeKey(survey::v1::FOLLOW_UP_OUTCOME_EXPLAINED), "explained");
  EXPECT_EQ(OutcomeKey(survey::v1::FOLLOW_UP_OUTCOME_NO_REPLY), "no_reply");
  EXPECT_EQ(OutcomeKey(survey::v1::FOLLOW_UP_OUTCOME_WITHDRAWN), "withdrawn");
}

}  // namespace
}  // namespace tandem::survey
