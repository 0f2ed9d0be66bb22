#include "services/survey/reactions.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/id/id.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"
#include "services/survey/invitation.h"
#include "services/survey/records.h"
#include "services/survey/survey_change.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"

namespace tandem::survey {
namespace {

using corridor::Decision;
using corridor::FiredTimer;
using corridor::Inputs;
using corridor::Loaded;
using corridor::View;
using records::SurveyRecord;
using records::TicketRecord;
namespace av = account::v1;
namespace ev = events::v1;
namespace sv = survey::v1;

// A ticket that moves takes the surveys of its latest resolutions along.
constexpr int64_t kMaxFollowed = 20;

bool IsWaiting(const sv::Survey& survey) {
  return survey.state() == sv::SURVEY_STATE_PLANNED || survey.state() == sv::SURVEY_STATE_INVITED;
}

// A ticket as it is known, and as the event at hand leaves it.
struct KnownTicket {
  Loaded<TicketRecord> before;
  TicketRecord after;
};

absl::StatusOr<KnownTicket> LoadTicket(View& view, const std::string& ticket_id,
                                       const bus::Event& event) {
  auto loaded = view.Load(Tickets(), ticket_id);
  if (!loaded.ok()) return loaded.status();
  KnownTicket ticket;
  ticket.before = *std::move(loaded);
  if (ticket.before) ticket.after = *ticket.before;
  // The key of a ticket's events never changes (architecture §1).
  if (ticket.after.bus_key().empty()) ticket.after.set_bus_key(event.key);
  return ticket;
}

// Unanswered surveys follow a ticket to another account; one that was not sent yet goes to the new
// requester.
absl::Status FollowTicket(const KnownTicket& ticket, View& view, Decision& decision) {
  if (!ticket.before || ticket.after.resolution() == 0) return absl::OkStatus();
  if (ticket.before->account_id() == ticket.after.account_id() &&
      ticket.before->contact_id() == ticket.after.contact_id()) {
    return absl::OkStatus();
  }
  const int64_t newest = ticket.after.resolution();
  for (int64_t r = newest; r > 0 && r > newest - kMaxFollowed; --r) {
    auto loaded = view.Load(Surveys(), SurveyId(ticket.before.key, r));
    if (!loaded.ok()) return loaded.status();
    if (!*loaded || !IsWaiting((*loaded)->survey())) continue;
    SurveyRecord record = **loaded;
    record.mutable_survey()->set_account_id(ticket.after.account_id());
    if (record.survey().state() == sv::SURVEY_STATE_PLANNED) {
      record.mutable_survey()->set_contact_id(ticket.after.contact_id());
    }
    decision.Save(Surveys(), loaded->key, std::move(record));
  }
  return absl::OkStatus();
}

void SaveTicket(KnownTicket ticket, Decision& decision) {
  // Most facts of a ticket repeat what is known: then there is nothing to write.
  if (ticket.before && ticket.before->SerializeAsString() == ticket.after.SerializeAsString()) {
    return;
  }
  decision.Save(Tickets(), ticket.before.key, std::move(ticket.after));
}

template <typename Change>
Decided ChangeTicket(View& view, const std::string& ticket_id, const bus::Event& event,
                     Change change) {
  auto ticket = LoadTicket(view, ticket_id, event);
  if (!ticket.ok()) return ticket.status();
  change(ticket->after);
  Decision decision;
  absl::Status status = FollowTicket(*ticket, view, decision);
  if (!status.ok()) return status;
  SaveTicket(*std::move(ticket), decision);
  return decision;
}

// Asks for a survey of the ticket's last resolution if a rule of the policy in force wants one at
// this trigger, and that resolution has none yet.
absl::Status Plan(const std::string& ticket_id, const TicketRecord& ticket,
                  sv::SurveyTrigger trigger, absl::Time at, View& view, const Policies& policies,
                  Decision& decision) {
  if (ticket.resolution() == 0) return absl::OkStatus();
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rule* rule = policy->made->Find({ticket.segment(), ticket.category(), ticket.severity()});
  if (rule == nullptr || rule->trigger != trigger) return absl::OkStatus();
  auto loaded = view.Load(Surveys(), SurveyId(ticket_id, ticket.resolution()));
  if (!loaded.ok()) return loaded.status();
  if (*loaded) return absl::OkStatus();

  SurveyChange change(*loaded, at, &decision);
  SurveyRecord& record = change.record();
  record.set_bus_key(ticket.bus_key());
  record.mutable_plan()->set_reminder_after_us(absl::ToInt64Microseconds(rule->reminder_after));
  record.mutable_plan()->set_expires_after_us(absl::ToInt64Microseconds(rule->expires_after));
  record.mutable_plan()->set_bad_at_most(rule->bad_at_most);
  record.mutable_plan()->set_follow_up(rule->follow_up);
  record.mutable_plan()->set_retry_for_us(absl::ToInt64Microseconds(policy->made->retry_for()));
  record.mutable_plan()->set_retry_every_us(absl::ToInt64Microseconds(policy->made->retry_every()));
  sv::Survey& survey = change.survey();
  survey.set_kind(rule->kind);
  survey.set_state(sv::SURVEY_STATE_PLANNED);
  survey.set_ticket_id(ticket_id);
  survey.set_resolution(ticket.resolution());
  survey.set_assignee_id(ticket.assignee_id());
  *survey.mutable_planned_at() = time::Stamp(at);
  *survey.mutable_policy() = policy->ref;
  survey.mutable_policy()->set_rule(rule->name);
  change.CopyFacts(ticket);
  if (ticket.internal()) {
    change.Suppress(kInternal);
  } else {
    const absl::Time due = at + rule->delay;
    *record.mutable_first_try_at() = time::Stamp(due);
    *survey.mutable_next_try_at() = time::Stamp(due);
    change.SetTimer(kInvite, due);
  }
  change.Save();
  return absl::OkStatus();
}

// Takes back the survey of the ticket's last resolution unless it was answered.
absl::Status WithdrawWaiting(const std::string& ticket_id, const TicketRecord& ticket,
                             absl::Time at, View& view, Decision& decision) {
  if (ticket.resolution() == 0) return absl::OkStatus();
  auto loaded = view.Load(Surveys(), SurveyId(ticket_id, ticket.resolution()));
  if (!loaded.ok()) return loaded.status();
  if (!*loaded || !IsWaiting((*loaded)->survey())) return absl::OkStatus();
  // It had expired by then, whether or not its timer has said so yet.
  if ((*loaded)->survey().has_expires_at() &&
      at >= time::Instant((*loaded)->survey().expires_at())) {
    return absl::OkStatus();
  }
  SurveyChange change(*loaded, at, &decision);
  change.Withdraw();
  change.Save();
  return absl::OkStatus();
}

// ---- questions to account_health

// The `number`-th question of a survey for this clearance. Its name makes its request_id: a
// question whose answer got lost is put again as it was and finds the clearance that it was given,
// instead of asking for a second one against the first one's units.
std::string ClearanceQuestion(const sv::Survey& survey, const char* purpose, int32_t number) {
  return id::Derive("ask", {survey.survey_id(), purpose, absl::StrCat(number), survey.account_id(),
                            survey.contact_id()});
}

corridor::Question AskClearance(const sv::Survey& survey, const char* purpose, int32_t number) {
  auto request = std::make_shared<av::CheckOutreachRequest>();
  const std::string name = ClearanceQuestion(survey, purpose, number);
  request->set_request_id(name);
  request->set_account_id(survey.account_id());
  request->set_contact_id(survey.contact_id());
  request->set_topic(type::v1::OUTREACH_TOPIC_SURVEY_TICKET);
  request->set_ticket_id(survey.ticket_id());
  // A reminder is free: it must not reserve the units of a second invitation.
  request->set_preview(std::string_view(purpose) == kRemind);
  return {name, "tandem.account.v1.OutreachService/CheckOutreach", std::move(request)};
}

// The answer, and the status that came instead of one.
template <typename M>
std::pair<absl::Status, std::shared_ptr<const M>> Answered(const Inputs& in,
                                                           const std::string& name) {
  auto answer = in.answers->Get<M>(name);
  if (!answer.ok()) return {answer.status(), nullptr};
  return {absl::OkStatus(), *answer};
}

// What account_health says about writing to this contact now, the address beside it; or the
// question that has to be asked first. The address is asked for before the clearance: units are
// reserved only for a letter that can go out.
struct Permission {
  Judgement judgement;
  std::string address;
  int32_t question = 0;  // the number of the clearance's question
  bool is_asking = false;
};

template <typename Judge>
absl::StatusOr<Permission> AskPermission(const sv::Survey& survey, const char* purpose,
                                         int32_t first_question, const Inputs& in, View& view,
                                         Decision& decision, Judge judge) {
  Permission permission;
  permission.question = first_question;
  Judgement& judgement = permission.judgement;
  if (survey.contact_id().empty() || survey.account_id().empty()) {
    judgement.kind = Judgement::Kind::kNever;
    judgement.reason = kNoContact;
    return permission;
  }
  auto opted_out = view.Load(OptOuts(), survey.contact_id());
  if (!opted_out.ok()) return opted_out.status();
  if (*opted_out && !(*opted_out)->has_taken_back_at()) {
    judgement.kind = Judgement::Kind::kNever;
    judgement.reason = kOptOut;
    return permission;
  }
  const auto ask = [&](corridor::Question question) {
    decision.Ask(std::move(question));
    permission.is_asking = true;
    return permission;
  };
  const std::string contact_question = ContactQuestion(survey.contact_id());
  if (!in.answers->Has(contact_question)) return ask(AskContact(survey.contact_id()));
  const auto [contact_status, contact] = Answered<av::GetContactResponse>(in, contact_question);
  judgement = JudgeContact(contact_status, contact.get());
  if (judgement.kind != Judgement::Kind::kGo) return permission;
  permission.address = judgement.address;
  // The second question is put when the first found a clearance whose time is over.
  for (int i = 0; i < 2; ++i, ++permission.question) {
    const std::string name = ClearanceQuestion(survey, purpose, permission.question);
    if (!in.answers->Has(name)) return ask(AskClearance(survey, purpose, permission.question));
    const auto [status, answer] = Answered<av::CheckOutreachResponse>(in, name);
    judgement = judge(status, answer.get());
    if (judgement.kind != Judgement::Kind::kAskAnew) return permission;
  }
  judgement.kind = Judgement::Kind::kWait;
  judgement.reason = kUnreachable;
  return permission;
}

bool HasToWait(const Judgement& judgement) {
  return judgement.kind == Judgement::Kind::kWait || judgement.kind == Judgement::Kind::kWaitLost;
}

// The number of the next question, after this one was judged.
int32_t NextQuestion(const Permission& permission) {
  return permission.judgement.kind == Judgement::Kind::kWaitLost ? permission.question
                                                                 : permission.question + 1;
}

}  // namespace

Decided OnTicketOpened(const ev::TicketOpened& fact, const bus::Event& event, const Inputs&,
                       View& view) {
  return ChangeTicket(view, fact.ticket_id(), event, [&](TicketRecord& ticket) {
    ticket.set_account_id(fact.account_id());
    ticket.set_contact_id(fact.contact_id());
    ticket.set_segment(fact.segment());
    ticket.set_category(fact.category());
    ticket.set_channel(fact.channel());
    ticket.set_internal(fact.internal());
    ticket.set_suspected_spam(fact.suspected_spam());
  });
}

Decided OnTicketTriaged(const ev::TicketTriaged& fact, const bus::Event& event, const Inputs&,
                        View& view) {
  return ChangeTicket(view, fact.ticket_id(), event, [&](TicketRecord& ticket) {
    ticket.set_severity(fact.severity());
    ticket.set_team(fact.queue());
  });
}

Decided OnSeverityChanged(const ev::SeverityChanged& fact, const bus::Event& event, const Inputs&,
                          View& view) {
  return ChangeTicket(view, fact.ticket_id(), event,
                      [&](TicketRecord& ticket) { ticket.set_severity(fact.to_severity()); });
}

Decided OnTicketQueued(const ev::TicketQueued& fact, const bus::Event& event, const Inputs&,
                       View& view) {
  return ChangeTicket(view, fact.ticket_id(), event,
                      [&](TicketRecord& ticket) { ticket.set_team(fact.queue()); });
}

Decided OnTicketUpdated(const ev::TicketUpdated& fact, const bus::Event& event, const Inputs&,
                        View& view) {
  auto ticket = LoadTicket(view, fact.ticket_id(), event);
  if (!ticket.ok()) return ticket.status();
  TicketRecord& after = ticket->after;
  const bool is_internal = fact.internal() && !plant::Has(plant::Mistake::kAsksLeftOut);
  const bool becomes_internal = is_internal && !after.internal();
  after.set_account_id(fact.account_id());
  after.set_contact_id(fact.contact_id());
  after.set_segment(fact.segment());
  after.set_category(fact.category());
  after.set_internal(is_internal);
  after.set_suspected_spam(fact.suspected_spam());
  Decision decision;
  const absl::Status status =
      becomes_internal ? WithdrawWaiting(fact.ticket_id(), after, event.time, view, decision)
                       : FollowTicket(*ticket, view, decision);
  if (!status.ok()) return status;
  SaveTicket(*std::move(ticket), decision);
  return decision;
}

Decided OnTicketRequesterResolved(const ev::TicketRequesterResolved& fact, const bus::Event& event,
                                  const Inputs&, View& view) {
  return ChangeTicket(view, fact.ticket_id(), event, [&](TicketRecord& ticket) {
    ticket.set_account_id(fact.account_id());
    ticket.set_contact_id(fact.contact_id());
    ticket.set_segment(fact.segment());
  });
}

Decided OnTicketResolved(const ev::TicketResolved& fact, const bus::Event& event, const Inputs&,
                         View& view, const Policies& policies) {
  auto ticket = LoadTicket(view, fact.ticket_id(), event);
  if (!ticket.ok()) return ticket.status();
  ticket->after.set_resolution(fact.resolution());
  ticket->after.set_assignee_id(fact.assignee_id());
  Decision decision;
  absl::Status status = Plan(fact.ticket_id(), ticket->after, sv::SURVEY_TRIGGER_RESOLVED,
                             event.time, view, policies, decision);
  if (!status.ok()) return status;
  SaveTicket(*std::move(ticket), decision);
  return decision;
}

Decided OnTicketClosed(const ev::TicketClosed& fact, const bus::Event& event, const Inputs&,
                       View& view, const Policies& policies) {
  auto ticket = LoadTicket(view, fact.ticket_id(), event);
  if (!ticket.ok()) return ticket.status();
  // The resolution's own event may have been missed, at the edge of what the bus still keeps.
  ticket->after.set_resolution(std::max(ticket->after.resolution(), fact.resolution()));
  Decision decision;
  absl::Status status =
      fact.reason() == type::v1::CLOSE_REASON_SPAM
          ? WithdrawWaiting(fact.ticket_id(), ticket->after, event.time, view, decision)
          : Plan(fact.ticket_id(), ticket->after, sv::SURVEY_TRIGGER_CLOSED, event.time, view,
                 policies, decision);
  if (!status.ok()) return status;
  SaveTicket(*std::move(ticket), decision);
  return decision;
}

Decided OnTicketReopened(const ev::TicketReopened& fact, const bus::Event& event, const Inputs&,
                         View& view) {
  auto ticket = view.Load(Tickets(), fact.ticket_id());
  if (!ticket.ok()) return ticket.status();
  Decision decision;
  if (!*ticket) return decision;
  absl::Status status = WithdrawWaiting(fact.ticket_id(), **ticket, event.time, view, decision);
  if (!status.ok()) return status;
  return decision;
}

Decided OnInvite(const FiredTimer& timer, const records::SurveyTimer& payload, const Inputs& in,
                 View& view) {
  auto loaded = view.Load(Surveys(), payload.survey_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded || (*loaded)->survey().state() != sv::SURVEY_STATE_PLANNED) return decision;
  auto ticket = view.Load(Tickets(), (*loaded)->survey().ticket_id());
  if (!ticket.ok()) return ticket.status();
  // What was heard from account_health just now is a fact of now, however late the timer is.
  SurveyChange change(*loaded, in.now, &decision);
  SurveyRecord& record = change.record();
  sv::Survey& survey = change.survey();
  if (*ticket) change.CopyFacts(**ticket);
  if (*ticket && (*ticket)->suspected_spam() && !plant::Has(plant::Mistake::kAsksLeftOut)) {
    change.Suppress(kSuspectedSpam);
    change.Save();
    return decision;
  }

  auto permission =
      AskPermission(survey, kInvite, record.clearance_questions(), in, view, decision,
                    [&](const absl::Status& status, const av::CheckOutreachResponse* answer) {
                      return JudgeInvitation(status, answer, in.now);
                    });
  if (!permission.ok()) return permission.status();
  if (permission->is_asking) return decision;
  const Judgement& judgement = permission->judgement;
  if (HasToWait(judgement)) {
    const absl::Time next = NextTry(time::Instant(record.first_try_at()), timer.due, in.now,
                                    absl::Microseconds(record.plan().retry_for_us()),
                                    absl::Microseconds(record.plan().retry_every_us()));
    survey.set_tries(survey.tries() + 1);
    survey.set_waiting_for(judgement.reason);
    record.set_clearance_questions(NextQuestion(*permission));
    if (next == absl::InfiniteFuture()) {
      change.Suppress(kHeldTooLong);
    } else {
      *survey.mutable_next_try_at() = time::Stamp(next);
      change.SetTimer(kInvite, next);
    }
  } else if (judgement.kind == Judgement::Kind::kNever) {
    change.Suppress(judgement.reason);
  } else {
    const absl::Time expires_at =
        change.at() + absl::Microseconds(record.plan().expires_after_us());
    survey.set_state(sv::SURVEY_STATE_INVITED);
    survey.clear_next_try_at();
    survey.clear_waiting_for();
    survey.set_clearance_id(judgement.clearance_id);
    *survey.mutable_invited_at() = time::Stamp(change.at());
    *survey.mutable_expires_at() = time::Stamp(expires_at);
    change.Deliver(/*reminder=*/false, permission->address);
    if (record.plan().reminder_after_us() > 0) {
      const absl::Time remind_at =
          change.at() + absl::Microseconds(record.plan().reminder_after_us());
      *record.mutable_reminder_due_at() = time::Stamp(remind_at);
      change.SetTimer(kRemind, remind_at);
    }
    change.SetTimer(kExpire, expires_at);
    ev::SurveyInvited invited;
    *invited.mutable_expires_at() = survey.expires_at();
    invited.set_clearance_id(judgement.clearance_id);
    change.Publish(std::move(invited));
  }
  change.Save();
  return decision;
}

Decided OnRemind(const FiredTimer& timer, const records::SurveyTimer& payload, const Inputs& in,
                 View& view) {
  auto loaded = view.Load(Surveys(), payload.survey_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  const bool waits = *loaded && ((*loaded)->survey().state() == sv::SURVEY_STATE_INVITED ||
                                 plant::Has(plant::Mistake::kRemindAnswered));
  if (!waits || in.now >= time::Instant((*loaded)->survey().expires_at())) {
    return decision;
  }
  SurveyChange change(*loaded, in.now, &decision);
  SurveyRecord& record = change.record();
  sv::Survey& survey = change.survey();
  auto permission = AskPermission(survey, kRemind, record.reminder_questions(), in, view, decision,
                                  JudgeReminder);
  if (!permission.ok()) return permission.status();
  if (permission->is_asking) return decision;
  const Judgement& judgement = permission->judgement;
  absl::Time next = absl::InfiniteFuture();
  if (HasToWait(judgement)) {
    next = NextTry(time::Instant(record.reminder_due_at()), timer.due, in.now,
                   absl::Microseconds(record.plan().retry_for_us()),
                   absl::Microseconds(record.plan().retry_every_us()));
    record.set_reminder_questions(NextQuestion(*permission));
  }
  if (judgement.kind == Judgement::Kind::kGo) {
    *survey.mutable_reminded_at() = time::Stamp(change.at());
    change.Deliver(/*reminder=*/true, permission->address);
    change.Publish(ev::SurveyReminded());
  } else if (next < time::Instant(survey.expires_at())) {
    change.SetTimer(kRemind, next);
  } else {
    survey.set_reminder_dropped(judgement.reason);
  }
  change.Save();
  return decision;
}

Decided OnExpire(const FiredTimer& timer, const records::SurveyTimer& payload, const Inputs&,
                 View& view) {
  auto loaded = view.Load(Surveys(), payload.survey_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded || (*loaded)->survey().state() != sv::SURVEY_STATE_INVITED) return decision;
  SurveyChange change(*loaded, timer.due, &decision);
  change.survey().set_state(sv::SURVEY_STATE_EXPIRED);
  *change.survey().mutable_ended_at() = time::Stamp(change.at());
  change.StopAsking();
  change.Publish(ev::SurveyExpired());
  change.Save();
  return decision;
}

Decided OnDelivered(const FiredTimer&, const records::Delivery& payload, const absl::Status& result,
                    const Inputs& in, View& view) {
  auto loaded = view.Load(Surveys(), payload.survey_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded) return decision;
  SurveyChange change(*loaded, in.now, &decision);
  sv::Survey& survey = change.survey();
  if (payload.reminder()) {
    if (result.ok()) return decision;
    survey.set_reminder_dropped("bounced");
  } else if (result.ok()) {
    // Dated when it was handed over, so that a slow disk moves nothing into another day's scores.
    *survey.mutable_delivered_at() = payload.sent_at();
  } else if (survey.state() == sv::SURVEY_STATE_INVITED) {
    change.Bounce();
  } else {
    return decision;
  }
  change.Save();
  return decision;
}

Decided OnRemoved(const FiredTimer&, const records::Removal&, const absl::Status&, const Inputs&,
                  View&) {
  // A refusal for good can only be a name that was never a letter's: nothing is left to do.
  return Decision();
}

}  // namespace tandem::survey
