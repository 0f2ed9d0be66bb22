#include "services/account_health/tickets.h"

#include <algorithm>
#include <string>

#include "common/plant/plant.h"
#include "common/time/micros.h"
#include "services/account_health/health.h"
#include "services/account_health/holds.h"

namespace tandem::account_health {
namespace {

using records::Issue;
using records::IssueSpan;
using records::TicketRecord;

// A ticket with more than so many of one kind says no more by the next one.
constexpr int kMaxKept = 100;

// What is suspected to be spam lowers no account's health until somebody has looked at it.
bool CountsInHealth(const TicketRecord& ticket) {
  const bool waits = ticket.suspected_spam() && !plant::Has(plant::Mistake::kSuspectCounts);
  return !IsLeftOut(ticket) && !waits && !ticket.account_id().empty();
}

template <typename List>
void KeepLast(List* list) {
  if (list->size() > kMaxKept) list->erase(list->begin(), list->end() - kMaxKept);
}

}  // namespace

bool IsLeftOut(const TicketRecord& ticket) {
  return ticket.internal() || ticket.spam() || ticket.state() == type::v1::TICKET_STATE_MERGED;
}

bool IsUnattributed(const TicketRecord& ticket) {
  return ticket.account_id().empty() && !IsLeftOut(ticket) && !ticket.suspected_spam() &&
         IsUnresolved(ticket.state());
}

std::optional<Issue> IssueOf(const TicketRecord& ticket) {
  if (IsLeftOut(ticket) || ticket.account_id().empty() || !IsUnresolved(ticket.state())) return {};
  Issue issue;
  issue.set_subject_id(ticket.ticket_id());
  issue.set_severity(ticket.severity());
  issue.set_flags(ticket.flags() | (ticket.suspected_spam() ? kSuspected : 0));
  issue.set_contact_id(ticket.contact_id());
  *issue.mutable_watcher_contact_ids() = ticket.watcher_contact_ids();
  return issue;
}

void CountTicket(records::HealthRecord& health, const TicketRecord& ticket, int32_t by,
                 const account::v1::HealthPolicy& policy) {
  if (!CountsInHealth(ticket)) return;
  if (IsUnresolved(ticket.state())) CountUnresolved(health, ticket.severity(), by);
  for (const records::Breach& breach : ticket.breaches()) {
    CountMissed(health, time::FromMicros(breach.at_us()), by, policy);
  }
  for (const int64_t at_us : ticket.reopened_us()) {
    CountReopened(health, time::FromMicros(at_us), by, policy);
  }
}

bool CountsTheSame(const TicketRecord& a, const TicketRecord& b) {
  const auto same_breach = [](const records::Breach& x, const records::Breach& y) {
    return x.at_us() == y.at_us();
  };
  return a.account_id() == b.account_id() && CountsInHealth(a) == CountsInHealth(b) &&
         IsUnresolved(a.state()) == IsUnresolved(b.state()) &&
         (!IsUnresolved(a.state()) || a.severity() == b.severity()) &&
         std::equal(a.breaches().begin(), a.breaches().end(), b.breaches().begin(),
                    b.breaches().end(), same_breach) &&
         std::equal(a.reopened_us().begin(), a.reopened_us().end(), b.reopened_us().begin(),
                    b.reopened_us().end());
}

void KeepSpans(TicketRecord& ticket, absl::Time at) {
  const std::optional<Issue> issue = IssueOf(ticket);
  IssueSpan* last =
      ticket.spans_size() == 0 ? nullptr : ticket.mutable_spans(ticket.spans_size() - 1);
  const bool lasts = last != nullptr && last->to_us() == 0;
  if (lasts && issue.has_value() && last->account_id() == ticket.account_id() &&
      last->severity() == issue->severity() && last->flags() == issue->flags()) {
    return;
  }
  if (lasts) last->set_to_us(std::max(time::ToMicros(at), last->from_us()));
  if (!issue.has_value()) return;
  IssueSpan& span = *ticket.add_spans();
  span.set_from_us(time::ToMicros(at));
  span.set_account_id(ticket.account_id());
  span.set_severity(issue->severity());
  span.set_flags(issue->flags());
  KeepLast(ticket.mutable_spans());
}

void MoveSpans(TicketRecord& ticket, std::string_view account_id, TicketRecord& left) {
  google::protobuf::RepeatedPtrField<IssueSpan> kept;
  for (IssueSpan& span : *ticket.mutable_spans()) {
    *(span.account_id() == account_id ? left.add_spans() : kept.Add()) = std::move(span);
  }
  ticket.mutable_spans()->Swap(&kept);
  KeepLast(left.mutable_spans());
}

bool AddBreach(TicketRecord& ticket, type::v1::SlaMetric metric, int32_t cycle, absl::Time at) {
  for (const records::Breach& breach : ticket.breaches()) {
    if (breach.metric() == metric && breach.cycle() == cycle) return false;
  }
  records::Breach& breach = *ticket.add_breaches();
  breach.set_metric(metric);
  breach.set_cycle(cycle);
  breach.set_at_us(time::ToMicros(at));
  KeepLast(ticket.mutable_breaches());
  return true;
}

bool DropBreach(TicketRecord& ticket, type::v1::SlaMetric metric, int32_t cycle) {
  for (int i = 0; i < ticket.breaches_size(); ++i) {
    if (ticket.breaches(i).metric() != metric || ticket.breaches(i).cycle() != cycle) continue;
    ticket.mutable_breaches()->DeleteSubrange(i, 1);
    return true;
  }
  return false;
}

void AddReopening(TicketRecord& ticket, absl::Time at) {
  ticket.add_reopened_us(time::ToMicros(at));
  KeepLast(ticket.mutable_reopened_us());
}

}  // namespace tandem::account_health
