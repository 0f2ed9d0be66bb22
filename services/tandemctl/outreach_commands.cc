#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/cli/human.h"
#include "common/cli/table.h"
#include "common/cli/text_width.h"
#include "services/tandemctl/command.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::tandemctl {
namespace {

using google::protobuf::Message;
namespace av = account::v1;

std::string OutreachMethod(const char* name) {
  return std::string("tandem.account.v1.OutreachService/") + name;
}

// As many as are read at a glance; the rest is a number, and all of it is in the JSON.
constexpr int kShownBlocks = 10;

// What blocks with the subjects of the tickets, which clearance does not know: intake is asked for
// those that are shown. What it does not know has an empty place, and once it does not answer it is
// not asked again.
std::string ShowBlocks(Context& context,
                       const google::protobuf::RepeatedPtrField<av::OutreachBlock>& blocks) {
  constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";
  cli::Table table({{"RULE"},
                    {"BLOCKED BY", cli::Align::kLeft, true},
                    {"SEVERITY", cli::Align::kLeft, true},
                    {"MAY CLEAR", cli::Align::kLeft, true},
                    {"SUBJECT"}});
  const int shown = std::min(kShownBlocks, blocks.size());
  bool answers = true;
  for (int i = 0; i < shown; ++i) {
    const av::OutreachBlock& block = blocks.Get(i);
    intake::v1::GetTicketRequest question;
    question.set_ticket_id(block.subject_id());
    question.set_page_size(-1);  // none of its messages
    std::string subject;
    if (!block.subject_id().empty() && answers) {
      const auto reply = context.session->Call(kGetTicket, &question);
      answers = reply.ok() || absl::IsNotFound(reply.status());
      if (reply.ok()) {
        subject = static_cast<const intake::v1::GetTicketResponse&>(**reply).ticket().subject();
      }
    }
    table.Add({block.rule(), block.subject_id(), WordIn(block, "severity"),
               Cell(block, "may_clear_at", Form::kPlain, context.looks), cli::Printable(subject)});
  }
  std::string text = table.Text(context.looks.screen);
  if (blocks.size() > shown) {
    absl::StrAppend(&text, "and ", cli::HumanCount(blocks.size() - shown), " more\n");
  }
  return text;
}

// The verdict as the first word, then what it rests on.
std::string TellCheck(Context& context, const Message& request, const Message& reply) {
  const auto& check = static_cast<const av::CheckOutreachResponse&>(reply);
  const bool is_preview = static_cast<const av::CheckOutreachRequest&>(request).preview();
  const Looks& looks = context.looks;
  std::string text = WordIn(check, "verdict");
  if (check.verdict() == av::OUTREACH_VERDICT_ALLOW) {
    if (is_preview) {
      absl::StrAppend(&text, ": a preview, so no clearance is given; it would take ",
                      check.units());
    } else {
      absl::StrAppend(&text, ": clearance ", check.clearance_id(), " until ",
                      Cell(reply, "expires_at", Form::kPlain, looks), ", ", check.units());
    }
    absl::StrAppend(&text, check.units() == 1 ? " unit" : " units", " of the contact budget");
    if (!check.exception_id().empty()) {
      absl::StrAppend(&text, ", by exception ", check.exception_id());
    }
  }
  const std::string policy = Cell(reply, "policy", Form::kPlain, looks);
  if (!policy.empty()) absl::StrAppend(&text, " (policy ", policy, ")");
  text += "\n";
  if (check.clearance_state() != av::CLEARANCE_STATE_UNSPECIFIED &&
      check.clearance_state() != av::CLEARANCE_STATE_STANDING) {
    absl::StrAppend(&text, "the clearance given under this request id is ",
                    WordIn(check, "clearance_state"), "\n");
  }
  if (check.unattributed_tickets() > 0) {
    absl::StrAppend(&text, cli::HumanCount(check.unattributed_tickets()),
                    check.unattributed_tickets() == 1 ? " open ticket has" : " open tickets have",
                    " no known requester and may be this account's; see 'account requesters'\n");
  }
  if (check.blocks_size() > 0) {
    absl::StrAppend(&text, "\n", ShowBlocks(context, check.blocks()));
  }
  if (check.advice_size() > 0) {
    absl::StrAppend(&text, "\nopen, but not blocking:\n", ShowBlocks(context, check.advice()));
  }
  return text;
}

int CheckCode(const Message& reply) {
  const auto& check = static_cast<const av::CheckOutreachResponse&>(reply);
  return check.verdict() == av::OUTREACH_VERDICT_ALLOW ? kOk : kNo;
}

// The totals, then each touch beside what was open in the commit that recorded it.
std::string ShowProof(const Message& reply, const Looks& looks) {
  const auto& proof = static_cast<const av::ProveOutreachResponse&>(reply);
  const av::TouchTotals& totals = proof.totals();
  std::string text = absl::StrCat(
      cli::HumanCount(totals.touches()), " touches: ", cli::HumanCount(totals.cleared()),
      " cleared, ", cli::HumanCount(totals.exceptions()), " by exception, ",
      cli::HumanCount(totals.free()), " free, ", cli::HumanCount(totals.violations()),
      totals.violations() == 1 ? " violation\n" : " violations\n");
  if (proof.touches_size() == 0) return text;
  cli::Table table({{"#", cli::Align::kRight, true},
                    {"ACCOUNT"},
                    {"WHEN", cli::Align::kLeft, true},
                    {"TOPIC"},
                    {"VERDICT", cli::Align::kLeft, true},
                    {"CLEARANCE"},
                    {"OPEN", cli::Align::kRight, true},
                    {"OPEN ISSUES"}});
  for (const av::ProvenTouch& touch : proof.touches()) {
    std::string issues;
    for (const av::OpenIssue& issue : touch.open_issues()) {
      absl::StrAppend(&issues, issues.empty() ? "" : ", ", issue.subject_id(),
                      issue.rule().empty() ? "" : absl::StrCat(" (", issue.rule(), ")"));
    }
    if (!touch.exception_reason().empty()) {
      absl::StrAppend(&issues, issues.empty() ? "" : "; ", "exception: ", touch.exception_reason());
    }
    table.Add({absl::StrCat(touch.touch().sequence()), touch.touch().account_id(),
               Cell(touch, "touch.occurred_at", Form::kPlain, looks),
               WordIn(touch.touch(), "topic"), WordIn(touch.touch(), "verdict"),
               touch.touch().clearance_id(), cli::HumanCount(touch.open_issue_count()), issues});
  }
  return absl::StrCat(text, "\n", table.Text(looks.screen));
}

}  // namespace

std::vector<Entry> OutreachCommands() {
  std::vector<Entry> entries;
  const auto add = [&entries](Command command) { entries.push_back(EntryOf(std::move(command))); };

  add({.path = "outreach check",
       .help =
           "Asks whether we may contact a customer about something now. Exits with 0 for ALLOW and "
           "with 3 for HOLD, so that `tandemctl outreach check … && call` calls only when we may.",
       .method = OutreachMethod("CheckOutreach"),
       .tell = &TellCheck,
       .exit_code = &CheckCode});
  add({.path = "outreach touch",
       .help = "Records a contact with a customer that happened.",
       .method = OutreachMethod("RecordTouch")});
  add({.path = "outreach touches",
       .help = "Lists the touches of an account, newest first.",
       .method = OutreachMethod("ListTouches"),
       .arguments = {"account_id"},
       .rows = "touches",
       .columns = {{"TOUCH", "touch_id"},
                   {"WHEN", "occurred_at"},
                   {"TOPIC", "topic"},
                   {"CONTACT", "contact_id"},
                   {"STAFF", "staff_id"},
                   {"MINUTES", "minutes"},
                   {"VERDICT", "verdict"},
                   {"CLEARANCE", "clearance_id"}}});
  add({.path = "outreach prove",
       .help = "Every touch of a period against every issue that was open.",
       .method = OutreachMethod("ProveOutreach"),
       .rows = "touches",
       .show = &ShowProof});
  add({.path = "outreach clearance",
       .help = "Shows a clearance as it stands now.",
       .method = OutreachMethod("GetClearance"),
       .arguments = {"clearance_id"}});
  add({.path = "outreach release",
       .help = "Gives an unused clearance back, so that its units are free again.",
       .method = OutreachMethod("ReleaseClearance"),
       .arguments = {"clearance_id"}});
  add({.path = "outreach clearances",
       .help = "Lists the clearances of an account, newest first.",
       .method = OutreachMethod("ListClearances"),
       .arguments = {"account_id"},
       .rows = "clearances",
       .columns = {{"CLEARANCE", "clearance_id"},
                   {"STATE", "state"},
                   {"TOPIC", "topic"},
                   {"CONTACT", "contact_id"},
                   {"GIVEN", "given_at"},
                   {"EXPIRES", "expires_at"},
                   {"REVOKED BY", "revoked_by_ticket_id"},
                   {"USED", "used_at"}}});
  add({.path = "outreach grant-exception",
       .help = "Lets outreach on a topic go ahead although issues are open.",
       .method = OutreachMethod("GrantOutreachException")});
  add({.path = "outreach holds",
       .help = "For how much of a period each topic was held.",
       .method = OutreachMethod("ListHolds"),
       .flags = {{"from", "", "-30d"}, {"to", "", "now"}},
       .rows = "holds",
       .columns = {{"ACCOUNT", "account_id"},
                   {"TOPIC", "topic"},
                   {"HELD", "account_held"},
                   {"FOR A CONTACT", "any_contact_held"},
                   {"HELD NOW", "is_held"},
                   {"CONTACTS NOW", "held_contacts"}}});
  return entries;
}

}  // namespace tandem::tandemctl
