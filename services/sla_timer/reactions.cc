#include "services/sla_timer/reactions.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/sla_timer/answers.h"
#include "services/sla_timer/records.h"
#include "services/sla_timer/ticket_clocks.h"

namespace tandem::sla_timer {
namespace {

using corridor::Decision;
using corridor::Loaded;
using records::TicketRecord;

absl::StatusOr<records::PolicyHistory> LoadHistory(corridor::View& view) {
  auto history = view.Load(PolicyHistories(), kHistoryKey);
  if (!history.ok()) return history.status();
  return *history ? **history : records::PolicyHistory();
}

std::string SweepId(int64_t version) {
  return absl::StrCat(std::string(kSweepTimer), ":", version);
}

// Begins the verification in the background at the policy's pace, or ends it. Noted in the history,
// which every opening loads anyway: so a service that never had a policy applied begins it with its
// first ticket, and every later one only sees that it was.
void SettleVerification(const SlaRules& rules, const corridor::Inputs& in,
                        records::PolicyHistory& history, Decision& decision) {
  history.set_verification_settled(true);
  const VerificationPace& pace = rules.verification();
  if (pace.tickets == 0) {
    decision.CancelTimer(std::string(kVerifyTimer));
    return;
  }
  decision.SetTimer(std::string(kVerifyTimer), in.now + pace.every, std::string(kVerifyTimer),
                    std::string(kVerifyTimer), records::VerifyTimer());
}

// Puts the record through the rules and saves it.
absl::Status JudgeAndSave(const std::string& ticket_id, TicketRecord record, int facts_before,
                          const std::optional<Firing>& firing, const Policies& policies,
                          const corridor::Inputs& in, corridor::View& view, Decision& decision) {
  const absl::StatusOr<PolicyVersions> versions = LoadVersions(record, policies, view);
  if (!versions.ok()) return versions.status();
  Judge(ticket_id, record, facts_before, firing, *versions, in, decision);
  decision.Save(Tickets(), ticket_id, std::move(record));
  return absl::OkStatus();
}

template <typename E>
records::Fact FactOf(const E& event, FactKind kind, const Context& context) {
  records::Fact fact;
  fact.set_kind(static_cast<int>(kind));
  fact.set_at_us(time::MicrosOf(event.occurred_at()));
  fact.set_event_id(context.event.id);
  return fact;
}

template <typename E>
records::Fact IntakeFact(const E& event, FactKind kind, const Context& context) {
  records::Fact fact = FactOf(event, kind, context);
  fact.set_ticket_version(event.version());
  return fact;
}

// What every fact about a known ticket goes through.
absl::StatusOr<Decision> Take(const std::string& ticket_id, const std::string& account_id,
                              records::Fact fact, const Context& context) {
  auto loaded = context.view.Load(Tickets(), ticket_id);
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded) return decision;
  TicketRecord record = **loaded;
  const int facts_before = record.facts_size();
  const bool moved = !account_id.empty() && account_id != record.account_id();
  if (moved) record.set_account_id(account_id);
  const absl::StatusOr<records::PolicyHistory> history = LoadHistory(context.view);
  if (!history.ok()) return history.status();
  absl::Status taken = TakePolicies(record, *history);
  if (!taken.ok()) return taken;
  const FactKind kind = static_cast<FactKind>(fact.kind());
  const absl::StatusOr<bool> added = AddFact(record, std::move(fact));
  if (!added.ok()) return added.status();
  if (*added && (kind == FactKind::kClosed || kind == FactKind::kSpam)) record.set_closed(true);
  if (record.facts_size() == facts_before) {
    if (moved) decision.Save(Tickets(), ticket_id, std::move(record));
    return decision;
  }
  absl::Status judged = JudgeAndSave(ticket_id, std::move(record), facts_before, std::nullopt,
                                     context.policies, context.in, context.view, decision);
  if (!judged.ok()) return judged;
  return decision;
}

}  // namespace

absl::StatusOr<PolicyVersions> LoadVersions(const TicketRecord& record, const Policies& policies,
                                            corridor::View& view) {
  PolicyVersions versions;
  for (const int64_t version : VersionsOf(record)) {
    absl::StatusOr<Policies::InForce> policy = policies.At(view, version);
    if (!policy.ok()) return policy.status();
    versions.Add(version, policy->made);
  }
  return versions;
}

absl::StatusOr<Decision> OnOpened(const events::v1::TicketOpened& event, const Context& context) {
  auto loaded = context.view.Load(Tickets(), event.ticket_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (*loaded) return decision;
  absl::StatusOr<records::PolicyHistory> history = LoadHistory(context.view);
  if (!history.ok()) return history.status();
  if (!history->verification_settled()) {
    const absl::StatusOr<Policies::InForce> current = context.policies.Current(context.view);
    if (!current.ok()) return current.status();
    SettleVerification(*current->made, context.in, *history, decision);
    decision.Save(PolicyHistories(), std::string(kHistoryKey), *history);
  }
  records::Fact fact = IntakeFact(event, FactKind::kOpened, context);
  fact.set_segment(event.segment());
  fact.set_contact_level(event.contact_level());
  fact.set_channel(event.channel());
  fact.set_category(event.category());
  fact.set_internal(event.internal());
  fact.set_policy_version(VersionInForce(*history));
  if (plant::Has(plant::Mistake::kOlderPolicy)) {
    for (const records::PolicyLine& line : history->lines()) {
      if (line.applied_us() > fact.at_us()) break;
      fact.set_policy_version(line.version());
    }
  }
  TicketRecord record;
  record.set_account_id(event.account_id());
  record.set_bus_key(context.event.key);
  record.set_policy_version(fact.policy_version());
  *record.add_facts() = std::move(fact);
  absl::Status taken = TakePolicies(record, *history);
  if (!taken.ok()) return taken;
  absl::Status judged = JudgeAndSave(event.ticket_id(), std::move(record), 0, std::nullopt,
                                     context.policies, context.in, context.view, decision);
  if (!judged.ok()) return judged;
  return decision;
}

absl::StatusOr<Decision> OnUpdated(const events::v1::TicketUpdated& event, const Context& context) {
  records::Fact fact = IntakeFact(event, FactKind::kAttributes, context);
  fact.set_segment(event.segment());
  fact.set_contact_level(event.contact_level());
  fact.set_category(event.category());
  fact.set_internal(event.internal());
  return Take(event.ticket_id(), event.account_id(), std::move(fact), context);
}

absl::StatusOr<Decision> OnRequesterResolved(const events::v1::TicketRequesterResolved& event,
                                             const Context& context) {
  auto loaded = context.view.Load(Tickets(), event.ticket_id());
  if (!loaded.ok()) return loaded.status();
  records::Fact fact = IntakeFact(event, FactKind::kAttributes, context);
  fact.set_segment(event.segment());
  fact.set_contact_level(event.contact_level());
  // The category, and whether it is internal, are not told here: they stay what they were.
  if (*loaded) {
    for (const records::Fact& known : (*loaded)->facts()) {
      const FactKind kind = static_cast<FactKind>(known.kind());
      if (kind == FactKind::kOpened || kind == FactKind::kAttributes) {
        fact.set_category(known.category());
        fact.set_internal(known.internal());
      }
    }
  }
  return Take(event.ticket_id(), event.account_id(), std::move(fact), context);
}

// Only a person's public answer counts: a bot, a note among staff or the customer is no response.
absl::StatusOr<Decision> OnMessageAdded(const events::v1::TicketMessageAdded& event,
                                        const Context& context) {
  if (event.author_kind() != type::v1::AUTHOR_KIND_AGENT ||
      event.visibility() != type::v1::VISIBILITY_PUBLIC) {
    return Decision();
  }
  return Take(event.ticket_id(), event.account_id(), IntakeFact(event, FactKind::kReply, context),
              context);
}

absl::StatusOr<Decision> OnStateChanged(const events::v1::TicketStateChanged& event,
                                        const Context& context) {
  const bool is_merged = event.to_state() == type::v1::TICKET_STATE_MERGED;
  records::Fact fact = IntakeFact(event, is_merged ? FactKind::kMerged : FactKind::kState, context);
  fact.set_state(event.to_state());
  return Take(event.ticket_id(), event.account_id(), std::move(fact), context);
}

absl::StatusOr<Decision> OnResolved(const events::v1::TicketResolved& event,
                                    const Context& context) {
  const FactKind kind = event.resolved_by() == type::v1::RESOLVED_BY_SELF_SERVICE
                            ? FactKind::kSelfServed
                            : FactKind::kResolved;
  return Take(event.ticket_id(), event.account_id(), IntakeFact(event, kind, context), context);
}

absl::StatusOr<Decision> OnReopened(const events::v1::TicketReopened& event,
                                    const Context& context) {
  return Take(event.ticket_id(), event.account_id(),
              IntakeFact(event, FactKind::kReopened, context), context);
}

absl::StatusOr<Decision> OnClosed(const events::v1::TicketClosed& event, const Context& context) {
  const FactKind kind =
      event.reason() == type::v1::CLOSE_REASON_SPAM ? FactKind::kSpam : FactKind::kClosed;
  return Take(event.ticket_id(), event.account_id(), IntakeFact(event, kind, context), context);
}

absl::StatusOr<Decision> OnTriaged(const events::v1::TicketTriaged& event, const Context& context) {
  records::Fact fact = FactOf(event, FactKind::kTriaged, context);
  fact.set_severity(event.severity());
  return Take(event.ticket_id(), event.account_id(), std::move(fact), context);
}

absl::StatusOr<Decision> OnSeverityChanged(const events::v1::SeverityChanged& event,
                                           const Context& context) {
  records::Fact fact = FactOf(event, FactKind::kSeverity, context);
  fact.set_severity(event.to_severity());
  return Take(event.ticket_id(), event.account_id(), std::move(fact), context);
}

absl::StatusOr<Decision> OnAssignmentAccepted(const events::v1::AssignmentAccepted& event,
                                              const Context& context) {
  return Take(event.ticket_id(), event.account_id(), FactOf(event, FactKind::kOwned, context),
              context);
}

absl::StatusOr<Decision> OnClockTimer(const corridor::FiredTimer& timer,
                                      const records::ClockTimer& payload, const Policies& policies,
                                      const corridor::Inputs& in, corridor::View& view) {
  auto loaded = view.Load(Tickets(), payload.ticket_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded) return decision;
  const records::Clock* const clock = FindClock(**loaded, payload.metric());
  if (clock == nullptr || clock->timer_us() != time::ToMicros(timer.due)) return decision;
  Firing firing;
  firing.metric = payload.metric();
  firing.due = timer.due;
  firing.judged_while_lagging = timer.judged_while_lagging;
  absl::Status judged = JudgeAndSave(payload.ticket_id(), **loaded, (*loaded)->facts_size(), firing,
                                     policies, in, view, decision);
  if (!judged.ok()) return judged;
  return decision;
}

absl::Status OnPolicyApplied(const Policies::InForce& in_force, const corridor::Inputs& in,
                             corridor::View& view, Decision& decision) {
  absl::StatusOr<records::PolicyHistory> history = LoadHistory(view);
  if (!history.ok()) return history.status();
  records::PolicyLine& line = *history->add_lines();
  line.set_version(in_force.ref.version());
  line.set_applied_us(time::ToMicros(in.now));
  line.set_takes_open_tickets(in_force.made->takes_open_tickets());
  SettleVerification(*in_force.made, in, *history, decision);
  decision.Save(PolicyHistories(), std::string(kHistoryKey), *std::move(history));
  if (in_force.made->takes_open_tickets()) {
    records::PolicySweep sweep;
    sweep.set_version(in_force.ref.version());
    decision.SetTimer(SweepId(in_force.ref.version()), in.now, std::string(kSweepTimer),
                      std::string(kSweepTimer), std::move(sweep));
  }
  return absl::OkStatus();
}

absl::StatusOr<Decision> OnSweepTimer(const records::PolicySweep& payload, int most,
                                      const Policies& policies, const corridor::Inputs& in,
                                      corridor::View& view) {
  auto rows = SelectOpenUnder(view, payload.version(), payload.after_ticket_id(), most);
  if (!rows.ok()) return rows.status();
  const absl::StatusOr<records::PolicyHistory> history = LoadHistory(view);
  if (!history.ok()) return history.status();
  Decision decision;
  for (const Loaded<TicketRecord>& row : *rows) {
    TicketRecord record = *row;
    const int facts_before = record.facts_size();
    absl::Status taken = TakePolicies(record, *history);
    if (taken.ok() && record.facts_size() > facts_before) {
      absl::Status judged = JudgeAndSave(row.key, std::move(record), facts_before, std::nullopt,
                                         policies, in, view, decision);
      if (!judged.ok()) return judged;
    }
  }
  if (rows->size() == static_cast<size_t>(most)) {
    records::PolicySweep next = payload;
    next.set_after_ticket_id(rows->back().key);
    decision.SetTimer(SweepId(payload.version()), in.now, std::string(kSweepTimer),
                      std::string(kSweepTimer), std::move(next));
  }
  return decision;
}

absl::StatusOr<Decision> OnVerifyTimer(const Policies& policies, const corridor::Inputs& in,
                                       corridor::View& view) {
  const absl::StatusOr<Policies::InForce> current = policies.Current(view);
  if (!current.ok()) return current.status();
  const VerificationPace& pace = current->made->verification();
  Decision decision;
  if (pace.tickets == 0) return decision;
  auto loaded = view.Load(Verifications(), kHistoryKey);
  if (!loaded.ok()) return loaded.status();
  records::VerificationRecord record = *loaded ? **loaded : records::VerificationRecord();
  const auto rows = SelectAll(view, record.after_ticket_id(), pace.tickets);
  if (!rows.ok()) return rows.status();
  for (const Loaded<TicketRecord>& row : *rows) {
    const absl::StatusOr<PolicyVersions> versions = LoadVersions(*row, policies, view);
    if (absl::IsUnavailable(versions.status())) return versions.status();
    record.set_compared(record.compared() + row->clocks_size());
    for (const type::v1::SlaMetric metric : kMetrics) {
      // Clocks whose policy is missing or broken cannot be recomputed, which is a difference too.
      if (!versions.ok()) {
        if (FindClock(*row, metric) != nullptr) record.set_differing(record.differing() + 1);
        continue;
      }
      const auto drifts = DriftsOf(row.key, *row, metric, *versions, in.now);
      if (drifts.empty()) continue;
      if (drifts.front().cause() == sla::v1::CLOCK_DRIFT_CAUSE_TZDATA) {
        record.set_tzdata_differing(record.tzdata_differing() + 1);
      } else {
        record.set_differing(record.differing() + 1);
      }
    }
  }
  if (rows->size() < static_cast<size_t>(pace.tickets)) {
    record.set_last_differing(record.differing());
    record.set_differing(0);
    record.set_last_tzdata_differing(record.tzdata_differing());
    record.set_tzdata_differing(0);
    record.set_rounds(record.rounds() + 1);
    record.set_round_ended_us(time::ToMicros(in.now));
    record.clear_after_ticket_id();
  } else {
    record.set_after_ticket_id(rows->back().key);
  }
  decision.Save(Verifications(), std::string(kHistoryKey), std::move(record));
  // From now on rather than from the due instant: after a stop there is nothing to catch up with.
  decision.SetTimer(std::string(kVerifyTimer), in.now + pace.every, std::string(kVerifyTimer),
                    std::string(kVerifyTimer), records::VerifyTimer());
  return decision;
}

}  // namespace tandem::sla_timer
