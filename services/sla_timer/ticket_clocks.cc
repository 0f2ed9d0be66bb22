#include "services/sla_timer/ticket_clocks.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "common/time/zones.h"
#include "services/sla_timer/judge.h"
#include "tandem/events/v1/sla.pb.h"

namespace tandem::sla_timer {
namespace {

using records::TicketRecord;
using type::v1::SlaMetric;

bool IsRepeat(FactKind kind) { return kind == FactKind::kReply || kind == FactKind::kOwned; }

bool MayRestart(FactKind kind) {
  return kind == FactKind::kReopened || kind == FactKind::kTriaged || kind == FactKind::kSeverity ||
         kind == FactKind::kAttributes || kind == FactKind::kPolicy;
}

FactKind KindOf(const records::Fact& fact) { return static_cast<FactKind>(fact.kind()); }

// Whether the fact says what the ticket's last fact of its sort said.
bool IsNews(const TicketRecord& record, const records::Fact& fact) {
  int repeats = 0;
  bool is_spent = true;  // nothing that may restart a clock came since the last of its kind
  for (int i = record.facts_size() - 1; i >= 0; --i) {
    const records::Fact& before = record.facts(i);
    switch (KindOf(fact)) {
      case FactKind::kReply:
      case FactKind::kOwned:
        if (KindOf(before) == KindOf(fact)) ++repeats;
        if (repeats == 0 && MayRestart(KindOf(before))) is_spent = false;
        break;
      case FactKind::kState:
        if (KindOf(before) == FactKind::kState) return before.state() != fact.state();
        if (KindOf(before) == FactKind::kOpened) {
          return fact.state() != type::v1::TICKET_STATE_NEW;
        }
        if (KindOf(before) >= FactKind::kResolved) return true;
        break;
      case FactKind::kAttributes:
        if (KindOf(before) == FactKind::kAttributes || KindOf(before) == FactKind::kOpened) {
          return before.segment() != fact.segment() ||
                 before.contact_level() != fact.contact_level() ||
                 before.category() != fact.category() || before.internal() != fact.internal();
        }
        break;
      default:
        return true;
    }
  }
  return !IsRepeat(KindOf(fact)) || !is_spent || repeats < kManyRepeats;
}

records::Clock& ClockOf(TicketRecord& record, SlaMetric metric) {
  for (records::Clock& clock : *record.mutable_clocks()) {
    if (clock.metric() == metric) return clock;
  }
  records::Clock& clock = *record.add_clocks();
  clock.set_metric(metric);
  return clock;
}

int64_t UsOrNone(absl::Time instant) {
  return instant == absl::InfinitePast() || instant == absl::InfiniteFuture()
             ? 0
             : time::ToMicros(instant);
}

absl::Time TimeOrNone(int64_t us) { return us == 0 ? absl::InfinitePast() : time::FromMicros(us); }

// Publishes the events of one clock and keeps the verdicts among them.
class Teller {
 public:
  Teller(std::string_view ticket_id, TicketRecord& record, SlaMetric metric, bool lagging,
         const corridor::Inputs& in, corridor::Decision& decision)
      : ticket_id_(ticket_id),
        record_(record),
        metric_(metric),
        lagging_(lagging),
        in_(in),
        decision_(decision) {}

  void Tell(const Notice& notice);
  void Warn(const Cycle& cycle, const Pending& warning);

 private:
  template <typename E>
  E About(const Change& change) const {
    E event;
    events::v1::SlaClockRef& clock = *event.mutable_clock();
    clock.set_ticket_id(std::string(ticket_id_));
    clock.set_account_id(record_.account_id());
    clock.set_metric(metric_);
    clock.set_cycle(change.cycle);
    clock.set_severity(change.leg.severity);
    Cite(change.leg, clock.mutable_policy());
    *event.mutable_occurred_at() = time::Stamp(change.at);
    return event;
  }
  // Publishes `event` and returns its id.
  template <typename E>
  std::string Publish(E event, absl::Time at) {
    const absl::Time instant = std::max(at, TimeOrNone(record_.last_published_us()));
    record_.set_last_published_us(time::ToMicros(instant));
    // The id that the corridor gives to the decision's next event.
    std::string id =
        id::Derive("ev", {kServiceName, in_.cause, "event", absl::StrCat(decision_.events.size())});
    decision_.Publish(std::string(ticket_id_), record_.bus_key(), instant, std::move(event));
    return id;
  }
  records::Judged& Keep(JudgedKind kind, const Change& change, std::string event_id,
                        std::string verdict) {
    records::Judged& judged = *record_.add_judged();
    judged.set_metric(metric_);
    judged.set_cycle(change.cycle);
    judged.set_event_id(std::move(event_id));
    judged.set_kind(kind);
    judged.set_verdict(std::move(verdict));
    judged.set_at_us(time::ToMicros(change.at));
    judged.set_judged_at_us(time::ToMicros(in_.now));
    judged.set_judged_while_lagging(lagging_);
    return judged;
  }
  void Correct(const Notice& notice);

  const std::string_view ticket_id_;
  TicketRecord& record_;
  const SlaMetric metric_;
  const bool lagging_;
  const corridor::Inputs& in_;
  corridor::Decision& decision_;
};

void Teller::Correct(const Notice& notice) {
  Change change = notice.change;
  change.at = in_.now;
  auto event = About<events::v1::SlaVerdictCorrected>(change);
  std::string corrected;
  for (const records::Judged& judged : record_.judged()) {
    if (judged.metric() == metric_ && judged.cycle() == change.cycle &&
        judged.verdict() == notice.from && judged.kind() != kJudgedStopped) {
      corrected = judged.event_id();
    }
  }
  event.set_corrected_event_id(corrected);
  event.set_from_verdict(notice.from);
  event.set_to_verdict(notice.to);
  event.set_cause_event_id(std::string(in_.cause));
  std::string id = Publish(std::move(event), change.at);
  records::Judged& judged = Keep(kJudgedCorrected, change, std::move(id), notice.to);
  judged.set_corrected_event_id(corrected);
  judged.set_late(true);
}

void Teller::Tell(const Notice& notice) {
  if (!notice.from.empty()) return Correct(notice);
  const Change& change = notice.change;
  switch (change.kind) {
    case ChangeKind::kStarted:
    case ChangeKind::kRetargeted: {
      auto event = About<events::v1::SlaClockStarted>(change);
      *event.mutable_started_at() = time::Stamp(change.started_at);
      if (change.due != absl::InfiniteFuture()) *event.mutable_due_at() = time::Stamp(change.due);
      *event.mutable_target() = time::StampSpan(change.leg.budget);
      event.set_target_text(change.leg.target->text);
      event.set_calendar(change.leg.target->hours.name());
      event.set_retargeted(change.kind == ChangeKind::kRetargeted);
      Publish(std::move(event), change.at);
      return;
    }
    case ChangeKind::kPaused: {
      auto event = About<events::v1::SlaClockPaused>(change);
      *event.mutable_used() = time::StampSpan(change.amount);
      Publish(std::move(event), change.at);
      return;
    }
    case ChangeKind::kResumed: {
      auto event = About<events::v1::SlaClockResumed>(change);
      if (change.due != absl::InfiniteFuture()) *event.mutable_due_at() = time::Stamp(change.due);
      Publish(std::move(event), change.at);
      return;
    }
    case ChangeKind::kBreached: {
      auto event = About<events::v1::SlaBreached>(change);
      *event.mutable_fired_at() = time::Stamp(in_.now);
      event.set_cause(change.reason);
      event.set_late(notice.late);
      event.set_judged_while_lagging(lagging_);
      std::string id = Publish(std::move(event), change.at);
      Keep(kJudgedBreached, change, std::move(id), "breached").set_late(notice.late);
      return;
    }
    case ChangeKind::kMet: {
      auto event = About<events::v1::SlaMet>(change);
      if (change.due != absl::InfiniteFuture()) *event.mutable_due_at() = time::Stamp(change.due);
      *event.mutable_used() = time::StampSpan(change.amount);
      std::string id = Publish(std::move(event), change.at);
      Keep(kJudgedMet, change, std::move(id), "met");
      return;
    }
    case ChangeKind::kStopped: {
      auto event = About<events::v1::SlaStopped>(change);
      *event.mutable_due_at() = time::Stamp(change.due);
      *event.mutable_overshoot() = time::StampSpan(change.amount);
      std::string id = Publish(std::move(event), change.at);
      Keep(kJudgedStopped, change, std::move(id), "breached");
      return;
    }
    case ChangeKind::kCancelled: {
      auto event = About<events::v1::SlaCancelled>(change);
      event.set_reason(change.reason);
      std::string id = Publish(std::move(event), change.at);
      Keep(kJudgedCancelled, change, std::move(id), "cancelled");
      return;
    }
  }
}

void Teller::Warn(const Cycle& cycle, const Pending& warning) {
  Change change;
  change.cycle = cycle.number;
  change.leg = cycle.leg;
  change.at = warning.at;
  auto event = About<events::v1::SlaWarning>(change);
  event.set_threshold(warning.warning);
  const absl::Time due = cycle.Due(warning.at);
  if (due != absl::InfiniteFuture()) *event.mutable_due_at() = time::Stamp(due);
  *event.mutable_fired_at() = time::Stamp(in_.now);
  event.set_judged_while_lagging(lagging_);
  Publish(std::move(event), change.at);
}

}  // namespace

std::string_view NameOf(int judged_kind) {
  switch (judged_kind) {
    case kJudgedMet:
      return "met";
    case kJudgedBreached:
      return "breached";
    case kJudgedStopped:
      return "stopped";
    case kJudgedCancelled:
      return "cancelled";
    default:
      return "corrected";
  }
}

std::vector<Fact> FactsOf(const TicketRecord& record, int count) {
  std::vector<Fact> facts;
  facts.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const records::Fact& stored = record.facts(i);
    Fact& fact = facts.emplace_back();
    fact.kind = KindOf(stored);
    fact.at = time::FromMicros(stored.at_us());
    fact.ticket_version = stored.ticket_version();
    fact.arrival = i;
    fact.attributes.severity = stored.severity();
    fact.attributes.segment = stored.segment();
    fact.attributes.contact_level = stored.contact_level();
    fact.attributes.channel = stored.channel();
    fact.attributes.category = stored.category();
    fact.internal = stored.internal();
    fact.state = stored.state();
    fact.policy_version = stored.policy_version();
  }
  SortFacts(facts);
  return facts;
}

std::vector<Fact> FactsOf(const TicketRecord& record) {
  return FactsOf(record, record.facts_size());
}

const records::Clock* FindClock(const TicketRecord& record, SlaMetric metric) {
  for (const records::Clock& clock : record.clocks()) {
    if (clock.metric() == metric) return &clock;
  }
  return nullptr;
}

Authority AuthorityOf(const records::Clock* clock) {
  Authority authority;
  if (clock == nullptr) return authority;
  authority.fired_until = TimeOrNone(clock->fired_until_us());
  authority.known_until = TimeOrNone(clock->known_until_us());
  authority.warned.assign(clock->warned().begin(), clock->warned().end());
  return authority;
}

std::vector<int64_t> VersionsOf(const TicketRecord& record) {
  std::vector<int64_t> versions;
  for (const records::Fact& fact : record.facts()) {
    if (KindOf(fact) != FactKind::kOpened && KindOf(fact) != FactKind::kPolicy) continue;
    if (std::find(versions.begin(), versions.end(), fact.policy_version()) == versions.end()) {
      versions.push_back(fact.policy_version());
    }
  }
  return versions;
}

absl::StatusOr<bool> AddFact(TicketRecord& record, records::Fact fact) {
  for (const records::Fact& known : record.facts()) {
    if (!fact.event_id().empty() && known.event_id() == fact.event_id()) return false;
  }
  if (!IsNews(record, fact)) return false;
  if (record.facts_size() >= kMostFacts) {
    return corridor::FailedPrecondition(
        "TOO_MANY_FACTS", absl::StrCat("the ticket's clocks have ", kMostFacts, " facts already"));
  }
  *record.add_facts() = std::move(fact);
  return true;
}

absl::Status TakePolicies(TicketRecord& record, const records::PolicyHistory& history) {
  if (record.closed() || record.facts().empty()) return absl::OkStatus();
  // Versions follow one another as they were committed; the clock by which they are dated may have
  // been set back in between, and a later version takes the ticket after an earlier one all the
  // same.
  int64_t not_before_us = 0;
  for (const records::Fact& known : record.facts()) {
    if (KindOf(known) == FactKind::kOpened || KindOf(known) == FactKind::kPolicy) {
      not_before_us = std::max(not_before_us, int64_t{known.at_us()});
    }
  }
  for (const records::PolicyLine& line : history.lines()) {
    if (!line.takes_open_tickets() || line.version() <= record.policy_version()) continue;
    records::Fact fact;
    fact.set_kind(static_cast<int>(FactKind::kPolicy));
    not_before_us = std::max(not_before_us, int64_t{line.applied_us()});
    fact.set_at_us(not_before_us);
    fact.set_policy_version(line.version());
    const absl::StatusOr<bool> added = AddFact(record, std::move(fact));
    if (!added.ok()) return added.status();
    record.set_policy_version(line.version());
  }
  return absl::OkStatus();
}

int64_t VersionInForce(const records::PolicyHistory& history) {
  return history.lines().empty() ? 0 : history.lines().rbegin()->version();
}

void Judge(std::string_view ticket_id, TicketRecord& record, int facts_before,
           const std::optional<Firing>& firing, const PolicyVersions& policies,
           const corridor::Inputs& in, corridor::Decision& decision) {
  const std::vector<Fact> facts = FactsOf(record);
  record.set_exclusion(ExclusionOf(facts));
  const bool has_news = facts_before < record.facts_size();
  const std::vector<Fact> old_facts = has_news ? FactsOf(record, facts_before) : facts;
  for (const SlaMetric metric : kMetrics) {
    if (firing && firing->metric != metric) continue;
    Authority authority = AuthorityOf(FindClock(record, metric));
    const Evaluation before = Evaluate(old_facts, metric, policies, authority);
    Teller teller(ticket_id, record, metric, firing && firing->judged_while_lagging, in, decision);
    if (firing) {
      records::Clock& clock = ClockOf(record, metric);
      const absl::Time until = std::max(authority.fired_until, firing->due);
      if (before.pending && !before.pending->is_breach && before.pending->at <= until) {
        teller.Warn(*before.Latest(), *before.pending);
        clock.add_warned(WarnedName(before.Latest()->number, before.pending->warning));
      }
      clock.set_fired_until_us(time::ToMicros(until));
      authority = AuthorityOf(&clock);
    }
    const Evaluation after = Evaluate(facts, metric, policies, authority);
    Told told;
    for (const records::Judged& judged : record.judged()) {
      if (judged.metric() != metric) continue;
      told.verdicts[judged.cycle()] = judged.verdict();
      if (judged.kind() == kJudgedBreached) told.breaches.insert(judged.cycle());
      if (judged.kind() == kJudgedCancelled) told.cancellations.insert(judged.cycle());
    }
    for (const Notice& notice : Compare(before, after, told, firing.has_value())) {
      teller.Tell(notice);
    }
    if (after.cycles.empty() && FindClock(record, metric) == nullptr) continue;

    records::Clock& clock = ClockOf(record, metric);
    const absl::Time known = std::max(authority.known_until, after.known_until);
    clock.set_known_until_us(UsOrNone(known));
    Summarise(after, clock);
    clock.set_tzdata_version(time::TzdataVersion());
    // The gate deleted the timer that fired; otherwise it is touched only when its instant moves.
    const int64_t set_us = firing ? 0 : clock.timer_us();
    const int64_t next_us = after.pending ? UsOrNone(after.pending->at) : 0;
    clock.set_timer_us(next_us);
    if (next_us == set_us) continue;
    if (next_us == 0) {
      decision.CancelTimer(TimerId(ticket_id, metric));
      continue;
    }
    records::ClockTimer timer;
    timer.set_ticket_id(std::string(ticket_id));
    timer.set_metric(metric);
    decision.SetTimer(TimerId(ticket_id, metric), after.pending->at, std::string(kClockTimer),
                      record.bus_key(), std::move(timer));
  }
}

std::string TimerId(std::string_view ticket_id, SlaMetric metric) {
  const std::string& name = type::v1::SlaMetric_Name(metric);
  return absl::StrCat(absl::AsciiStrToLower(absl::StripPrefix(name, "SLA_METRIC_")), ":",
                      std::string(ticket_id));
}

void Summarise(const Evaluation& evaluation, records::Clock& clock) {
  clock.set_cycles(static_cast<int>(evaluation.cycles.size()));
  const Cycle* const cycle = evaluation.Latest();
  if (cycle == nullptr) return;
  clock.set_phase(static_cast<int>(cycle->phase) + 1);
  const bool runs = cycle->phase == Phase::kRunning || (cycle->IsLive() && cycle->breached_at);
  clock.set_due_us(runs ? UsOrNone(cycle->Due(cycle->since)) : 0);
  clock.set_used_us(absl::ToInt64Microseconds(cycle->used));
  clock.set_since_us(time::ToMicros(cycle->since));
  clock.set_breached(cycle->breached_at.has_value());
  clock.set_rule(cycle->leg.rule != nullptr ? cycle->leg.rule->name : "");
  clock.set_policy_version(cycle->leg.policy_version);
}

void Cite(const Leg& leg, type::v1::PolicyRef* ref) {
  ref->set_kind("sla");
  ref->set_version(leg.policy_version);
  if (leg.rule != nullptr) ref->set_rule(leg.rule->name);
}

}  // namespace tandem::sla_timer
