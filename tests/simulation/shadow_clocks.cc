#include "tests/simulation/shadow_clocks.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tests/simulation/shadow_calendar.h"

namespace tandem::simulation {
namespace {

using sla::v1::OnChange;
using sla::v1::SlaPolicy;
using type::v1::SlaMetric;
using type::v1::TicketState;

// What rules look at.
struct Attributes {
  type::v1::Severity severity = type::v1::SEVERITY_UNSPECIFIED;
  type::v1::Segment segment = type::v1::SEGMENT_UNSPECIFIED;
  type::v1::ContactLevel contact_level = type::v1::CONTACT_LEVEL_UNSPECIFIED;
  std::string category;
  type::v1::Channel channel = type::v1::CHANNEL_UNSPECIFIED;

  bool operator==(const Attributes&) const = default;
};

enum class FactKind { kOpened, kStop, kState, kReopened, kTriaged, kChange };

// The order in which they count within one instant: stop, pause, resume (product §3.2), then what
// changes the targets; a breach comes after all of them. An opening is always first.
int RankOf(FactKind kind) {
  switch (kind) {
    case FactKind::kOpened:
      return 0;
    case FactKind::kStop:
      return 1;
    case FactKind::kState:
    case FactKind::kReopened:
      return 2;
    case FactKind::kTriaged:
      return 3;
    case FactKind::kChange:
      return 4;
  }
  return 5;
}

struct Fact {
  absl::Time at;
  FactKind kind = FactKind::kOpened;
  int64_t order = 0;  // among facts of one kind and instant: the ticket's version
  absl::Time arrived_at;

  // kStop: the metrics that it stops; self-service, spam and the end cancel instead.
  std::set<SlaMetric> stops;
  std::string cancels_with;
  TicketState state =
      type::v1::TICKET_STATE_UNSPECIFIED;  // kState, and kStop that moves the ticket
  bool closes = false;
  // kOpened, kTriaged, kChange: how they set what they know.
  std::optional<type::v1::Severity> severity;
  std::optional<Attributes> fields;  // all but the severity
  const PolicyInForce* policy = nullptr;
};

struct Target {
  std::string rule;
  int64_t policy_version = 0;
  const sla::v1::SlaTarget* given = nullptr;
  const ShadowCalendar* calendar = nullptr;
  // Of a clock that has it:
  absl::Duration budget;
  std::vector<std::pair<absl::Duration, std::string>>
      warnings;  // the point of use and its name, rising

  bool IsThat(const Target& other) const {
    return rule == other.rule && policy_version == other.policy_version;
  }
};

// A version of the policy with its calendars made.
struct MadePolicy {
  const PolicyInForce* in_force = nullptr;
  std::map<std::string, ShadowCalendar> calendars;
};

template <typename List, typename Value>
bool Holds(const List& list, const Value& value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

bool Matches(const sla::v1::SlaCondition& when, const Attributes& ticket) {
  const bool classified = ticket.severity != type::v1::SEVERITY_UNSPECIFIED;
  if (!classified && !when.unclassified() && !when.severities().empty()) return false;
  if (classified) {
    if (when.unclassified() && when.severities().empty()) return false;
    if (!Holds(when.severities(), ticket.severity)) return false;
  }
  const type::v1::ContactLevel level = ticket.contact_level == type::v1::CONTACT_LEVEL_UNSPECIFIED
                                           ? type::v1::CONTACT_LEVEL_MEMBER
                                           : ticket.contact_level;
  return Holds(when.segments(), ticket.segment) && Holds(when.contact_levels(), level) &&
         Holds(when.categories(), ticket.category) && Holds(when.channels(), ticket.channel);
}

// "75%", "30m", "1h30m": as policies write it.
std::string NameOf(const sla::v1::WarningThreshold& threshold) {
  if (threshold.has_percent()) return absl::StrCat(threshold.percent(), "%");
  int64_t seconds = absl::ToInt64Seconds(time::Span(threshold.before_due()));
  std::string name;
  for (const auto& [unit, length] :
       {std::pair("d", 86'400), std::pair("h", 3'600), std::pair("m", 60), std::pair("s", 1)}) {
    if (seconds / length > 0) absl::StrAppend(&name, seconds / length, unit);
    seconds %= length;
  }
  return name;
}

// "5 working days"; 0 = the target is no such one.
int WorkingDaysOf(const sla::v1::SlaTarget& given) {
  const size_t blank = given.budget_text().find(" working day");
  int days = 0;
  if (blank == std::string::npos ||
      !absl::SimpleAtoi(given.budget_text().substr(0, blank), &days)) {
    return 0;
  }
  return days;
}

// The target of a clock that started then: working days end on that many-th open day after, and are
// the business time until there from then on.
void Settle(absl::Time started_at, Target& target) {
  const sla::v1::SlaTarget& given = *target.given;
  target.budget = time::Span(given.budget());
  if (const int days = WorkingDaysOf(given); days > 0) {
    const absl::Time end = target.calendar->AfterWorkingDays(started_at, days);
    target.budget = end == absl::InfiniteFuture() ? absl::Hours(24 * 366 * 200)
                                                  : target.calendar->OpenTime(started_at, end);
  }
  target.warnings.clear();
  for (const sla::v1::WarningThreshold& threshold : given.warnings()) {
    const absl::Duration point = threshold.has_percent()
                                     ? target.budget * threshold.percent() / 100
                                     : target.budget - time::Span(threshold.before_due());
    if (point > absl::ZeroDuration()) {
      target.warnings.emplace_back(time::TruncateToMicros(point), NameOf(threshold));
    }
  }
  std::sort(target.warnings.begin(), target.warnings.end());
}

// The first rule that matches gives the target; none, or a rule without this metric, gives no
// clock.
absl::StatusOr<std::optional<Target>> TargetOf(const MadePolicy& policy, SlaMetric metric,
                                               const Attributes& ticket) {
  for (const sla::v1::SlaRule& rule : policy.in_force->policy.rules()) {
    if (!Matches(rule.when(), ticket)) continue;
    for (const sla::v1::SlaTarget& given : rule.targets()) {
      if (given.metric() != metric) continue;
      const auto calendar = policy.calendars.find(given.calendar());
      if (calendar == policy.calendars.end()) {
        return absl::InvalidArgumentError(absl::StrCat("rule ", rule.name(), " names calendar \"",
                                                       given.calendar(),
                                                       "\", which the policy does not have"));
      }
      Target target;
      target.rule = rule.name();
      target.policy_version = policy.in_force->version;
      target.given = &given;
      target.calendar = &calendar->second;
      return target;
    }
    return std::nullopt;
  }
  return std::nullopt;
}

struct Behaviour {
  OnChange on_reopen = sla::v1::ON_CHANGE_KEEP;
  OnChange on_change = sla::v1::ON_CHANGE_CARRY_OVER;
  std::set<TicketState> paused_in;
};

// The product's table (§3.1) where the policy says nothing.
Behaviour BehaviourOf(const SlaPolicy& policy, SlaMetric metric) {
  Behaviour behaviour;
  if (metric == type::v1::SLA_METRIC_RESOLUTION) {
    behaviour.on_reopen = sla::v1::ON_CHANGE_CARRY_OVER;
    behaviour.paused_in = {type::v1::TICKET_STATE_PENDING};
  }
  for (const sla::v1::MetricBehaviour& given : policy.metrics()) {
    if (given.metric() != metric) continue;
    if (given.on_reopen() != sla::v1::ON_CHANGE_UNSPECIFIED) {
      behaviour.on_reopen = given.on_reopen();
    }
    if (given.on_change() != sla::v1::ON_CHANGE_UNSPECIFIED) {
      behaviour.on_change = given.on_change();
    }
    if (given.never_paused() || !given.paused_in().empty()) behaviour.paused_in.clear();
    for (const int state : given.paused_in()) {
      behaviour.paused_in.insert(static_cast<TicketState>(state));
    }
  }
  return behaviour;
}

// ---- the facts

// Parses events into facts; knows the first response and the first acceptance from the later ones
// by the walk.
class FactReader {
 public:
  absl::Status Read(const ArrivedEvent& arrived) {
    const bus::Event& event = arrived.event;
    if (!seen_.insert(event.id).second) return absl::OkStatus();
    arrived_at_ = arrived.arrived_at;
    if (Is<events::v1::TicketOpened>(event)) return Opened(event);
    if (Is<events::v1::TicketMessageAdded>(event)) return MessageAdded(event);
    if (Is<events::v1::TicketUpdated>(event)) return Changed<events::v1::TicketUpdated>(event);
    if (Is<events::v1::TicketRequesterResolved>(event)) {
      return Changed<events::v1::TicketRequesterResolved>(event);
    }
    if (Is<events::v1::TicketStateChanged>(event)) return StateChanged(event);
    if (Is<events::v1::TicketResolved>(event)) return Resolved(event);
    if (Is<events::v1::TicketReopened>(event)) return Reopened(event);
    if (Is<events::v1::TicketClosed>(event)) return Closed(event);
    if (Is<events::v1::TicketTriaged>(event)) return Triaged(event);
    if (Is<events::v1::SeverityChanged>(event)) return SeverityChanged(event);
    if (Is<events::v1::AssignmentAccepted>(event)) return Accepted(event);
    return absl::OkStatus();
  }

  std::vector<Fact>& facts() { return facts_; }
  const std::string& ticket_id() const { return ticket_id_; }

 private:
  template <typename E>
  static bool Is(const bus::Event& event) {
    return event.type == E::descriptor()->full_name();
  }

  template <typename E>
  absl::StatusOr<E> Parse(const bus::Event& event) {
    E body;
    if (!body.ParseFromString(event.body)) {
      return absl::InvalidArgumentError(
          absl::StrCat("event ", event.id, " has a body that is no ", event.type));
    }
    if (ticket_id_.empty()) ticket_id_ = body.ticket_id();
    if (ticket_id_ != body.ticket_id()) {
      return absl::InvalidArgumentError(
          absl::StrCat("event ", event.id, " is about ticket ", body.ticket_id(),
                       ", the others about ", ticket_id_, ": give the events of one ticket"));
    }
    return body;
  }

  Fact& Add(FactKind kind, const google::protobuf::Timestamp& at, int64_t order) {
    Fact fact;
    fact.kind = kind;
    fact.at = time::Instant(at);
    fact.order = order;
    fact.arrived_at = arrived_at_;
    facts_.push_back(std::move(fact));
    return facts_.back();
  }

  absl::Status Opened(const bus::Event& event) {
    const absl::StatusOr<events::v1::TicketOpened> body = Parse<events::v1::TicketOpened>(event);
    if (!body.ok()) return body.status();
    Fact& fact = Add(FactKind::kOpened, body->occurred_at(), body->version());
    fact.fields.emplace();
    fact.fields->segment = body->segment();
    fact.fields->contact_level = body->contact_level();
    fact.fields->category = body->category();
    fact.fields->channel = body->channel();
    channel_ = body->channel();
    return absl::OkStatus();
  }

  // Only people of support answer, and only in public: a bot, an internal note or a state change is
  // no response.
  absl::Status MessageAdded(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketMessageAdded>(event);
    if (!body.ok()) return body.status();
    if (body->author_kind() != type::v1::AUTHOR_KIND_AGENT ||
        body->visibility() != type::v1::VISIBILITY_PUBLIC) {
      return absl::OkStatus();
    }
    Add(FactKind::kStop, body->occurred_at(), body->version()).stops = {
        type::v1::SLA_METRIC_FIRST_RESPONSE};
    return absl::OkStatus();
  }

  template <typename E>
  absl::Status Changed(const bus::Event& event) {
    const absl::StatusOr<E> body = Parse<E>(event);
    if (!body.ok()) return body.status();
    Fact& fact = Add(FactKind::kChange, body->occurred_at(), body->version());
    fact.fields.emplace();
    fact.fields->segment = body->segment();
    fact.fields->contact_level = body->contact_level();
    if constexpr (std::is_same_v<E, events::v1::TicketUpdated>) {
      fact.fields->category = body->category();
      sets_category_.insert(facts_.size() - 1);
    }
    return absl::OkStatus();
  }

  absl::Status StateChanged(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketStateChanged>(event);
    if (!body.ok()) return body.status();
    Add(FactKind::kState, body->occurred_at(), body->version()).state = body->to_state();
    return absl::OkStatus();
  }

  absl::Status Resolved(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketResolved>(event);
    if (!body.ok()) return body.status();
    Fact& fact = Add(FactKind::kStop, body->occurred_at(), body->version());
    fact.state = type::v1::TICKET_STATE_RESOLVED;
    if (body->resolved_by() == type::v1::RESOLVED_BY_SELF_SERVICE) {
      fact.cancels_with = "self_service";
    } else {
      fact.stops = {type::v1::SLA_METRIC_RESOLUTION};
    }
    return absl::OkStatus();
  }

  absl::Status Reopened(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketReopened>(event);
    if (!body.ok()) return body.status();
    Add(FactKind::kReopened, body->occurred_at(), body->version()).state = body->to_state();
    return absl::OkStatus();
  }

  absl::Status Closed(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketClosed>(event);
    if (!body.ok()) return body.status();
    Fact& fact = Add(FactKind::kStop, body->occurred_at(), body->version());
    fact.state = type::v1::TICKET_STATE_CLOSED;
    fact.closes = true;
    fact.cancels_with = body->reason() == type::v1::CLOSE_REASON_SPAM ? "spam" : "closed";
    return absl::OkStatus();
  }

  absl::Status Triaged(const bus::Event& event) {
    const auto body = Parse<events::v1::TicketTriaged>(event);
    if (!body.ok()) return body.status();
    Add(FactKind::kTriaged, body->occurred_at(), event.sequence).severity = body->severity();
    return absl::OkStatus();
  }

  absl::Status SeverityChanged(const bus::Event& event) {
    const auto body = Parse<events::v1::SeverityChanged>(event);
    if (!body.ok()) return body.status();
    Add(FactKind::kChange, body->occurred_at(), event.sequence).severity = body->to_severity();
    return absl::OkStatus();
  }

  absl::Status Accepted(const bus::Event& event) {
    const auto body = Parse<events::v1::AssignmentAccepted>(event);
    if (!body.ok()) return body.status();
    Add(FactKind::kStop, body->occurred_at(), event.sequence).stops = {
        type::v1::SLA_METRIC_TIME_TO_OWN};
    return absl::OkStatus();
  }

 public:
  // Facts in the order in which they count, each with all that rules look at after it.
  std::vector<Fact> InOrder() {
    for (size_t i = 0; i < facts_.size(); ++i) {
      if (facts_[i].kind == FactKind::kChange && facts_[i].fields.has_value() &&
          sets_category_.count(i) == 0) {
        keeps_category_.insert({facts_[i].at, facts_[i].order});
      }
    }
    std::stable_sort(facts_.begin(), facts_.end(), [](const Fact& a, const Fact& b) {
      return std::tuple(a.at, RankOf(a.kind), a.order) < std::tuple(b.at, RankOf(b.kind), b.order);
    });
    std::string category;
    for (Fact& fact : facts_) {
      if (!fact.fields.has_value()) continue;
      // Neither event says the channel, which never changes; a resolved requester says no category.
      fact.fields->channel = channel_;
      if (keeps_category_.count({fact.at, fact.order}) > 0) fact.fields->category = category;
      category = fact.fields->category;
    }
    return std::move(facts_);
  }

 private:
  std::set<std::string> seen_;
  std::vector<Fact> facts_;
  std::string ticket_id_;
  absl::Time arrived_at_;
  type::v1::Channel channel_ = type::v1::CHANNEL_UNSPECIFIED;
  std::set<size_t> sets_category_;
  std::set<std::pair<absl::Time, int64_t>> keeps_category_;
};

// ---- one metric

// A stretch of a cycle during which the clock counted on one calendar, or stood still for one
// reason.
struct Leg {
  absl::Time from;
  absl::Time to = absl::InfiniteFuture();
  const ShadowCalendar* calendar = nullptr;  // null = it stood still
  std::string why;
  absl::Duration open;  // once it has ended
};

class Walk {
 public:
  Walk(SlaMetric metric, ShadowTicket& ticket) : metric_(metric), ticket_(&ticket) {}

  // Time goes by up to `to`; `to` itself is left to the facts of that instant.
  void Pass(absl::Time to) {
    while (IsAlive() && !clock().breached_at.has_value()) {
      const std::optional<absl::Time> due = CrossingOf(target_.budget);
      const std::optional<std::pair<absl::Time, size_t>> warning = NextWarning();
      if (warning.has_value() && warning->first < to &&
          (!due.has_value() || warning->first < *due)) {
        Warn(warning->first, warning->second);
      } else if (due.has_value() && *due < to) {
        Breach(*due);
      } else {
        break;
      }
    }
  }

  // Warnings come from then on, and none of those that were given before.
  void WarnNotBefore(absl::Time at, const std::vector<ShadowVerdict>& given) {
    first_warning_ = at;
    for (const ShadowVerdict& warning : given) {
      given_before_[warning.cycle].insert(warning.threshold);
    }
  }

  void Open(absl::Time at, const std::optional<Target>& target) {
    floor_ = at;
    if (target.has_value()) Begin(at, at, *target, {});
  }

  // What the metric measures has happened.
  void Happen(absl::Time at) {
    happened_ = true;
    awaits_target_ = false;
    Stop(at);
  }

  void Stop(absl::Time at) {
    if (!IsAlive()) return;
    const std::optional<absl::Time> due =
        clock().breached_at.has_value() ? clock().breached_at : DueFrom(at);
    EndLeg(at);
    clock().phase = sla::v1::CLOCK_PHASE_STOPPED;
    clock().ended_at = at;
    clock().due_at = due;
    if (clock().breached_at.has_value()) {
      clock().overshoot = Used(at) - target_.budget;
      Tell(ShadowVerdict::Kind::kStopped, at);
    } else {
      clock().verdict = sla::v1::SLA_VERDICT_MET;
      Tell(ShadowVerdict::Kind::kMet, at);
    }
  }

  void Cancel(absl::Time at, const std::string& reason) {
    // What ended before it had a target does not begin by getting one.
    if (clocks_ == 0) happened_ = true;
    if (!IsAlive()) return;
    // A breach that was judged stays: such a clock stops, with its overshoot.
    if (clock().breached_at.has_value()) return Stop(at);
    EndLeg(at);
    clock().phase = sla::v1::CLOCK_PHASE_CANCELLED;
    clock().ended_at = at;
    clock().due_at.reset();
    clock().cancel_reason = reason;
    Tell(ShadowVerdict::Kind::kCancelled, at);
  }

  // The ticket's state moved; the clock stands still in some of them.
  void Move(absl::Time at, TicketState state, const Behaviour& behaviour) {
    state_ = state;
    if (IsAlive()) Relay(at, behaviour, at);
  }

  void Reopen(absl::Time at, TicketState state, const Behaviour& behaviour,
              const std::optional<Target>& target) {
    state_ = state;
    if (behaviour.on_reopen == sla::v1::ON_CHANGE_KEEP) return;
    const bool restarts = behaviour.on_reopen == sla::v1::ON_CHANGE_RESTART;
    // The cycle is over, and there is no budget to begin anew with.
    if (restarts && !target.has_value()) {
      awaits_target_ = clocks_ == 0 || clock().phase != sla::v1::CLOCK_PHASE_CANCELLED;
      return Cancel(at, "restarted");
    }
    happened_ = false;
    if (clocks_ == 0) {
      if (target.has_value()) Begin(at, at, *target, {});
      return;
    }
    if (restarts) return Restart(at, behaviour, target);
    if (IsAlive()) return Relay(at, behaviour, at);
    if (clock().phase == sla::v1::CLOCK_PHASE_CANCELLED) {
      if (target.has_value()) GoOn(at, behaviour, *target);
      return;
    }
    // The same cycle goes on with what is left: the resolved time counts as paused, a breach stays.
    legs_.push_back({.from = legs_.back().to, .to = at, .why = "resolved", .open = {}});
    legs_.push_back({.from = at, .calendar = target_.calendar, .why = "open", .open = {}});
    clock().phase = sla::v1::CLOCK_PHASE_RUNNING;
    clock().ended_at.reset();
    clock().overshoot = absl::ZeroDuration();
    if (!clock().breached_at.has_value()) clock().verdict = sla::v1::SLA_VERDICT_UNSPECIFIED;
    floor_ = at;
    warning_floor_ = at;
    // Severity or policy may have changed in between.
    if (!clock().breached_at.has_value() && behaviour.on_change != sla::v1::ON_CHANGE_KEEP) {
      if (!target.has_value()) return Lose(at);
      Take(*target);
      legs_.back().calendar = target_.calendar;
    }
    Relay(at, behaviour, at);
  }

  // The ticket never had this promise: what was shown of it is out of attainment.
  void LoseAll(absl::Time at) {
    for (ShadowClock& lost : ticket_->clocks) {
      if (lost.metric != metric_ || lost.phase == sla::v1::CLOCK_PHASE_CANCELLED) continue;
      const bool is_last = &lost == &clock();
      if (is_last && IsAlive()) EndLeg(at);
      lost.verdict = sla::v1::SLA_VERDICT_UNSPECIFIED;
      lost.breached_at.reset();
      lost.overshoot = absl::ZeroDuration();
      lost.due_at.reset();
      lost.phase = sla::v1::CLOCK_PHASE_CANCELLED;
      lost.cancel_reason = "no_target";
      if (!lost.ended_at.has_value()) lost.ended_at = at;
      if (is_last) {
        lost.used = Used(*lost.ended_at);
        Lay(*lost.ended_at);
      }
      ticket_->verdicts.push_back({.kind = ShadowVerdict::Kind::kCancelled,
                                   .metric = metric_,
                                   .cycle = lost.cycle,
                                   .at = at,
                                   .threshold = ""});
    }
  }

  void Change(absl::Time at, const Behaviour& behaviour, const std::optional<Target>& target) {
    if (clocks_ > 0 && target.has_value() && target->IsThat(target_) && IsAlive()) return;
    if (awaits_target_ && target.has_value()) {
      awaits_target_ = false;
      Begin(at, at, *target, {});
      return Relay(at, behaviour, at);
    }
    if (clocks_ == 0) {
      if (target.has_value() && !happened_) {
        Begin(at, at, *target, {});
        Relay(at, behaviour, at);
      }
      return;
    }
    if (clock().cancel_reason == "no_target") {
      if (target.has_value() && !happened_) GoOn(at, behaviour, *target);
      return;
    }
    if (!IsAlive() || behaviour.on_change == sla::v1::ON_CHANGE_KEEP) return;
    if (behaviour.on_change == sla::v1::ON_CHANGE_RESTART) return Restart(at, behaviour, target);
    if (!target.has_value()) return Lose(at);
    if (clock().breached_at.has_value()) return;
    if (legs_.back().calendar != nullptr) {
      EndLeg(at);
      legs_.push_back({.from = at, .calendar = target->calendar, .why = "open", .open = {}});
    }
    Take(*target);
    floor_ = at;
    warning_floor_ = at;
  }

  // What stands at the as-of instant.
  void Finish(absl::Time as_of) {
    if (!IsAlive()) return;
    const bool paused = legs_.back().calendar == nullptr;
    clock().phase = paused ? sla::v1::CLOCK_PHASE_PAUSED : sla::v1::CLOCK_PHASE_RUNNING;
    clock().used = Used(as_of);
    clock().due_at = clock().breached_at.has_value() ? clock().breached_at : DueFrom(as_of);
    Lay(as_of);
  }

  bool HasClock() const { return clocks_ > 0; }
  bool IsAlive() {
    return clocks_ > 0 && (clock().phase == sla::v1::CLOCK_PHASE_RUNNING ||
                           clock().phase == sla::v1::CLOCK_PHASE_PAUSED);
  }
  TicketState state() const { return state_; }

 private:
  ShadowClock& clock() { return ticket_->clocks[clock_]; }
  void Begin(absl::Time at, absl::Time from, const Target& target, std::vector<Leg> legs) {
    ShadowClock begun;
    begun.metric = metric_;
    begun.cycle = ++clocks_;
    begun.phase = sla::v1::CLOCK_PHASE_RUNNING;
    begun.started_at = legs.empty() ? from : legs.front().from;
    clock_ = ticket_->clocks.size();
    ticket_->clocks.push_back(std::move(begun));
    legs_ = std::move(legs);
    legs_.push_back({.from = from, .calendar = target.calendar, .why = "open", .open = {}});
    given_ = given_before_[clocks_];
    Take(target);
    floor_ = from;
    warning_floor_ = at;
  }

  // A cycle that goes on with what the one before it used.
  void GoOn(absl::Time at, const Behaviour& behaviour, const Target& target) {
    std::vector<Leg> legs = legs_;
    legs.push_back({.from = legs_.back().to, .to = at, .why = "cancelled", .open = {}});
    Begin(at, at, target, std::move(legs));
    Relay(at, behaviour, at);
  }

  void Restart(absl::Time at, const Behaviour& behaviour, const std::optional<Target>& target) {
    if (!target.has_value()) return Lose(at);
    Cancel(at, "restarted");
    Begin(at, at, *target, {});
    Relay(at, behaviour, at);
  }

  // No rule gives a target any more.
  void Lose(absl::Time at) {
    if (IsAlive() && !clock().breached_at.has_value()) Cancel(at, "no_target");
  }

  // Counts or stands still from `at` on, as the state says.
  void Relay(absl::Time at, const Behaviour& behaviour, absl::Time floor) {
    const bool pauses = behaviour.paused_in.count(state_) > 0;
    const std::string why =
        !pauses ? "open"
                : absl::StrCat("paused: ",
                               state_ == type::v1::TICKET_STATE_PENDING ? "PENDING" : "ON_HOLD");
    if (legs_.back().why == why) return;
    const bool resumes = !pauses && legs_.back().calendar == nullptr;
    EndLeg(at);
    legs_.push_back(
        {.from = at, .calendar = pauses ? nullptr : target_.calendar, .why = why, .open = {}});
    // What was used up exactly at the pause breaches only now.
    if (resumes) floor_ = floor;
  }

  void EndLeg(absl::Time at) {
    Leg& leg = legs_.back();
    leg.to = at;
    if (leg.calendar != nullptr) leg.open = leg.calendar->OpenTime(leg.from, at);
    if (leg.from == at && legs_.size() > 1) legs_.pop_back();
  }

  void Take(const Target& target) {
    target_ = target;
    Settle(clock().started_at, target_);
    settled_ = absl::ZeroDuration();
    clock().target = target_.budget;
    clock().calendar = target.calendar->name();
    clock().rule = target.rule;
    clock().policy_version = target.policy_version;
  }

  absl::Duration Used(absl::Time now) const {
    absl::Duration used;
    for (const Leg& leg : legs_) {
      if (leg.calendar == nullptr) continue;
      used += leg.to < absl::InfiniteFuture() ? leg.open : leg.calendar->OpenTime(leg.from, now);
    }
    return used;
  }

  // When so much of the cycle's time is used, not before the floor; none while the clock stands
  // still there.
  std::optional<absl::Time> CrossingOf(absl::Duration point) const {
    absl::Duration used;
    for (const Leg& leg : legs_) {
      if (leg.calendar == nullptr) continue;
      const bool is_last = leg.to == absl::InfiniteFuture();
      if (is_last || used + leg.open >= point) {
        const absl::Time at = leg.calendar->After(leg.from, point - used);
        // Exactly at its end: a stop or pause at the due instant is in time.
        if (is_last || at < leg.to) {
          const absl::Time judged = std::max(at, floor_);
          return CountsAt(judged) ? std::optional(judged) : std::nullopt;
        }
      }
      used += leg.open;
    }
    return std::nullopt;
  }

  bool CountsAt(absl::Time at) const {
    for (const Leg& leg : legs_) {
      if (leg.from <= at && at < leg.to) return leg.calendar != nullptr;
    }
    return false;
  }

  // When the clock is due if it counts from `now` on.
  absl::Time DueFrom(absl::Time now) const {
    if (legs_.back().calendar != nullptr) {
      return CrossingOf(target_.budget).value_or(absl::InfiniteFuture());
    }
    return target_.calendar->After(now, target_.budget - Used(now));
  }

  // The next warning point and its place in the target's list; of several at one instant the
  // highest.
  std::optional<std::pair<absl::Time, size_t>> NextWarning() const {
    std::optional<std::pair<absl::Time, size_t>> next;
    for (size_t i = 0; i < target_.warnings.size(); ++i) {
      if (target_.warnings[i].first <= settled_) continue;
      std::optional<absl::Time> at = CrossingOf(target_.warnings[i].first);
      if (!at.has_value()) continue;
      at = std::max({*at, warning_floor_, first_warning_});
      if (!CountsAt(*at)) continue;
      if (!next.has_value() || *at <= next->first) next = {*at, i};
    }
    return next;
  }

  // Passing a point settles those below it. Each name is given once a cycle.
  void Warn(absl::Time at, size_t place) {
    const auto& [point, name] = target_.warnings[place];
    settled_ = point;
    if (given_.insert(name).second) Tell(ShadowVerdict::Kind::kWarning, at, name);
  }

  void Breach(absl::Time at) {
    clock().breached_at = at;
    clock().verdict = sla::v1::SLA_VERDICT_BREACHED;
    Tell(ShadowVerdict::Kind::kBreached, at);
  }

  void Tell(ShadowVerdict::Kind kind, absl::Time at, const std::string& threshold = "") {
    if (kind != ShadowVerdict::Kind::kWarning && kind != ShadowVerdict::Kind::kBreached) {
      clock().used = Used(at);
      Lay(at);
    }
    ticket_->verdicts.push_back({.kind = kind,
                                 .metric = metric_,
                                 .cycle = clock().cycle,
                                 .at = at,
                                 .threshold = threshold});
  }

  // Lays out the segments, with what is expected after `now`.
  void Lay(absl::Time now) {
    std::vector<ShadowSegment>& segments = clock().segments;
    segments.clear();
    const std::optional<absl::Time> breached = clock().breached_at;
    const bool ended = clock().ended_at.has_value();
    const auto add = [&segments](absl::Time from, absl::Time to, bool counted,
                                 const std::string& why) {
      if (from >= to) return;
      if (!segments.empty() && segments.back().to == from && segments.back().why == why) {
        segments.back().to = to;
      } else {
        segments.push_back({from, to, counted, why});
      }
    };
    // Once the budget is used up open time is shown and not counted.
    absl::Duration left = target_.budget;
    const auto count = [&](const ShadowCalendar& calendar, absl::Time from, absl::Time to) {
      absl::Time at = from;
      for (const Opening& opening : calendar.Openings(from, to)) {
        const absl::Time used_up = std::min(opening.from + left, opening.to);
        add(at, opening.from, false, "closed");
        add(opening.from, used_up, true, "open");
        add(used_up, opening.to, false, "overdue");
        left -= used_up - opening.from;
        at = opening.to;
      }
      add(at, to, false, "closed");
    };
    for (const Leg& leg : legs_) {
      absl::Time to = leg.to;
      if (to == absl::InfiniteFuture()) {
        to = now;
        if (!ended && !breached.has_value() && leg.calendar != nullptr) {
          to = std::max(now, DueFrom(now));
        }
      }
      if (leg.calendar != nullptr) {
        count(*leg.calendar, leg.from, to);
      } else {
        add(leg.from, to, false, leg.why);
      }
    }
    if (!ended && !breached.has_value() && legs_.back().calendar == nullptr) {
      count(*target_.calendar, now, DueFrom(now));
    }
  }

  SlaMetric metric_;
  ShadowTicket* ticket_;
  int clocks_ = 0;              // cycles begun
  size_t clock_ = 0;            // the last one's place in the ticket
  bool awaits_target_ = false;  // it was to begin anew when no rule gave a budget
  bool happened_ = false;       // what the metric measures; a resolution until it is undone
  absl::Time floor_;            // nothing before it is judged any more
  absl::Time first_warning_ = absl::InfinitePast();
  absl::Time warning_floor_;  // the last change of the target: warnings passed then are given then
  TicketState state_ = type::v1::TICKET_STATE_NEW;
  Target target_;
  std::vector<Leg> legs_;  // of the last cycle
  std::set<std::string> given_;
  std::map<int, std::set<std::string>> given_before_;  // by cycle
  absl::Duration settled_;  // of the target: its warnings up to this point are over
};

// What a fact does to a clock beside its target.
void Apply(const Fact& fact, SlaMetric metric, const Behaviour& behaviour,
           const std::optional<Target>& target, Walk& walk) {
  switch (fact.kind) {
    case FactKind::kOpened:
      return walk.Open(fact.at, target);
    case FactKind::kStop:
      if (fact.stops.count(metric) > 0) walk.Happen(fact.at);
      if (!fact.cancels_with.empty()) walk.Cancel(fact.at, fact.cancels_with);
      if (fact.state != type::v1::TICKET_STATE_UNSPECIFIED) {
        walk.Move(fact.at, fact.state, behaviour);
      }
      return;
    case FactKind::kState:
      return walk.Move(fact.at, fact.state, behaviour);
    case FactKind::kReopened:
      return walk.Reopen(fact.at, fact.state, behaviour, target);
    case FactKind::kTriaged:
    case FactKind::kChange:
      return;
  }
}

// Facts one after another, with the targets that the ticket's policy gives it in between.
class Story {
 public:
  Story(SlaMetric metric, const std::vector<MadePolicy>& policies, const MadePolicy& at_opening,
        ShadowTicket& ticket)
      : metric_(metric), policies_(&policies), in_force_(&at_opening), walk_(metric, ticket) {}

  // From the opening on, if nothing was told yet; else from now on.
  void Classify(type::v1::Severity severity) { now_.severity = severity; }

  absl::Status Go(const Fact& fact) {
    walk_.Pass(fact.at);
    const Attributes before = now_;
    const MadePolicy* const policy_before = in_force_;
    if (fact.fields.has_value()) {
      now_ = *fact.fields;
      now_.severity = before.severity;
    }
    if (fact.severity.has_value()) now_.severity = *fact.severity;
    for (const MadePolicy& version : *policies_) {
      if (version.in_force == fact.policy) in_force_ = &version;
    }
    const absl::StatusOr<std::optional<Target>> target = TargetOf(*in_force_, metric_, now_);
    if (!target.ok()) return target.status();
    const Behaviour behaviour = BehaviourOf(in_force_->in_force->policy, metric_);
    if (fact.kind != FactKind::kTriaged && fact.kind != FactKind::kChange) {
      Apply(fact, metric_, behaviour, *target, walk_);
      return absl::OkStatus();
    }
    // A classification after the first is a change like any other.
    const bool changed = !(now_ == before) || in_force_ != policy_before;
    if (changed) walk_.Change(fact.at, behaviour, *target);
    // A new policy may pause in other states.
    if (in_force_ != policy_before) walk_.Move(fact.at, walk_.state(), behaviour);
    return absl::OkStatus();
  }

  bool IsClassified() const { return now_.severity != type::v1::SEVERITY_UNSPECIFIED; }
  Walk& walk() { return walk_; }

 private:
  SlaMetric metric_;
  const std::vector<MadePolicy>* policies_;
  Attributes now_;
  const MadePolicy* in_force_;
  Walk walk_;
};

absl::Status WalkAll(SlaMetric metric, const std::vector<Fact>& facts,
                     const std::vector<MadePolicy>& policies, const MadePolicy& at_opening,
                     absl::Time as_of, ShadowTicket& ticket) {
  const auto is_here = [metric](const auto& thing) { return thing.metric == metric; };
  Story story(metric, policies, at_opening, ticket);
  bool closed = false;
  for (auto fact = facts.begin(); fact != facts.end() && fact->at <= as_of; ++fact) {
    // Nothing moves the clocks of a closed ticket, but what it was all along may be learned later.
    const bool classifies = fact->kind == FactKind::kTriaged && !story.IsClassified();
    if (closed && !classifies) continue;
    if (!classifies) {
      const absl::Status gone = story.Go(*fact);
      if (!gone.ok()) return gone;
      closed = fact->closes;
      continue;
    }
    // The first classification counts from creation on (product §3.1): everything once more, by a
    // ticket that had it when it was opened. Verdicts that were told until now may be others.
    story.walk().Pass(fact->at);
    const ShadowTicket as_told = ticket;
    std::vector<ShadowVerdict> warnings;
    for (const ShadowVerdict& verdict : as_told.verdicts) {
      if (!is_here(verdict)) continue;
      if (verdict.kind == ShadowVerdict::Kind::kWarning) {
        warnings.push_back(verdict);
      } else {
        ticket.judged_anew = true;
      }
    }
    std::erase_if(ticket.clocks, is_here);
    std::erase_if(ticket.verdicts, is_here);
    ticket.verdicts.insert(ticket.verdicts.end(), warnings.begin(), warnings.end());
    Story known(metric, policies, at_opening, ticket);
    known.Classify(*fact->severity);
    known.walk().WarnNotBefore(fact->at, warnings);
    for (auto earlier = facts.begin(); earlier != fact; ++earlier) {
      const absl::Status gone = known.Go(*earlier);
      if (!gone.ok()) return gone;
    }
    known.walk().Pass(fact->at);
    if (story.walk().HasClock() && !known.walk().HasClock()) {
      // It has no such promise after all: what was shown of it is out of attainment.
      ticket.clocks = as_told.clocks;
      story.walk().LoseAll(fact->at);
      story.Classify(*fact->severity);
    } else {
      story = known;
    }
  }
  // What is due at the as-of instant itself is judged.
  story.walk().Pass(as_of + absl::Microseconds(1));
  story.walk().Finish(as_of);
  return absl::OkStatus();
}

}  // namespace

const ShadowClock* ShadowTicket::Latest(SlaMetric metric) const {
  const ShadowClock* latest = nullptr;
  for (const ShadowClock& clock : clocks) {
    if (clock.metric == metric) latest = &clock;
  }
  return latest;
}

absl::StatusOr<ShadowTicket> EvaluateClocks(const std::vector<ArrivedEvent>& events,
                                            const std::vector<PolicyInForce>& policies,
                                            absl::Time as_of) {
  if (policies.empty()) return absl::InvalidArgumentError("no policy: give the one in force");
  std::vector<MadePolicy> made;
  for (const PolicyInForce& policy : policies) {
    made.push_back({&policy, {}});
    for (const sla::v1::Calendar& calendar : policy.policy.calendars()) {
      absl::StatusOr<ShadowCalendar> shadow = ShadowCalendar::Make(calendar);
      if (!shadow.ok()) return shadow.status();
      made.back().calendars.emplace(calendar.name(), *std::move(shadow));
    }
  }
  FactReader reader;
  for (const ArrivedEvent& event : events) {
    const absl::Status read = reader.Read(event);
    if (!read.ok()) return read;
  }
  ShadowTicket ticket;
  ticket.ticket_id = reader.ticket_id();
  std::vector<Fact> facts = reader.InOrder();
  if (facts.empty() || facts.front().kind != FactKind::kOpened) {
    return absl::InvalidArgumentError(
        absl::StrCat("ticket ", ticket.ticket_id, ": the first fact has to be its opening"));
  }
  const absl::Time opened_at = facts.front().at;

  // The version in force when the opening was applied; later ones only where their header takes
  // open tickets, one after another, however the clocks dated them.
  const MadePolicy* policy = &made.front();
  absl::Time not_before = opened_at;
  for (const MadePolicy& version : made) {
    if (version.in_force->at_opening.value_or(version.in_force->applied_at <= opened_at)) {
      policy = &version;
    } else if (version.in_force->policy.applies_to() == sla::v1::POLICY_SCOPE_OPEN_TICKETS) {
      Fact fact;
      fact.kind = FactKind::kChange;
      not_before = std::max(not_before, version.in_force->applied_at);
      fact.at = not_before;
      fact.policy = version.in_force;
      facts.push_back(std::move(fact));
    }
  }
  std::stable_sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) {
    return std::pair(a.at, RankOf(a.kind)) < std::pair(b.at, RankOf(b.kind));
  });

  for (const SlaMetric metric :
       {type::v1::SLA_METRIC_FIRST_RESPONSE, type::v1::SLA_METRIC_RESOLUTION,
        type::v1::SLA_METRIC_TIME_TO_OWN}) {
    const absl::Status walked = WalkAll(metric, facts, made, *policy, as_of, ticket);
    if (!walked.ok()) return walked;
  }
  std::sort(ticket.clocks.begin(), ticket.clocks.end(),
            [](const ShadowClock& a, const ShadowClock& b) {
              return std::tie(a.metric, a.cycle) < std::tie(b.metric, b.cycle);
            });
  for (ShadowVerdict& verdict : ticket.verdicts) {
    for (const Fact& fact : facts) {
      if (fact.at <= verdict.at && fact.arrived_at > verdict.at) verdict.certain = false;
    }
  }
  return ticket;
}

}  // namespace tandem::simulation
