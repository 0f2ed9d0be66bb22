// The simulation in ctest: some hundred seeds, the mistakes that it must catch, and that it is what
// it says it is.
#include <array>
#include <cstdint>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/plant/plant.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/run.h"

namespace tandem::simulation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As many as a run of all tests has time for; tests/run --full plays thousands.
constexpr uint64_t kBlocks = 4;
constexpr uint64_t kSeedsOfABlock = 25;

std::string Told(const Plan& plan, const Outcome& outcome) {
  return absl::StrCat("seed ", plan.seed, ": ", outcome.failure.value_or("ok"),
                      "\n  world:  ", Describe(plan), "\n  faults: ", Describe(plan.mix),
                      "\n  again:  tests/simulate --shrink --seed ", plan.seed);
}

// ---- every promise, whatever goes wrong

class Seeds : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Seeds, KeepEveryPromise) {
  for (uint64_t seed = GetParam(); seed < GetParam() + kSeedsOfABlock; ++seed) {
    const Plan plan = DrawPlan(seed);
    const Outcome outcome = Play(plan);
    EXPECT_FALSE(outcome.failure.has_value()) << Told(plan, outcome);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Seeds,
                         ::testing::Range<uint64_t>(1, 1 + kBlocks * kSeedsOfABlock,
                                                    kSeedsOfABlock),
                         [](const auto& block) { return absl::StrCat("Block", block.index + 1); });

// ---- what it would notice

// Lines of the table in README.md: | `name` | what it does | seeds |
std::map<std::string, uint64_t> StatedLimits() {
  std::map<std::string, uint64_t> limits;
  std::ifstream readme(std::string(TANDEM_SOURCE_DIR) + "/tests/simulation/README.md");
  const std::regex row(R"(\| `([a-z_]+)` \|.*\| ([0-9]+) \|)");
  std::string line;
  std::smatch parts;
  while (std::getline(readme, line)) {
    if (std::regex_match(line, parts, row)) limits[parts[1]] = std::stoull(parts[2]);
  }
  return limits;
}

class Mistakes : public ::testing::TestWithParam<plant::Mistake> {
 protected:
  ~Mistakes() override { plant::Set({}); }
};

TEST_P(Mistakes, AreCaughtWithinTheStatedSeeds) {
  const std::string name(plant::NameOf(GetParam()));
  const std::map<std::string, uint64_t> limits = StatedLimits();
  ASSERT_TRUE(limits.contains(name)) << "README.md does not say how soon " << name << " is caught";
  plant::Set({GetParam()});
  for (uint64_t seed = 1; seed <= limits.at(name); ++seed) {
    const Outcome outcome = Play(DrawPlan(seed));
    if (!outcome.failure.has_value()) continue;
    RecordProperty("caught_by_seed", absl::StrCat(seed));
    RecordProperty("caught_as", *outcome.failure);
    std::cout << name << ": seed " << seed << ": " << *outcome.failure << "\n";
    return;
  }
  ADD_FAILURE() << name << " is not caught within " << limits.at(name) << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Of, Mistakes, ::testing::ValuesIn(plant::AllMistakes()),
                         [](const auto& mistake) {
                           return std::string(plant::NameOf(mistake.param));
                         });

// The shadows alone, with the invariants not believed.
class ShadowedMistakes : public Mistakes {};

TEST_P(ShadowedMistakes, AreCaughtByTheShadowsAlone) {
  constexpr uint64_t kSeeds = 60;
  plant::Set({GetParam()});
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = Play(DrawPlan(seed), "", true);
    if (!outcome.failure.has_value()) continue;
    EXPECT_THAT(*outcome.failure, HasSubstr("beside the shadow of")) << "seed " << seed;
    std::cout << "seed " << seed << ": " << *outcome.failure << "\n";
    return;
  }
  ADD_FAILURE() << "not caught within " << kSeeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Of, ShadowedMistakes,
    ::testing::Values(plant::Mistake::kPauseOffCalendar, plant::Mistake::kStaleClearance,
                      plant::Mistake::kHoldKept, plant::Mistake::kExceptionKept,
                      plant::Mistake::kSpecialDayKept, plant::Mistake::kOlderPolicy),
    [](const auto& mistake) { return std::string(plant::NameOf(mistake.param)); });

// One that leaves out whatever it is unsure of would agree with everything.
TEST(TheShadows, CompareNearlyAllThatTheyLookAt) {
  int64_t comparisons = 0, omissions = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome outcome = Play(DrawPlan(seed));
    EXPECT_GT(outcome.comparisons, 0) << "seed " << seed;
    comparisons += outcome.comparisons;
    omissions += outcome.omissions;
  }
  EXPECT_GT(comparisons, 10 * omissions) << comparisons << " made, " << omissions << " left out";
}

TEST(TheTableOfMistakes, NamesThoseThatThereAre) {
  for (const auto& [name, limit] : StatedLimits()) {
    EXPECT_TRUE(plant::MistakeOf(name).ok()) << name;
    EXPECT_GT(limit, 0u) << name;
  }
  EXPECT_EQ(StatedLimits().size(), plant::AllMistakes().size());
}

// ---- that it is the same each time, and does what it says

TEST(ASeed, PlaysTheSameToTheLastCommitAndRecord) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const Plan plan = DrawPlan(seed);
    const Outcome once = Play(plan), again = Play(plan);
    EXPECT_EQ(once.trace_hash, again.trace_hash) << "seed " << seed;
    EXPECT_EQ(once.steps, again.steps) << "seed " << seed;
    EXPECT_EQ(once.strikes, again.strikes) << "seed " << seed;
  }
}

TEST(ASeed, PlaysTheSameWithItsStoryTold) {
  const Plan plan = DrawPlan(5);
  const Outcome plain = Play(plan), told = Play(plan, "acct0");
  EXPECT_EQ(plain.trace_hash, told.trace_hash);
  EXPECT_TRUE(plain.story.empty());
  EXPECT_FALSE(told.story.empty());
}

TEST(TwoSeeds, DifferFromEachOther) {
  EXPECT_NE(Play(DrawPlan(1)).trace_hash, Play(DrawPlan(2)).trace_hash);
}

TEST(Faults, AllStrikeInSomeSeed) {
  std::array<int64_t, kFaultCount> strikes{};
  for (uint64_t seed = 1001; seed <= 1040; ++seed) {
    const Outcome outcome = Play(DrawPlan(seed));
    for (size_t i = 0; i < kFaultCount; ++i) strikes[i] += outcome.strikes[i];
  }
  for (size_t i = 0; i < kFaultCount; ++i) {
    EXPECT_GT(strikes[i], 0) << NameOf(static_cast<Fault>(i));
  }
}

TEST(Faults, DoNotStrikeWhereTheyAreOff) {
  Plan plan = DrawPlan(3);
  plan.mix.fill(0);
  const Outcome outcome = Play(plan);
  EXPECT_FALSE(outcome.failure.has_value()) << Told(plan, outcome);
  for (size_t i = 0; i < kFaultCount; ++i) {
    EXPECT_EQ(outcome.strikes[i], 0) << NameOf(static_cast<Fault>(i));
  }
}

TEST(Plans, DrawEverySizeAndEveryAction) {
  std::array<int, static_cast<size_t>(Act::kRetryDeadLetters) + 1> acts{};
  int embedded = 0, many = 0;
  absl::Duration shortest = absl::InfiniteDuration(), longest;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Plan plan = DrawPlan(seed);
    embedded += plan.embedded;
    for (const int replicas : plan.replicas) many += replicas >= 3;
    shortest = std::min(shortest, plan.length);
    longest = std::max(longest, plan.length);
    for (const Action& action : plan.actions) ++acts[static_cast<size_t>(action.act)];
  }
  EXPECT_GT(embedded, 50);
  EXPECT_GT(many, 10);
  EXPECT_LT(shortest, absl::Minutes(10));
  EXPECT_GT(longest, absl::Hours(24 * 4));
  for (size_t i = 0; i < acts.size(); ++i) EXPECT_GT(acts[i], 0) << NameOf(static_cast<Act>(i));
}

TEST(Shrinking, LeavesAStoryThatFailsInTheSameWay) {
  plant::Set({plant::Mistake::kHoldKept});
  const Plan plan = DrawPlan(1);
  const Outcome outcome = Play(plan);
  ASSERT_TRUE(outcome.failure.has_value());
  const Shrunk shrunk = Shrink(plan, outcome, 60);
  plant::Set({});
  EXPECT_LE(shrunk.runs, 60);
  ASSERT_TRUE(shrunk.outcome.failure.has_value());
  EXPECT_EQ(KindOf(*shrunk.outcome.failure), KindOf(*outcome.failure));
  EXPECT_LT(shrunk.plan.actions.size(), plan.actions.size() / 4);
  EXPECT_EQ(Describe(shrunk.plan.mix), "none") << "no fault is needed to keep a hold";
}

TEST(AFailure, IsTheSameWhateverItsIdsAndInstants) {
  EXPECT_EQ(KindOf("2026-11-23T14:00:00Z ticket tkt_a1 is held for ever"),
            KindOf("2026-11-25T09:12:00.5Z ticket tkt_b2 is held for ever"));
  EXPECT_NE(KindOf("ticket tkt_a1 is held"), KindOf("ticket tkt_a1 is lost"));
}

TEST(Faults, AreKnownByTheirNames) {
  for (size_t i = 0; i < kFaultCount; ++i) {
    const auto fault = static_cast<Fault>(i);
    ASSERT_TRUE(FaultOf(NameOf(fault)).ok()) << NameOf(fault);
    EXPECT_EQ(*FaultOf(NameOf(fault)), fault);
  }
  EXPECT_THAT(std::string(FaultOf("rain").status().message()), HasSubstr("broker_down"));
}

}  // namespace
}  // namespace tandem::simulation
