#include "services/tandemctl/command.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::tandemctl {
namespace {

constexpr char kService[] = "tandem.intake.v1.TicketService/";

std::string TicketMethod(const char* name) { return std::string(kService) + name; }

// A ticket that is opened by hand often has no more to say than its subject.
void TextFromSubject(google::protobuf::Message* request) {
  auto& open = static_cast<intake::v1::OpenTicketRequest&>(*request);
  if (open.text().empty()) open.set_text(open.subject());
}

void NotSpam(google::protobuf::Message* request) {
  auto& update = static_cast<intake::v1::UpdateTicketRequest&>(*request);
  update.mutable_ticket()->set_suspected_spam(false);
  update.mutable_update_mask()->add_paths("suspected_spam");
}

}  // namespace

std::vector<Entry> TicketCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "ticket open",
       .help = "Opens a ticket. Without --text the subject is the text.",
       .method = TicketMethod("OpenTicket"),
       .spread = {"requester", "context"},
       .flags = {{"requester.address", "requester", ""},
                 {"requester.external_id", "requester-external", ""},
                 {"channel", "", "API"}},
       .complete = &TextFromSubject});
  add({.path = "ticket get",
       .help = "Shows a ticket with its messages.",
       .method = TicketMethod("GetTicket"),
       .arguments = {"ticket_id"},
       .rows = "messages"});
  add({.path = "ticket list",
       .help = "Lists tickets, newest first.",
       .method = TicketMethod("ListTickets"),
       .flags = {{"suspected_spam_only", "suspected-spam", ""}},
       .rows = "tickets",
       .columns = {{"TICKET", "ticket_id"},
                   {"STATE", "state"},
                   {"SEVERITY", "severity"},
                   {"ACCOUNT", "account_id"},
                   {"QUEUE", "queue"},
                   {"ASSIGNEE", "assignee_id"},
                   {"OPENED", "opened_at"},
                   {"SUBJECT", "subject"}}});
  add({.path = "ticket message",
       .help = "Adds a message: an agent's public one unless said otherwise.",
       .method = TicketMethod("AddMessage"),
       .arguments = {"ticket_id"},
       .flags = {{"author_kind", "", "AGENT"},
                 {"visibility", "", "PUBLIC"},
                 {"new_state", "state", ""}}});
  add({.path = "ticket update",
       .help = "Changes the fields that are given.",
       .method = TicketMethod("UpdateTicket"),
       .arguments = {"ticket_id"},
       .spread = {"ticket", "ticket.context"},
       .only = {"version",
                "staff_id",
                "ticket.subject",
                "ticket.state",
                "ticket.contact_id",
                "ticket.product",
                "ticket.product_version",
                "ticket.category",
                "ticket.impact",
                "ticket.urgency",
                "ticket.affected_users",
                "ticket.language",
                "ticket.tags",
                "ticket.custom_fields",
                "ticket.internal",
                "ticket.goal_id",
                "ticket.watcher_contact_ids",
                "ticket.external_ids",
                "ticket.suspected_spam",
                "ticket.context.environment",
                "ticket.context.steps",
                "ticket.context.business_goal"},
       .mask = "update_mask",
       .stored = {.method = TicketMethod("GetTicket"), .field = "ticket"}});
  add({.path = "ticket not-spam",
       .help = "Confirms that a ticket suspected to be spam is none, so that it counts as open.",
       .method = TicketMethod("UpdateTicket"),
       .arguments = {"ticket_id"},
       .only = {"version", "staff_id"},
       .complete = &NotSpam});
  add({.path = "ticket confirm",
       .help = "Records the problem as confirmed with the customer.",
       .method = TicketMethod("ConfirmProblem"),
       .arguments = {"ticket_id"}});
  add({.path = "ticket resolve",
       .help = "Resolves a ticket, with a public answer where there is none yet.",
       .method = TicketMethod("ResolveTicket"),
       .arguments = {"ticket_id"},
       .flags = {{"resolved_by", "", "AGENT"}}});
  add({.path = "ticket reopen",
       .help = "Reopens a resolved ticket.",
       .method = TicketMethod("ReopenTicket"),
       .arguments = {"ticket_id"}});
  add({.path = "ticket close",
       .help = "Closes a ticket for good.",
       .method = TicketMethod("CloseTicket"),
       .arguments = {"ticket_id"},
       .flags = {{"reason", "", "CONFIRMED"}}});
  return entries;
}

}  // namespace tandem::tandemctl
