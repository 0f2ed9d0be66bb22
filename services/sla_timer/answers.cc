#include "services/sla_timer/answers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "common/time/zones.h"
#include "services/sla_timer/judge.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {

using sla::v1::ClockStatus;
using type::v1::SlaMetric;

ClockStatus StatusOf(SlaMetric metric, const Cycle& cycle, const records::Clock* clock,
                     absl::Time now) {
  ClockStatus status;
  status.set_metric(metric);
  status.set_cycle(cycle.number);
  status.set_phase(static_cast<sla::v1::ClockPhase>(static_cast<int>(cycle.phase) + 1));
  if (cycle.breached_at) {
    status.set_verdict(sla::v1::SLA_VERDICT_BREACHED);
  } else if (cycle.phase == Phase::kStopped) {
    status.set_verdict(sla::v1::SLA_VERDICT_MET);
  }
  *status.mutable_started_at() = time::Stamp(cycle.started_at);
  const absl::Time as_of = cycle.ended_at ? *cycle.ended_at : std::max(now, cycle.since);
  const absl::Time due = cycle.Due(as_of);
  if (cycle.phase != Phase::kCancelled && due != absl::InfiniteFuture()) {
    *status.mutable_due_at() = time::Stamp(due);
  }
  const absl::Duration used = cycle.UsedAt(as_of);
  *status.mutable_used() = time::StampSpan(used);
  if (cycle.leg.target != nullptr) {
    *status.mutable_target() = time::StampSpan(cycle.leg.budget);
    status.set_target_text(cycle.leg.target->text);
    if (cycle.leg.target->working_days > 0) {
      const absl::StatusOr<absl::Time> end =
          cycle.leg.target->hours.AddWorkingDays(cycle.started_at, cycle.leg.target->working_days);
      if (end.ok()) *status.mutable_working_days_end_at() = time::Stamp(*end);
    }
    status.set_calendar(cycle.leg.target->hours.name());
  }
  status.set_severity(cycle.leg.severity);
  Cite(cycle.leg, status.mutable_policy());
  if (cycle.breached_at) *status.mutable_breached_at() = time::Stamp(*cycle.breached_at);
  if (cycle.ended_at) *status.mutable_ended_at() = time::Stamp(*cycle.ended_at);
  if (cycle.breached_at && cycle.ended_at && cycle.leg.target != nullptr) {
    *status.mutable_overshoot() = time::StampSpan(used - cycle.leg.budget);
  }
  status.set_cancel_reason(cycle.cancel_reason);
  if (clock != nullptr) {
    const std::string prefix = WarnedName(cycle.number, "");
    for (const std::string& warned : clock->warned()) {
      if (absl::StartsWith(warned, prefix)) status.add_warnings(warned.substr(prefix.size()));
    }
  }
  return status;
}

sla::v1::JudgedVerdict VerdictMessage(const records::Judged& judged) {
  sla::v1::JudgedVerdict verdict;
  verdict.set_metric(judged.metric());
  verdict.set_cycle(judged.cycle());
  verdict.set_event_id(judged.event_id());
  verdict.set_kind(std::string(NameOf(judged.kind())));
  verdict.set_verdict(judged.verdict());
  *verdict.mutable_occurred_at() = time::StampOfMicros(judged.at_us());
  *verdict.mutable_judged_at() = time::StampOfMicros(judged.judged_at_us());
  verdict.set_corrected_event_id(judged.corrected_event_id());
  verdict.set_late(judged.late());
  verdict.set_judged_while_lagging(judged.judged_while_lagging());
  return verdict;
}

std::vector<Fact> AsIfKnown(const std::vector<Fact>& facts, int64_t policy_version) {
  std::vector<Fact> known;
  Attributes attributes;
  for (const Fact& fact : facts) {
    switch (fact.kind) {
      case FactKind::kOpened:
        attributes = fact.attributes;
        known.push_back(fact);
        break;
      case FactKind::kTriaged:
      case FactKind::kSeverity:
        attributes.severity = fact.attributes.severity;
        break;
      case FactKind::kAttributes:
        attributes.segment = fact.attributes.segment;
        attributes.contact_level = fact.attributes.contact_level;
        attributes.category = fact.attributes.category;
        break;
      case FactKind::kPolicy:
        break;
      default:
        known.push_back(fact);
    }
  }
  if (!known.empty()) {
    known.front().attributes = attributes;
    known.front().policy_version = policy_version;
  }
  return known;
}

namespace {

// Whether the rules of a time zone have a say in when this clock is due.
bool DependsOnTzdata(const Evaluation& evaluation) {
  const auto depends = [](const Leg& leg) {
    return leg.target != nullptr &&
           (!leg.target->hours.spec().always_open || leg.target->working_days > 0);
  };
  return std::any_of(evaluation.cycles.begin(), evaluation.cycles.end(), [&](const Cycle& cycle) {
    return depends(cycle.leg) ||
           std::any_of(cycle.pieces.begin(), cycle.pieces.end(),
                       [&](const Piece& piece) { return depends(piece.leg); });
  });
}

}  // namespace

std::vector<sla::v1::ClockDrift> DriftsOf(const std::string& ticket_id,
                                          const records::TicketRecord& record, SlaMetric metric,
                                          const PolicyVersions& policies, absl::Time now) {
  std::vector<sla::v1::ClockDrift> drifts;
  const records::Clock* const stored = FindClock(record, metric);
  const Authority kept = AuthorityOf(stored);
  const std::vector<Fact> facts = FactsOf(record);
  Evaluation evaluation = Evaluate(facts, metric, policies, kept);
  // Unless a timer is on its way, everything up to now is judged, from the facts alone.
  if (!evaluation.pending || evaluation.pending->at > now) {
    Authority full;
    full.fired_until = std::max(now, kept.fired_until);
    full.warned = kept.warned;
    evaluation = Evaluate(facts, metric, policies, full);
  }
  const std::string judged_under = stored == nullptr ? "" : stored->tzdata_version();
  const bool tzdata_changed =
      !judged_under.empty() && judged_under != time::TzdataVersion() && DependsOnTzdata(evaluation);
  auto compare = [&](const char* field, const auto& was, const auto& is) {
    if (was == is) return;
    sla::v1::ClockDrift& drift = drifts.emplace_back();
    drift.set_cause(tzdata_changed ? sla::v1::CLOCK_DRIFT_CAUSE_TZDATA
                                   : sla::v1::CLOCK_DRIFT_CAUSE_FACTS);
    drift.set_stored_tzdata_version(judged_under);
    drift.set_ticket_id(ticket_id);
    drift.set_metric(metric);
    drift.set_field(field);
    drift.set_stored(absl::StrCat(was));
    drift.set_recomputed(absl::StrCat(is));
  };
  if (stored == nullptr) {
    compare("cycles", 0, static_cast<int>(evaluation.cycles.size()));
    return drifts;
  }
  records::Clock is;
  Summarise(evaluation, is);
  is.set_timer_us(evaluation.pending ? time::ToMicros(evaluation.pending->at) : 0);
  compare("cycles", stored->cycles(), is.cycles());
  if (evaluation.cycles.empty()) return drifts;
  compare("phase", stored->phase(), is.phase());
  compare("due", stored->due_us(), is.due_us());
  compare("used", stored->used_us(), is.used_us());
  compare("since", stored->since_us(), is.since_us());
  compare("breached", stored->breached(), is.breached());
  compare("rule", stored->rule(), is.rule());
  compare("policy_version", stored->policy_version(), is.policy_version());
  compare("timer", stored->timer_us(), is.timer_us());
  for (const Cycle& cycle : evaluation.cycles) {
    std::string told = "running";
    for (const records::Judged& judged : record.judged()) {
      if (judged.metric() == metric && judged.cycle() == cycle.number) told = judged.verdict();
    }
    compare("verdict", told, VerdictOf(evaluation.log, cycle.number));
  }
  return drifts;
}

}  // namespace tandem::sla_timer
