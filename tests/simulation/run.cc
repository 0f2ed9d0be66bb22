#include "tests/simulation/run.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "tests/simulation/actors.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/shadow_world.h"
#include "tests/simulation/world.h"

namespace tandem::simulation {
namespace {

void PlayTo(World& world, Actors& actors) {
  const auto is_over = [&] { return world.ledger().failure().has_value(); };
  if (absl::Status status = world.Start(); !status.ok()) {
    return world.ledger().Fail(std::string(status.message()));
  }
  world.RunFor(absl::Seconds(1));
  actors.SetUp();
  if (is_over()) return;
  world.RunFor(absl::Seconds(5));

  // Safety: whatever goes wrong.
  const absl::Time end = world.Now() + world.plan().length;
  world.BeginFaults();
  actors.Begin();
  Dice dice(world.plan().seed, "looks");
  const int looks = dice.Int(2, 5);
  Dice folders(world.plan().seed, "folders");
  // A start that nobody answers may last beyond the end.
  for (int i = 0; i < looks && !is_over() && world.Now() < end; ++i) {
    world.RunUntil(world.Now() + (end - world.Now()) * dice.Unit());
    if (!is_over()) CheckState(world);
    if (!is_over()) CompareSomeWithShadows(world, dice);
    if (!is_over() && folders.Chance(0.25)) actors.RollOut(folders);
  }
  if (is_over()) return;
  world.RunUntil(std::max(end, world.Now()));

  // Liveness: nothing goes wrong any more, so everything comes to rest.
  if (is_over()) return;
  world.EndFaults();
  world.Drain();
  if (!is_over()) CheckQuiet(world);
  if (!is_over()) CompareWithShadows(world);
  if (is_over()) return;
  // What falls due later, while some of it is open.
  world.RunFor(world.plan().embedded ? absl::Hours(6) : world.plan().length / 4);
  if (is_over()) return;
  actors.ResolveAll();
  if (is_over()) return;
  world.RunFor(world.plan().embedded ? absl::Hours(6) : absl::ZeroDuration());
  world.Drain();
  if (!is_over()) CheckEnd(world);
  if (!is_over()) CompareWithShadows(world);
}

}  // namespace

Outcome Play(const Plan& plan, const std::string& trace, bool shadows_alone) {
  Outcome outcome;
  World world(plan);
  world.ledger().Trace(trace);
  if (shadows_alone) world.ledger().BelieveShadowsAlone();
  Actors actors(&world);
  PlayTo(world, actors);
  Ledger& ledger = world.ledger();
  outcome.failure = ledger.failure();
  outcome.trace_hash = ledger.trace_hash();
  outcome.steps = world.steps();
  outcome.commits = world.watch().commits();
  outcome.events = world.watch().events_applied();
  outcome.timers = world.watch().timers_fired();
  outcome.comparisons = ledger.comparisons;
  outcome.omissions = ledger.omissions;
  outcome.calls = static_cast<int64_t>(ledger.calls().size());
  for (const CallRecord& call : ledger.calls()) outcome.acknowledged += call.is_acknowledged();
  for (size_t i = 0; i < kFaultCount; ++i) {
    outcome.strikes[i] = world.weather().strikes(static_cast<Fault>(i));
  }
  outcome.story = ledger.story();
  return outcome;
}

std::string KindOf(const std::string& failure) {
  std::string kind;
  for (const absl::string_view word : absl::StrSplit(failure, ' ')) {
    const bool is_plain = std::all_of(word.begin(), word.end(), [](char c) {
      return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_' || c == ':' || c == ',';
    });
    if (is_plain) kind.append(word.data(), word.size()).append(" ");
  }
  return kind;
}

Shrunk Shrink(const Plan& plan, const Outcome& outcome, int runs) {
  Shrunk best{plan, outcome, 0};
  const std::string kind = KindOf(*outcome.failure);
  const auto fails = [&](const Plan& candidate) {
    if (best.runs >= runs) return false;
    ++best.runs;
    Outcome tried = Play(candidate);
    if (!tried.failure.has_value() || KindOf(*tried.failure) != kind) return false;
    best.plan = candidate;
    best.outcome = std::move(tried);
    return true;
  };
  for (size_t i = 0; i < kFaultCount; ++i) {
    if (best.plan.mix[i] == 0) continue;
    Plan candidate = best.plan;
    candidate.mix[i] = 0;
    fails(candidate);
  }
  // Delta debugging (Zeller, Hildebrandt, 2002): halves, quarters, … as long as anything can go.
  for (size_t piece = (best.plan.actions.size() + 1) / 2; piece > 0; piece /= 2) {
    for (size_t from = 0; from < best.plan.actions.size();) {
      Plan candidate = best.plan;
      const auto begin = candidate.actions.begin() + static_cast<std::ptrdiff_t>(from);
      const auto left = static_cast<size_t>(candidate.actions.end() - begin);
      candidate.actions.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, left)));
      if (!fails(candidate)) from += piece;
      if (best.runs >= runs) return best;
    }
  }
  return best;
}

}  // namespace tandem::simulation
