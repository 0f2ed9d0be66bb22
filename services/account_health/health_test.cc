#include "services/account_health/health.h"

#include <vector>

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {
namespace {

using account::v1::HealthPolicy;
using records::HealthRecord;
using type::v1::HEALTH_BAND_GREEN;
using type::v1::HEALTH_BAND_RED;
using type::v1::HEALTH_BAND_UNKNOWN;
using type::v1::HEALTH_BAND_UNSPECIFIED;
using type::v1::HEALTH_BAND_YELLOW;

const HealthPolicy& Default() { return DefaultPolicy().health(); }

// Support alone, as a replay of a ticket log weighs it.
const HealthPolicy& SupportAlone() {
  static const HealthPolicy& policy = *[] {
    auto* one = new HealthPolicy(Default());
    one->mutable_profiles(0)->mutable_groups()->DeleteSubrange(1,
                                                               one->profiles(0).groups_size() - 1);
    return one;
  }();
  return policy;
}

HealthRecord Loyal() {
  HealthRecord health;
  health.set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
  return health;
}

absl::Time Hour(double hour) {
  return time::TruncateToMicros(absl::UnixEpoch() + absl::Hours(1) * hour);
}
constexpr double kDays = 24;

TEST(Health, IsFullWithoutTroubleAndKnownBySupportAlone) {
  EXPECT_EQ(QuickScoreOf(Loyal(), SupportAlone()), 10000);
}

TEST(Health, IsUnknownWhenLessThanHalfOfTheWeightIsKnown) {
  const HealthScore score = ScoreOf(Loyal(), Default());
  EXPECT_EQ(score.score, kNoScore);
  EXPECT_EQ(score.known_share, 2500) << "support has 25 of 100";
  HealthRecord answered = Loyal();
  CountCsat(answered, Hour(1), true, 1, Default());
  EXPECT_EQ(ScoreOf(answered, Default()).known_share, 3000) << "CSAT adds half of the voice's 10";
  EXPECT_EQ(BandOf(kNoScore, HEALTH_BAND_UNSPECIFIED, type::v1::JOURNEY_STAGE_LOYALTY, Default()),
            HEALTH_BAND_UNKNOWN);
}

// Of two processes that apply the same resolution, the slower one may see its ticket still open and
// the account's counts without it.
TEST(Health, CountsNoFewerThanNoUnresolvedTickets) {
  HealthRecord health = Loyal();
  CountUnresolved(health, type::v1::SEVERITY_CRITICAL, 1);
  CountUnresolved(health, type::v1::SEVERITY_CRITICAL, -1);
  EXPECT_TRUE(CheckCounts(health).ok());
  CountUnresolved(health, type::v1::SEVERITY_CRITICAL, -1);
  EXPECT_EQ(CheckCounts(health).code(), absl::StatusCode::kInternal);
}

TEST(Health, OfStagesBeforeAndAfterTheCustomerIsNone) {
  for (const auto stage : {type::v1::JOURNEY_STAGE_PROSPECT, type::v1::JOURNEY_STAGE_CHURNED,
                           type::v1::JOURNEY_STAGE_WIN_BACK}) {
    HealthRecord health = Loyal();
    health.set_stage(stage);
    EXPECT_EQ(QuickScoreOf(health, SupportAlone()), kNoScore) << stage;
    EXPECT_EQ(BandOf(kNoScore, HEALTH_BAND_GREEN, stage, Default()), HEALTH_BAND_UNSPECIFIED);
  }
  EXPECT_TRUE(HasHealth(type::v1::JOURNEY_STAGE_FIRST_PURCHASE));
}

struct MeasureCase {
  const char* name;
  std::vector<std::pair<type::v1::Severity, int>> open;
  int missed;
  int reopened;
  int unresolved_score;
  int missed_score;
  int reopened_score;
  int score;
};

class Formulas : public testing::TestWithParam<MeasureCase> {};

TEST_P(Formulas, GiveTheNumbersOfTheHeader) {
  const MeasureCase& c = GetParam();
  HealthRecord health = Loyal();
  for (const auto& [severity, count] : c.open) CountUnresolved(health, severity, count);
  for (int i = 0; i < c.missed; ++i) CountMissed(health, Hour(i), 1, SupportAlone());
  for (int i = 0; i < c.reopened; ++i) CountReopened(health, Hour(i), 1, SupportAlone());
  const HealthScore score = ScoreOf(health, SupportAlone());
  ASSERT_EQ(score.groups.size(), 1u);
  EXPECT_EQ(score.groups[0].measures(0).score(), c.unresolved_score);
  EXPECT_EQ(score.groups[0].measures(1).score(), c.missed_score);
  EXPECT_EQ(score.groups[0].measures(2).score(), c.reopened_score);
  EXPECT_EQ(score.score, c.score);
  EXPECT_EQ(QuickScoreOf(health, SupportAlone()), c.score);
}

INSTANTIATE_TEST_SUITE_P(
    Support, Formulas,
    testing::Values(
        MeasureCase{"nothing", {}, 0, 0, 10000, 10000, 10000, 10000},
        // 20 points at half_at 20.
        MeasureCase{
            "one_critical", {{type::v1::SEVERITY_CRITICAL, 1}}, 0, 0, 5000, 10000, 10000, 7500},
        // 10000 * 20 / 22 = 9090.9
        MeasureCase{"one_normal", {{type::v1::SEVERITY_NORMAL, 1}}, 0, 0, 9091, 10000, 10000, 9546},
        MeasureCase{"untriaged_as_normal",
                    {{type::v1::SEVERITY_UNSPECIFIED, 1}},
                    0,
                    0,
                    9091,
                    10000,
                    10000,
                    9546},
        MeasureCase{"five_missed", {}, 5, 0, 10000, 5000, 10000, 8500},
        MeasureCase{"three_reopened", {}, 0, 3, 10000, 10000, 5000, 9000},
        // 10000 * 20 / 60 = 3333.3, * 5 / 15 = 3333.3, * 3 / 9 = 3333.3
        MeasureCase{"all_bad", {{type::v1::SEVERITY_URGENT, 4}}, 10, 6, 3333, 3333, 3333, 3333}),
    [](const auto& one) { return one.param.name; });

TEST(Health, SharesTheWeightOfMissingMeasuresOutWithinTheGroupFirst) {
  HealthPolicy policy = Default();
  policy.mutable_profiles(0)->mutable_groups()->DeleteSubrange(1, 3);  // support, voice, commercial
  policy.mutable_profiles(0)->mutable_groups()->DeleteSubrange(2, 1);  // support, voice
  HealthRecord health = Loyal();
  CountCsat(health, Hour(1), false, 1, policy);
  // Support 100.00 by 25; of the voice only CSAT = 0, which then has all of its 10: 2500 / 35
  // = 71.43.
  const HealthScore score = ScoreOf(health, policy);
  EXPECT_EQ(score.score, 7143);
  EXPECT_EQ(score.groups[1].measures(0).share(), 2857);
  EXPECT_EQ(score.groups[1].measures(1).share(), 0);
  EXPECT_EQ(score.groups[1].measures(1).score(), kNoScore);
}

TEST(Health, IsKnownFromExactlyHalfOfTheWeightOn) {
  HealthPolicy policy;
  auto& profile = *policy.add_profiles();
  // A third of the first group and two thirds of the second are known: one half in all.
  for (const int known : {1, 2}) {
    auto& group = *profile.add_groups();
    group.set_weight(1);
    for (int i = 0; i < 3; ++i) {
      auto& measure = *group.add_measures();
      measure.set_kind(i < known ? account::v1::MEASURE_KIND_MISSED_CYCLES
                                 : account::v1::MEASURE_KIND_SENTIMENT);
      measure.set_weight(1);
      measure.set_half_at(1);
    }
  }
  EXPECT_EQ(QuickScoreOf(Loyal(), policy), 10000);
  policy.mutable_profiles(0)->mutable_groups(0)->mutable_measures(2)->set_weight(2);
  EXPECT_EQ(QuickScoreOf(Loyal(), policy), kNoScore);
}

TEST(Health, TakesTheFirstProfileThatFitsStageAndSegment) {
  HealthPolicy policy = SupportAlone();
  account::v1::HealthProfile onboarding = policy.profiles(0);
  onboarding.set_name("onboarding");
  onboarding.add_stages(type::v1::JOURNEY_STAGE_ACTIVATION);
  onboarding.add_segments(type::v1::SEGMENT_ENTERPRISE);
  const account::v1::HealthProfile fallback = policy.profiles(0);
  *policy.mutable_profiles(0) = onboarding;
  *policy.add_profiles() = fallback;
  EXPECT_EQ(
      ProfileOf(type::v1::JOURNEY_STAGE_ACTIVATION, type::v1::SEGMENT_ENTERPRISE, policy).name(),
      "onboarding");
  EXPECT_EQ(ProfileOf(type::v1::JOURNEY_STAGE_ACTIVATION, type::v1::SEGMENT_MID, policy).name(),
            "default");
  EXPECT_EQ(ProfileOf(type::v1::JOURNEY_STAGE_LOYALTY, type::v1::SEGMENT_ENTERPRISE, policy).name(),
            "default");
}

struct BandCase {
  type::v1::HealthBand before;
  int score;
  type::v1::HealthBand after;
};

class Bands : public testing::TestWithParam<BandCase> {};

TEST_P(Bands, AreLeftThreePointsBeyondTheirBorder) {
  EXPECT_EQ(BandOf(GetParam().score, GetParam().before, type::v1::JOURNEY_STAGE_LOYALTY, Default()),
            GetParam().after);
}

INSTANTIATE_TEST_SUITE_P(Hysteresis, Bands,
                         testing::Values(BandCase{HEALTH_BAND_UNKNOWN, 7500, HEALTH_BAND_GREEN},
                                         BandCase{HEALTH_BAND_UNKNOWN, 7499, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_UNKNOWN, 5000, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_UNKNOWN, 4999, HEALTH_BAND_RED},
                                         BandCase{HEALTH_BAND_GREEN, 7200, HEALTH_BAND_GREEN},
                                         BandCase{HEALTH_BAND_GREEN, 7199, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_GREEN, 4700, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_GREEN, 4699, HEALTH_BAND_RED},
                                         BandCase{HEALTH_BAND_YELLOW, 7799, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_YELLOW, 7800, HEALTH_BAND_GREEN},
                                         BandCase{HEALTH_BAND_YELLOW, 4700, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_YELLOW, 4699, HEALTH_BAND_RED},
                                         BandCase{HEALTH_BAND_RED, 5299, HEALTH_BAND_RED},
                                         BandCase{HEALTH_BAND_RED, 5300, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_RED, 7799, HEALTH_BAND_YELLOW},
                                         BandCase{HEALTH_BAND_RED, 7800, HEALTH_BAND_GREEN}));

TEST(Decay, LetsAFactGoAtTheEndOfTheHourInWhichItsWindowEnds) {
  HealthRecord health = Loyal();
  CountMissed(health, Hour(10.25), 1, Default());
  CountMissed(health, Hour(10.75), 1, Default());
  const absl::Time edge = Hour(11 + 30 * kDays);
  EXPECT_EQ(NextDecay(health, Default()), edge);
  Decay(health, edge - absl::Microseconds(1), Default());
  EXPECT_EQ(health.missed_size(), 1);
  Decay(health, edge, Default());
  EXPECT_EQ(health.missed_size(), 0);
  EXPECT_EQ(NextDecay(health, Default()), absl::InfiniteFuture());
}

TEST(Decay, IgnoresAFactWhoseWindowHasEnded) {
  HealthRecord health = Loyal();
  Decay(health, Hour(100 * kDays), Default());
  CountReopened(health, Hour(60 * kDays), 1, Default());
  EXPECT_EQ(health.reopened_size(), 0);
  CountReopened(health, Hour(80 * kDays), 1, Default());
  EXPECT_EQ(health.reopened_size(), 1);
}

TEST(Decay, ComesOutTheSameWhateverCameFirst) {
  const std::vector<absl::Time> facts = {Hour(5), Hour(1), Hour(5.5), Hour(700), Hour(30)};
  HealthRecord forward = Loyal(), backward = Loyal();
  for (size_t i = 0; i < facts.size(); ++i) {
    CountMissed(forward, facts[i], 1, Default());
    CountMissed(backward, facts[facts.size() - 1 - i], 1, Default());
  }
  EXPECT_EQ(forward.SerializeAsString(), backward.SerializeAsString());
  // A fact that arrives after its neighbours decayed.
  HealthRecord late = Loyal();
  for (size_t i = 0; i + 1 < facts.size(); ++i) CountMissed(late, facts[i], 1, Default());
  Decay(late, Hour(800), Default());
  CountMissed(late, facts.back(), 1, Default());
  Decay(late, Hour(800), Default());
  Decay(forward, Hour(800), Default());
  EXPECT_EQ(forward.SerializeAsString(), late.SerializeAsString());
}

TEST(Csat, CountsFoursAndFives) {
  HealthRecord health = Loyal();
  for (const bool good : {true, true, false}) CountCsat(health, Hour(1), good, 1, Default());
  const HealthScore score = ScoreOf(health, Default());
  EXPECT_EQ(score.groups[4].measures(0).score(), 6667);
  CountCsat(health, Hour(1), false, -1, Default());
  EXPECT_EQ(ScoreOf(health, Default()).groups[4].measures(0).score(), 10000);
}

}  // namespace
}  // namespace tandem::account_health
