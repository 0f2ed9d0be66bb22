#include "services/account_health/budget.h"

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "gtest/gtest.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {
namespace {

using records::BudgetRecord;

constexpr auto kRenewal = type::v1::OUTREACH_TOPIC_RENEWAL;
constexpr auto kTraining = type::v1::OUTREACH_TOPIC_TRAINING;
constexpr auto kSurvey = type::v1::OUTREACH_TOPIC_SURVEY_TICKET;
constexpr auto kFollowUp = type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP;

const account::v1::ContactBudget& Policy() { return DefaultPolicy().contact_budget(); }
absl::Time Day(double day) {
  return time::TruncateToMicros(absl::FromUnixSeconds(1'800'000'000) + absl::Hours(24) * day);
}
const absl::Duration kExpiry = absl::Hours(4);

TEST(Units, AreThoseOfTheProduct) {
  EXPECT_EQ(UnitsOf(kSurvey, Policy()), 2);
  EXPECT_EQ(UnitsOf(type::v1::OUTREACH_TOPIC_SURVEY_NPS, Policy()), 2);
  EXPECT_EQ(UnitsOf(kRenewal, Policy()), 2);
  EXPECT_EQ(UnitsOf(kTraining, Policy()), 1);
  EXPECT_EQ(UnitsOf(kFollowUp, Policy()), 0);
}

TEST(Budget, HoldsFourUnitsInThirtyDays) {
  BudgetRecord budget;
  Use(budget, "", "touch1", kRenewal, Day(0), Policy());
  Use(budget, "", "touch2", kTraining, Day(1), Policy());
  EXPECT_TRUE(AskBudget(budget, kTraining, Day(2), Policy()).fits);
  const BudgetAnswer answer = AskBudget(budget, kRenewal, Day(2), Policy());
  EXPECT_FALSE(answer.fits);
  EXPECT_EQ(answer.may_clear_at, Day(30)) << "the first use leaves the window";
  EXPECT_FALSE(AskBudget(budget, kRenewal, Day(30) - absl::Microseconds(1), Policy()).fits);
  EXPECT_TRUE(AskBudget(budget, kRenewal, Day(30), Policy()).fits);
}

TEST(Budget, CountsAReservationUntilItExpires) {
  BudgetRecord budget;
  Reserve(budget, "c1", kRenewal, Day(0), Day(0) + kExpiry, Policy());
  Reserve(budget, "c2", kRenewal, Day(0), Day(0) + kExpiry, Policy());
  const BudgetAnswer answer = AskBudget(budget, kTraining, Day(0), Policy());
  EXPECT_FALSE(answer.fits);
  EXPECT_EQ(answer.may_clear_at, Day(0) + kExpiry);
  EXPECT_TRUE(AskBudget(budget, kTraining, Day(0) + kExpiry, Policy()).fits);
}

TEST(Budget, UsesAReservationOnce) {
  BudgetRecord budget;
  Reserve(budget, "c1", kRenewal, Day(0), Day(0) + kExpiry, Policy());
  Use(budget, "c1", "touch1", kRenewal, Day(0), Policy());
  EXPECT_EQ(UnitsTaken(budget, Day(1), Policy()), 2) << "used, so its expiry gives nothing back";
  Use(budget, "c1", "touch2", kRenewal, Day(0), Policy());
  EXPECT_EQ(UnitsTaken(budget, Day(1), Policy()), 4) << "a second touch costs again";
}

TEST(Budget, LetsOneSurveyAContactThroughInThirtyDays) {
  BudgetRecord budget;
  Use(budget, "", "s1", kSurvey, Day(0), Policy());
  EXPECT_TRUE(AskBudget(budget, kRenewal, Day(1), Policy()).fits) << "two units are left";
  const BudgetAnswer answer = AskBudget(budget, kSurvey, Day(1), Policy());
  EXPECT_FALSE(answer.fits);
  EXPECT_EQ(answer.may_clear_at, Day(30));
  EXPECT_TRUE(AskBudget(budget, kSurvey, Day(30), Policy()).fits);
}

TEST(Budget, GetsBackWhatAWithdrawnSurveyUsed) {
  BudgetRecord budget;
  Reserve(budget, "c1", kSurvey, Day(0), Day(0) + kExpiry, Policy());
  Use(budget, "c1", "c1", kSurvey, Day(0), Policy());
  EXPECT_FALSE(GiveBackUnused(budget, "c1"));
  EXPECT_FALSE(AskBudget(budget, kSurvey, Day(1), Policy()).fits);
  EXPECT_TRUE(GiveBack(budget, "c1"));
  EXPECT_TRUE(AskBudget(budget, kSurvey, Day(1), Policy()).fits);
  EXPECT_FALSE(GiveBack(budget, "c1"));
}

TEST(Budget, CountsAnInvitationWhoseReservationIsOver) {
  BudgetRecord budget;
  Reserve(budget, "c1", kSurvey, Day(0), Day(0) + kExpiry, Policy());
  Prune(budget, Day(1), Policy());
  EXPECT_EQ(budget.entries_size(), 0);
  Use(budget, "c1", "c1", kSurvey, Day(0), Policy());
  EXPECT_EQ(UnitsTaken(budget, Day(1), Policy()), 2);
}

TEST(Budget, NeverRefusesAFollowUpOfAResolution) {
  BudgetRecord budget;
  for (const char* id : {"a", "b", "c"}) Use(budget, "", id, kRenewal, Day(0), Policy());
  EXPECT_TRUE(AskBudget(budget, kFollowUp, Day(0), Policy()).fits);
  Use(budget, "", "d", kFollowUp, Day(0), Policy());
  EXPECT_EQ(UnitsTaken(budget, Day(0), Policy()), 6)
      << "what happened is counted, what is free not";
}

TEST(Budget, NeverClearsWhatCostsMoreThanThereIs) {
  account::v1::ContactBudget policy = Policy();
  policy.set_units(1);
  const BudgetAnswer answer = AskBudget({}, kRenewal, Day(0), policy);
  EXPECT_FALSE(answer.fits);
  EXPECT_EQ(answer.may_clear_at, absl::InfiniteFuture());
}

TEST(Budget, ForgetsWhatNoWindowSees) {
  BudgetRecord budget;
  Use(budget, "", "a", kRenewal, Day(0), Policy());
  Use(budget, "", "b", kRenewal, Day(10), Policy());
  Prune(budget, Day(30), Policy());
  ASSERT_EQ(budget.entries_size(), 1);
  EXPECT_EQ(budget.entries(0).id(), "b");
}

TEST(Budget, RemembersASurveyForAsLongAsItsOwnWindow) {
  account::v1::ContactBudget policy = Policy();
  policy.mutable_survey_window()->set_seconds(60 * 24 * 3600);
  BudgetRecord budget;
  Use(budget, "", "a", kSurvey, Day(0), policy);
  Prune(budget, Day(45), policy);
  EXPECT_TRUE(AskBudget(budget, kRenewal, Day(45), policy).fits);
  EXPECT_FALSE(AskBudget(budget, kSurvey, Day(45), policy).fits);
  EXPECT_TRUE(AskBudget(budget, kSurvey, Day(60), policy).fits);
}

}  // namespace
}  // namespace tandem::account_health
