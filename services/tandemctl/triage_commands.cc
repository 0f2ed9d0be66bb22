#include "services/tandemctl/command.h"

namespace tandem::tandemctl {
namespace {

std::string Triage(const char* name) {
  return std::string("tandem.triage.v1.TriageService/") + name;
}
std::string Staff(const char* name) { return std::string("tandem.triage.v1.StaffService/") + name; }

}  // namespace

std::vector<Entry> TriageCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "triage get",
       .help = "Shows a ticket's severity, queue, owner and escalation.",
       .method = Triage("GetTriage"),
       .arguments = {"ticket_id"}});
  add({.path = "triage classify",
       .help = "Shows rule by rule what the policy says about a ticket; changes nothing.",
       .method = Triage("ClassifyTicket"),
       .arguments = {"ticket_id"},
       .only = {"text"}});
  add({.path = "triage claim",
       .help = "Takes the next ticket that the agent may work on.",
       .method = Triage("ClaimNext"),
       .arguments = {"staff_id"}});
  add({.path = "triage accept",
       .help = "Takes a named ticket that nobody owns.",
       .method = Triage("AcceptAssignment"),
       .arguments = {"ticket_id", "staff_id"}});
  add({.path = "triage reassign",
       .help = "Gives a ticket to somebody else.",
       .method = Triage("ReassignTicket"),
       .arguments = {"ticket_id", "staff_id"}});
  add({.path = "triage transfer",
       .help = "Moves a ticket to another queue or support level.",
       .method = Triage("TransferTicket"),
       .arguments = {"ticket_id"}});
  add({.path = "triage override",
       .help = "Sets the severity by hand; 'none' lets the rules count again.",
       .method = Triage("OverrideSeverity"),
       .arguments = {"ticket_id", "severity"}});
  add({.path = "triage queues",
       .help = "Lists the queues with what waits in them.",
       .method = Triage("ListQueues"),
       .rows = "queues",
       .columns = {{"QUEUE", "queue"}, {"WAITING", "waiting"}, {"SINCE", "oldest_since"}}});
  add({.path = "triage queue",
       .help = "Shows a queue's load against the capacity of its people.",
       .method = Triage("GetQueueLoad"),
       .arguments = {"queue"}});
  add({.path = "triage escalations",
       .help = "Lists escalations, newest first.",
       .method = Triage("ListEscalations"),
       .rows = "escalations",
       .columns = {{"ESCALATION", "escalation_id"},
                   {"STATE", "state"},
                   {"TICKET", "ticket_id"},
                   {"SEVERITY", "severity"},
                   {"RINGS", "rings", Form::kCount},
                   {"RAISED", "raised_at"},
                   {"ACKNOWLEDGED BY", "acknowledged_by"},
                   {"POLICY", "policy"}}});
  add({.path = "triage escalation",
       .help = "Shows an escalation with every ring.",
       .method = Triage("GetEscalation"),
       .arguments = {"escalation_id"}});
  add({.path = "triage escalate",
       .help = "Starts an escalation by hand, or rings the next level.",
       .method = Triage("Escalate"),
       .arguments = {"ticket_id"}});
  add({.path = "triage acknowledge",
       .help = "Takes responsibility for an escalation; ringing stops.",
       .method = Triage("AcknowledgeEscalation"),
       .arguments = {"escalation_id", "staff_id"}});
  add({.path = "triage staff put",
       .help = "Stores a staff record whole.",
       .method = Staff("PutStaff"),
       .arguments = {"staff.staff_id"},
       .spread = {"staff"},
       .flags = {{"staff.active", "", "true"}, {"staff.available", "", "true"}},
       .stored = {.method = Staff("GetStaff"), .field = "staff"},
       .is_put = true});
  add({.path = "triage staff get",
       .help = "Shows a staff record and the load that the person carries.",
       .method = Staff("GetStaff"),
       .arguments = {"staff_id"}});
  add({.path = "triage staff list",
       .help = "Lists our people.",
       .method = Staff("ListStaff"),
       .rows = "staff",
       .columns = {{"STAFF", "staff.staff_id"},
                   {"FUNCTION", "staff.function"},
                   {"ROLES", "staff.roles"},
                   {"LEVEL", "staff.support_level"},
                   {"QUEUES", "staff.queues"},
                   {"LOAD", "load.units"},
                   {"CAPACITY", "staff.capacity"},
                   {"TICKETS", "load.tickets"},
                   {"ON DUTY", "on_duty"}}});
  add({.path = "triage staff available",
       .help = "Says whether somebody takes work now: true or false.",
       .method = Staff("SetAvailability"),
       .arguments = {"staff_id", "available"}});
  return entries;
}

}  // namespace tandem::tandemctl
