#include "services/triage/queries.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/triage/records.h"
#include "services/triage/ticket_case.h"

namespace tandem::triage {
namespace {

using corridor::Inputs;
using corridor::Loaded;
using corridor::View;
using corridor::Violations;

constexpr char kBadToken[] = "is not one that this question was answered with";

absl::StatusOr<v1::GetStaffResponse> Shown(const Loaded<records::StaffRecord>& record,
                                           const Rules& rules, absl::Time now, View& view) {
  v1::GetStaffResponse shown;
  *shown.mutable_staff() = record->staff();
  shown.mutable_staff()->set_version(record.version);
  auto load = view.Load(Loads(), record.key);
  if (!load.ok()) return load.status();
  if (*load) *shown.mutable_load() = (*load)->load();
  shown.set_on_duty(IsOnDuty(record->staff(), rules, now));
  return shown;
}

v1::Escalation Shown(const Loaded<records::EscalationRecord>& record) {
  v1::Escalation shown = record->escalation();
  shown.set_version(record.version);
  return shown;
}

v1::QueueSummary Summarise(const std::string& queue, const std::vector<WaitingCount>& counts) {
  v1::QueueSummary summary;
  summary.set_queue(queue);
  std::map<int, int64_t> by_severity;
  absl::Time oldest = absl::InfiniteFuture();
  for (const WaitingCount& count : counts) {
    summary.set_waiting(summary.waiting() + count.tickets);
    by_severity[count.effective_severity] += count.tickets;
    oldest = std::min(oldest, count.oldest_since);
  }
  for (const auto& [severity, tickets] : by_severity) {
    v1::WaitingBySeverity* line = summary.add_by_severity();
    line->set_severity(static_cast<type::v1::Severity>(severity));
    line->set_tickets(tickets);
  }
  if (oldest != absl::InfiniteFuture()) *summary.mutable_oldest_since() = time::Stamp(oldest);
  return summary;
}

// "<micros>|<id>".
std::optional<EscalationPosition> ReadPosition(const std::string& token) {
  const std::vector<std::string> parts = absl::StrSplit(token, '|');
  int64_t micros = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &micros) || !id::IsWellFormed(parts[1])) {
    return std::nullopt;
  }
  return EscalationPosition{time::FromMicros(micros), parts[1]};
}

}  // namespace

absl::Status ValidateClassifyTicket(const v1::ClassifyTicketRequest& request) {
  Violations violations;
  switch (request.what_case()) {
    case v1::ClassifyTicketRequest::kTicketId:
      violations.Id("ticket_id", request.ticket_id());
      break;
    case v1::ClassifyTicketRequest::kFacts:
      violations.Key("facts.product", request.facts().product(), true);
      violations.Key("facts.category", request.facts().category(), true);
      violations.Count("facts.tags", static_cast<size_t>(request.facts().tags_size()), 50);
      for (const std::string& tag : request.facts().tags()) {
        violations.Line("facts.tags", tag, 64);
      }
      violations.Language("facts.language", request.facts().language(), true);
      violations.Range("facts.affected_users", request.facts().affected_users(), 0, 1'000'000'000);
      break;
    case v1::ClassifyTicketRequest::WHAT_NOT_SET:
      violations.Require(false, "ticket_id", "or facts is needed");
      break;
  }
  violations.Text("text", request.text(), 64 * 1024, true);
  return violations.status();
}

absl::StatusOr<v1::ClassifyTicketResponse> ClassifyTicket(const v1::ClassifyTicketRequest& request,
                                                          View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  v1::ClassifyTicketResponse response;
  v1::TicketFacts facts = request.facts();
  std::set<std::string> matches;
  type::v1::Severity by_hand = type::v1::SEVERITY_UNSPECIFIED;
  if (request.what_case() == v1::ClassifyTicketRequest::kTicketId) {
    auto ticket = view.Load(Tickets(), request.ticket_id());
    if (!ticket.ok()) return ticket.status();
    if (!*ticket) return corridor::NotHeardOf("ticket", request.ticket_id());
    facts = (*ticket)->facts();
    matches.insert((*ticket)->text_matches().begin(), (*ticket)->text_matches().end());
    by_hand = (*ticket)->severity_by_hand();
    response.set_overridden_severity(by_hand);
  }
  if (!request.text().empty()) {
    const std::vector<std::string> found = rules.TextMatches(request.text());
    matches = {found.begin(), found.end()};
  }
  const Classification made = rules.Classify(facts, matches, by_hand);
  response.set_severity(made.severity);
  for (const v1::ClassificationStep& step : made.steps) *response.add_steps() = step;
  response.set_support_level(made.support_level);
  response.set_support_level_rule(made.support_level_rule);
  response.set_queue(made.queue);
  response.set_routing_rule(made.routing_rule);
  for (const std::string& skill : rules.SkillsFor(facts.product())) response.add_skills(skill);
  *response.mutable_policy() = policy->ref;
  return response;
}

absl::Status ValidateGetTriage(const v1::GetTriageRequest& request) {
  Violations violations;
  violations.Id("ticket_id", request.ticket_id());
  return violations.status();
}

absl::StatusOr<v1::GetTriageResponse> GetTriage(const v1::GetTriageRequest& request, const Inputs&,
                                                View& view) {
  auto ticket = view.Load(Tickets(), request.ticket_id());
  if (!ticket.ok()) return ticket.status();
  if (!*ticket) return corridor::NotHeardOf("ticket", request.ticket_id());
  const records::TicketRecord& record = **ticket;
  v1::GetTriageResponse response;
  response.set_ticket_id(ticket->key);
  response.set_version(ticket->version);
  response.set_severity(SeverityOf(record));
  response.set_support_level(record.support_level());
  response.set_queue(record.queue());
  response.set_assignee_id(record.assignee_id());
  *response.mutable_rules() = record.rules();
  *response.mutable_policy() = record.policy();
  response.set_overridden(record.severity_by_hand() != type::v1::SEVERITY_UNSPECIFIED);
  response.set_escalation_id(record.escalation_id());
  response.set_rule_severity(record.rule_severity());
  if (record.has_waiting_since()) *response.mutable_waiting_since() = record.waiting_since();
  response.set_text_pending(record.text_pending());
  auto clocks = view.Load(Clocks(), request.ticket_id());
  if (!clocks.ok()) return clocks.status();
  if (*clocks) {
    const absl::Time due = EarliestDue(**clocks);
    if (due != absl::InfiniteFuture()) *response.mutable_due_at() = time::Stamp(due);
  }
  return response;
}

absl::Status ValidateListQueues(const v1::ListQueuesRequest& request) {
  Violations violations;
  violations.PageSize(request.page_size(), 200);
  int after = 0;
  violations.Require(
      request.page_token().empty() || (absl::SimpleAtoi(request.page_token(), &after) && after > 0),
      "page_token", kBadToken);
  return violations.status();
}

absl::StatusOr<v1::ListQueuesResponse> ListQueues(const v1::ListQueuesRequest& request,
                                                  const Inputs& in, View& view,
                                                  const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto counts = CountWaiting(view, in.now);
  if (!counts.ok()) return counts.status();
  // The policy's queues first; then those that an older policy left tickets in.
  std::vector<std::string> queues = policy->made->queues();
  for (const auto& [queue, waiting] : *counts) {
    if (!policy->made->HasQueue(queue)) queues.push_back(queue);
  }
  int begin = 0;
  if (!absl::SimpleAtoi(request.page_token(), &begin)) begin = 0;
  const int page = request.page_size() == 0 ? 50 : request.page_size();
  v1::ListQueuesResponse response;
  const int end = static_cast<int>(
      std::min<int64_t>(static_cast<int64_t>(queues.size()), int64_t{begin} + page));
  for (int i = begin; i < end; ++i) {
    const std::string& queue = queues[static_cast<size_t>(i)];
    *response.add_queues() = Summarise(queue, (*counts)[queue]);
  }
  if (end < static_cast<int>(queues.size())) response.set_next_page_token(absl::StrCat(end));
  return response;
}

absl::Status ValidateGetQueueLoad(const v1::GetQueueLoadRequest& request) {
  Violations violations;
  violations.Key("queue", request.queue());
  return violations.status();
}

absl::StatusOr<v1::GetQueueLoadResponse> GetQueueLoad(const v1::GetQueueLoadRequest& request,
                                                      const Inputs& in, View& view,
                                                      const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const Rules& rules = *policy->made;
  auto counts = CountWaiting(view, in.now);
  if (!counts.ok()) return counts.status();
  if (!rules.HasQueue(request.queue()) && !counts->contains(request.queue())) {
    return corridor::NotFound("queue", request.queue());
  }
  v1::GetQueueLoadResponse response;
  const std::vector<WaitingCount>& waiting = (*counts)[request.queue()];
  *response.mutable_summary() = Summarise(request.queue(), waiting);
  for (const WaitingCount& count : waiting) {
    response.set_waiting_units(response.waiting_units() +
                               count.tickets * rules.CapacityUnits(count.severity));
  }
  auto owned = CountOwned(view, request.queue());
  if (!owned.ok()) return owned.status();
  response.set_owned(*owned);
  auto roster = view.Load(Rosters(), request.queue());
  if (!roster.ok()) return roster.status();
  if (!*roster) return response;
  for (const std::string& staff_id : (*roster)->staff_ids()) {
    auto staff = view.Load(StaffTable(), staff_id);
    if (!staff.ok()) return staff.status();
    if (!*staff || !IsOnDuty((*staff)->staff(), rules, in.now)) continue;
    response.set_on_duty(response.on_duty() + 1);
    response.set_capacity_units(response.capacity_units() + (*staff)->staff().capacity());
    auto load = view.Load(Loads(), staff_id);
    if (!load.ok()) return load.status();
    if (*load) response.set_loaded_units(response.loaded_units() + (*load)->load().units());
  }
  return response;
}

absl::Status ValidateGetEscalation(const v1::GetEscalationRequest& request) {
  Violations violations;
  violations.Id("escalation_id", request.escalation_id());
  return violations.status();
}

absl::StatusOr<v1::GetEscalationResponse> GetEscalation(const v1::GetEscalationRequest& request,
                                                        const Inputs&, View& view) {
  auto escalation = view.Load(Escalations(), request.escalation_id());
  if (!escalation.ok()) return escalation.status();
  if (!*escalation) return corridor::NotFound("escalation", request.escalation_id());
  v1::GetEscalationResponse response;
  *response.mutable_escalation() = Shown(*escalation);
  return response;
}

absl::Status ValidateListEscalations(const v1::ListEscalationsRequest& request) {
  Violations violations;
  violations.Id("ticket_id", request.ticket_id(), true);
  violations.Id("account_id", request.account_id(), true);
  violations.Count("states", static_cast<size_t>(request.states_size()), 20);
  violations.PageSize(request.page_size(), 200);
  violations.Require(request.page_token().empty() || ReadPosition(request.page_token()).has_value(),
                     "page_token", kBadToken);
  return violations.status();
}

absl::StatusOr<v1::ListEscalationsResponse> ListEscalations(
    const v1::ListEscalationsRequest& request, const Inputs&, View& view) {
  const std::optional<EscalationPosition> after = ReadPosition(request.page_token());
  const size_t page = request.page_size() == 0 ? 50 : static_cast<size_t>(request.page_size());
  auto escalations =
      SelectEscalations(view, request, after ? &*after : nullptr, static_cast<int64_t>(page) + 1);
  if (!escalations.ok()) return escalations.status();
  v1::ListEscalationsResponse response;
  for (size_t i = 0; i < escalations->size() && i < page; ++i) {
    *response.add_escalations() = Shown((*escalations)[i]);
  }
  if (escalations->size() > page) {
    const v1::Escalation& last = response.escalations(static_cast<int>(page) - 1);
    response.set_next_page_token(
        absl::StrCat(time::MicrosOf(last.raised_at()), "|", last.escalation_id()));
  }
  return response;
}

absl::Status ValidateGetStaff(const v1::GetStaffRequest& request) {
  Violations violations;
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

absl::StatusOr<v1::GetStaffResponse> GetStaff(const v1::GetStaffRequest& request, const Inputs& in,
                                              View& view, const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto staff = view.Load(StaffTable(), request.staff_id());
  if (!staff.ok()) return staff.status();
  if (!*staff) return corridor::NotFound("staff", request.staff_id());
  return Shown(*staff, *policy->made, in.now, view);
}

absl::Status ValidateListStaff(const v1::ListStaffRequest& request) {
  Violations violations;
  violations.Key("queue", request.queue(), true);
  violations.PageSize(request.page_size(), 500);
  violations.Id("page_token", request.page_token(), true);
  return violations.status();
}

absl::StatusOr<v1::ListStaffResponse> ListStaff(const v1::ListStaffRequest& request,
                                                const Inputs& in, View& view,
                                                const Policies& policies) {
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  const size_t page = request.page_size() == 0 ? 50 : static_cast<size_t>(request.page_size());
  auto staff =
      SelectStaff(view, request.function(), request.page_token(), static_cast<int64_t>(page) + 1);
  if (!staff.ok()) return staff.status();
  v1::ListStaffResponse response;
  for (size_t i = 0; i < staff->size() && i < page; ++i) {
    const v1::Staff& person = (*staff)[i]->staff();
    const auto holds = [](const auto& list, const auto& value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (request.role() != type::v1::STAFF_ROLE_UNSPECIFIED &&
        !holds(person.roles(), static_cast<int>(request.role()))) {
      continue;
    }
    if (!request.queue().empty() && !holds(person.queues(), request.queue())) continue;
    auto shown = Shown((*staff)[i], *policy->made, in.now, view);
    if (!shown.ok()) return shown.status();
    if (request.on_duty_only() && !shown->on_duty()) continue;
    *response.add_staff() = *std::move(shown);
  }
  if (staff->size() > page) response.set_next_page_token((*staff)[page - 1].key);
  return response;
}

}  // namespace tandem::triage
