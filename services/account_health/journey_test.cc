#include "services/account_health/journey.h"

#include <set>
#include <utility>

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "gtest/gtest.h"

namespace tandem::account_health {
namespace {

using namespace type::v1;  // NOLINT: the stages' names, many times

absl::Time Day(int day) { return absl::UnixEpoch() + absl::Hours(24) * day; }

TEST(Journey, HasExactlyTheMovesOfTheProduct) {
  const std::set<std::pair<int, int>> moves = {
      {JOURNEY_STAGE_PROSPECT, JOURNEY_STAGE_FIRST_PURCHASE},
      {JOURNEY_STAGE_FIRST_PURCHASE, JOURNEY_STAGE_ACTIVATION},
      {JOURNEY_STAGE_ACTIVATION, JOURNEY_STAGE_LOYALTY},
      {JOURNEY_STAGE_LOYALTY, JOURNEY_STAGE_RENEWAL},
      {JOURNEY_STAGE_ACTIVATION, JOURNEY_STAGE_RENEWAL},
      {JOURNEY_STAGE_RENEWAL, JOURNEY_STAGE_LOYALTY},
      {JOURNEY_STAGE_FIRST_PURCHASE, JOURNEY_STAGE_CHURNED},
      {JOURNEY_STAGE_ACTIVATION, JOURNEY_STAGE_CHURNED},
      {JOURNEY_STAGE_LOYALTY, JOURNEY_STAGE_CHURNED},
      {JOURNEY_STAGE_RENEWAL, JOURNEY_STAGE_CHURNED},
      {JOURNEY_STAGE_CHURNED, JOURNEY_STAGE_WIN_BACK},
      {JOURNEY_STAGE_CHURNED, JOURNEY_STAGE_FIRST_PURCHASE},
      {JOURNEY_STAGE_WIN_BACK, JOURNEY_STAGE_FIRST_PURCHASE},
      {JOURNEY_STAGE_WIN_BACK, JOURNEY_STAGE_CHURNED}};
  for (int from = 0; from <= JourneyStage_MAX; ++from) {
    for (int to = 0; to <= JourneyStage_MAX; ++to) {
      EXPECT_EQ(IsMove(static_cast<JourneyStage>(from), static_cast<JourneyStage>(to)),
                moves.contains({from, to}))
          << from << " to " << to;
    }
  }
}

TEST(Journey, AddsUpTheTimeOfAllStays) {
  records::AccountRecord account;
  EnterStage(account, JOURNEY_STAGE_LOYALTY, Day(0), false, "", "");
  EnterStage(account, JOURNEY_STAGE_RENEWAL, Day(10), false, "", "");
  EnterStage(account, JOURNEY_STAGE_LOYALTY, Day(15), true, "signed earlier", "staff-1");
  EXPECT_EQ(account.account().stage(), JOURNEY_STAGE_LOYALTY);
  EXPECT_EQ(EnteredAt(account), Day(15));
  const auto times = TimesInStages(account, Day(18));
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].stage(), JOURNEY_STAGE_LOYALTY);
  EXPECT_EQ(times[0].seconds(), 13 * 86400);
  EXPECT_EQ(times[1].seconds(), 5 * 86400);
  EXPECT_TRUE(account.journey(2).correction());
  EXPECT_EQ(account.journey(2).reason(), "signed earlier");
}

TEST(Journey, KeepsTheTimeOfStaysThatItNoLongerLists) {
  records::AccountRecord account;
  for (int day = 0; day < 300; ++day) {
    EnterStage(account, day % 2 == 0 ? JOURNEY_STAGE_LOYALTY : JOURNEY_STAGE_RENEWAL, Day(day),
               false, "", "");
  }
  EXPECT_EQ(account.journey_size(), 100);
  EXPECT_EQ(TimesInStages(account, Day(300))[0].seconds(), 150 * 86400);
}

}  // namespace
}  // namespace tandem::account_health
