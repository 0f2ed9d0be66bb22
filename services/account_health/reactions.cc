#include "services/account_health/reactions.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/account_health/budget.h"
#include "services/account_health/clearance.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/contacts.h"
#include "services/account_health/health.h"
#include "services/account_health/holds.h"
#include "services/account_health/records.h"
#include "services/account_health/tickets.h"

namespace tandem::account_health {
namespace {

using records::Issue;
using records::TicketRecord;

// Accounts that one firing of the policy walk judges anew.
constexpr int64_t kWalkPage = 50;
// Clearances of somebody who left that one commit revokes.
constexpr int64_t kRevokePage = 50;

// Lets an entry wait until its ticket has an account.
absl::Status Wait(Work& work, Drafts::Draft<TicketRecord>& draft, std::string_view ticket_id,
                  const bus::Event& event) {
  TicketRecord& ticket = draft.Change();
  ticket.set_ticket_id(std::string(ticket_id));
  ticket.set_waiting_entries(ticket.waiting_entries() + 1);
  records::EntryRecord entry;
  entry.set_sequence(ticket.waiting_entries());
  entry.set_occurred_us(time::ToMicros(event.time));
  entry.set_source(event.source);
  entry.set_type(ShortName(event.type));
  entry.set_subject_id(event.subject);
  entry.set_event_id(event.id);
  std::string key = WaitingKey(ticket_id, entry.sequence());
  work.decision.Insert(Timeline(), std::move(key), std::move(entry));
  return absl::OkStatus();
}

// The ticket has an account now: what waited stands on its timeline, before what told the account.
absl::Status NoteWaiting(Work& work, TicketRecord& ticket) {
  for (int64_t sequence = 1; sequence <= ticket.waiting_entries(); ++sequence) {
    auto waiting = work.drafts.Open(Timeline(), WaitingKey(ticket.ticket_id(), sequence));
    if (!waiting.ok()) return waiting.status();
    if (!(*waiting)->exists()) continue;
    records::EntryRecord entry = ***waiting;
    (*waiting)->Erase();
    absl::StatusOr<int64_t> noted = work.Note(ticket.account_id(), std::move(entry));
    if (!noted.ok()) return noted.status();
  }
  ticket.set_waiting_entries(0);
  return absl::OkStatus();
}

// Holds the account because of the event's subject, and remembers to let it go.
absl::Status HoldForParked(Work& work, Drafts::Draft<records::ParkedRecord>& parked,
                           const std::string& account_id, const bus::Event& event) {
  const auto& known = parked->account_ids();
  if (std::find(known.begin(), known.end(), account_id) != known.end()) return absl::OkStatus();
  parked.Change().add_account_ids(account_id);
  return work.Park(account_id, event.subject, event.id);
}

struct TicketEvent {
  std::string_view ticket_id;
  std::string_view account_id;  // as the event says; empty = as the ticket is known
  IssueFact fact = IssueFact::kWorsened;
  bool is_always_worse = false;
};

// Changes what is known of the ticket and carries the difference through: timeline, stretches,
// health, holds and clearances, in this order.
Decided ChangeTicket(const TicketEvent& what, const EventCall& call,
                     absl::FunctionRef<void(TicketRecord&)> change) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto draft = work.drafts.Open(Tickets(), what.ticket_id);
  if (!draft.ok()) return draft.status();
  const TicketRecord before = ***draft;
  TicketRecord& ticket = (*draft)->Change();
  ticket.set_ticket_id(std::string(what.ticket_id));
  change(ticket);
  const int64_t at_us = std::max(ticket.last_us(), time::ToMicros(call.event.time));
  const absl::Time at = time::FromMicros(at_us);
  ticket.set_last_us(at_us);
  const bool has_left = !before.account_id().empty() && before.account_id() != ticket.account_id();

  // The timeline.
  const std::string told_account(what.account_id.empty() ? ticket.account_id() : what.account_id);
  if (told_account.empty()) {
    status = Wait(work, **draft, what.ticket_id, call.event);
    if (!status.ok()) return status;
  } else {
    if (ticket.waiting_entries() > 0 && !ticket.account_id().empty()) {
      status = NoteWaiting(work, ticket);
      if (!status.ok()) return status;
    }
    absl::StatusOr<int64_t> noted = work.NoteEvent(told_account, call.event);
    if (!noted.ok()) return noted.status();
    if (has_left && before.account_id() != told_account) {
      noted = work.NoteEvent(before.account_id(), call.event);
      if (!noted.ok()) return noted.status();
    }
  }

  // Stretches of time.
  KeepSpans(ticket, at);
  if (has_left) {
    auto left = work.drafts.Open(Tickets(), LeftKey(what.ticket_id, before.account_id()));
    if (!left.ok()) return left.status();
    TicketRecord& record = (*left)->Change();
    record.set_ticket_id(before.ticket_id());
    record.set_account_id(before.account_id());
    record.set_contact_id(before.contact_id());
    *record.mutable_watcher_contact_ids() = before.watcher_contact_ids();
    MoveSpans(ticket, before.account_id(), record);
  }

  // Health.
  if (!CountsTheSame(before, ticket)) {
    const account::v1::HealthPolicy& policy = work.policy().health();
    const Cause cause{call.event.id, ShortName(call.event.type), std::string(what.ticket_id), at};
    if (has_left || before.account_id().empty()) {
      if (has_left) {
        status = work.ChangeHealth(before.account_id(), cause, [&](records::HealthRecord& health) {
          CountTicket(health, before, -1, policy);
        });
        if (!status.ok()) return status;
      }
      if (!ticket.account_id().empty()) {
        status = work.ChangeHealth(ticket.account_id(), cause, [&](records::HealthRecord& health) {
          CountTicket(health, ticket, 1, policy);
        });
      }
    } else {
      status = work.ChangeHealth(ticket.account_id(), cause, [&](records::HealthRecord& health) {
        CountTicket(health, before, -1, policy);
        CountTicket(health, ticket, 1, policy);
      });
    }
    if (!status.ok()) return status;
  }

  // Holds and clearances.
  if (has_left) {
    status = work.ChangeIssue(before.account_id(), {.subject_id = std::string(what.ticket_id),
                                                    .after = nullptr,
                                                    .at = at,
                                                    .cause_event_id = call.event.id});
    if (!status.ok()) return status;
  }
  if (!ticket.account_id().empty()) {
    const std::optional<Issue> issue = IssueOf(ticket);
    status = work.ChangeIssue(ticket.account_id(), {.subject_id = std::string(what.ticket_id),
                                                    .after = issue.has_value() ? &*issue : nullptr,
                                                    .fact = what.fact,
                                                    .is_always_worse = what.is_always_worse,
                                                    .at = at,
                                                    .cause_event_id = call.event.id});
    if (!status.ok()) return status;
  }
  // Retried while later events of the ticket are still parked: its new account waits for them too.
  if (!ticket.account_id().empty() && ticket.account_id() != before.account_id()) {
    auto parked = work.drafts.Open(ParkedSubjects(), what.ticket_id);
    if (!parked.ok()) return parked.status();
    if ((*parked)->exists()) {
      status = HoldForParked(work, **parked, ticket.account_id(), call.event);
      if (!status.ok()) return status;
    }
  }
  return work.Finish();
}

// `is_breach`: told by the breach itself, whose instant counts before that of a correction.
Decided MissCycle(const events::v1::SlaClockRef& clock, absl::Time at, bool is_breach,
                  const EventCall& call) {
  return ChangeTicket({clock.ticket_id(), clock.account_id()}, call, [&](TicketRecord& ticket) {
    if (is_breach) DropBreach(ticket, clock.metric(), clock.cycle());
    AddBreach(ticket, clock.metric(), clock.cycle(), at);
    if (clock.metric() == type::v1::SLA_METRIC_RESOLUTION) {
      ticket.set_flags(ticket.flags() | kBreached);
    }
  });
}

bool IsBad(const account::v1::BadSurvey& policy, type::v1::SurveyKind kind, int32_t score) {
  switch (kind) {
    case type::v1::SURVEY_KIND_CSAT:
      return score <= policy.csat_at_most();
    case type::v1::SURVEY_KIND_CES:
      return score <= policy.ces_at_most();
    case type::v1::SURVEY_KIND_NPS:
      return score <= policy.nps_at_most();
    default:
      return false;
  }
}

// Nobody makes contact under a clearance of somebody who left. A page now, the rest by a timer.
absl::Status RevokeAllOf(Work& work, records::StaffTimer page, absl::Time now) {
  for (;;) {
    auto standing = SelectClearancesOf(work.drafts.view(), page.unnamed() ? "?" : page.staff_id(),
                                       page.after_clearance_id(), time::ToMicros(now), kRevokePage);
    if (!standing.ok()) return standing.status();
    for (const auto& row : *standing) {
      if (row->clearance().staff_id() != page.staff_id()) continue;
      absl::Status status =
          work.Revoke(row.key, {.reason = "staff_left", .cause_event_id = page.event_id()});
      if (!status.ok()) return status;
    }
    if (static_cast<int64_t>(standing->size()) == kRevokePage) {
      page.set_after_clearance_id(standing->back().key);
      const std::string timer = absl::StrCat("staff_left:", page.staff_id());
      const std::string key = page.staff_id();
      work.decision.SetTimer(timer, now, "staff_left", key, std::move(page));
      return absl::OkStatus();
    }
    if (page.unnamed()) return absl::OkStatus();
    page.set_unnamed(true);
    page.clear_after_clearance_id();
  }
}

// The timeline of a survey's event.
absl::Status NoteSurvey(Work& work, const events::v1::SurveyRef& survey, const bus::Event& event) {
  if (survey.account_id().empty()) return absl::OkStatus();
  return work.NoteEvent(survey.account_id(), event).status();
}

}  // namespace

Decided OnTicketOpened(const events::v1::TicketOpened& opened, const EventCall& call) {
  return ChangeTicket({opened.ticket_id(), opened.account_id(), IssueFact::kAppeared}, call,
                      [&](TicketRecord& ticket) {
                        ticket.set_account_id(opened.account_id());
                        ticket.set_contact_id(opened.contact_id());
                        *ticket.mutable_watcher_contact_ids() = opened.watcher_contact_ids();
                        ticket.set_internal(opened.internal());
                        ticket.set_suspected_spam(opened.suspected_spam());
                        ticket.set_state(type::v1::TICKET_STATE_OPEN);
                        if (!opened.frustration_rule().empty()) {
                          ticket.set_flags(ticket.flags() | kFrustrated);
                        }
                      });
}

Decided OnTicketRequesterResolved(const events::v1::TicketRequesterResolved& resolved,
                                  const EventCall& call) {
  return ChangeTicket({resolved.ticket_id(), resolved.account_id(), IssueFact::kAppeared}, call,
                      [&](TicketRecord& ticket) {
                        ticket.set_account_id(resolved.account_id());
                        ticket.set_contact_id(resolved.contact_id());
                      });
}

Decided OnTicketUpdated(const events::v1::TicketUpdated& updated, const EventCall& call) {
  const IssueFact fact =
      updated.previous_account_id().empty() ? IssueFact::kWorsened : IssueFact::kAppeared;
  return ChangeTicket({updated.ticket_id(), updated.account_id(), fact}, call,
                      [&](TicketRecord& ticket) {
                        if (!updated.account_id().empty())
                          ticket.set_account_id(updated.account_id());
                        if (!updated.contact_id().empty())
                          ticket.set_contact_id(updated.contact_id());
                        *ticket.mutable_watcher_contact_ids() = updated.watcher_contact_ids();
                        ticket.set_internal(updated.internal());
                        ticket.set_suspected_spam(updated.suspected_spam());
                      });
}

Decided OnTicketMessageAdded(const events::v1::TicketMessageAdded& added, const EventCall& call) {
  if (added.frustration_rule().empty()) {
    return NoteOnTimeline(added.ticket_id(), added.account_id(), call);
  }
  return ChangeTicket({added.ticket_id(), added.account_id()}, call,
                      [](TicketRecord& ticket) { ticket.set_flags(ticket.flags() | kFrustrated); });
}

Decided OnTicketResolved(const events::v1::TicketResolved& resolved, const EventCall& call) {
  return ChangeTicket(
      {resolved.ticket_id(), resolved.account_id()}, call,
      [](TicketRecord& ticket) { ticket.set_state(type::v1::TICKET_STATE_RESOLVED); });
}

Decided OnTicketReopened(const events::v1::TicketReopened& reopened, const EventCall& call) {
  return ChangeTicket({.ticket_id = reopened.ticket_id(),
                       .account_id = reopened.account_id(),
                       .is_always_worse = true},
                      call, [&](TicketRecord& ticket) {
                        ticket.set_state(type::v1::TICKET_STATE_OPEN);
                        ticket.set_flags(ticket.flags() | kReopened);
                        AddReopening(ticket, call.event.time);
                      });
}

Decided OnTicketClosed(const events::v1::TicketClosed& closed, const EventCall& call) {
  return ChangeTicket({closed.ticket_id(), closed.account_id()}, call, [&](TicketRecord& ticket) {
    ticket.set_state(type::v1::TICKET_STATE_CLOSED);
    ticket.set_spam(closed.reason() == type::v1::CLOSE_REASON_SPAM);
  });
}

Decided OnTicketTriaged(const events::v1::TicketTriaged& triaged, const EventCall& call) {
  return ChangeTicket({triaged.ticket_id(), triaged.account_id()}, call,
                      [&](TicketRecord& ticket) { ticket.set_severity(triaged.severity()); });
}

Decided OnSeverityChanged(const events::v1::SeverityChanged& changed, const EventCall& call) {
  // Severities count down from the worst.
  const bool is_raised = changed.to_severity() < changed.from_severity();
  return ChangeTicket({.ticket_id = changed.ticket_id(),
                       .account_id = changed.account_id(),
                       .is_always_worse = is_raised},
                      call,
                      [&](TicketRecord& ticket) { ticket.set_severity(changed.to_severity()); });
}

Decided OnSlaBreached(const events::v1::SlaBreached& breached, const EventCall& call) {
  return MissCycle(breached.clock(), time::Instant(breached.occurred_at()), /*is_breach=*/true,
                   call);
}

Decided OnSlaVerdictCorrected(const events::v1::SlaVerdictCorrected& corrected,
                              const EventCall& call) {
  const events::v1::SlaClockRef& clock = corrected.clock();
  // A cycle that is missed again, after it was corrected, has its own SlaBreached behind it.
  if (corrected.to_verdict() == "breached") {
    return MissCycle(clock, time::Instant(corrected.occurred_at()), /*is_breach=*/false, call);
  }
  if (corrected.from_verdict() != "breached") {
    return NoteOnTimeline(clock.ticket_id(), clock.account_id(), call);
  }
  return ChangeTicket({clock.ticket_id(), clock.account_id()}, call, [&](TicketRecord& ticket) {
    DropBreach(ticket, clock.metric(), clock.cycle());
    if (clock.metric() != type::v1::SLA_METRIC_RESOLUTION) return;
    const bool still = std::any_of(
        ticket.breaches().begin(), ticket.breaches().end(),
        [](const records::Breach& one) { return one.metric() == type::v1::SLA_METRIC_RESOLUTION; });
    if (!still) ticket.set_flags(ticket.flags() & ~kBreached);
  });
}

Decided OnSurveyInvited(const events::v1::SurveyInvited& invited, const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  status = NoteSurvey(work, invited.survey(), call.event);
  if (!status.ok()) return status;
  if (!invited.clearance_id().empty()) {
    auto clearance = work.drafts.Open(Clearances(), invited.clearance_id());
    if (!clearance.ok()) return clearance.status();
    if ((*clearance)->exists()) {
      UseClearance((*clearance)->Change(), invited.survey().contact_id(), call.event.time);
    }
  }
  if (!invited.survey().contact_id().empty()) {
    auto budget = work.drafts.Open(Budgets(), invited.survey().contact_id());
    if (!budget.ok()) return budget.status();
    const type::v1::OutreachTopic topic = invited.survey().kind() == type::v1::SURVEY_KIND_NPS
                                              ? type::v1::OUTREACH_TOPIC_SURVEY_NPS
                                              : type::v1::OUTREACH_TOPIC_SURVEY_TICKET;
    records::BudgetRecord& ledger = (*budget)->Change();
    ledger.set_account_id(invited.survey().account_id());
    const std::string use_id =
        invited.clearance_id().empty() ? invited.survey().survey_id() : invited.clearance_id();
    Use(ledger, invited.clearance_id(), use_id, topic, call.event.time,
        work.policy().contact_budget());
  }
  return work.Finish();
}

Decided OnSurveyAnswered(const events::v1::SurveyAnswered& answered, const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  status = NoteSurvey(work, answered.survey(), call.event);
  if (!status.ok()) return status;
  const std::string& account_id = answered.survey().account_id();
  if (answered.survey().kind() != type::v1::SURVEY_KIND_CSAT || account_id.empty()) {
    return work.Finish();
  }
  auto survey = work.drafts.Open(Surveys(), answered.survey().survey_id());
  if (!survey.ok()) return survey.status();
  const records::SurveyRecord before = ***survey;
  if (before.revision() >= answered.revision() && (*survey)->exists()) return work.Finish();
  records::SurveyRecord& after = (*survey)->Change();
  after.set_account_id(account_id);
  after.set_good(answered.score() >= 4);
  after.set_answered_us(time::ToMicros(call.event.time));
  after.set_revision(answered.revision());
  const account::v1::HealthPolicy& policy = work.policy().health();
  status = work.ChangeHealth(
      account_id,
      {call.event.id, ShortName(call.event.type), answered.survey().survey_id(), call.event.time},
      [&](records::HealthRecord& health) {
        if (before.revision() > 0) {
          CountCsat(health, time::FromMicros(before.answered_us()), before.good(), -1, policy);
        }
        CountCsat(health, call.event.time, after.good(), 1, policy);
      });
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnSurveyWithdrawn(const events::v1::SurveyWithdrawn& withdrawn, const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = NoteSurvey(work, withdrawn.survey(), call.event);
  if (!status.ok()) return status;
  if (!withdrawn.clearance_id().empty()) {
    status = work.Return(withdrawn.clearance_id());
    if (!status.ok()) return status;
    if (!withdrawn.survey().contact_id().empty()) {
      auto budget = work.drafts.Open(Budgets(), withdrawn.survey().contact_id());
      if (!budget.ok()) return budget.status();
      GiveBack((*budget)->Change(), withdrawn.clearance_id());
    }
  }
  return work.Finish();
}

Decided OnSurveyFollowUpRequested(const events::v1::SurveyFollowUpRequested& requested,
                                  const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  status = NoteSurvey(work, requested.survey(), call.event);
  if (!status.ok()) return status;
  const events::v1::SurveyRef& survey = requested.survey();
  if (survey.account_id().empty()) return work.Finish();
  auto follow_up = work.drafts.Open(FollowUps(), requested.follow_up_id());
  if (!follow_up.ok()) return follow_up.status();
  if ((*follow_up)->exists()) return work.Finish();
  records::FollowUpRecord& record = (*follow_up)->Change();
  record.set_account_id(survey.account_id());
  record.set_contact_id(survey.contact_id());
  record.set_from_us(time::ToMicros(call.event.time));
  record.set_bad(IsBad(work.policy().outreach().bad_survey(), survey.kind(), requested.score()));
  if (!record.bad()) return work.Finish();
  Issue issue;
  issue.set_subject_id(requested.follow_up_id());
  issue.set_flags(kFollowUp);
  issue.set_contact_id(survey.contact_id());
  status = work.ChangeIssue(survey.account_id(), {.subject_id = requested.follow_up_id(),
                                                  .after = &issue,
                                                  .at = call.event.time,
                                                  .cause_event_id = call.event.id});
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnSurveyFollowUpClosed(const events::v1::SurveyFollowUpClosed& closed,
                               const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = NoteSurvey(work, closed.survey(), call.event);
  if (!status.ok()) return status;
  auto follow_up = work.drafts.Open(FollowUps(), closed.follow_up_id());
  if (!follow_up.ok()) return follow_up.status();
  if (!(*follow_up)->exists() || (**follow_up)->to_us() != 0) return work.Finish();
  (*follow_up)
      ->Change()
      .set_to_us(std::max(time::ToMicros(call.event.time), (**follow_up)->from_us()));
  status = work.ChangeIssue((**follow_up)->account_id(), {.subject_id = closed.follow_up_id(),
                                                          .after = nullptr,
                                                          .at = call.event.time,
                                                          .cause_event_id = call.event.id});
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnSurveyOptedOut(const events::v1::SurveyOptedOut& opted, const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  auto draft = work.drafts.Open(Contacts(), opted.contact_id());
  if (!draft.ok()) return draft.status();
  if (!(*draft)->exists()) return work.Finish();
  account::v1::Contact contact = ***draft;
  absl::Status status = work.NoteEvent(contact.account_id(), call.event).status();
  if (!status.ok()) return status;
  std::set<int> topics(contact.opted_out().begin(), contact.opted_out().end());
  for (const auto topic :
       {type::v1::OUTREACH_TOPIC_SURVEY_TICKET, type::v1::OUTREACH_TOPIC_SURVEY_NPS}) {
    if (opted.opted_out()) {
      topics.insert(topic);
    } else {
      topics.erase(topic);
    }
  }
  if (topics == std::set<int>(contact.opted_out().begin(), contact.opted_out().end())) {
    return work.Finish();
  }
  *contact.mutable_opted_out() = {topics.begin(), topics.end()};
  contact.set_version(contact.version() + 1);
  *contact.mutable_updated_at() = time::Stamp(call.in.now);
  status = PutContact(work, contact, call.event.id);
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnStaffChanged(const events::v1::StaffChanged& changed, const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  auto staff = work.drafts.Open(Staff(), changed.staff_id());
  if (!staff.ok()) return staff.status();
  if ((*staff)->exists() && (**staff)->version() >= changed.version()) return work.Finish();
  records::StaffRecord& record = (*staff)->Change();
  record.set_version(changed.version());
  *record.mutable_roles() = changed.roles();
  const bool has_left = !changed.active() && ((**staff)->left_us() == 0);
  record.set_active(changed.active());
  if (changed.active()) {
    record.clear_left_us();
  } else if (has_left) {
    record.set_left_us(time::ToMicros(call.event.time));
  }
  if (has_left) {
    records::StaffTimer page;
    page.set_staff_id(changed.staff_id());
    page.set_event_id(call.event.id);
    absl::Status status = RevokeAllOf(work, std::move(page), call.in.now);
    if (!status.ok()) return status;
  }
  return work.Finish();
}

Decided OnStaffLeft(const corridor::FiredTimer&, const records::StaffTimer& payload,
                    const Policies& policies, const corridor::Inputs& in, corridor::View& view) {
  Work work(policies, in, view);
  auto staff = work.drafts.Open(Staff(), payload.staff_id());
  if (!staff.ok()) return staff.status();
  if ((**staff)->active()) return work.Finish();
  absl::Status status = RevokeAllOf(work, payload, in.now);
  if (!status.ok()) return status;
  return work.Finish();
}

Decided NoteOnTimeline(std::string_view ticket_id, std::string_view account_id,
                       const EventCall& call) {
  Work work(call.policies, call.in, call.view);
  if (!account_id.empty()) {
    absl::StatusOr<int64_t> noted = work.NoteEvent(account_id, call.event);
    if (!noted.ok()) return noted.status();
    return work.Finish();
  }
  if (ticket_id.empty()) return work.Finish();
  auto ticket = work.drafts.Open(Tickets(), ticket_id);
  if (!ticket.ok()) return ticket.status();
  absl::Status status = (**ticket)->account_id().empty()
                            ? Wait(work, **ticket, ticket_id, call.event)
                            : work.NoteEvent((**ticket)->account_id(), call.event).status();
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnParking(const bus::Event& event, bool parked, const std::string& named_account_id,
                  const Policies& policies, const corridor::Inputs& in, corridor::View& view) {
  Work work(policies, in, view);
  auto record = work.drafts.Open(ParkedSubjects(), event.subject);
  if (!record.ok()) return record.status();
  if (!parked) {
    for (const std::string& account_id : (**record)->account_ids()) {
      absl::Status status = work.Unpark(account_id, event.subject);
      if (!status.ok()) return status;
    }
    (*record)->Erase();
    return work.Finish();
  }
  // It stands also when no account is known yet: see ChangeTicket.
  if (!(*record)->exists()) (*record)->Change();
  std::set<std::string> account_ids;
  for (const std::string& account_id : {event.key, named_account_id}) {
    if (account_id.empty()) continue;
    auto account = work.drafts.Open(Accounts(), account_id);
    if (!account.ok()) return account.status();
    if ((*account)->exists()) account_ids.insert(account_id);
  }
  // A ticket that was opened without an account keeps its own id as the key of all about it.
  for (const std::string& ticket_id : {event.subject, event.key}) {
    auto ticket = work.drafts.Open(Tickets(), ticket_id);
    if (!ticket.ok()) return ticket.status();
    if (!(**ticket)->account_id().empty()) account_ids.insert((**ticket)->account_id());
  }
  for (const std::string& account_id : account_ids) {
    absl::Status status = HoldForParked(work, **record, account_id, event);
    if (!status.ok()) return status;
  }
  return work.Finish();
}

Decided OnDecay(const corridor::FiredTimer& timer, const records::AccountTimer& payload,
                const Policies& policies, const corridor::Inputs& in, corridor::View& view) {
  Work work(policies, in, view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  const account::v1::HealthPolicy& policy = work.policy().health();
  status = work.ChangeHealth(payload.account_id(), {timer.id, "window", "", timer.due},
                             [&](records::HealthRecord& health) {
                               health.set_decay_us(0);
                               Decay(health, timer.due, policy);
                             });
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnSettleDomain(const corridor::FiredTimer&, const records::DomainSettling& payload,
                       const Policies& policies, const corridor::Inputs& in, corridor::View& view) {
  Work work(policies, in, view);
  absl::Status status = SettleDomain(work, in, payload);
  if (!status.ok()) return status;
  return work.Finish();
}

Decided OnIndexAddresses(const corridor::FiredTimer&, const records::AddressIndexing& payload,
                         const Policies& policies, const corridor::Inputs& in,
                         corridor::View& view) {
  Work work(policies, in, view);
  absl::Status status = IndexAddresses(work, in, payload);
  if (!status.ok()) return status;
  return work.Finish();
}

absl::Status BeginPolicyWalk(const Policies::InForce& in_force, const corridor::Inputs& in,
                             corridor::View&, corridor::Decision& decision) {
  records::PolicyWalk walk;
  walk.set_version(in_force.ref.version());
  decision.SetTimer("policy_walk", in.now, "policy_walk", "policy_walk", std::move(walk));
  return absl::OkStatus();
}

Decided OnPolicyWalk(const corridor::FiredTimer&, const records::PolicyWalk& payload,
                     const Policies& policies, const corridor::Inputs& in, corridor::View& view) {
  Work work(policies, in, view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto accounts = SelectAccounts(view, {}, {}, payload.after_account_id(), kWalkPage);
  if (!accounts.ok()) return accounts.status();
  for (const auto& account : *accounts) {
    const Cause cause{absl::StrCat("policy:", kPolicyKind, ":", work.policy_version()), "policy",
                      "", in.now};
    status = work.ChangeHealth(account.key, cause, [](records::HealthRecord&) {});
    if (!status.ok()) return status;
    status = work.Rejudge(account.key, in.now);
    if (!status.ok()) return status;
  }
  if (static_cast<int64_t>(accounts->size()) == kWalkPage) {
    records::PolicyWalk next = payload;
    next.set_after_account_id(accounts->back().key);
    work.decision.SetTimer("policy_walk", in.now, "policy_walk", "policy_walk", std::move(next));
  }
  return work.Finish();
}

}  // namespace tandem::account_health
