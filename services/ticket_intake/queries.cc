#include "services/ticket_intake/queries.h"

#include <optional>
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
#include "services/ticket_intake/fields.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/rules.h"

namespace tandem::ticket_intake {
namespace {

using corridor::Loaded;
using corridor::View;
using corridor::Violations;
using records::TicketRecord;
namespace iv = intake::v1;

constexpr int kDefaultPage = 50;
constexpr int kMaxMessagesPage = 200;
constexpr int kMaxTicketsPage = 500;

// The ticket with what triage published last beside it.
absl::StatusOr<iv::Ticket> Shown(const Loaded<TicketRecord>& record, View& view) {
  iv::Ticket ticket = record->ticket();
  ticket.set_version(record.version);
  auto seen = view.Load(TriageViews(), record.key);
  if (!seen.ok()) return seen.status();
  if (*seen) {
    ticket.set_severity((*seen)->severity());
    ticket.set_queue((*seen)->queue());
    ticket.set_assignee_id((*seen)->assignee_id());
  }
  return ticket;
}

absl::Status BadToken() {
  Violations violations;
  violations.Require(false, "page_token", "is not one that this question was answered with");
  return violations.status();
}

std::string Written(const iv::Ticket& last) {
  return absl::StrCat(time::MicrosOf(last.opened_at()), "|", last.ticket_id());
}

std::optional<TicketPosition> ReadPosition(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '|');
  int64_t micros = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &micros) || !id::IsWellFormed(parts[1])) {
    return std::nullopt;
  }
  return TicketPosition{time::FromMicros(micros), parts[1]};
}

}  // namespace

absl::Status ValidateGetTicket(const iv::GetTicketRequest& request) {
  Violations violations;
  violations.Id("ticket_id", request.ticket_id());
  violations.Range("page_size", request.page_size(), -1, kMaxMessagesPage);
  int64_t after = 0;
  violations.Require(
      request.page_token().empty() || (absl::SimpleAtoi(request.page_token(), &after) &&
                                       after >= 0 && after <= kMaxMessages * 2),
      "page_token", "is not one that this question was answered with");
  return violations.status();
}

absl::StatusOr<iv::GetTicketResponse> GetTicket(const iv::GetTicketRequest& request,
                                                const corridor::Inputs&, View& view) {
  auto loaded = view.Load(Tickets(), request.ticket_id());
  if (!loaded.ok()) return loaded.status();
  if (!*loaded) return corridor::NotFound("ticket", request.ticket_id());
  auto ticket = Shown(*loaded, view);
  if (!ticket.ok()) return ticket.status();
  iv::GetTicketResponse response;
  *response.mutable_ticket() = *std::move(ticket);
  if (request.page_size() < 0) return response;
  int64_t after = 0;
  if (!request.page_token().empty() && !absl::SimpleAtoi(request.page_token(), &after)) {
    return BadToken();
  }
  const int64_t page = request.page_size() == 0 ? kDefaultPage : request.page_size();
  auto messages = SelectMessages(view, loaded->key, after, page + 1);
  if (!messages.ok()) return messages.status();
  for (size_t i = 0; i < messages->size() && i < static_cast<size_t>(page); ++i) {
    *response.add_messages() = (*messages)[i]->message();
  }
  if (messages->size() > static_cast<size_t>(page)) {
    response.set_next_page_token(
        absl::StrCat((*messages)[static_cast<size_t>(page) - 1]->number()));
  }
  return response;
}

absl::Status ValidateListTickets(const iv::ListTicketsRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  violations.Id("contact_id", request.contact_id(), true);
  violations.Id("assignee_id", request.assignee_id(), true);
  violations.Id("queue", request.queue(), true);
  violations.Key("category", request.category(), true);
  violations.Text("tag", request.tag(), 64, true);
  violations.Count("states", static_cast<size_t>(request.states_size()), 20);
  violations.Count("severities", static_cast<size_t>(request.severities_size()), 20);
  for (const int state : request.states()) {
    violations.Require(state != type::v1::TICKET_STATE_UNSPECIFIED, "states", "names no state");
  }
  for (const int severity : request.severities()) {
    violations.Require(severity != type::v1::SEVERITY_UNSPECIFIED, "severities",
                       "names no severity");
  }
  if (request.has_external_id()) {
    CheckExternalId("external_id", request.external_id(), violations);
  }
  violations.PageSize(request.page_size(), kMaxTicketsPage);
  violations.Require(request.page_token().empty() || ReadPosition(request.page_token()).has_value(),
                     "page_token", "is not one that this question was answered with");
  return violations.status();
}

absl::StatusOr<iv::ListTicketsResponse> ListTickets(const iv::ListTicketsRequest& request,
                                                    const corridor::Inputs&, View& view) {
  std::optional<TicketPosition> after;
  if (!request.page_token().empty()) {
    after = ReadPosition(request.page_token());
    if (!after) return BadToken();
  }
  std::string only;  // an external id names one ticket
  if (request.has_external_id()) {
    auto name = view.Load(Names(), ExternalIdKey(request.external_id()));
    if (!name.ok()) return name.status();
    if (!*name) return iv::ListTicketsResponse();
    only = (*name)->ticket_id();
  }
  const int page = request.page_size() == 0 ? kDefaultPage : request.page_size();
  auto tickets = SelectTickets(view, request, only, after ? &*after : nullptr, page + 1);
  if (!tickets.ok()) return tickets.status();
  iv::ListTicketsResponse response;
  for (size_t i = 0; i < tickets->size() && i < static_cast<size_t>(page); ++i) {
    auto ticket = Shown((*tickets)[i], view);
    if (!ticket.ok()) return ticket.status();
    *response.add_tickets() = *std::move(ticket);
  }
  if (tickets->size() > static_cast<size_t>(page)) {
    response.set_next_page_token(Written(response.tickets(page - 1)));
  }
  return response;
}

}  // namespace tandem::ticket_intake
