#include "services/sla_timer/judge.h"

#include <algorithm>
#include <utility>

namespace tandem::sla_timer {
namespace {

const Change* LastOf(const std::vector<Change>& log, int cycle) {
  for (auto it = log.rbegin(); it != log.rend(); ++it) {
    if (it->cycle == cycle) return &*it;
  }
  return nullptr;
}

// The change that left the cycle judged as it is; null when it runs.
const Change* DecidingOf(const std::vector<Change>& log, int cycle) {
  const Change* deciding = nullptr;
  for (const Change& change : log) {
    if (change.cycle != cycle) continue;
    if (change.kind == ChangeKind::kBreached) return &change;
    if (change.kind == ChangeKind::kMet || change.kind == ChangeKind::kCancelled) {
      deciding = &change;
    }
  }
  return deciding;
}

Notice Late(Change change) {
  if (change.kind == ChangeKind::kBreached && change.reason.empty()) change.reason = "late_fact";
  const bool late = change.kind == ChangeKind::kBreached;
  return {std::move(change), late};
}

}  // namespace

std::string VerdictOf(const std::vector<Change>& log, int cycle) {
  const Change* const deciding = DecidingOf(log, cycle);
  if (deciding == nullptr) return "running";
  if (deciding->kind == ChangeKind::kBreached) return "breached";
  return deciding->kind == ChangeKind::kMet ? "met" : "cancelled";
}

std::vector<Notice> Compare(const Evaluation& before, const Evaluation& after, const Told& told,
                            bool by_timer) {
  std::vector<Notice> notices;
  auto told_of = [&](int cycle) {
    const auto it = told.verdicts.find(cycle);
    return it == told.verdicts.end() ? std::string("running") : it->second;
  };
  auto correct = [&](const Change& about, const std::string& to) {
    Notice correction;
    correction.change = about;
    correction.from = told_of(about.cycle);
    correction.to = to;
    notices.push_back(std::move(correction));
  };
  const auto [old_end, new_begin] =
      std::mismatch(before.log.begin(), before.log.end(), after.log.begin(), after.log.end());
  if (old_end == before.log.end()) {
    for (auto it = new_begin; it != after.log.end(); ++it) {
      if (it->kind == ChangeKind::kBreached && told.breaches.contains(it->cycle)) {
        correct(*it, "breached");  // it was told, corrected, and is true again
      } else {
        notices.push_back(by_timer ? Notice{*it} : Late(*it));
      }
    }
    return notices;
  }
  // The past looks different now. Cycle by cycle: the verdict that nobody heard of, or the
  // correction of the one that was told; then where the clock stands.
  int cycles = 0;
  for (const Change& change : before.log) cycles = std::max(cycles, change.cycle);
  for (const Change& change : after.log) cycles = std::max(cycles, change.cycle);
  const Change* last_told = nullptr;
  for (int cycle = 1; cycle <= cycles; ++cycle) {
    const std::string from = told_of(cycle);
    const std::string to = VerdictOf(after.log, cycle);
    if (from == to) continue;
    const Change* const deciding = DecidingOf(after.log, cycle);
    const bool is_breach_again = to == "breached" && told.breaches.contains(cycle);
    if (!is_breach_again && (to == "breached" || from == "running")) {
      notices.push_back(Late(*deciding));
      last_told = deciding;
    }
    if (is_breach_again || from != "running") {
      const Change* const about = LastOf(after.log, cycle);
      correct(about != nullptr ? *about : *LastOf(before.log, cycle), to);
    }
  }
  if (after.log.empty()) return notices;
  const Change& now = after.log.back();
  if (&now == last_told || now.kind == ChangeKind::kBreached) return notices;
  if (!before.log.empty()) {
    const Change& then = before.log.back();
    const bool ended_alike = then.kind == now.kind && then.cycle == now.cycle &&
                             (now.kind == ChangeKind::kMet || now.kind == ChangeKind::kStopped ||
                              now.kind == ChangeKind::kCancelled);
    if (then == now || ended_alike) return notices;
  }
  // A clock that was told of already and starts elsewhere has another target.
  Change last = now;
  if (last.kind == ChangeKind::kStarted && LastOf(before.log, last.cycle) != nullptr) {
    last.kind = ChangeKind::kRetargeted;
  }
  notices.push_back({std::move(last)});
  return notices;
}

}  // namespace tandem::sla_timer
