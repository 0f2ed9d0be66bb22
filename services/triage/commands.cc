#include "services/triage/commands.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "services/triage/queue_order.h"
#include "services/triage/records.h"
#include "services/triage/ticket_case.h"
#include "tandem/events/v1/triage.pb.h"

namespace tandem::triage {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::Loaded;
using corridor::View;
using corridor::Violations;
using records::StaffRecord;
using records::TicketRecord;

// Waiting tickets of one queue that are looked at, the first by severity and age: bounds what a
// claim costs. Beyond it an impact band or a due instant moves nothing forward.
constexpr int64_t kCandidates = 1000;

absl::StatusOr<Loaded<TicketRecord>> LoadTicket(View& view, const std::string& ticket_id,
                                                int64_t version = 0) {
  auto loaded = view.Load(Tickets(), ticket_id);
  if (!loaded.ok()) return loaded;
  if (!*loaded) return corridor::NotHeardOf("ticket", ticket_id);
  if (version != 0 && loaded->version != version) {
    return corridor::VersionConflict("ticket", ticket_id, version, loaded->version);
  }
  return loaded;
}

absl::StatusOr<Loaded<StaffRecord>> LoadStaff(View& view, const std::string& staff_id) {
  auto loaded = view.Load(StaffTable(), staff_id);
  if (loaded.ok() && !*loaded) return corridor::NotFound("staff", staff_id);
  return loaded;
}

// Loads staff who work here.
absl::StatusOr<Loaded<StaffRecord>> LoadActive(View& view, const std::string& staff_id) {
  auto staff = LoadStaff(view, staff_id);
  if (!staff.ok() || (*staff)->staff().active()) return staff;
  return corridor::FailedPrecondition(
      "STAFF_INACTIVE",
      absl::StrCat("staff ", staff_id, " is inactive; name somebody who works here"),
      {{"staff_id", staff_id}});
}

absl::Status MustBeActive(View& view, const std::string& staff_id) {
  return LoadActive(view, staff_id).status();
}

absl::Status MustBeOpen(const Loaded<TicketRecord>& ticket) {
  if (ticket->phase() == records::PHASE_OPEN) return absl::OkStatus();
  return corridor::FailedPrecondition(
      "TICKET_STATE", absl::StrCat("ticket ", ticket.key, " is resolved or closed"));
}

absl::StatusOr<int> LoadUnits(View& view, const std::string& staff_id) {
  auto load = view.Load(Loads(), staff_id);
  if (!load.ok()) return load.status();
  return *load ? (*load)->load().units() : 0;
}

void CheckCommon(const std::string& request_id, const std::string& ticket_id, int64_t version,
                 Violations& violations) {
  violations.Id("request_id", request_id);
  violations.Id("ticket_id", ticket_id);
  violations.Require(version >= 0, "version", "must not be negative");
}

Waiting WaitingOf(const Loaded<TicketRecord>& ticket, const Rules& rules, int64_t similar) {
  Waiting waiting;
  waiting.ticket_id = ticket.key;
  waiting.severity = SeverityOf(*ticket);
  for (const auto& rise : ticket->rises_at()) waiting.rises.push_back(time::Instant(rise));
  waiting.impact_score = rules.ImpactScore(ticket->facts().affected_users(), similar);
  waiting.impact_band = rules.ImpactBand(waiting.impact_score);
  waiting.opened_at = time::Instant(ticket->opened_at());
  waiting.language = ticket->facts().language();
  waiting.skills = rules.SkillsFor(ticket->facts().product());
  waiting.support_level = ticket->support_level();
  waiting.units = rules.CapacityUnits(waiting.severity);
  return waiting;
}

std::string AwayTimerId(const std::string& staff_id) { return absl::StrCat("away:", staff_id); }

// Looks through what the person carries from `due` on.
void SetStaffTimer(std::string id, absl::Time due, const std::string& staff_id,
                   Decision& decision) {
  records::StaffTimer timer;
  timer.set_staff_id(staff_id);
  decision.SetTimer(std::move(id), due, std::string(kStaffTimer), staff_id, std::move(timer));
}

// Whether there may be work that somebody could do before the change and may not keep after it.
bool LosesWork(const v1::Staff& before, const v1::Staff& after) {
  const auto loses = [](const auto& was, const auto& is) {
    return std::any_of(was.begin(), was.end(), [&](const std::string& one) {
      return std::find(is.begin(), is.end(), one) == is.end();
    });
  };
  // Who names no language speaks any.
  const bool speaks_less =
      !after.languages().empty() &&
      (before.languages().empty() || loses(before.languages(), after.languages()));
  return !after.active() || loses(before.queues(), after.queues()) ||
         loses(before.skills(), after.skills()) || speaks_less ||
         after.support_level() < before.support_level();
}

}  // namespace

absl::Status ValidateOverrideSeverity(const v1::OverrideSeverityRequest& request) {
  Violations violations;
  CheckCommon(request.request_id(), request.ticket_id(), request.version(), violations);
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

CommandResult OverrideSeverity(const v1::OverrideSeverityRequest& request, const Inputs& in,
                               View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto ticket = LoadTicket(view, request.ticket_id(), request.version());
  if (!ticket.ok()) return ticket.status();
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  if ((*ticket)->phase() == records::PHASE_CLOSED) return MustBeOpen(*ticket);
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  const absl::Status done = change.Override(request.severity(), request.staff_id());
  if (!done.ok()) return done;
  v1::OverrideSeverityResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  reply.set_severity(SeverityOf(change.record()));
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidateClaimNext(const v1::ClaimNextRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("staff_id", request.staff_id());
  violations.Key("queue", request.queue(), true);
  return violations.status();
}

CommandResult ClaimNext(const v1::ClaimNextRequest& request, const Inputs& in, View& view,
                        const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  auto staff = LoadActive(view, request.staff_id());
  if (!staff.ok()) return staff.status();
  const v1::Staff& agent = (*staff)->staff();
  if (!IsOnDuty(agent, rules, in.now)) {
    return corridor::FailedPrecondition(
        "STAFF_NOT_ON_DUTY",
        agent.available()
            ? absl::StrCat("staff ", request.staff_id(), " takes no work now: calendar ",
                           agent.shift_calendar(), " is closed")
            : absl::StrCat("staff ", request.staff_id(),
                           " takes no work now: unavailable until SetAvailability says otherwise"),
        {{"staff_id", request.staff_id()},
         {"why", agent.available() ? "off_shift" : "unavailable"}});
  }
  std::vector<std::string> queues(agent.queues().begin(), agent.queues().end());
  if (!request.queue().empty()) {
    if (std::find(queues.begin(), queues.end(), request.queue()) == queues.end()) {
      const std::string own = absl::StrJoin(queues, ", ");
      return corridor::FailedPrecondition(
          "NOT_IN_QUEUE",
          absl::StrCat("staff ", request.staff_id(), " does not claim from queue ", request.queue(),
                       own.empty() ? ", nor from any other" : absl::StrCat(", but from ", own)),
          {{"staff_id", request.staff_id()}, {"queue", request.queue()}, {"queues", own}});
    }
    queues = {request.queue()};
  }
  Refusal refusal;
  auto carried = LoadUnits(view, request.staff_id());
  if (!carried.ok()) return carried.status();
  auto alike = CountAlike(view, in.now - absl::Hours(24));
  if (!alike.ok()) return alike.status();
  for (const std::string& queue : queues) {
    auto candidates = SelectWaiting(view, queue, in.now, kCandidates);
    if (!candidates.ok()) return candidates.status();
    auto due = SelectDue(view, queue);
    if (!due.ok()) return due.status();
    std::vector<Waiting> waiting;
    refusal.waiting += static_cast<int64_t>(candidates->size());
    for (const Loaded<TicketRecord>& ticket : *candidates) {
      if (ticket->is_parked()) {  // it may be resolved already, or mean something else
        ++refusal.parked;
        continue;
      }
      int64_t similar = 0;
      if (const auto count = alike->find(AlikeKey(*ticket)); count != alike->end()) {
        // The ticket itself is not one of those like it.
        const bool counted = time::Instant(ticket->opened_at()) >= in.now - absl::Hours(24);
        similar = count->second - (counted ? 1 : 0);
      }
      waiting.push_back(WaitingOf(ticket, rules, similar));
      if (const auto at = due->find(ticket.key); at != due->end()) waiting.back().due = at->second;
    }
    SortQueue(waiting, in.now);
    for (const Waiting& next : waiting) {
      if (const Misfit why = WhyNot(next, agent, *carried); why != Misfit::kNone) {
        refusal.Count(why);
        continue;
      }
      // Loaded by key: what the decision relies on is saved, so two agents never get one ticket.
      auto ticket = LoadTicket(view, next.ticket_id);
      if (!ticket.ok()) return ticket.status();
      TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
      const absl::Status assigned = change.Assign(request.staff_id());
      if (!assigned.ok()) return assigned;
      v1::ClaimNextResponse reply;
      reply.set_ticket_id(change.id());
      reply.set_version(change.version());
      reply.set_queue(queue);
      reply.set_severity(next.severity);
      reply.set_effective_severity(EffectiveSeverity(next.severity, next.rises, in.now));
      reply.set_impact_score(next.impact_score);
      reply.set_load_units(*carried + change.record().charged_units());
      change.decision().Reply(std::move(reply));
      return change.Finish();
    }
  }
  const bool has_queue = !queues.empty();
  return corridor::WithReason(
      absl::NotFoundError(absl::StrCat(
          "no waiting ticket fits staff ", request.staff_id(), ": ",
          has_queue ? refusal.Text(*carried, agent.capacity()) : "claims from no queue")),
      "NOTHING_TO_CLAIM",
      {{"staff_id", request.staff_id()},
       {"why", has_queue ? std::string(refusal.Word()) : "no_queue"},
       {"queues", absl::StrJoin(queues, ",")},
       {"waiting", absl::StrCat(refusal.waiting)},
       {"without_room", absl::StrCat(refusal.capacity)},
       {"without_skill", absl::StrCat(refusal.skill)},
       {"without_language", absl::StrCat(refusal.language)},
       {"without_level", absl::StrCat(refusal.level)},
       {"parked", absl::StrCat(refusal.parked)},
       {"load_units", absl::StrCat(*carried)},
       {"capacity_units", absl::StrCat(agent.capacity())}});
}

absl::Status ValidateAcceptAssignment(const v1::AcceptAssignmentRequest& request) {
  Violations violations;
  CheckCommon(request.request_id(), request.ticket_id(), 0, violations);
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

CommandResult AcceptAssignment(const v1::AcceptAssignmentRequest& request, const Inputs& in,
                               View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto ticket = LoadTicket(view, request.ticket_id());
  if (!ticket.ok()) return ticket.status();
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  if (const absl::Status open = MustBeOpen(*ticket); !open.ok()) return open;
  auto carried = LoadUnits(view, request.staff_id());
  if (!carried.ok()) return carried.status();
  v1::AcceptAssignmentResponse reply;
  reply.set_ticket_id(ticket->key);
  if ((*ticket)->assignee_id() == request.staff_id()) {
    reply.set_version(ticket->version);
    reply.set_load_units(*carried);
    Decision same;
    same.Reply(std::move(reply));
    return same;
  }
  if (!(*ticket)->assignee_id().empty()) {
    return corridor::FailedPrecondition("ALREADY_ASSIGNED",
                                        absl::StrCat("ticket ", ticket->key, " belongs to staff ",
                                                     (*ticket)->assignee_id(), "; reassign it"));
  }
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  const absl::Status assigned = change.Assign(request.staff_id());
  if (!assigned.ok()) return assigned;
  reply.set_version(change.version());
  reply.set_load_units(*carried + change.record().charged_units());
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidateReassignTicket(const v1::ReassignTicketRequest& request) {
  Violations violations;
  CheckCommon(request.request_id(), request.ticket_id(), request.version(), violations);
  violations.Id("staff_id", request.staff_id());
  violations.Id("by_staff_id", request.by_staff_id(), true);
  return violations.status();
}

CommandResult ReassignTicket(const v1::ReassignTicketRequest& request, const Inputs& in, View& view,
                             const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto ticket = LoadTicket(view, request.ticket_id(), request.version());
  if (!ticket.ok()) return ticket.status();
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  if (!request.by_staff_id().empty()) {
    if (const absl::Status active = MustBeActive(view, request.by_staff_id()); !active.ok()) {
      return active;
    }
  }
  if (const absl::Status open = MustBeOpen(*ticket); !open.ok()) return open;
  v1::ReassignTicketResponse reply;
  reply.set_ticket_id(ticket->key);
  reply.set_previous_staff_id((*ticket)->assignee_id());
  if ((*ticket)->assignee_id() == request.staff_id()) {
    reply.set_version(ticket->version);
    Decision same;
    same.Reply(std::move(reply));
    return same;
  }
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  absl::Status done = change.Assign(request.staff_id());
  // Who is given a ticket that rings for its owner is rung, too.
  if (done.ok() && !request.by_staff_id().empty()) done = change.FollowEscalation();
  if (!done.ok()) return done;
  reply.set_version(change.version());
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidateTransferTicket(const v1::TransferTicketRequest& request) {
  Violations violations;
  CheckCommon(request.request_id(), request.ticket_id(), request.version(), violations);
  violations.Key("queue", request.queue(), true);
  violations.Id("staff_id", request.staff_id());
  violations.Require(
      !request.queue().empty() || request.support_level() != type::v1::SUPPORT_LEVEL_UNSPECIFIED,
      "queue", "or support_level is needed");
  return violations.status();
}

CommandResult TransferTicket(const v1::TransferTicketRequest& request, const Inputs& in, View& view,
                             const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  if (!request.queue().empty() && !policy->made->HasQueue(request.queue())) {
    return corridor::NotFound("queue", request.queue());
  }
  auto ticket = LoadTicket(view, request.ticket_id(), request.version());
  if (!ticket.ok()) return ticket.status();
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  if (const absl::Status open = MustBeOpen(*ticket); !open.ok()) return open;
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  change.Release("transfer");
  if (!request.queue().empty()) {
    change.record().set_queue(request.queue());
    change.record().set_queue_by_hand(true);
  }
  if (request.support_level() != type::v1::SUPPORT_LEVEL_UNSPECIFIED) {
    change.record().set_support_level(request.support_level());
    change.record().set_level_by_hand(true);
  }
  change.Queue();
  if (const absl::Status done = change.FollowEscalation(); !done.ok()) return done;
  v1::TransferTicketResponse reply;
  reply.set_ticket_id(change.id());
  reply.set_version(change.version());
  reply.set_queue(change.record().queue());
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidateEscalate(const v1::EscalateRequest& request) {
  Violations violations;
  CheckCommon(request.request_id(), request.ticket_id(), 0, violations);
  violations.Id("staff_id", request.staff_id());
  violations.Key("policy", request.policy(), true);
  return violations.status();
}

CommandResult Escalate(const v1::EscalateRequest& request, const Inputs& in, View& view,
                       const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto ticket = LoadTicket(view, request.ticket_id());
  if (!ticket.ok()) return ticket.status();
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  if (const absl::Status open = MustBeOpen(*ticket); !open.ok()) return open;
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  const absl::Status done = change.Trigger(v1::ESCALATION_TRIGGER_MANUAL, request.policy());
  if (!done.ok()) return done;
  if (change.escalation() == nullptr) {
    return corridor::FailedPrecondition("NO_ESCALATION_POLICY",
                                        "no escalation policy fits this ticket");
  }
  v1::EscalateResponse reply;
  reply.set_escalation_id(change.escalation()->escalation().escalation_id());
  reply.set_started(change.escalation_started());
  reply.set_level(change.escalation()->level());
  reply.set_state(change.escalation()->escalation().state());
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidateAcknowledgeEscalation(const v1::AcknowledgeEscalationRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("escalation_id", request.escalation_id());
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

CommandResult AcknowledgeEscalation(const v1::AcknowledgeEscalationRequest& request,
                                    const Inputs& in, View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto escalation = view.Load(Escalations(), request.escalation_id());
  if (!escalation.ok()) return escalation.status();
  if (!*escalation) return corridor::NotFound("escalation", request.escalation_id());
  if (const absl::Status active = MustBeActive(view, request.staff_id()); !active.ok()) {
    return active;
  }
  const v1::Escalation& shown = (*escalation)->escalation();
  if (shown.state() == v1::ESCALATION_STATE_CLOSED) {
    return corridor::FailedPrecondition("ESCALATION_CLOSED",
                                        "the ticket was resolved or closed meanwhile");
  }
  v1::AcknowledgeEscalationResponse reply;
  reply.set_escalation_id(escalation->key);
  if (shown.state() == v1::ESCALATION_STATE_ACKNOWLEDGED &&
      shown.acknowledged_by() == request.staff_id()) {
    reply.set_version(escalation->version);
    if (shown.has_holds_until()) *reply.mutable_holds_until() = shown.holds_until();
    Decision same;
    same.Reply(std::move(reply));
    return same;
  }
  auto ticket = LoadTicket(view, shown.ticket_id());
  if (!ticket.ok()) return ticket.status();
  TicketCase change(ticket->key, **ticket, ticket->version, in.now, *policy, in, view);
  change.KeepTicket();
  if (const absl::Status loaded = change.LoadEscalation(escalation->key); !loaded.ok()) {
    return loaded;
  }
  change.Acknowledge(request.staff_id());
  reply.set_version(change.escalation_version());
  const v1::Escalation& after = change.escalation()->escalation();
  if (after.has_holds_until()) *reply.mutable_holds_until() = after.holds_until();
  change.decision().Reply(std::move(reply));
  return change.Finish();
}

absl::Status ValidatePutStaff(const v1::PutStaffRequest& request) {
  const v1::Staff& staff = request.staff();
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("staff.staff_id", staff.staff_id());
  violations.Require(staff.version() >= 0, "staff.version", "must not be negative");
  violations.Require(staff.function() != type::v1::STAFF_FUNCTION_UNSPECIFIED, "staff.function",
                     "is missing");
  violations.Count("staff.roles", static_cast<size_t>(staff.roles_size()), 9);
  for (const int role : staff.roles()) {
    violations.Require(role != type::v1::STAFF_ROLE_UNSPECIFIED, "staff.roles", "names no role");
  }
  violations.Line("staff.display_name", staff.display_name(), 200, true);
  violations.Count("staff.skills", static_cast<size_t>(staff.skills_size()), 100);
  for (const std::string& skill : staff.skills()) violations.Key("staff.skills", skill);
  violations.Count("staff.languages", static_cast<size_t>(staff.languages_size()), 20);
  for (const std::string& language : staff.languages()) {
    violations.Language("staff.languages", language);
  }
  violations.Count("staff.queues", static_cast<size_t>(staff.queues_size()), 50);
  std::set<std::string> queues;
  for (const std::string& queue : staff.queues()) {
    violations.Key("staff.queues", queue);
    violations.Require(queues.insert(queue).second, "staff.queues", "names a queue twice");
  }
  violations.Range("staff.capacity", staff.capacity(), 0, 10'000);
  violations.Text("staff.shift_calendar", staff.shift_calendar(), 128, true);
  violations.Count("staff.external_ids", static_cast<size_t>(staff.external_ids_size()), 20);
  std::set<std::string> systems;
  for (const auto& external_id : staff.external_ids()) {
    violations.Key("staff.external_ids.system", external_id.system());
    violations.Line("staff.external_ids.id", external_id.id(), 128);
    violations.Require(systems.insert(external_id.system()).second, "staff.external_ids",
                       "names a system twice");
  }
  return violations.status();
}

CommandResult PutStaff(const v1::PutStaffRequest& request, const Inputs& in, View& view,
                       const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const std::string& staff_id = request.staff().staff_id();
  Violations violations;
  violations.Require(request.staff().shift_calendar().empty() ||
                         policy->made->HasCalendar(request.staff().shift_calendar()),
                     "staff.shift_calendar", "names none of the policy's calendars");
  for (const std::string& queue : request.staff().queues()) {
    violations.Require(policy->made->HasQueue(queue), "staff.queues",
                       absl::StrCat("'", queue, "' is none of the policy's queues"));
  }
  if (!violations.ok()) return violations.status();
  auto loaded = view.Load(StaffTable(), staff_id);
  if (!loaded.ok()) return loaded.status();
  if (request.staff().version() != 0 && request.staff().version() != loaded->version) {
    return corridor::VersionConflict("staff", staff_id, request.staff().version(), loaded->version);
  }
  StaffRecord record;
  *record.mutable_staff() = request.staff();
  record.mutable_staff()->clear_version();
  record.mutable_staff()->set_available(*loaded ? (*loaded)->staff().available() : true);
  if (*loaded && (*loaded)->has_away_since()) {
    *record.mutable_away_since() = (*loaded)->away_since();
  }

  Decision decision;
  if (*loaded && LosesWork((*loaded)->staff(), record.staff())) {
    SetStaffTimer(absl::StrCat("staff:", staff_id), in.now, staff_id, decision);
  }
  const int64_t version = loaded->version + 1;
  // The rosters, so that an escalation finds the people of a queue by its name.
  const std::set<std::string> after(request.staff().queues().begin(),
                                    request.staff().queues().end());
  std::set<std::string> touched = after;
  if (*loaded) {
    touched.insert((*loaded)->staff().queues().begin(), (*loaded)->staff().queues().end());
  }
  for (const std::string& queue : touched) {
    auto roster = view.Load(Rosters(), queue);
    if (!roster.ok()) return roster.status();
    std::set<std::string> people;
    if (*roster) people.insert((*roster)->staff_ids().begin(), (*roster)->staff_ids().end());
    const bool changed =
        after.contains(queue) ? people.insert(staff_id).second : people.erase(staff_id) > 0;
    if (!changed) continue;
    records::RosterRecord next;
    *next.mutable_staff_ids() = {people.begin(), people.end()};
    decision.Save(Rosters(), queue, std::move(next));
  }
  events::v1::StaffChanged changed;
  changed.set_staff_id(staff_id);
  *changed.mutable_occurred_at() = time::Stamp(in.now);
  changed.set_version(version);
  changed.set_function(request.staff().function());
  *changed.mutable_roles() = request.staff().roles();
  changed.set_active(request.staff().active());
  decision.Publish(staff_id, staff_id, in.now, std::move(changed));
  v1::PutStaffResponse reply;
  reply.set_staff_id(staff_id);
  reply.set_version(version);
  decision.Reply(std::move(reply));
  decision.Save(StaffTable(), staff_id, std::move(record));
  return decision;
}

absl::Status ValidateSetAvailability(const v1::SetAvailabilityRequest& request) {
  Violations violations;
  violations.Id("request_id", request.request_id());
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

CommandResult SetAvailability(const v1::SetAvailabilityRequest& request, const Inputs& in,
                              View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto loaded = LoadActive(view, request.staff_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  v1::SetAvailabilityResponse reply;
  reply.set_staff_id(loaded->key);
  reply.set_version(loaded->version);
  if ((*loaded)->staff().available() != request.available()) {
    StaffRecord record = **loaded;
    record.mutable_staff()->set_available(request.available());
    if (request.available()) {
      record.clear_away_since();
      decision.CancelTimer(AwayTimerId(loaded->key));
    } else {
      *record.mutable_away_since() = time::Stamp(in.now);
      const absl::Duration keeps = policy->made->release_unavailable_after();
      if (keeps < absl::InfiniteDuration()) {
        SetStaffTimer(AwayTimerId(loaded->key), in.now + keeps, loaded->key, decision);
      }
    }
    decision.Save(StaffTable(), loaded->key, std::move(record));
    reply.set_version(loaded->version + 1);
  }
  decision.Reply(std::move(reply));
  return decision;
}

}  // namespace tandem::triage
