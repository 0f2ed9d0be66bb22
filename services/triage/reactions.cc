#include "services/triage/reactions.h"

#include <string>
#include <utility>

#include "services/triage/records.h"
#include "services/triage/ticket_case.h"

namespace tandem::triage {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::View;
using records::TicketRecord;
namespace ev = events::v1;

// Changes a ticket that triage has seen, dated `at`; a fact about any other ticket, or about one
// that is closed, changes nothing here.
template <typename Change>
ReactionResult ChangeTicket(const std::string& ticket_id, absl::Time at, const Inputs& in,
                            View& view, const Policies& policies, Change change) {
  auto loaded = view.Load(Tickets(), ticket_id);
  if (!loaded.ok()) return loaded.status();
  if (!*loaded || (*loaded)->phase() == records::PHASE_CLOSED) return Decision();
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  TicketCase ticket(loaded->key, **loaded, loaded->version, at, *policy, in, view);
  if (const absl::Status done = change(ticket); !done.ok()) return done;
  return ticket.Finish();
}

}  // namespace

ReactionResult OnTicketOpened(const ev::TicketOpened& fact, const bus::Event& event,
                              const Inputs& in, View& view, const Policies& policies) {
  auto loaded = view.Load(Tickets(), fact.ticket_id());
  if (!loaded.ok()) return loaded.status();
  if (*loaded) return Decision();
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  TicketRecord record;
  record.set_bus_key(event.key);
  record.set_account_id(fact.account_id());
  record.set_phase(records::PHASE_OPEN);
  *record.mutable_opened_at() = fact.occurred_at();
  // No fact about a ticket is older than its opening.
  *record.mutable_last_fact_at() = fact.occurred_at();
  v1::TicketFacts& facts = *record.mutable_facts();
  facts.set_impact(fact.impact());
  facts.set_urgency(fact.urgency());
  facts.set_product(fact.product());
  facts.set_category(fact.category());
  facts.set_contact_level(fact.contact_level());
  facts.set_segment(fact.segment());
  facts.set_stage(fact.stage());
  facts.set_channel(fact.channel());
  *facts.mutable_tags() = fact.tags();
  facts.set_language(fact.language());
  facts.set_frustrated(!fact.frustration_rule().empty());
  facts.set_affected_users(fact.affected_users());
  TicketCase ticket(fact.ticket_id(), std::move(record), 0, in.now, *policy, in, view);
  if (const absl::Status done = ticket.Classify(); !done.ok()) return done;
  if (!fact.frustration_rule().empty()) {
    const absl::Status raised = ticket.Trigger(v1::ESCALATION_TRIGGER_FRUSTRATION);
    if (!raised.ok()) return raised;
  }
  return ticket.Finish();
}

ReactionResult OnTicketUpdated(const ev::TicketUpdated& fact, const bus::Event&, const Inputs& in,
                               View& view, const Policies& policies) {
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies, [&](TicketCase& ticket) {
    TicketRecord& record = ticket.record();
    record.set_account_id(fact.account_id());
    v1::TicketFacts& facts = *record.mutable_facts();
    facts.set_impact(fact.impact());
    facts.set_urgency(fact.urgency());
    facts.set_product(fact.product());
    facts.set_category(fact.category());
    facts.set_contact_level(fact.contact_level());
    facts.set_segment(fact.segment());
    facts.set_stage(fact.stage());
    *facts.mutable_tags() = fact.tags();
    facts.set_language(fact.language());
    facts.set_affected_users(fact.affected_users());
    return ticket.Classify();
  });
}

ReactionResult OnTicketRequesterResolved(const ev::TicketRequesterResolved& fact, const bus::Event&,
                                         const Inputs& in, View& view, const Policies& policies) {
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies, [&](TicketCase& ticket) {
    ticket.record().set_account_id(fact.account_id());
    v1::TicketFacts& facts = *ticket.record().mutable_facts();
    facts.set_contact_level(fact.contact_level());
    facts.set_segment(fact.segment());
    facts.set_stage(fact.stage());
    return ticket.Classify();
  });
}

ReactionResult OnTicketMessageAdded(const ev::TicketMessageAdded& fact, const bus::Event&,
                                    const Inputs& in, View& view, const Policies& policies) {
  if (fact.frustration_rule().empty()) return Decision();
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies, [&](TicketCase& ticket) {
    ticket.record().mutable_facts()->set_frustrated(true);
    const absl::Status done = ticket.Classify();
    return done.ok() ? ticket.Trigger(v1::ESCALATION_TRIGGER_FRUSTRATION) : done;
  });
}

ReactionResult OnTicketResolved(const ev::TicketResolved& fact, const bus::Event&, const Inputs& in,
                                View& view, const Policies& policies) {
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) { return ticket.End(records::PHASE_RESOLVED); });
}

ReactionResult OnTicketClosed(const ev::TicketClosed& fact, const bus::Event&, const Inputs& in,
                              View& view, const Policies& policies) {
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) { return ticket.End(records::PHASE_CLOSED); });
}

ReactionResult OnTicketReopened(const ev::TicketReopened& fact, const bus::Event&, const Inputs& in,
                                View& view, const Policies& policies) {
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies, [&](TicketCase& ticket) {
    ticket.Reopen(fact.reopening());
    // What was learned while it was resolved counts again.
    const absl::Status done = ticket.Classify();
    if (!done.ok()) return done;
    auto policy = policies.Current(view);
    if (!policy.ok()) return policy.status();
    return fact.reopening() >= policy->made->reopenings_to_escalate()
               ? ticket.Trigger(v1::ESCALATION_TRIGGER_REOPENED)
               : absl::OkStatus();
  });
}

ReactionResult OnSlaWarning(const ev::SlaWarning& fact, const bus::Event&, const Inputs& in,
                            View& view, const Policies& policies) {
  return ChangeTicket(fact.clock().ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) {
                        *ticket.record().mutable_due_at() = fact.due_at();
                        return ticket.Trigger(v1::ESCALATION_TRIGGER_SLA_WARNING);
                      });
}

ReactionResult OnSlaBreached(const ev::SlaBreached& fact, const bus::Event&, const Inputs& in,
                             View& view, const Policies& policies) {
  return ChangeTicket(
      fact.clock().ticket_id(), in.now, in, view, policies,
      [&](TicketCase& ticket) { return ticket.Trigger(v1::ESCALATION_TRIGGER_SLA_BREACH); });
}

ReactionResult OnEscalationTimer(const corridor::FiredTimer& timer,
                                 const records::EscalationTimer& payload, const Inputs& in,
                                 View& view, const Policies& policies) {
  auto escalation = view.Load(Escalations(), payload.escalation_id());
  if (!escalation.ok()) return escalation.status();
  if (!*escalation || (*escalation)->step() != payload.step()) return Decision();
  // As of the due instant, also when it fires late.
  return ChangeTicket((*escalation)->escalation().ticket_id(), timer.due, in, view, policies,
                      [&](TicketCase& ticket) -> absl::Status {
                        ticket.KeepTicket();
                        const absl::Status loaded = ticket.LoadEscalation(escalation->key);
                        return loaded.ok() ? ticket.EscalationDue(payload.step()) : loaded;
                      });
}

ReactionResult OnTextTimer(const corridor::FiredTimer&, const records::TextTimer& payload,
                           const Inputs& in, View& view, const Policies& policies) {
  return ChangeTicket(payload.ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) -> absl::Status {
                        if (!ticket.is_open() || !ticket.record().text_pending()) {
                          return absl::OkStatus();
                        }
                        return ticket.Classify(payload.attempt());
                      });
}

ReactionResult OnParking(const bus::Event& event, bool parked, const Inputs&, View& view) {
  auto loaded = view.Load(Tickets(), event.subject);
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded || (*loaded)->is_parked() == parked) return decision;
  TicketRecord record = **loaded;
  record.set_is_parked(parked);
  decision.Save(Tickets(), loaded->key, std::move(record));
  return decision;
}

}  // namespace tandem::triage
