#include "services/triage/reactions.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/time/stamp.h"
#include "services/triage/ownership.h"
#include "services/triage/records.h"
#include "services/triage/ticket_case.h"

namespace tandem::triage {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::View;
using records::ClocksRecord;
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

// The clock of `ref` in `clocks`; null = it does not run.
records::RunningClock* Find(const ev::SlaClockRef& ref, ClocksRecord& clocks) {
  for (records::RunningClock& clock : *clocks.mutable_running()) {
    if (clock.metric() == ref.metric() && clock.cycle() == ref.cycle()) return &clock;
  }
  return nullptr;
}

// Loads the ticket's clocks, lets `change` change them, and saves what differs.
template <typename Change>
ReactionResult ChangeClocks(const ev::SlaClockRef& ref, View& view, Change change) {
  auto loaded = view.Load(Clocks(), ref.ticket_id());
  if (!loaded.ok()) return loaded.status();
  ClocksRecord clocks;
  if (*loaded) clocks = **loaded;
  Decision decision;
  if (!change(clocks)) return decision;
  if (!clocks.running().empty()) {
    decision.Save(Clocks(), ref.ticket_id(), std::move(clocks));
  } else if (*loaded) {
    decision.Erase(Clocks(), ref.ticket_id());
  }
  return decision;
}

// The clock of `fact` runs until its due_at, if it has one.
template <typename Fact>
ReactionResult Runs(const Fact& fact, View& view) {
  return ChangeClocks(fact.clock(), view, [&](ClocksRecord& clocks) {
    records::RunningClock* clock = Find(fact.clock(), clocks);
    if (clock == nullptr) {
      clock = clocks.add_running();
      clock->set_metric(fact.clock().metric());
      clock->set_cycle(fact.clock().cycle());
    }
    clock->clear_due_at();
    if (fact.has_due_at()) *clock->mutable_due_at() = fact.due_at();
    return true;
  });
}

ReactionResult StandsStill(const ev::SlaClockRef& ref, View& view) {
  return ChangeClocks(ref, view, [&](ClocksRecord& clocks) {
    auto& running = *clocks.mutable_running();
    const auto gone = std::remove_if(running.begin(), running.end(), [&](const auto& clock) {
      return clock.metric() == ref.metric() && clock.cycle() == ref.cycle();
    });
    const bool ran = gone != running.end();
    running.erase(gone, running.end());
    return ran;
  });
}

// Tickets and escalations that one decision about somebody looks at.
constexpr int64_t kPage = 100;

// Whether an escalation waits for people of whom none is here any more, `staff_id` among them.
absl::StatusOr<bool> WaitsForGone(const records::EscalationRecord& record,
                                  const std::string& staff_id, const Rules& rules, absl::Time now,
                                  View& view) {
  const v1::Escalation& escalation = record.escalation();
  std::vector<std::string> waited_for;
  if (escalation.state() == v1::ESCALATION_STATE_ACKNOWLEDGED) {
    waited_for.push_back(escalation.acknowledged_by());
  } else if (!escalation.rings().empty()) {
    const auto& rung = escalation.rings(escalation.rings_size() - 1).staff_ids();
    waited_for.assign(rung.begin(), rung.end());
  }
  if (std::find(waited_for.begin(), waited_for.end(), staff_id) == waited_for.end()) return false;
  for (const std::string& one : waited_for) {
    auto staff = view.Load(StaffTable(), one);
    if (!staff.ok()) return staff.status();
    if (*staff && !IsGone(**staff, rules, now)) return false;
  }
  return true;
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
  // Nobody but the requester complains: not a bot, and not a stranger found by the thread.
  if (fact.frustration_rule().empty() || fact.author_kind() != type::v1::AUTHOR_KIND_REQUESTER) {
    return Decision();
  }
  return ChangeTicket(fact.ticket_id(), in.now, in, view, policies, [&](TicketCase& ticket) {
    ticket.CausedAt(time::Instant(fact.occurred_at()));
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
    ticket.CausedAt(time::Instant(fact.occurred_at()));
    // What was learned while it was resolved counts again.
    absl::Status done = ticket.Reopen(fact.reopening());
    if (done.ok()) done = ticket.Classify();
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
                        ticket.CausedAt(time::Instant(fact.occurred_at()));
                        return ticket.Trigger(v1::ESCALATION_TRIGGER_SLA_WARNING);
                      });
}

ReactionResult OnSlaBreached(const ev::SlaBreached& fact, const bus::Event&, const Inputs& in,
                             View& view, const Policies& policies) {
  return ChangeTicket(fact.clock().ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) {
                        ticket.CausedAt(time::Instant(fact.occurred_at()));
                        return ticket.Trigger(v1::ESCALATION_TRIGGER_SLA_BREACH);
                      });
}

ReactionResult OnSlaClockStarted(const ev::SlaClockStarted& fact, const bus::Event&, const Inputs&,
                                 View& view) {
  return Runs(fact, view);
}

ReactionResult OnSlaClockPaused(const ev::SlaClockPaused& fact, const bus::Event&, const Inputs&,
                                View& view) {
  return StandsStill(fact.clock(), view);
}

ReactionResult OnSlaClockResumed(const ev::SlaClockResumed& fact, const bus::Event&, const Inputs&,
                                 View& view) {
  return Runs(fact, view);
}

ReactionResult OnSlaMet(const ev::SlaMet& fact, const bus::Event&, const Inputs&, View& view) {
  return StandsStill(fact.clock(), view);
}

ReactionResult OnSlaStopped(const ev::SlaStopped& fact, const bus::Event&, const Inputs&,
                            View& view) {
  return StandsStill(fact.clock(), view);
}

ReactionResult OnSlaCancelled(const ev::SlaCancelled& fact, const bus::Event&, const Inputs&,
                              View& view) {
  return StandsStill(fact.clock(), view);
}

ReactionResult OnSlaVerdictCorrected(const ev::SlaVerdictCorrected& fact, const bus::Event&,
                                     const Inputs& in, View& view, const Policies& policies) {
  // One that runs on after all tells when it is due by its next event; a breached one may run.
  if (fact.to_verdict() == "met" || fact.to_verdict() == "cancelled") {
    return StandsStill(fact.clock(), view);
  }
  if (fact.to_verdict() != "breached") return Decision();
  return ChangeTicket(fact.clock().ticket_id(), in.now, in, view, policies,
                      [&](TicketCase& ticket) {
                        ticket.CausedAt(time::Instant(fact.occurred_at()));
                        return ticket.Trigger(v1::ESCALATION_TRIGGER_SLA_BREACH);
                      });
}

ReactionResult OnStaffTimer(const corridor::FiredTimer& timer, const records::StaffTimer& payload,
                            const Inputs& in, View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  auto staff = view.Load(StaffTable(), payload.staff_id());
  if (!staff.ok()) return staff.status();
  Decision decision;
  if (!*staff) return decision;
  records::StaffTimer next = payload;
  const auto go_on = [&](absl::Time due) {
    decision.SetTimer(timer.id, due, std::string(kStaffTimer), timer.key, next);
  };
  // The policy may give more time now than when the person went away.
  if ((*staff)->has_away_since() && (*staff)->staff().active()) {
    const absl::Time gone =
        time::Instant((*staff)->away_since()) + rules.release_unavailable_after();
    if (timer.id != absl::StrCat("staff:", payload.staff_id()) && in.now < gone) {
      if (gone < absl::InfiniteFuture()) go_on(gone);
      return decision;
    }
  }
  if (!payload.tickets_done()) {
    auto page = SelectOwned(view, payload.after_ticket(), kPage);
    if (!page.ok()) return page.status();
    for (const corridor::Loaded<TicketRecord>& ticket : *page) {
      next.set_after_ticket(ticket.key);
      if (ticket->assignee_id() != payload.staff_id() ||
          ReleaseReason(*ticket, **staff, rules, in.now).empty()) {
        continue;
      }
      records::ReleaseTimer release;
      release.set_ticket_id(ticket.key);
      release.set_staff_id(payload.staff_id());
      decision.SetTimer(ReleaseTimerId(ticket.key), in.now, std::string(kReleaseTimer),
                        ticket->bus_key(), std::move(release));
    }
    next.set_tickets_done(static_cast<int64_t>(page->size()) < kPage);
    go_on(in.now);
    return decision;
  }
  if (!IsGone(**staff, rules, in.now)) return decision;
  auto page = SelectLiveEscalations(view, payload.after_escalation(), kPage);
  if (!page.ok()) return page.status();
  for (const corridor::Loaded<records::EscalationRecord>& one : *page) {
    next.set_after_escalation(one.key);
    // By key: the timer belongs to the step that is checked at the commit.
    auto escalation = view.Load(Escalations(), one.key);
    if (!escalation.ok()) return escalation.status();
    auto waits = WaitsForGone(**escalation, payload.staff_id(), rules, in.now, view);
    if (!waits.ok()) return waits.status();
    if (*waits) SetEscalationTimer(**escalation, in.now, decision);
  }
  if (static_cast<int64_t>(page->size()) == kPage) go_on(in.now);
  return decision;
}

ReactionResult OnReleaseTimer(const corridor::FiredTimer&, const records::ReleaseTimer& payload,
                              const Inputs& in, View& view, const Policies& policies) {
  auto loaded = view.Load(Tickets(), payload.ticket_id());
  if (!loaded.ok()) return loaded.status();
  if (!*loaded || (*loaded)->phase() != records::PHASE_OPEN ||
      (*loaded)->assignee_id() != payload.staff_id()) {
    return Decision();
  }
  return ChangeTicket(payload.ticket_id(), in.now, in, view, policies,
                      [](TicketCase& ticket) { return ticket.ReleaseUnlessFit(); });
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
