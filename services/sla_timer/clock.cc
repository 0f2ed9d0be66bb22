#include "services/sla_timer/clock.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"

namespace tandem::sla_timer {
namespace {

using type::v1::SlaMetric;
using type::v1::TicketState;

// A due instant beyond the years that calendars cover is never reached.
absl::Time AddOrNever(const calendar::Calendar& calendar, absl::Time from, absl::Duration budget) {
  const absl::StatusOr<absl::Time> due = calendar.Add(from, budget);
  return due.ok() ? *due : absl::InfiniteFuture();
}

absl::Duration BetweenOrZero(const calendar::Calendar& calendar, absl::Time from, absl::Time to) {
  const absl::StatusOr<absl::Duration> between = calendar.Between(from, to);
  return between.ok() ? *between : absl::ZeroDuration();
}

class Fold {
 public:
  Fold(SlaMetric metric, std::span<const Fact> facts, const PolicyVersions& policies,
       const Authority& authority)
      : metric_(metric), facts_(facts), policies_(policies), authority_(authority) {}

  // Facts one by one, with the time between them. False = it has to wait for a timer before `facts`
  // end.
  bool Run(std::span<const Fact> facts);

  // Lets time pass up to `limit`, where facts come first. False = it has to wait for a timer.
  bool PassTime(absl::Time limit);
  void Apply(const Fact& fact);
  Evaluation Take() &&;

 private:
  Cycle& cycle() { return cycles_.back(); }
  const Behaviour& behaviour() const { return rules_->BehaviourOf(metric_); }
  Leg MatchFrom(absl::Time started_at) const;
  PieceKind KindOf(TicketState state) const;

  void EndPiece(absl::Time at, PieceKind next, int fact);
  void Begin(absl::Time at, int fact);
  void BeginAgain(absl::Time at, int fact);
  void Show(absl::Time at, absl::Time started_at);
  void Retarget(absl::Time at, int fact, const char* cause);
  bool IsAsUnder(const Leg& leg) const;
  bool IsToldAlike(const std::vector<Change>& log) const;
  void SetSeverity(type::v1::Severity severity);
  void ReplaceFromStart(const Fact& triaged);
  void ReplaceTarget(const Leg& leg, absl::Time at, int fact);
  void JudgeAnew(const Fact& triaged);
  void LoseTarget(absl::Time at, int fact);
  void FollowState(absl::Time at, int fact);
  void Stop(absl::Time at, int fact);
  void Cancel(absl::Time at, int fact, const char* reason);
  void Breach(absl::Time at);
  void Reopen(absl::Time at, int fact);
  std::optional<Pending> Next();
  void Log(ChangeKind kind, absl::Time at, absl::Duration amount = absl::ZeroDuration(),
           std::string reason = "");

  const SlaMetric metric_;
  const std::span<const Fact> facts_;  // all of them, in their own order
  const PolicyVersions& policies_;
  const Authority& authority_;

  // What the ticket was classified as at its opening already, seen from later.
  type::v1::Severity known_severity_ = type::v1::SEVERITY_UNSPECIFIED;
  Attributes attributes_;
  int64_t policy_version_ = 0;
  const SlaRules* rules_ = nullptr;  // null before the opening
  bool is_classified_ = false;
  bool is_changed_ = false;  // what rules look at, or the policy, since the opening
  bool is_closed_ = false;
  TicketState state_ = type::v1::TICKET_STATE_NEW;
  int shown_ = 0;  // visible cycles so far

  std::vector<Cycle> cycles_;
  std::vector<Change> log_;
  std::optional<Pending> pending_;
  std::optional<Pending> next_;  // what Next() found, while it holds
  bool next_is_known_ = false;
  bool next_is_given_ = false;  // a warning that this cycle had already
  absl::Duration next_level_;
  absl::Time known_until_ = absl::InfinitePast();
};

// The target of now for a clock that started then.
Leg Fold::MatchFrom(absl::Time started_at) const {
  Leg leg;
  leg.policy_version = policy_version_;
  leg.severity = attributes_.severity;
  leg.rule = rules_->Match(attributes_);
  if (leg.rule != nullptr) leg.target = leg.rule->TargetOf(metric_);
  if (leg.target != nullptr) leg.budget = leg.target->BudgetFrom(started_at);
  return leg;
}

PieceKind Fold::KindOf(TicketState state) const {
  if (!behaviour().PausedIn(state)) return PieceKind::kRunning;
  return state == type::v1::TICKET_STATE_PENDING ? PieceKind::kPending : PieceKind::kOnHold;
}

void Fold::Log(ChangeKind kind, absl::Time at, absl::Duration amount, std::string reason) {
  const Cycle& c = cycle();
  if (!c.IsVisible()) return;
  Change change;
  change.kind = kind;
  change.at = at;
  change.cycle = c.number;
  change.leg = c.leg;
  change.started_at = c.started_at;
  if (kind != ChangeKind::kPaused && kind != ChangeKind::kCancelled) change.due = c.Due(at);
  change.amount = amount;
  change.reason = std::move(reason);
  log_.push_back(std::move(change));
}

void Fold::EndPiece(absl::Time at, PieceKind next, int fact) {
  Cycle& c = cycle();
  if (at > c.since) {
    if (c.kind == PieceKind::kRunning && c.leg.target != nullptr) {
      c.used += plant::Has(plant::Mistake::kPauseOffCalendar)
                    ? at - c.since
                    : BetweenOrZero(c.leg.target->hours, c.since, at);
    }
    c.pieces.push_back({c.since, at, c.kind, c.fact, c.leg});
  }
  c.since = at;
  c.kind = next;
  c.fact = fact;
  next_is_known_ = false;
}

// A cycle without a target is kept all the same, unseen: a target may come.
void Fold::Begin(absl::Time at, int fact) {
  Cycle c;
  c.started_at = at;
  c.since = at;
  c.leg = MatchFrom(at);
  c.kind = KindOf(state_);
  c.phase = c.kind == PieceKind::kRunning ? Phase::kRunning : Phase::kPaused;
  c.fact = fact;
  cycles_.push_back(std::move(c));
  next_is_known_ = false;
  if (cycle().leg.target != nullptr) Show(at, at);
}

// The next cycle of one that was cancelled: what was used stays used.
void Fold::BeginAgain(absl::Time at, int fact) {
  Cycle c = cycle();
  c.number = 0;
  c.ended_at.reset();
  c.cancel_reason.clear();
  c.breach_cause.clear();
  c.crossed_at.reset();
  c.passed = absl::ZeroDuration();
  c.stop_seen = false;
  cycles_.push_back(std::move(c));
  EndPiece(at, KindOf(state_), fact);
  cycle().phase = cycle().kind == PieceKind::kRunning ? Phase::kRunning : Phase::kPaused;
  cycle().leg = MatchFrom(cycle().started_at);
  if (cycle().leg.target != nullptr) Show(at, cycle().started_at);
}

void Fold::Show(absl::Time at, absl::Time started_at) {
  cycle().number = ++shown_;
  cycle().started_at = started_at;
  Log(ChangeKind::kStarted, at);
  if (cycle().phase == Phase::kPaused) Log(ChangeKind::kPaused, at, cycle().used);
}

// Another target from this instant on.
void Fold::Retarget(absl::Time at, int fact, const char* cause) {
  Cycle& c = cycle();
  // One that nobody saw starts with its first target.
  const Leg leg = MatchFrom(c.IsVisible() ? c.started_at : at);
  const sla::v1::OnChange on_change = behaviour().on_change;
  if (c.phase == Phase::kCancelled) {
    if (c.cancel_reason == "no_target" && leg.target != nullptr && !c.stop_seen) {
      BeginAgain(at, fact);
    }
    return;
  }
  if (c.phase == Phase::kStopped) return;  // a reopening looks at the target anew
  if (leg.rule == c.leg.rule && leg.policy_version == c.leg.policy_version) {
    if (!c.breached_at) c.leg.severity = leg.severity;
    return;
  }
  if (!c.IsVisible()) {
    EndPiece(at, c.kind, fact);
    c.leg = leg;
    if (leg.target == nullptr) return;
    c.pieces.clear();
    c.used = absl::ZeroDuration();
    Show(at, at);
    return;
  }
  if (c.breached_at) {
    if (on_change == sla::v1::ON_CHANGE_RESTART && leg.target != nullptr) {
      Cancel(at, fact, "restarted");
      Begin(at, fact);
    }
    return;
  }
  if (on_change == sla::v1::ON_CHANGE_KEEP) return;
  if (leg.target == nullptr) {
    Cancel(at, fact, "no_target");
    return;
  }
  switch (on_change) {
    case sla::v1::ON_CHANGE_RESTART:
      Cancel(at, fact, "restarted");
      Begin(at, fact);
      return;
    case sla::v1::ON_CHANGE_CARRY_OVER: {
      EndPiece(at, c.kind, fact);
      c.crossed_at.reset();
      c.leg = leg;
      c.passed = absl::ZeroDuration();
      c.breach_cause = c.used >= leg.budget ? cause : "";
      Log(ChangeKind::kRetargeted, at);
      return;
    }
    default:
      return;  // KEEP
  }
}

// Whether every visible cycle was timed by that rule throughout.
bool Fold::IsAsUnder(const Leg& leg) const {
  const auto is_that = [&](const Leg& other) {
    return other.rule == leg.rule && other.policy_version == leg.policy_version;
  };
  return std::all_of(cycles_.begin(), cycles_.end(), [&](const Cycle& c) {
    return is_that(c.leg) && std::all_of(c.pieces.begin(), c.pieces.end(),
                                         [&](const Piece& piece) { return is_that(piece.leg); });
  });
}

// The first classification: its row counts from creation on, as if it had been known then (product
// §3.1), for clocks that have ended as well. It is no change of severity: neither KEEP nor RESTART
// has a say.
void Fold::ReplaceFromStart(const Fact& triaged) {
  if (is_changed_) return JudgeAnew(triaged);
  const Leg leg = MatchFrom(cycle().started_at);
  if (IsAsUnder(leg)) return SetSeverity(leg.severity);
  // Nothing but time has passed and pauses have come and gone: what was told of it stands, and its
  // next timer finds a budget that is used up already.
  const Cycle& c = cycle();
  const bool goes_on = cycles_.size() == 1 && c.IsVisible() && c.IsLive() && !c.breached_at;
  if (!goes_on) return JudgeAnew(triaged);
  if (leg.target == nullptr) return Cancel(triaged.at, triaged.arrival, "no_target");
  ReplaceTarget(leg, triaged.at, triaged.arrival);
}

// The target is what it was: only what the ticket counts as is new.
void Fold::SetSeverity(type::v1::Severity severity) {
  for (Cycle& c : cycles_) c.leg.severity = severity;
}

void Fold::ReplaceTarget(const Leg& leg, absl::Time at, int fact) {
  Cycle& c = cycle();
  EndPiece(at, c.kind, fact);
  c.leg = leg;
  c.used = absl::ZeroDuration();
  c.passed = absl::ZeroDuration();
  for (Piece& piece : c.pieces) {
    piece.leg = leg;
    if (piece.kind != PieceKind::kRunning) continue;
    const calendar::Calendar& calendar = leg.target->hours;
    const absl::Duration before = c.used;
    c.used += BetweenOrZero(calendar, piece.from, piece.to);
    if (!c.crossed_at && c.used >= leg.budget) {
      c.crossed_at = AddOrNever(calendar, piece.from, leg.budget - before);
    }
  }
  next_is_known_ = false;
  Log(ChangeKind::kRetargeted, at);
}

// Whether `log` tells the same as this one but for the severity.
bool Fold::IsToldAlike(const std::vector<Change>& log) const {
  return std::equal(log_.begin(), log_.end(), log.begin(), log.end(),
                    [](const Change& a, const Change& b) {
                      Change other = b;
                      other.leg.severity = a.leg.severity;
                      return a == other;
                    });
}

// All that happened so far once more, by a ticket that had this severity from its opening on. What
// was told on the way is corrected by who compares the logs.
void Fold::JudgeAnew(const Fact& triaged) {
  Authority past;  // time up to the classification has passed, whatever timer fired for it
  past.fired_until = triaged.at;
  past.known_until = triaged.at;
  past.warned = authority_.warned;
  const auto earlier = facts_.first(static_cast<size_t>(&triaged - facts_.data()));
  Fold known(metric_, earlier, policies_, past);
  known.known_severity_ = triaged.attributes.severity;
  known.Run(earlier);
  known.PassTime(triaged.at);
  const bool had_clock = shown_ > 0;
  if (had_clock && known.shown_ == 0) return LoseTarget(triaged.at, triaged.arrival);
  if (IsToldAlike(known.log_)) return SetSeverity(triaged.attributes.severity);
  cycles_ = std::move(known.cycles_);
  log_ = std::move(known.log_);
  shown_ = known.shown_;
  next_is_known_ = false;
  Cycle& c = cycle();
  if (!c.IsLive() || !c.IsVisible()) return;
  EndPiece(triaged.at, c.kind, triaged.arrival);
  // Of the warnings passed already the highest is given now.
  c.passed = absl::ZeroDuration();
  if (!c.breached_at && had_clock) Log(ChangeKind::kRetargeted, triaged.at);
}

// The ticket never had this promise: every cycle that was shown is out of attainment.
void Fold::LoseTarget(absl::Time at, int fact) {
  for (Cycle& c : cycles_) {
    if (!c.IsVisible() || c.phase == Phase::kCancelled) continue;
    // Only the last cycle can be live.
    if (c.IsLive()) EndPiece(at, PieceKind::kCancelled, fact);
    c.stop_seen = c.phase == Phase::kStopped;
    c.kind = PieceKind::kCancelled;
    if (!c.ended_at) c.ended_at = at;
    c.phase = Phase::kCancelled;
    c.cancel_reason = "no_target";
    c.breached_at.reset();
    c.breach_cause.clear();
    c.crossed_at.reset();
    std::erase_if(log_, [&](const Change& change) {
      return change.cycle == c.number &&
             (change.kind == ChangeKind::kBreached || change.kind == ChangeKind::kMet ||
              change.kind == ChangeKind::kStopped);
    });
    Change cancelled;
    cancelled.kind = ChangeKind::kCancelled;
    cancelled.at = at;
    cancelled.cycle = c.number;
    cancelled.leg = c.leg;
    cancelled.started_at = c.started_at;
    cancelled.reason = c.cancel_reason;
    log_.push_back(std::move(cancelled));
  }
  next_is_known_ = false;
}

void Fold::FollowState(absl::Time at, int fact) {
  Cycle& c = cycle();
  if (!c.IsLive()) return;
  const PieceKind kind = KindOf(state_);
  if (kind == c.kind) return;
  const Phase phase = kind == PieceKind::kRunning ? Phase::kRunning : Phase::kPaused;
  EndPiece(at, kind, fact);
  if (phase == c.phase) return;
  c.phase = phase;
  if (phase == Phase::kPaused) {
    Log(ChangeKind::kPaused, at, c.used);
  } else {
    Log(ChangeKind::kResumed, at);
  }
}

void Fold::Stop(absl::Time at, int fact) {
  Cycle& c = cycle();
  if (c.phase == Phase::kCancelled) c.stop_seen = true;
  if (!c.IsLive()) return;
  EndPiece(at, PieceKind::kResolved, fact);
  const bool was_breached = c.breached_at.has_value();
  if (was_breached) {
    Log(ChangeKind::kStopped, at, c.used - c.leg.budget);
  } else {
    Log(ChangeKind::kMet, at, c.used);
  }
  c.phase = Phase::kStopped;
  c.ended_at = at;
}

// A breach stays what it was judged to be: such a clock stops instead.
void Fold::Cancel(absl::Time at, int fact, const char* reason) {
  Cycle& c = cycle();
  if (!c.IsLive()) return;
  if (c.breached_at) {
    Stop(at, fact);
    return;
  }
  EndPiece(at, PieceKind::kCancelled, fact);
  c.phase = Phase::kCancelled;
  c.ended_at = at;
  c.cancel_reason = reason;
  Log(ChangeKind::kCancelled, at, absl::ZeroDuration(), reason);
}

void Fold::Breach(absl::Time at) {
  Cycle& c = cycle();
  c.breached_at = at;
  next_is_known_ = false;
  Log(ChangeKind::kBreached, at, absl::ZeroDuration(), c.breach_cause);
}

void Fold::Reopen(absl::Time at, int fact) {
  const sla::v1::OnChange on_reopen = behaviour().on_reopen;
  const bool by_customer = cycle().cancel_reason == "self_service";
  if (on_reopen == sla::v1::ON_CHANGE_RESTART) {
    if (cycle().phase == Phase::kCancelled && !by_customer && MatchFrom(at).target == nullptr) {
      return;
    }
    Cancel(at, fact, "restarted");
    Begin(at, fact);
    return;
  }
  if (on_reopen != sla::v1::ON_CHANGE_CARRY_OVER) return FollowState(at, fact);
  Cycle& c = cycle();
  if (c.phase == Phase::kCancelled) {
    c.stop_seen = false;
    if (by_customer || MatchFrom(at).target != nullptr) BeginAgain(at, fact);
    return;
  }
  if (c.phase != Phase::kStopped) return FollowState(at, fact);
  EndPiece(at, PieceKind::kRunning, fact);
  c.phase = Phase::kRunning;
  c.ended_at.reset();
  const Leg leg = MatchFrom(c.IsVisible() ? c.started_at : at);
  if (!c.IsVisible()) {
    c.leg = leg;
    if (leg.target == nullptr) return;
    c.pieces.clear();
    c.used = absl::ZeroDuration();
    Show(at, at);
    return;
  }
  const bool is_changed = leg.rule != c.leg.rule || leg.policy_version != c.leg.policy_version;
  if (!c.breached_at && is_changed && behaviour().on_change != sla::v1::ON_CHANGE_KEEP) {
    if (leg.target == nullptr) {
      Log(ChangeKind::kResumed, at);
      Cancel(at, fact, "no_target");
      return;
    }
    c.leg = leg;
    c.passed = absl::ZeroDuration();
    c.crossed_at.reset();
  }
  Log(ChangeKind::kResumed, at);
}

std::optional<Pending> Fold::Next() {
  if (next_is_known_) return next_;
  next_is_known_ = true;
  next_is_given_ = false;
  next_.reset();
  Cycle& c = cycle();
  if (!c.IsVisible() || !c.IsLive() || c.breached_at) return next_;
  if (c.phase == Phase::kPaused && !c.crossed_at) return next_;
  const absl::Time due = c.Due(c.since);
  next_ = Pending{std::max(due, c.since), true, due, ""};
  const Target& target = *c.leg.target;
  const std::vector<Threshold> of_working_days =
      target.working_days > 0 ? target.ThresholdsOf(c.leg.budget) : std::vector<Threshold>();
  for (const Threshold& threshold : target.working_days > 0 ? of_working_days : target.thresholds) {
    if (threshold.used <= c.passed) continue;
    const bool is_passed = threshold.used <= c.used;
    // Of those passed already only the highest counts; of those to come the first.
    if (!is_passed && !next_->is_breach) break;
    const absl::Time at =
        is_passed ? c.since : AddOrNever(target.hours, c.since, threshold.used - c.used);
    if (at >= due) break;
    next_ = Pending{at, false, due, threshold.name};
    next_level_ = threshold.used;
    // It takes its place all the same: those below it are settled.
    next_is_given_ = std::find(authority_.warned.begin(), authority_.warned.end(),
                               WarnedName(c.number, threshold.name)) != authority_.warned.end();
    if (!is_passed) break;
  }
  if (next_->at == absl::InfiniteFuture()) next_.reset();
  return next_;
}

bool Fold::PassTime(absl::Time limit) {
  if (cycles_.empty()) return true;
  while (const std::optional<Pending> next = Next()) {
    // What a first classification finds used up was so before whatever else happens in its instant.
    if ((next->is_breach ? next->due : next->at) >= limit) return true;
    if (!next_is_given_ && next->at > authority_.fired_until &&
        next->at >= authority_.known_until) {
      pending_ = next;
      return false;
    }
    if (next->is_breach) {
      Breach(next->due);
    } else {
      cycle().passed = next_level_;
      next_is_known_ = false;
    }
  }
  return true;
}

bool Fold::Run(std::span<const Fact> facts) {
  for (const Fact& fact : facts) {
    if (!PassTime(fact.at)) return false;
    Apply(fact);
  }
  return true;
}

void Fold::Apply(const Fact& fact) {
  known_until_ = fact.at;
  if (fact.kind == FactKind::kOpened) {
    if (!cycles_.empty()) return;
    attributes_ = fact.attributes;
    if (known_severity_ != type::v1::SEVERITY_UNSPECIFIED) attributes_.severity = known_severity_;
    policy_version_ = fact.policy_version;
    rules_ = policies_.Find(policy_version_);
    if (rules_ != nullptr) Begin(fact.at, fact.arrival);
    return;
  }
  if (cycles_.empty()) return;
  // What the ticket was from creation on is learned however late; nothing else moves a closed one.
  const bool is_first_classification = fact.kind == FactKind::kTriaged && !is_classified_;
  if (is_closed_ && !is_first_classification) return;
  switch (fact.kind) {
    case FactKind::kOpened:
      return;
    case FactKind::kTriaged:
    case FactKind::kSeverity:
      attributes_.severity = fact.attributes.severity;
      is_classified_ = true;
      if (is_first_classification) return ReplaceFromStart(fact);
      return Retarget(fact.at, fact.arrival, "severity_change");
    case FactKind::kAttributes: {
      is_changed_ = true;
      const type::v1::Severity severity = attributes_.severity;
      const type::v1::Channel channel = attributes_.channel;
      attributes_ = fact.attributes;
      attributes_.severity = severity;
      attributes_.channel = channel;
      return Retarget(fact.at, fact.arrival, "policy_change");
    }
    case FactKind::kPolicy: {
      const SlaRules* const rules = policies_.Find(fact.policy_version);
      if (rules == nullptr) return;
      is_changed_ = true;
      policy_version_ = fact.policy_version;
      rules_ = rules;
      Retarget(fact.at, fact.arrival, "policy_change");
      return FollowState(fact.at, fact.arrival);
    }
    case FactKind::kReply:
      if (metric_ == type::v1::SLA_METRIC_FIRST_RESPONSE) Stop(fact.at, fact.arrival);
      return;
    case FactKind::kOwned:
      if (metric_ == type::v1::SLA_METRIC_TIME_TO_OWN) Stop(fact.at, fact.arrival);
      return;
    case FactKind::kState:
      state_ = fact.state;
      return FollowState(fact.at, fact.arrival);
    case FactKind::kResolved:
      state_ = type::v1::TICKET_STATE_RESOLVED;
      if (metric_ == type::v1::SLA_METRIC_RESOLUTION) return Stop(fact.at, fact.arrival);
      return FollowState(fact.at, fact.arrival);
    case FactKind::kSelfServed:
      state_ = type::v1::TICKET_STATE_RESOLVED;
      return Cancel(fact.at, fact.arrival, "self_service");
    case FactKind::kMerged:
      state_ = type::v1::TICKET_STATE_MERGED;
      return Cancel(fact.at, fact.arrival, "merged");
    case FactKind::kReopened:
      state_ = type::v1::TICKET_STATE_OPEN;
      return Reopen(fact.at, fact.arrival);
    case FactKind::kClosed:
      Cancel(fact.at, fact.arrival, "closed");
      is_closed_ = true;
      return;
    case FactKind::kSpam:
      Cancel(fact.at, fact.arrival, "spam");
      is_closed_ = true;
      return;
  }
}

Evaluation Fold::Take() && {
  Evaluation evaluation;
  for (Cycle& c : cycles_) {
    if (c.IsVisible()) evaluation.cycles.push_back(std::move(c));
  }
  evaluation.log = std::move(log_);
  evaluation.pending = std::move(pending_);
  evaluation.known_until = known_until_;
  if (evaluation.pending) {
    evaluation.known_until = std::min(evaluation.known_until, evaluation.pending->at);
  }
  return evaluation;
}

}  // namespace

absl::Time Cycle::Due(absl::Time now) const {
  if (breached_at) return *breached_at;
  if (crossed_at) return *crossed_at;
  if (leg.target == nullptr) return absl::InfiniteFuture();
  const absl::Time from = kind == PieceKind::kRunning ? since : now;
  const absl::Duration left = leg.budget - used;
  return left <= absl::ZeroDuration() ? from : AddOrNever(leg.target->hours, from, left);
}

absl::Duration Cycle::UsedAt(absl::Time now) const {
  if (kind != PieceKind::kRunning || leg.target == nullptr || now <= since) return used;
  return used + BetweenOrZero(leg.target->hours, since, now);
}

std::string WarnedName(int cycle, const std::string& threshold) {
  return absl::StrCat(cycle, ":", threshold);
}

Evaluation Evaluate(const std::vector<Fact>& facts, SlaMetric metric,
                    const PolicyVersions& policies, const Authority& authority) {
  Fold fold(metric, facts, policies, authority);
  if (fold.Run(facts)) fold.PassTime(absl::InfiniteFuture());
  return std::move(fold).Take();
}

}  // namespace tandem::sla_timer
