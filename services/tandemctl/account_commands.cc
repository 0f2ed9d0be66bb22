#include "absl/strings/str_cat.h"
#include "services/tandemctl/command.h"
#include "tandem/account/v1/account_service.pb.h"

namespace tandem::tandemctl {
namespace {

using google::protobuf::Message;

std::string Account(const char* name) {
  return std::string("tandem.account.v1.AccountService/") + name;
}
std::string Health(const char* name) {
  return std::string("tandem.account.v1.HealthService/") + name;
}

// The score first, then the groups with their measures: what makes it.
std::string ShowHealth(const Message& reply, const Looks& looks) {
  const auto cell = [&](const char* path, Form form) { return Cell(reply, path, form, looks); };
  std::string text = absl::StrCat(
      StringIn(reply, "account_id"), ": ", cell("score", Form::kHundredths), " ",
      WordIn(reply, "band").empty() ? "(its stage has no health)" : WordIn(reply, "band"), ", ",
      cell("known_share", Form::kHundredths), " % of the weight known, profile ",
      StringIn(reply, "profile"), "\n");
  if (const std::string moved = cell("moved_at", Form::kPlain); !moved.empty()) {
    absl::StrAppend(&text, "last moved ", moved, "\n");
  }
  absl::StrAppend(
      &text, "\n",
      Rows(reply, "groups",
           {{"GROUP", "name"}, {"WEIGHT", "weight"}, {"SCORE", "score", Form::kHundredths}},
           looks));
  const auto* groups = reply.GetDescriptor()->FindFieldByName("groups");
  for (int i = 0; i < reply.GetReflection()->FieldSize(reply, groups); ++i) {
    const Message& group = reply.GetReflection()->GetRepeatedMessage(reply, groups, i);
    absl::StrAppend(&text, "\n", StringIn(group, "name"), ":\n",
                    Rows(group, "measures",
                         {{"MEASURE", "kind"},
                          {"SCORE", "score", Form::kHundredths},
                          {"SHARE %", "share", Form::kHundredths},
                          {"COUNTED", "counted"},
                          {"OF", "of"}},
                         looks));
  }
  return text;
}

// The places that somebody filled; the policy's defaults stay the policy's.
void TeamPutFrom(const Message& reply, Message* request) {
  const auto& team = static_cast<const account::v1::GetAccountTeamResponse&>(reply);
  auto& put = static_cast<account::v1::PutAccountTeamRequest&>(*request);
  put.set_version(team.version());
  for (const account::v1::Counterpart& place : team.team()) {
    if (place.staff_id().empty() || place.is_default()) continue;
    account::v1::TeamMember* const member = put.add_members();
    member->set_role(place.role());
    member->set_staff_id(place.staff_id());
  }
}

}  // namespace

std::vector<Entry> AccountCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "account put",
       .help = "Creates an account, or changes what is given of it.",
       .method = Account("PutAccount"),
       .arguments = {"account.account_id"},
       .spread = {"account"},
       .only = {"account.version", "account.display_name", "account.segment", "account.stage",
                "account.domains", "account.external_ids", "account.seats", "account.arr_minor",
                "account.currency"},
       .mask = "update_mask",
       .stored = {.method = Account("GetAccount"), .field = "account"},
       .is_put = true});
  add({.path = "account get",
       .help = "Shows an account with its journey; '' and --external find it by another system's "
               "name.",
       .method = Account("GetAccount"),
       .arguments = {"account_id"},
       .only = {"account_id", "external_id"}});
  add({.path = "account list",
       .help = "Lists accounts.",
       .method = Account("ListAccounts"),
       .rows = "accounts",
       .columns = {{"ACCOUNT", "account_id"},
                   {"NAME", "display_name"},
                   {"SEGMENT", "segment"},
                   {"STAGE", "stage"},
                   {"DOMAINS", "domains"},
                   {"SINCE", "created_at"}}});
  add({.path = "account advance",
       .help = "Moves an account to another stage.",
       .method = Account("AdvanceJourney"),
       .arguments = {"account_id", "to_stage"}});
  add({.path = "account contact put",
       .help = "Creates a contact, or changes what is given of it.",
       .method = Account("PutContact"),
       .arguments = {"contact.contact_id"},
       .spread = {"contact"},
       .flags = {{"contact.addresses", "mail", ""}},
       .only = {"contact.account_id", "contact.version", "contact.display_name",
                "contact.addresses", "contact.level", "contact.business_role", "contact.language",
                "contact.time_zone", "contact.preferred_channel", "contact.communication_style",
                "contact.constraints", "contact.goals", "contact.opted_out", "contact.champion",
                "contact.external_ids"},
       .mask = "update_mask",
       .stored = {.method = Account("GetContact"), .field = "contact", .fixed = "account_id"},
       .is_put = true});
  add({.path = "account contact get",
       .help = "Shows a contact; '' and --external find it by another system's name.",
       .method = Account("GetContact"),
       .arguments = {"contact_id"},
       .only = {"contact_id", "external_id"}});
  add({.path = "account contact list",
       .help = "Lists the contacts of an account.",
       .method = Account("ListContacts"),
       .arguments = {"account_id"},
       .rows = "contacts",
       .columns = {{"CONTACT", "contact_id"},
                   {"NAME", "display_name"},
                   {"LEVEL", "level"},
                   {"ADDRESSES", "addresses"},
                   {"CHAMPION", "champion"},
                   {"OPTED OUT", "opted_out"}}});
  add({.path = "account team put",
       .help = "Sets who of our staff look after an account, role by role; ROLE= empties a place.",
       .method = Account("PutAccountTeam"),
       .arguments = {"account_id"},
       .mask = "update_mask",
       .stored = {.method = Account("GetAccountTeam"), .field = "team", .into = &TeamPutFrom},
       .is_put = true});
  add({.path = "account team get",
       .help = "Shows an account's team, defaults filled in.",
       .method = Account("GetAccountTeam"),
       .arguments = {"account_id"}});
  add({.path = "account counterparts",
       .help = "Shows who of our staff are the counterparts of a contact level.",
       .method = Account("ListCounterparts"),
       .arguments = {"account_id", "contact_level"}});
  add({.path = "account requesters",
       .help = "Lists requesters whom nobody knows yet, oldest first.",
       .method = Account("ListUnresolvedRequesters"),
       .rows = "requesters",
       .columns = {{"REQUESTER", "requester_id"},
                   {"ADDRESS", "address"},
                   {"EXTERNAL", "external_id"},
                   {"FIRST SEEN", "first_seen_at"},
                   {"CANDIDATES", "candidate_ids"},
                   {"TICKETS", "ticket_ids", Form::kCount}}});
  add({.path = "account assign-requester",
       .help = "Settles a requester: by --contact, or by --account as a new contact.",
       .method = Account("AssignRequester"),
       .arguments = {"requester_id"}});
  add({.path = "account timeline",
       .help = "Shows everything that happened to an account.",
       .method = Account("GetTimeline"),
       .arguments = {"account_id"},
       .rows = "entries",
       .columns = {{"#", "sequence"},
                   {"WHEN", "occurred_at"},
                   {"WHO", "source"},
                   {"WHAT", "type"},
                   {"ABOUT", "subject_id"},
                   {"EVENT", "event_id"},
                   {"CAUSE", "cause_id"}}});
  add({.path = "account health",
       .help = "Shows how well an account is, and what makes it so.",
       .method = Health("GetHealth"),
       .arguments = {"account_id"},
       .show = &ShowHealth});
  add({.path = "account explain-health",
       .help = "Shows which events moved an account's score, newest first.",
       .method = Health("ExplainHealth"),
       .arguments = {"account_id"},
       .rows = "moves",
       .columns = {{"#", "sequence"},
                   {"WHEN", "occurred_at"},
                   {"BY", "cause_type"},
                   {"ABOUT", "subject_id"},
                   {"FROM", "from_score", Form::kHundredths},
                   {"TO", "to_score", Form::kHundredths},
                   {"BAND", "to_band"},
                   {"CAUSE", "cause_id"},
                   {"POLICY", "policy"}}});
  add({.path = "account health-list",
       .help = "Lists accounts by health, the worst first.",
       .method = Health("ListHealth"),
       .rows = "accounts",
       .columns = {{"ACCOUNT", "account_id"},
                   {"SCORE", "score", Form::kHundredths},
                   {"BAND", "band"},
                   {"SINCE", "band_since"},
                   {"SEGMENT", "segment"},
                   {"STAGE", "stage"}}});
  return entries;
}

}  // namespace tandem::tandemctl
