// Runs seeds of the simulation; see README.md.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/plant/plant.h"
#include "tests/simulation/run.h"

namespace tandem::simulation {
namespace {

constexpr std::string_view kUsage = R"(usage: tests/simulate [options]

  --seed S       run this seed alone
  --seeds N      run N seeds (default 200) …
  --from S       … from this one on (default 1)
  --jobs J       in J processes at a time (default 1)
  --resume FILE  leave out the seeds that FILE names as done, and add those that are done now
  --shrink       look for the shortest story of a seed that fails
  --trace ID     tell the story of whatever names ID: a ticket, an account, an event, a process
  --without F,…  with these faults off; "all" = without any
  --plant NAME   with this mistake planted (common/plant)
  --shadows      believe the shadows alone, not the invariants
  --verbose      a line for each seed

Exits with 1 when a seed fails, with 2 when the command line is wrong.
)";

struct Flags {
  uint64_t from = 1, seeds = 200, jobs = 1;
  std::string resume, trace, plant, without;
  bool shrink = false, verbose = false, shadows = false;
};

std::optional<Flags> ReadFlags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--shrink") {
      flags.shrink = true;
      continue;
    }
    if (name == "--shadows") {
      flags.shadows = true;
      continue;
    }
    if (name == "--verbose") {
      flags.verbose = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    const std::string value = argv[++i];
    uint64_t number = 0;
    const bool is_number = absl::SimpleAtoi(value, &number);
    if (name == "--seed" && is_number) {
      flags.from = number;
      flags.seeds = 1;
      flags.verbose = true;
    } else if (name == "--seeds" && is_number) {
      flags.seeds = number;
    } else if (name == "--from" && is_number) {
      flags.from = number;
    } else if (name == "--jobs" && is_number && number > 0 && number <= 64) {
      flags.jobs = number;
    } else if (name == "--resume") {
      flags.resume = value;
    } else if (name == "--trace") {
      flags.trace = value;
    } else if (name == "--without") {
      flags.without = value;
    } else if (name == "--plant") {
      flags.plant = value;
    } else {
      return std::nullopt;
    }
  }
  return flags;
}

// Lines "seed hash ok" or "seed hash failed …".
std::set<uint64_t> SeedsDone(const std::string& file) {
  std::set<uint64_t> done;
  std::ifstream lines(file);
  std::string line;
  uint64_t seed = 0;
  while (std::getline(lines, line)) {
    if (absl::SimpleAtoi(line.substr(0, line.find(' ')), &seed)) done.insert(seed);
  }
  return done;
}

void PrintFailure(const Plan& plan, const Outcome& outcome) {
  std::cout << "seed " << plan.seed << " fails: " << *outcome.failure
            << "\n  world:  " << Describe(plan) << "\n  faults: " << Describe(plan.mix)
            << "\n  hash:   " << absl::StrFormat("%016x", outcome.trace_hash)
            << "\n  again:  tests/simulate --seed " << plan.seed << "\n";
}

void PrintStory(const Shrunk& shrunk) {
  std::cout << "  shortest story found in " << shrunk.runs << " runs: " << *shrunk.outcome.failure
            << "\n    faults: " << Describe(shrunk.plan.mix) << "\n";
  for (const Action& action : shrunk.plan.actions) {
    std::cout << "    " << absl::FormatDuration(action.at) << " " << NameOf(action.act);
    if (action.ticket >= 0) std::cout << " of ticket " << action.ticket;
    std::cout << "\n";
  }
}

// The seeds that are this worker's; how many of them failed.
int RunSeeds(const Flags& flags, const std::array<bool, kFaultCount>& off, uint64_t worker,
             const std::set<uint64_t>& done) {
  int failures = 0;
  int64_t steps = 0, commits = 0, events = 0, acknowledged = 0, comparisons = 0, omissions = 0;
  uint64_t count = 0;
  const auto begin = std::chrono::steady_clock::now();
  std::ofstream resume;
  if (!flags.resume.empty()) resume.open(flags.resume, std::ios::app);
  for (uint64_t seed = flags.from + worker; seed < flags.from + flags.seeds; seed += flags.jobs) {
    if (done.contains(seed)) continue;
    Plan plan = DrawPlan(seed);
    for (size_t i = 0; i < kFaultCount; ++i) {
      if (off[i]) plan.mix[i] = 0;
    }
    const auto started = std::chrono::steady_clock::now();
    const Outcome outcome = Play(plan, flags.trace, flags.shadows);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    ++count;
    steps += outcome.steps;
    commits += outcome.commits;
    events += outcome.events;
    acknowledged += outcome.acknowledged;
    comparisons += outcome.comparisons;
    omissions += outcome.omissions;
    for (const std::string& line : outcome.story) std::cout << line << "\n";
    if (flags.verbose) {
      std::cout << absl::StrFormat(
          "seed %d %s %016x %.3f s, %d steps, %d commits, %d events applied, %d timers, %d of %d "
          "calls; %s\n",
          seed, outcome.failure.has_value() ? "failed" : "ok", outcome.trace_hash, took.count(),
          outcome.steps, outcome.commits, outcome.events, outcome.timers, outcome.acknowledged,
          outcome.calls, Describe(plan));
    }
    if (outcome.failure.has_value()) {
      ++failures;
      PrintFailure(plan, outcome);
      if (flags.shrink) PrintStory(Shrink(plan, outcome, 150));
    }
    std::cout.flush();
    if (resume.is_open()) {
      resume << absl::StrFormat("%d %016x ", seed, outcome.trace_hash)
             << (outcome.failure.has_value() ? "failed " + *outcome.failure : "ok") << std::endl;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (count > 0) {
    std::cout << absl::StrFormat(
        "%d seeds, %d failed; %.3f s a seed, %d steps, %d commits, %d events applied, %d calls "
        "acknowledged, %d comparisons with the shadows, %d left out\n",
        count, failures, took.count() / static_cast<double>(count), steps, commits, events,
        acknowledged, comparisons, omissions);
    std::cout.flush();
  }
  return failures;
}

int Main(int argc, char** argv) {
  const std::optional<Flags> flags = ReadFlags(argc, argv);
  if (!flags.has_value()) {
    std::cerr << kUsage;
    return 2;
  }
  if (!flags->plant.empty()) {
    const absl::StatusOr<plant::Mistake> mistake = plant::MistakeOf(flags->plant);
    if (!mistake.ok()) {
      std::cerr << mistake.status().message() << "\n";
      return 2;
    }
    plant::Set({*mistake});
  }
  std::array<bool, kFaultCount> off{};
  if (flags->without == "all") {
    off.fill(true);
  } else if (!flags->without.empty()) {
    for (const absl::string_view name : absl::StrSplit(flags->without, ',')) {
      const absl::StatusOr<Fault> fault = FaultOf({name.data(), name.size()});
      if (!fault.ok()) {
        std::cerr << fault.status().message() << "\n";
        return 2;
      }
      off[static_cast<size_t>(*fault)] = true;
    }
  }
  const std::set<uint64_t> done =
      flags->resume.empty() ? std::set<uint64_t>() : SeedsDone(flags->resume);
  if (flags->jobs == 1) return RunSeeds(*flags, off, 0, done) > 0 ? 1 : 0;
  // A world is one thread, so more of them are more processes.
  std::vector<pid_t> workers;
  for (uint64_t worker = 0; worker < flags->jobs; ++worker) {
    const pid_t pid = fork();
    if (pid == 0) {
      const int failures = RunSeeds(*flags, off, worker, done);
      std::cout.flush();
      _exit(failures > 0 ? 1 : 0);
    }
    if (pid > 0) workers.push_back(pid);
  }
  int result = workers.size() == flags->jobs ? 0 : 1;
  for (const pid_t pid : workers) {
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) result = 1;
  }
  return result;
}

}  // namespace
}  // namespace tandem::simulation

int main(int argc, char** argv) { return tandem::simulation::Main(argc, argv); }
