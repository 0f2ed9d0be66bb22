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
  // There is one a cycle: told, corrected and true again, it is another correction.
  auto is_told = [&](const Change& change) {
    return (change.kind == ChangeKind::kBreached && told.breaches.contains(change.cycle)) ||
           (change.kind == ChangeKind::kCancelled && told.cancellations.contains(change.cycle));
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
  // It was said of one that it never was.
  const bool comes_back = std::any_of(new_begin, after.log.end(), [&](const Change& change) {
    return change.kind == ChangeKind::kStarted && told_of(change.cycle) != "running";
  });
  if (old_end == before.log.end() && !comes_back) {
    for (auto it = new_begin; it != after.log.end(); ++it) {
      if (is_told(*it)) {
        correct(*it, it->kind == ChangeKind::kBreached ? "breached" : "cancelled");
      } else {
        notices.push_back(by_timer ? Notice{*it} : Late(*it));
      }
    }
    return notices;
  }
  // The past looks different now. Cycle by cycle: the verdict that nobody heard of, or the
  // correction of the one that was told, and the stop of one that breached; then where the clock
  // stands.
  int cycles = 0;
  for (const Change& change : before.log) cycles = std::max(cycles, change.cycle);
  for (const Change& change : after.log) cycles = std::max(cycles, change.cycle);
  const Change* last_told = nullptr;
  for (int cycle = 1; cycle <= cycles; ++cycle) {
    const std::string from = told_of(cycle);
    const Change* const was = LastOf(before.log, cycle);
    const Change* const is = LastOf(after.log, cycle);
    if (is == nullptr) {
      if (was == nullptr || from == "cancelled") continue;
      if (from == "running" && !told.cancellations.contains(cycle)) {
        Change gone = *was;
        gone.kind = ChangeKind::kCancelled;
        gone.reason = "late_fact";
        notices.push_back({std::move(gone)});
      } else {
        correct(*was, "cancelled");
      }
      continue;
    }
    const std::string to = VerdictOf(after.log, cycle);
    if (from != to) {
      const Change* const deciding = DecidingOf(after.log, cycle);
      const bool is_again = deciding != nullptr && is_told(*deciding);
      if (!is_again && (to == "breached" || from == "running")) {
        notices.push_back(Late(*deciding));
        last_told = deciding;
      }
      if (is_again || from != "running") correct(*is, to);
    }
    if (is->kind == ChangeKind::kStopped && (was == nullptr || was->kind != ChangeKind::kStopped)) {
      notices.push_back({*is});
      last_told = is;
    }
  }
  if (after.log.empty()) return notices;
  const Change& now = after.log.back();
  if (&now == last_told || now.kind == ChangeKind::kBreached || is_told(now)) return notices;
  if (const Change* const then = LastOf(before.log, now.cycle); then != nullptr) {
    const bool ended_alike = then->kind == now.kind &&
                             (now.kind == ChangeKind::kMet || now.kind == ChangeKind::kStopped);
    if (*then == now || ended_alike) return notices;
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
