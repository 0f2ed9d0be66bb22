#include "services/account_health/outreach_commands.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/corridor/errors.h"
#include "common/plant/plant.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "services/account_health/budget.h"
#include "services/account_health/clearance.h"
#include "services/account_health/commands_work.h"
#include "services/account_health/holds.h"
#include "services/account_health/pages.h"
#include "services/account_health/records.h"
#include "services/account_health/staff_check.h"
#include "services/account_health/tickets.h"
#include "services/account_health/topics.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::account_health {
namespace {

using account::v1::Clearance;
using account::v1::OutreachBlock;
using corridor::Decision;
using corridor::Violations;
using records::Issue;

constexpr char kListTickets[] = "tandem.intake.v1.TicketService/ListTickets";
constexpr int kTicketsAPage = 500;
// Outreach to all contacts at once reserves of each one's budget.
constexpr int64_t kMaxContactsAtOnce = 500;
constexpr int kMaxStandingExceptions = 50;
constexpr size_t kMaxNamedIssues = 100;

void CheckTopic(Violations& violations, type::v1::OutreachTopic topic) {
  violations.Require(
      topic != type::v1::OUTREACH_TOPIC_UNSPECIFIED && type::v1::OutreachTopic_IsValid(topic),
      "topic", "must name a topic");
}

OutreachBlock BlockOf(std::string_view rule, std::string_view subject_id = "") {
  OutreachBlock block;
  block.set_rule(std::string(rule));
  block.set_subject_id(std::string(subject_id));
  return block;
}

// The contacts that outreach to `contact_id` reaches: that one, or all of the account.
absl::StatusOr<std::vector<account::v1::Contact>> FindContacts(Work& work,
                                                               const std::string& account_id,
                                                               const std::string& contact_id) {
  std::vector<account::v1::Contact> contacts;
  if (!contact_id.empty()) {
    auto contact = work.drafts.Open(Contacts(), contact_id);
    if (!contact.ok()) return contact.status();
    if (!(*contact)->exists() || (**contact)->account_id() != account_id) {
      return corridor::NotFound("contact", contact_id);
    }
    contacts.push_back(***contact);
    return contacts;
  }
  auto rows = SelectContacts(work.drafts.view(), account_id, "", kMaxContactsAtOnce + 1);
  if (!rows.ok()) return rows.status();
  if (static_cast<int64_t>(rows->size()) > kMaxContactsAtOnce) {
    return corridor::FailedPrecondition("TOO_MANY_CONTACTS",
                                        absl::StrCat("outreach to more than ", kMaxContactsAtOnce,
                                                     " contacts at once is not cleared; name one"));
  }
  for (const auto& row : *rows) contacts.push_back(*row);
  return contacts;
}

// Opt-outs and the budget: what concerns the persons, whatever is open. What `own_clearance_id`
// (may be empty) reserves and did not use is not held against its holder.
absl::StatusOr<std::vector<OutreachBlock>> FindPersonalBlocks(
    Work& work, const std::vector<account::v1::Contact>& contacts, type::v1::OutreachTopic topic,
    const std::string& own_clearance_id, absl::Time now) {
  std::vector<OutreachBlock> blocks;
  for (const account::v1::Contact& contact : contacts) {
    if (std::find(contact.opted_out().begin(), contact.opted_out().end(), topic) !=
        contact.opted_out().end()) {
      blocks.push_back(BlockOf("opt_out", contact.contact_id()));
    }
    auto budget = work.drafts.Open(Budgets(), contact.contact_id());
    if (!budget.ok()) return budget.status();
    records::BudgetRecord ledger = ***budget;
    if (!own_clearance_id.empty()) GiveBackUnused(ledger, own_clearance_id);
    const BudgetAnswer answer = AskBudget(ledger, topic, now, work.policy().contact_budget());
    if (answer.fits) continue;
    OutreachBlock& block = blocks.emplace_back(BlockOf("fatigue", contact.contact_id()));
    if (answer.may_clear_at < absl::InfiniteFuture()) {
      *block.mutable_may_clear_at() = time::Stamp(answer.may_clear_at);
    }
  }
  return blocks;
}

// Intake's open tickets, or that they are still to be asked for, or that intake cannot be asked.
struct IntakeAnswer {
  std::vector<intake::v1::Ticket> tickets;
  absl::Time as_of;
  bool is_asked = false;  // the decision holds a question: come back with its answer
  bool is_reachable = true;
};

IntakeAnswer AskIntake(const std::string& account_id, int64_t hold_version,
                       const corridor::Inputs& in, Decision& decision) {
  IntakeAnswer answer;
  answer.as_of = absl::InfiniteFuture();
  std::string page_token;
  for (int page = 0;; ++page) {
    if (plant::Has(plant::Mistake::kStaleClearance)) hold_version = 0;
    const std::string name = absl::StrCat("tickets@", hold_version, "#", page);
    if (!in.answers->Has(name)) {
      intake::v1::ListTicketsRequest request;
      request.set_account_id(account_id);
      for (const auto state : {type::v1::TICKET_STATE_NEW, type::v1::TICKET_STATE_OPEN,
                               type::v1::TICKET_STATE_PENDING, type::v1::TICKET_STATE_ON_HOLD}) {
        request.add_states(state);
      }
      request.set_blocking_only(true);
      request.set_page_size(kTicketsAPage);
      request.set_page_token(page_token);
      decision.Ask({.name = name,
                    .method = kListTickets,
                    .request = std::make_shared<const intake::v1::ListTicketsRequest>(request)});
      answer.is_asked = true;
      return answer;
    }
    auto reply = in.answers->Get<intake::v1::ListTicketsResponse>(name);
    if (!reply.ok()) {
      answer.is_reachable = false;
      return answer;
    }
    // The oldest page says how old the answer is.
    answer.as_of = std::min(answer.as_of, in.answers->AskedAt(name));
    answer.tickets.insert(answer.tickets.end(), (*reply)->tickets().begin(),
                          (*reply)->tickets().end());
    page_token = (*reply)->next_page_token();
    if (page_token.empty()) return answer;
  }
}

// The issues: which tickets are open as intake says, what they are as this service knows them, and
// the follow-ups of bad surveys.
absl::StatusOr<std::vector<Issue>> FindIssues(Work& work, const std::string& account_id,
                                              const std::vector<intake::v1::Ticket>& tickets) {
  std::vector<Issue> issues;
  std::set<std::string> named;
  for (const intake::v1::Ticket& ticket : tickets) {
    named.insert(ticket.ticket_id());
    Issue& issue = issues.emplace_back();
    auto known = work.drafts.Open(Issues(), PartKey(account_id, ticket.ticket_id()));
    if (!known.ok()) return known.status();
    if ((*known)->exists()) {
      issue = ***known;
    } else {
      // Not seen yet, or seen as resolved: then its severity still counts.
      auto record = work.drafts.Open(Tickets(), ticket.ticket_id());
      if (!record.ok()) return record.status();
      issue.set_subject_id(ticket.ticket_id());
      issue.set_severity((**record)->severity());
      issue.set_flags((**record)->flags());
    }
    // Intake says that it may block, so somebody has confirmed it, whatever is known here.
    issue.set_flags(issue.flags() & ~kSuspected);
    issue.set_contact_id(ticket.contact_id());
    *issue.mutable_watcher_contact_ids() = ticket.watcher_contact_ids();
  }
  auto holds = work.drafts.Open(HoldRecords(), account_id);
  if (!holds.ok()) return holds.status();
  // Intake does not list what it suspects to be spam among what may block.
  for (const auto* ids : {&(**holds)->follow_up_ids(), &(**holds)->suspected_ids()}) {
    for (const std::string& id : *ids) {
      auto known = work.drafts.Open(Issues(), PartKey(account_id, id));
      if (!known.ok()) return known.status();
      if (named.insert(id).second) issues.push_back(***known);
    }
  }
  return issues;
}

// The clearance that the staff holds for the same contact and topic and has not used; null when
// there is none. A service's belongs to one message of its own and is not given again.
absl::StatusOr<Drafts::Draft<records::ClearanceRecord>*> FindOwnClearance(
    Work& work, const account::v1::CheckOutreachRequest& request, const records::HoldRecord& holds,
    absl::Time now) {
  if (request.staff_id().empty()) return nullptr;
  for (const records::StandingClearance& standing :
       FindReaching(holds, request.contact_id(), SetOf(request.topic()), now)) {
    if (standing.staff_id() != request.staff_id() ||
        standing.contact_id() != request.contact_id()) {
      continue;
    }
    auto draft = work.drafts.Open(Clearances(), standing.clearance_id());
    if (!draft.ok()) return draft.status();
    if (!(**draft)->clearance().has_used_at()) return *draft;
  }
  return nullptr;
}

// Whether the clearance is what a new one would be: for the same people, and not without the
// exception that is needed.
bool IsAsGood(const records::ClearanceRecord& record,
              const std::vector<account::v1::Contact>& contacts, const std::string& exception_id) {
  if (!exception_id.empty() && record.clearance().exception_id() != exception_id) return false;
  return record.reserved_contact_ids_size() == static_cast<int>(contacts.size()) &&
         std::all_of(contacts.begin(), contacts.end(), [&](const account::v1::Contact& contact) {
           return IsReservedFor(record, contact.contact_id());
         });
}

// What is open as this service knows it. Reads a range.
absl::StatusOr<std::vector<Issue>> KnownIssues(Work& work, const std::string& account_id) {
  auto rows = SelectIssues(work.drafts.view(), account_id);
  if (!rows.ok()) return rows.status();
  std::vector<Issue> issues;
  for (const auto& row : *rows) issues.push_back(*row);
  return issues;
}

std::string_view RuleOfEnd(account::v1::ClearanceState state) {
  switch (state) {
    case account::v1::CLEARANCE_STATE_REVOKED:
      return "clearance_revoked";
    case account::v1::CLEARANCE_STATE_EXPIRED:
      return "clearance_expired";
    case account::v1::CLEARANCE_STATE_RETURNED:
      return "clearance_returned";
    case account::v1::CLEARANCE_STATE_RELEASED:
      return "clearance_released";
    default:
      return "";
  }
}

// Whether the clearance covers one more touch with the contact (empty = with several) beyond what
// it gave: units have to be left for it.
absl::StatusOr<bool> FitsAgain(Work& work, const std::vector<std::string>& contact_ids,
                               type::v1::OutreachTopic topic, absl::Time now) {
  for (const std::string& contact_id : contact_ids) {
    auto budget = work.drafts.Open(Budgets(), contact_id);
    if (!budget.ok()) return budget.status();
    if (!AskBudget(***budget, topic, now, work.policy().contact_budget()).fits) return false;
  }
  return true;
}

absl::Status CheckAccount(corridor::View& view, const std::string& account_id) {
  auto account = view.Load(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!*account) return corridor::NotFound("account", account_id);
  return absl::OkStatus();
}

// What a check that has `clearance` is answered: ALLOW while it stands, then HOLD and why it ended.
void TellHowItStands(account::v1::CheckOutreachResponse& response, const Clearance& clearance,
                     absl::Time now) {
  response.set_clearance_state(StateAt(clearance, now));
  if (response.clearance_state() == account::v1::CLEARANCE_STATE_STANDING) return;
  response.set_verdict(account::v1::OUTREACH_VERDICT_HOLD);
  response.set_units(0);
  OutreachBlock& block = *response.add_blocks();
  block = BlockOf(RuleOfEnd(response.clearance_state()), clearance.revoked_by_ticket_id());
  response.mutable_policy()->set_rule(block.rule());
}

// The answer to a request that gave `clearance` once and whose reply is not remembered any more.
absl::StatusOr<account::v1::CheckOutreachResponse> AnswerOfOld(
    const account::v1::CheckOutreachRequest& request, const Clearance& clearance,
    corridor::View& view, absl::Time now) {
  if (clearance.account_id() != request.account_id() ||
      clearance.contact_id() != request.contact_id() || clearance.topic() != request.topic() ||
      clearance.staff_id() != request.staff_id()) {
    return corridor::WithReason(
        absl::AlreadyExistsError("this request_id was used with another request; use a new one"),
        "REQUEST_ID_REUSED");
  }
  account::v1::CheckOutreachResponse response;
  response.set_verdict(account::v1::OUTREACH_VERDICT_ALLOW);
  response.set_clearance_id(clearance.clearance_id());
  *response.mutable_as_of() = clearance.as_of();
  *response.mutable_expires_at() = clearance.expires_at();
  *response.mutable_policy() = clearance.policy();
  response.set_exception_id(clearance.exception_id());
  response.set_units(clearance.units());
  if (!request.staff_id().empty()) {
    auto unattributed = CountUnattributed(view);
    if (!unattributed.ok()) return unattributed.status();
    response.set_unattributed_tickets(*unattributed);
  }
  TellHowItStands(response, clearance, now);
  return response;
}

void CheckPeriod(Violations& violations, bool has_both, const google::protobuf::Timestamp& from,
                 const google::protobuf::Timestamp& to) {
  violations.Require(!has_both || time::MicrosOf(from) < time::MicrosOf(to), "to",
                     "must lie after from");
}

}  // namespace

// ---- CheckOutreach

absl::Status Validate(const account::v1::CheckOutreachRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.Id("contact_id", request.contact_id(), true);
  CheckTopic(violations, request.topic());
  violations.Id("staff_id", request.staff_id(), true);
  violations.Id("ticket_id", request.ticket_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> CheckOutreach(const account::v1::CheckOutreachRequest& request,
                                       const Call& call) {
  const std::string& account_id = request.account_id();
  const type::v1::OutreachTopic topic = request.topic();
  Work work(call.policies, call.in, call.view);
  // Replies are remembered for some days, clearances stay: a request that gave one never gives
  // another.
  const std::string clearance_id = call.in.ids->Next("clr");
  if (!request.preview()) {
    auto given = call.view.Load(Clearances(), clearance_id);
    if (!given.ok()) return given.status();
    if (*given) {
      auto answer = AnswerOfOld(request, (*given)->clearance(), call.view, call.in.now);
      if (!answer.ok()) return answer.status();
      work.decision.ReplyForNow(*std::move(answer));
      return work.Finish();
    }
  }
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  const account::v1::OutreachPolicy& policy = work.policy().outreach();
  auto account = work.drafts.Open(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!(*account)->exists()) return corridor::NotFound("account", account_id);
  auto holds = work.drafts.Open(HoldRecords(), account_id);
  if (!holds.ok()) return holds.status();
  auto contacts = FindContacts(work, account_id, request.contact_id());
  if (!contacts.ok()) return contacts.status();
  auto staff = FindStaff(work, call.in, {request.staff_id()});
  if (!staff.ok()) return staff.status();
  for (const records::StaffRecord& one : staff->staff) {
    status = CheckActive(one, request.staff_id());
    if (!status.ok()) return status;
  }

  std::vector<OutreachBlock> blocks, advice;
  absl::Time as_of = call.in.now;
  std::string exception_id;
  absl::Time exception_until = absl::InfiniteFuture();
  const bool is_holdable = Holds(HoldableTopics(policy), topic);
  if (is_holdable) {
    const IntakeAnswer answer =
        AskIntake(account_id, (**holds)->hold_version(), call.in, work.decision);
    if (answer.is_asked || staff->is_asking) return std::move(work.decision);
    if (answer.is_reachable) {
      as_of = answer.as_of;
      auto issues = FindIssues(work, account_id, answer.tickets);
      if (!issues.ok()) return issues.status();
      Findings findings = Judge(*issues, topic, request.contact_id(), policy);
      blocks = std::move(findings.blocks);
      advice = std::move(findings.advice);
    } else {
      blocks.push_back(BlockOf("intake_unreachable"));
      auto issues = KnownIssues(work, account_id);
      if (!issues.ok()) return issues.status();
      Findings findings = Judge(*issues, topic, request.contact_id(), policy);
      std::move(findings.blocks.begin(), findings.blocks.end(), std::back_inserter(blocks));
      advice = std::move(findings.advice);
    }
    const records::StandingException* exception = FindException(***holds, topic, call.in.now);
    if (!blocks.empty() && exception != nullptr) {
      exception_id = exception->exception_id();
      exception_until = time::FromMicros(exception->until_us());
      advice.insert(advice.begin(), blocks.begin(), blocks.end());
      blocks.clear();
    }
  } else if (staff->is_asking) {
    return std::move(work.decision);
  } else if (!IsFree(topic) && !request.staff_id().empty()) {
    auto issues = KnownIssues(work, account_id);
    if (!issues.ok()) return issues.status();
    advice = Judge(*issues, topic, request.contact_id(), policy).advice;
  }
  auto own = FindOwnClearance(work, request, ***holds, call.in.now);
  if (!own.ok()) return own.status();
  const std::string own_id = *own == nullptr ? "" : (**own)->clearance().clearance_id();
  if (!IsFree(topic)) {
    // Whatever intake says and whoever granted an exception: facts are missing.
    Findings parked = Judge({(**holds)->parked().begin(), (**holds)->parked().end()}, topic,
                            request.contact_id(), policy);
    blocks.insert(blocks.begin(), parked.blocks.begin(), parked.blocks.end());
    auto personal = FindPersonalBlocks(work, *contacts, topic, own_id, call.in.now);
    if (!personal.ok()) return personal.status();
    blocks.insert(blocks.end(), personal->begin(), personal->end());
  }

  account::v1::CheckOutreachResponse response;
  *response.mutable_as_of() = time::Stamp(as_of);
  if (!request.staff_id().empty()) {
    auto unattributed = CountUnattributed(call.view);
    if (!unattributed.ok()) return unattributed.status();
    response.set_unattributed_tickets(*unattributed);
  }
  for (OutreachBlock& block : advice) *response.add_advice() = std::move(block);
  if (!blocks.empty()) {
    *response.mutable_policy() = work.PolicyRef(blocks.front().rule());
    for (OutreachBlock& block : blocks) *response.add_blocks() = std::move(block);
    response.set_verdict(account::v1::OUTREACH_VERDICT_HOLD);
    work.decision.ReplyForNow(std::move(response));
    return work.Finish();
  }
  const int32_t units = UnitsOf(topic, work.policy().contact_budget());
  response.set_verdict(account::v1::OUTREACH_VERDICT_ALLOW);
  response.set_exception_id(exception_id);
  response.set_units(units);
  if (request.preview()) {
    *response.mutable_policy() = work.PolicyRef(exception_id.empty() ? "" : "exception");
    work.decision.ReplyForNow(std::move(response));
    return work.Finish();
  }
  response.set_clearance_state(account::v1::CLEARANCE_STATE_STANDING);
  if (*own != nullptr && IsAsGood(***own, *contacts, exception_id)) {
    const Clearance& standing = (**own)->clearance();
    response.set_clearance_id(standing.clearance_id());
    *response.mutable_expires_at() = standing.expires_at();
    *response.mutable_policy() = standing.policy();
    response.set_exception_id(standing.exception_id());
    response.set_units(standing.units());
    work.decision.Reply(std::move(response));
    return work.Finish();
  }
  if (*own != nullptr) {
    auto released = work.Release(own_id, request.staff_id());
    if (!released.ok()) return released.status();
  }

  absl::StatusOr<absl::Time> at = work.CommitInstant(account_id);
  if (!at.ok()) return at.status();
  // It ends with the earliest of what it rests on.
  const absl::Time expires = std::min(
      *at + time::Span(policy.clearance_expiry()),
      plant::Has(plant::Mistake::kExceptionKept) ? absl::InfiniteFuture() : exception_until);
  records::ClearanceRecord record;
  Clearance& clearance = *record.mutable_clearance();
  clearance.set_clearance_id(clearance_id);
  clearance.set_account_id(account_id);
  clearance.set_contact_id(request.contact_id());
  clearance.set_topic(topic);
  clearance.set_staff_id(request.staff_id());
  *clearance.mutable_given_at() = time::Stamp(*at);
  *clearance.mutable_as_of() = time::Stamp(as_of);
  *clearance.mutable_expires_at() = time::Stamp(expires);
  clearance.set_state(account::v1::CLEARANCE_STATE_STANDING);
  clearance.set_units(units);
  clearance.set_exception_id(exception_id);
  *clearance.mutable_policy() = work.PolicyRef(exception_id.empty() ? "" : "exception");

  events::v1::ClearanceGiven event;
  event.set_account_id(account_id);
  event.set_clearance_id(clearance_id);
  event.set_contact_id(request.contact_id());
  event.set_topic(topic);
  event.set_staff_id(request.staff_id());
  *event.mutable_occurred_at() = clearance.given_at();
  *event.mutable_as_of() = clearance.as_of();
  *event.mutable_expires_at() = clearance.expires_at();
  event.set_units(units);
  *event.mutable_policy() = clearance.policy();
  status = work.Tell(account_id, clearance.clearance_id(), *at, std::move(event));
  if (!status.ok()) return status;
  auto journal = work.drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  clearance.set_given_sequence((**journal)->last_sequence());

  if (!IsFree(topic)) {
    for (const account::v1::Contact& contact : *contacts) {
      auto budget = work.drafts.Open(Budgets(), contact.contact_id());
      if (!budget.ok()) return budget.status();
      records::BudgetRecord& ledger = (*budget)->Change();
      ledger.set_account_id(account_id);
      Prune(ledger, call.in.now, work.policy().contact_budget());
      Reserve(ledger, clearance.clearance_id(), topic, *at, expires,
              work.policy().contact_budget());
      record.add_reserved_contact_ids(contact.contact_id());
    }
  }
  // Also on topics that no rule holds: parking and a later policy have to find it.
  if (!IsFree(topic)) {
    records::HoldRecord& changed = (*holds)->Change();
    DropExpired(changed, call.in.now);
    records::StandingClearance& standing = *changed.add_clearances();
    standing.set_clearance_id(clearance.clearance_id());
    standing.set_contact_id(request.contact_id());
    standing.set_topic(topic);
    standing.set_staff_id(request.staff_id());
    standing.set_as_of_us(time::ToMicros(as_of));
    standing.set_expires_us(time::ToMicros(expires));
    standing.set_exception_id(exception_id);
  }

  response.set_clearance_id(clearance.clearance_id());
  *response.mutable_expires_at() = clearance.expires_at();
  *response.mutable_policy() = clearance.policy();
  work.decision.Save(Clearances(), clearance_id, record);
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::StatusOr<account::v1::CheckOutreachResponse> CheckOutreachAgain(
    const account::v1::CheckOutreachRequest&, const account::v1::CheckOutreachResponse& remembered,
    const Call& call) {
  auto loaded = call.view.Load(Clearances(), remembered.clearance_id());
  if (!loaded.ok()) return loaded.status();
  if (!*loaded) return corridor::NotFound("clearance", remembered.clearance_id());
  account::v1::CheckOutreachResponse response = remembered;
  TellHowItStands(response, (*loaded)->clearance(), call.in.now);
  return response;
}

absl::Status Validate(const account::v1::GetClearanceRequest& request) {
  Violations violations;
  violations.Id("clearance_id", request.clearance_id());
  return violations.status();
}

absl::StatusOr<account::v1::GetClearanceResponse> GetClearance(
    const account::v1::GetClearanceRequest& request, const Call& call) {
  auto loaded = call.view.Load(Clearances(), request.clearance_id());
  if (!loaded.ok()) return loaded.status();
  if (!*loaded) return corridor::NotFound("clearance", request.clearance_id());
  account::v1::GetClearanceResponse response;
  *response.mutable_clearance() = (*loaded)->clearance();
  response.mutable_clearance()->set_state(StateAt((*loaded)->clearance(), call.in.now));
  return response;
}

absl::Status Validate(const account::v1::ReleaseClearanceRequest& request) {
  Violations violations;
  violations.Id("clearance_id", request.clearance_id());
  violations.Id("staff_id", request.staff_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> ReleaseClearance(const account::v1::ReleaseClearanceRequest& request,
                                          const Call& call) {
  const std::string& clearance_id = request.clearance_id();
  Work work(call.policies, call.in, call.view);
  auto draft = work.drafts.Open(Clearances(), clearance_id);
  if (!draft.ok()) return draft.status();
  if (!(*draft)->exists()) return corridor::NotFound("clearance", clearance_id);
  const records::ClearanceRecord record = ***draft;
  const Clearance& clearance = record.clearance();
  if (clearance.staff_id() != request.staff_id()) {
    return corridor::WithReason(
        absl::PermissionDeniedError(absl::StrCat("clearance ", clearance_id,
                                                 " is held by somebody else; its holder gives it "
                                                 "back")),
        "NOT_ITS_HOLDER");
  }
  const account::v1::ClearanceState state = StateAt(clearance, call.in.now);
  if (state != account::v1::CLEARANCE_STATE_STANDING) {
    return corridor::FailedPrecondition(
        "CLEARANCE_ENDED",
        absl::StrCat("clearance ", clearance_id,
                     " does not stand any more: ", std::string(RuleOfEnd(state))),
        {{"clearance_id", clearance_id}, {"state", std::string(RuleOfEnd(state))}});
  }
  const bool is_used_up =
      clearance.contact_id().empty()
          ? clearance.has_used_at() &&
                std::all_of(record.reserved_contact_ids().begin(),
                            record.reserved_contact_ids().end(),
                            [&](const std::string& id) { return !IsUnusedFor(record, id); })
          : !IsUnusedFor(record, clearance.contact_id());
  if (is_used_up) {
    return corridor::FailedPrecondition(
        "CLEARANCE_USED",
        absl::StrCat("clearance ", clearance_id, " was used; nothing of it is left to give back"),
        {{"clearance_id", clearance_id}});
  }
  auto units = work.Release(clearance_id, request.staff_id());
  if (!units.ok()) return units.status();
  account::v1::ReleaseClearanceResponse response;
  response.set_clearance_id(clearance_id);
  *response.mutable_released_at() = (**draft)->clearance().revoked_at();
  response.set_units(*units);
  work.decision.Reply(std::move(response));
  return work.Finish();
}

// ---- touches

absl::Status Validate(const account::v1::RecordTouchRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.Id("contact_id", request.contact_id(), true);
  CheckTopic(violations, request.topic());
  violations.Id("staff_id", request.staff_id());
  violations.Range("minutes", request.minutes(), 0, 1440);
  violations.Id("clearance_id", request.clearance_id(), true);
  return violations.status();
}

absl::StatusOr<Decision> RecordTouch(const account::v1::RecordTouchRequest& request,
                                     const Call& call) {
  const std::string& account_id = request.account_id();
  const type::v1::OutreachTopic topic = request.topic();
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto account = work.drafts.Open(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!(*account)->exists()) return corridor::NotFound("account", account_id);
  if (!request.contact_id().empty()) {
    auto contacts = FindContacts(work, account_id, request.contact_id());
    if (!contacts.ok()) return contacts.status();
  }
  absl::StatusOr<absl::Time> commit = work.CommitInstant(account_id);
  if (!commit.ok()) return commit.status();
  if (request.has_occurred_at() &&
      time::MicrosOf(request.occurred_at()) > time::ToMicros(call.in.now)) {
    Violations violations;
    violations.Require(false, "occurred_at", "must not lie in the future");
    return violations.status();
  }
  const absl::Time at = request.has_occurred_at() ? time::Instant(request.occurred_at()) : *commit;
  auto staff = FindStaff(work, call.in, {request.staff_id()});
  if (!staff.ok()) return staff.status();
  if (staff->is_asking) return std::move(work.decision);
  status = CheckActive(staff->staff.front(), request.staff_id(), at);
  if (!status.ok()) return status;

  // The clearance that stood at that instant, by the order of this account's commits; of several
  // the one that was not used for this contact yet.
  Drafts::Draft<records::ClearanceRecord>* covering = nullptr;
  if (!request.clearance_id().empty()) {
    auto named = work.drafts.Open(Clearances(), request.clearance_id());
    if (!named.ok()) return named.status();
    const Clearance& clearance = (**named)->clearance();
    if ((*named)->exists() && clearance.account_id() == account_id &&
        Covers(clearance, request.contact_id(), topic) && StoodAt(clearance, at)) {
      covering = *named;
    }
  } else if (!request.inbound()) {
    auto rows = SelectClearancesAt(call.view, account_id, topic, time::ToMicros(at), 1000);
    if (!rows.ok()) return rows.status();
    for (const auto& row : *rows) {
      if (!Covers(row->clearance(), request.contact_id(), topic) ||
          !StoodAt(row->clearance(), at)) {
        continue;
      }
      const bool is_unused = IsUnusedFor(*row, request.contact_id());
      if (covering != nullptr && !is_unused) continue;
      auto draft = work.drafts.Open(Clearances(), row.key);
      if (!draft.ok()) return draft.status();
      covering = *draft;
      if (is_unused) break;
    }
  }
  // Whom it reached. It covers one touch with each; a further one reserves anew, or is not covered.
  std::vector<std::string> contact_ids;
  if (!request.contact_id().empty()) {
    contact_ids.push_back(request.contact_id());
  } else if (covering != nullptr) {
    contact_ids.assign((*covering)->reserved_contact_ids().begin(),
                       (*covering)->reserved_contact_ids().end());
  }
  if (covering != nullptr && !request.inbound() && !IsFree(topic)) {
    std::vector<std::string> again;
    for (const std::string& contact_id : contact_ids) {
      if (!IsReservedFor(**covering, contact_id) || !IsUnusedFor(**covering, contact_id)) {
        again.push_back(contact_id);
      }
    }
    auto fits = FitsAgain(work, again, topic, call.in.now);
    if (!fits.ok()) return fits.status();
    if (!*fits) covering = nullptr;
  }
  const Clearance* clearance = covering == nullptr ? nullptr : &(*covering)->clearance();
  const account::v1::TouchVerdict verdict = JudgeTouch(request.inbound(), topic, clearance);
  const std::string clearance_id =
      request.inbound() || clearance == nullptr ? "" : clearance->clearance_id();
  const std::string exception_id =
      request.inbound() || clearance == nullptr ? "" : clearance->exception_id();

  records::TouchRecord record;
  account::v1::Touch& touch = *record.mutable_touch();
  touch.set_touch_id(call.in.ids->Next("tch"));

  int32_t units = 0;
  if (!request.inbound() && !IsFree(topic)) {
    units = UnitsOf(topic, work.policy().contact_budget());
    for (const std::string& contact_id : contact_ids) {
      auto budget = work.drafts.Open(Budgets(), contact_id);
      if (!budget.ok()) return budget.status();
      records::BudgetRecord& ledger = (*budget)->Change();
      ledger.set_account_id(account_id);
      Prune(ledger, call.in.now, work.policy().contact_budget());
      const bool is_first = covering != nullptr && IsUnusedFor(**covering, contact_id);
      Use(ledger, is_first ? clearance_id : "", touch.touch_id(), topic, at,
          work.policy().contact_budget());
    }
  }
  if (!clearance_id.empty()) UseClearance(covering->Change(), request.contact_id(), at);

  touch.set_account_id(account_id);
  touch.set_contact_id(request.contact_id());
  touch.set_topic(topic);
  touch.set_staff_id(request.staff_id());
  *touch.mutable_occurred_at() = time::Stamp(at);
  touch.set_inbound(request.inbound());
  touch.set_minutes(request.minutes());
  touch.set_verdict(verdict);
  touch.set_clearance_id(clearance_id);
  touch.set_exception_id(exception_id);
  *touch.mutable_recorded_at() = time::Stamp(*commit);

  // What was open in this very commit.
  auto holds = work.drafts.Open(HoldRecords(), account_id);
  if (!holds.ok()) return holds.status();
  auto issues = KnownIssues(work, account_id);
  if (!issues.ok()) return issues.status();
  issues->insert(issues->end(), (**holds)->parked().begin(), (**holds)->parked().end());
  for (const Issue& issue : *issues) {
    record.set_open_issue_count(record.open_issue_count() + 1);
    if (static_cast<size_t>(record.open_issues_size()) == kMaxNamedIssues) continue;
    account::v1::OpenIssue& open = *record.add_open_issues();
    open.set_rule(
        std::string(FindRule(issue, topic, request.contact_id(), work.policy().outreach())));
    open.set_subject_id(issue.subject_id());
    open.set_severity(issue.severity());
    open.set_known_sequence(issue.known_sequence());
  }

  events::v1::TouchRecorded event;
  event.set_account_id(account_id);
  event.set_touch_id(touch.touch_id());
  event.set_contact_id(request.contact_id());
  event.set_topic(topic);
  event.set_staff_id(request.staff_id());
  *event.mutable_occurred_at() = touch.occurred_at();
  event.set_inbound(request.inbound());
  event.set_clearance_id(clearance_id);
  event.set_violation(verdict == account::v1::TOUCH_VERDICT_VIOLATION);
  event.set_minutes(request.minutes());
  status = work.Tell(account_id, touch.touch_id(), at, std::move(event));
  if (!status.ok()) return status;
  auto journal = work.drafts.Open(Journals(), account_id);
  if (!journal.ok()) return journal.status();
  touch.set_sequence((**journal)->last_sequence());

  account::v1::RecordTouchResponse response;
  response.set_touch_id(touch.touch_id());
  response.set_verdict(verdict);
  response.set_clearance_id(clearance_id);
  response.set_units(units);
  work.decision.Insert(Touches(), touch.touch_id(), record);
  work.decision.Reply(std::move(response));
  return work.Finish();
}

absl::Status Validate(const account::v1::ListTouchesRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  CheckPeriod(violations, request.has_from() && request.has_to(), request.from(), request.to());
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListTouchesResponse> ListTouches(
    const account::v1::ListTouchesRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  auto before = ReadNumber((*parts)[0], INT64_MAX);
  if (!before.ok()) return before.status();
  absl::Status status = CheckAccount(call.view, request.account_id());
  if (!status.ok()) return status;
  const int64_t size = PageOf(request.page_size());
  auto rows =
      SelectTouchesBefore(call.view, request.account_id(), *before,
                          request.has_from() ? time::MicrosOf(request.from()) : INT64_MIN,
                          request.has_to() ? time::MicrosOf(request.to()) : INT64_MAX, size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListTouchesResponse response;
  for (const auto& row : *rows) {
    if (response.touches_size() == size) {
      response.set_next_page_token(
          WritePosition({absl::StrCat(response.touches(response.touches_size() - 1).sequence())}));
      break;
    }
    *response.add_touches() = row->touch();
    response.set_minutes(response.minutes() + row->touch().minutes());
  }
  return response;
}

// ---- clearances and exceptions

absl::Status Validate(const account::v1::ListClearancesRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ListClearancesResponse> ListClearances(
    const account::v1::ListClearancesRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  auto before = ReadNumber((*parts)[0], INT64_MAX);
  if (!before.ok()) return before.status();
  absl::Status status = CheckAccount(call.view, request.account_id());
  if (!status.ok()) return status;
  const int64_t size = PageOf(request.page_size());
  auto rows =
      SelectClearances(call.view, request.account_id(), *before,
                       request.standing_only() ? time::ToMicros(call.in.now) : -1, size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ListClearancesResponse response;
  for (const auto& row : *rows) {
    if (response.clearances_size() == size) {
      response.set_next_page_token(WritePosition(
          {absl::StrCat(response.clearances(response.clearances_size() - 1).given_sequence())}));
      break;
    }
    Clearance& clearance = *response.add_clearances();
    clearance = row->clearance();
    clearance.set_state(StateAt(clearance, call.in.now));
  }
  return response;
}

absl::Status Validate(const account::v1::GrantOutreachExceptionRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id());
  CheckTopic(violations, request.topic());
  violations.Require(!IsFree(request.topic()), "topic", "is never held");
  violations.Text("reason", request.reason(), 1024);
  violations.Require(request.has_until(), "until", "is missing");
  violations.Id("staff_id", request.staff_id());
  return violations.status();
}

absl::StatusOr<Decision> GrantOutreachException(
    const account::v1::GrantOutreachExceptionRequest& request, const Call& call) {
  const std::string& account_id = request.account_id();
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  auto account = work.drafts.Open(Accounts(), account_id);
  if (!account.ok()) return account.status();
  if (!(*account)->exists()) return corridor::NotFound("account", account_id);
  auto staff = FindStaff(work, call.in, {request.staff_id()});
  if (!staff.ok()) return staff.status();
  if (staff->is_asking) return std::move(work.decision);
  const records::StaffRecord& grantor = staff->staff.front();
  status = CheckActive(grantor, request.staff_id());
  if (!status.ok()) return status;
  if (std::find(grantor.roles().begin(), grantor.roles().end(),
                type::v1::STAFF_ROLE_SUPPORT_LEAD) == grantor.roles().end()) {
    return corridor::WithReason(
        absl::PermissionDeniedError("only an active SUPPORT_LEAD grants an exception"),
        "NO_SUPPORT_LEAD");
  }
  const absl::Duration limit = time::Span(work.policy().outreach().exception_limit());
  const int64_t now_us = time::ToMicros(call.in.now);
  const absl::Time until = time::Instant(request.until());
  Violations violations;
  violations.Require(until > call.in.now, "until", "must lie in the future");
  violations.Require(
      until <= call.in.now + limit, "until",
      absl::StrCat("must lie within ", absl::FormatDuration(limit), ", the policy's limit"));
  if (!violations.ok()) return violations.status();

  auto holds = work.drafts.Open(HoldRecords(), account_id);
  if (!holds.ok()) return holds.status();
  records::HoldRecord& changed = (*holds)->Change();
  DropExpired(changed, call.in.now);
  if (changed.exceptions_size() == kMaxStandingExceptions) {
    return corridor::FailedPrecondition(
        "TOO_MANY_EXCEPTIONS",
        absl::StrCat(kMaxStandingExceptions, " exceptions stand for this account already"));
  }
  const std::string exception_id = call.in.ids->Next("exc");
  records::StandingException& standing = *changed.add_exceptions();
  standing.set_exception_id(exception_id);
  standing.set_topic(request.topic());
  standing.set_until_us(time::MicrosOf(request.until()));
  records::ExceptionRecord record;
  record.set_account_id(account_id);
  record.set_topic(request.topic());
  record.set_reason(request.reason());
  record.set_staff_id(request.staff_id());
  record.set_granted_us(now_us);
  record.set_until_us(time::MicrosOf(request.until()));
  work.decision.Insert(Exceptions(), exception_id, record);
  account::v1::GrantOutreachExceptionResponse response;
  response.set_exception_id(exception_id);
  *response.mutable_until() = request.until();
  work.decision.Reply(std::move(response));
  return work.Finish();
}

// ---- proof

absl::Status Validate(const account::v1::ProveOutreachRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  CheckPeriod(violations, request.has_from() && request.has_to(), request.from(), request.to());
  violations.PageSize(request.page_size(), kLargestPage);
  return violations.status();
}

absl::StatusOr<account::v1::ProveOutreachResponse> ProveOutreach(
    const account::v1::ProveOutreachRequest& request, const Call& call) {
  auto parts = ReadPosition(request.page_token(), 2);
  if (!parts.ok()) return parts.status();
  auto after = ReadNumber((*parts)[1], 0);
  if (!after.ok()) return after.status();
  if (!request.account_id().empty()) {
    absl::Status status = CheckAccount(call.view, request.account_id());
    if (!status.ok()) return status;
  }
  const int64_t from_us = request.has_from() ? time::MicrosOf(request.from()) : INT64_MIN;
  const int64_t to_us = request.has_to() ? time::MicrosOf(request.to()) : INT64_MAX;
  const int64_t size = PageOf(request.page_size());
  auto rows = SelectTouchesAfter(call.view, request.account_id(), (*parts)[0], *after, from_us,
                                 to_us, size + 1);
  if (!rows.ok()) return rows.status();
  account::v1::ProveOutreachResponse response;
  for (const auto& row : *rows) {
    if (response.touches_size() == size) {
      const account::v1::Touch& last = response.touches(response.touches_size() - 1).touch();
      response.set_next_page_token(
          WritePosition({last.account_id(), absl::StrCat(last.sequence())}));
      break;
    }
    account::v1::ProvenTouch& proven = *response.add_touches();
    *proven.mutable_touch() = row->touch();
    *proven.mutable_open_issues() = row->open_issues();
    proven.set_open_issue_count(row->open_issue_count());
    if (!row->touch().clearance_id().empty()) {
      auto clearance = call.view.Load(Clearances(), row->touch().clearance_id());
      if (!clearance.ok()) return clearance.status();
      if (*clearance) {
        *proven.mutable_clearance() = (*clearance)->clearance();
        proven.mutable_clearance()->set_state(StateAt(proven.clearance(), call.in.now));
      }
    }
    if (!row->touch().exception_id().empty()) {
      auto exception = call.view.Load(Exceptions(), row->touch().exception_id());
      if (!exception.ok()) return exception.status();
      if (*exception) proven.set_exception_reason((*exception)->reason());
    }
  }
  auto totals = CountTouches(call.view, request.account_id(), from_us, to_us);
  if (!totals.ok()) return totals.status();
  *response.mutable_totals() = *totals;
  return response;
}

// ---- holds

absl::Status Validate(const account::v1::ListHoldsRequest& request) {
  Violations violations;
  violations.Id("account_id", request.account_id(), true);
  violations.Require(request.has_from(), "from", "is missing");
  violations.Require(request.has_to(), "to", "is missing");
  CheckPeriod(violations, request.has_from() && request.has_to(), request.from(), request.to());
  violations.PageSize(request.page_size(), 100);
  return violations.status();
}

absl::StatusOr<account::v1::ListHoldsResponse> ListHolds(
    const account::v1::ListHoldsRequest& request, const Call& call) {
  Work work(call.policies, call.in, call.view);
  absl::Status status = work.LoadPolicy();
  if (!status.ok()) return status;
  const account::v1::OutreachPolicy& policy = work.policy().outreach();
  auto parts = ReadPosition(request.page_token(), 1);
  if (!parts.ok()) return parts.status();
  account::v1::ListHoldsResponse response;
  std::vector<std::string> account_ids;
  if (!request.account_id().empty()) {
    status = CheckAccount(call.view, request.account_id());
    if (!status.ok()) return status;
    account_ids.push_back(request.account_id());
  } else {
    const int64_t size = PageOf(request.page_size(), 20);
    auto accounts = SelectAccounts(call.view, {}, {}, (*parts)[0], size + 1);
    if (!accounts.ok()) return accounts.status();
    for (const auto& account : *accounts) {
      if (static_cast<int64_t>(account_ids.size()) == size) {
        response.set_next_page_token(WritePosition({account_ids.back()}));
        break;
      }
      account_ids.push_back(account.key);
    }
  }

  const int64_t from_us = time::MicrosOf(request.from());
  const int64_t to_us = std::min(time::MicrosOf(request.to()), time::ToMicros(call.in.now));
  for (const std::string& account_id : account_ids) {
    // Stretches by topic, for the account and for anybody.
    std::map<type::v1::OutreachTopic, std::vector<Stretch>> account_wide, anybody;
    const auto add = [&](const Issue& issue, Stretch stretch) {
      const HeldBy held = TopicsHeldBy(issue, policy);
      for (const auto topic : TopicsOf(held.account)) account_wide[topic].push_back(stretch);
      for (const auto topic : TopicsOf(held.account | held.contact)) {
        anybody[topic].push_back(stretch);
      }
    };
    auto tickets = SelectTickets(call.view, account_id);
    if (!tickets.ok()) return tickets.status();
    for (const auto& ticket : *tickets) {
      for (const records::IssueSpan& span : ticket->spans()) {
        Issue issue;
        issue.set_severity(span.severity());
        issue.set_flags(span.flags());
        add(issue, {span.from_us(), span.to_us() == 0 ? INT64_MAX : span.to_us()});
      }
    }
    auto follow_ups = SelectFollowUps(call.view, account_id);
    if (!follow_ups.ok()) return follow_ups.status();
    for (const auto& follow_up : *follow_ups) {
      if (!follow_up->bad()) continue;
      Issue issue;
      issue.set_flags(kFollowUp);
      add(issue, {follow_up->from_us(), follow_up->to_us() == 0 ? INT64_MAX : follow_up->to_us()});
    }
    auto holds = call.view.Load(HoldRecords(), account_id);
    if (!holds.ok()) return holds.status();
    if (*holds) {
      for (const records::ParkedSpan& span : (*holds)->parked_spans()) {
        Issue issue;
        issue.set_flags(kParked);
        add(issue, {span.from_us(), span.to_us() == 0 ? INT64_MAX : span.to_us()});
      }
    }
    for (const auto& [topic, stretches] : anybody) {
      account::v1::TopicHold hold;
      hold.set_account_id(account_id);
      hold.set_topic(topic);
      *hold.mutable_account_held() =
          time::StampSpanOfMicros(LengthOfUnion(account_wide[topic], from_us, to_us));
      *hold.mutable_any_contact_held() =
          time::StampSpanOfMicros(LengthOfUnion(stretches, from_us, to_us));
      if (*holds) {
        hold.set_is_held(Holds(HeldTopicsOf((*holds)->account()), topic));
        if (topic < (*holds)->contacts_held_size()) {
          hold.set_held_contacts((*holds)->contacts_held(topic));
        }
      }
      if (time::MicrosOf(hold.any_contact_held()) > 0 || hold.is_held() ||
          hold.held_contacts() > 0) {
        *response.add_holds() = std::move(hold);
      }
    }
  }
  return response;
}

}  // namespace tandem::account_health
