#include "services/tandem/replay_driver.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "services/tandem/replay_names.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::programs {
namespace {

namespace account = account::v1;
namespace intake = intake::v1;
namespace triage = triage::v1;
namespace ty = type::v1;
using google::protobuf::Message;

constexpr char kCaller[] = "replay";

// Commands of the set-up under way at a time: well below what a lane lets wait.
constexpr size_t kSetUpChunk = 1000;

constexpr char kPutStaff[] = "tandem.triage.v1.StaffService/PutStaff";
constexpr char kPutAccount[] = "tandem.account.v1.AccountService/PutAccount";
constexpr char kPutContact[] = "tandem.account.v1.AccountService/PutContact";
constexpr char kAssignRequester[] = "tandem.account.v1.AccountService/AssignRequester";
constexpr char kOpenTicket[] = "tandem.intake.v1.TicketService/OpenTicket";
constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";
constexpr char kAddMessage[] = "tandem.intake.v1.TicketService/AddMessage";
constexpr char kUpdateTicket[] = "tandem.intake.v1.TicketService/UpdateTicket";
constexpr char kResolveTicket[] = "tandem.intake.v1.TicketService/ResolveTicket";
constexpr char kReopenTicket[] = "tandem.intake.v1.TicketService/ReopenTicket";
constexpr char kCloseTicket[] = "tandem.intake.v1.TicketService/CloseTicket";
constexpr char kAcceptAssignment[] = "tandem.triage.v1.TriageService/AcceptAssignment";
constexpr char kReassignTicket[] = "tandem.triage.v1.TriageService/ReassignTicket";
constexpr char kAcknowledge[] = "tandem.triage.v1.TriageService/AcknowledgeEscalation";

constexpr char kOpeningText[] = "Synthetic: the log holds no texts.";
constexpr char kFirstResponse[] = "Synthetic: an agent took this up.";
constexpr char kAnswer[] = "Synthetic: the answer that the log does not hold.";
constexpr char kCameBack[] = "Synthetic: this came back after it was closed.";

bool IsUnresolved(ty::TicketState state) {
  return state == ty::TICKET_STATE_NEW || state == ty::TICKET_STATE_OPEN ||
         state == ty::TICKET_STATE_PENDING || state == ty::TICKET_STATE_ON_HOLD;
}

// The state that a row asks for, where it is one that a ticket can be moved to by hand.
std::optional<ty::TicketState> WorkingState(LogState state) {
  if (state == LOG_STATE_OPEN) return ty::TICKET_STATE_OPEN;
  if (state == LOG_STATE_PENDING) return ty::TICKET_STATE_PENDING;
  if (state == LOG_STATE_ON_HOLD) return ty::TICKET_STATE_ON_HOLD;
  return std::nullopt;
}

// "FAILED_PRECONDITION NO_ASSIGNEE".
std::string Reason(const absl::Status& status) {
  std::string reason = absl::StatusCodeToString(status.code());
  if (const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo")) {
    google::rpc::ErrorInfo info;
    if (info.ParseFromString(std::string(*payload))) absl::StrAppend(&reason, " ", info.reason());
  }
  return reason;
}

std::string MethodName(const std::string& method) { return method.substr(method.rfind('/') + 1); }

ty::StaffFunction FunctionOf(ty::StaffRole role) {
  switch (role) {
    case ty::STAFF_ROLE_PRE_SALES_LEAD:
    case ty::STAFF_ROLE_ACCOUNT_EXECUTIVE:
      return ty::STAFF_FUNCTION_SALES;
    case ty::STAFF_ROLE_PRE_SALES_PM:
    case ty::STAFF_ROLE_DELIVERY_PM:
    case ty::STAFF_ROLE_ACCOUNT_PM:
      return ty::STAFF_FUNCTION_PROJECT_MANAGEMENT;
    case ty::STAFF_ROLE_CSM:
      return ty::STAFF_FUNCTION_CSM;
    case ty::STAFF_ROLE_EXECUTIVE:
      return ty::STAFF_FUNCTION_EXECUTIVE;
    default:
      return ty::STAFF_FUNCTION_SUPPORT;
  }
}

triage::Staff SupportAgent(const std::string& id, const std::vector<std::string>& queues) {
  triage::Staff staff;
  staff.set_staff_id(id);
  staff.set_function(ty::STAFF_FUNCTION_SUPPORT);
  staff.add_roles(ty::STAFF_ROLE_SUPPORT_AGENT);
  staff.set_support_level(ty::SUPPORT_LEVEL_L3);  // the log does not say who may do what
  *staff.mutable_queues() = {queues.begin(), queues.end()};
  staff.set_active(true);
  staff.set_available(true);
  return staff;
}

// A row's agent; without one who owns the ticket; without that the pseudo-staff of the row's group.
std::string StaffOf(const LogRow& row, const TicketView& view) {
  if (!row.assignee.empty()) return AgentId(row.assignee);
  if (!view.owner.empty()) return view.owner;
  return GroupStaffId(row.group);
}

// `request` with the request id, as a shared message.
template <typename Request>
std::function<corridor::MessagePtr(const std::string&)> With(Request request) {
  return [request = std::make_shared<Request>(std::move(request))](const std::string& request_id) {
    request->set_request_id(request_id);
    return corridor::MessagePtr(request);
  };
}

}  // namespace

ReplayDriver::ReplayDriver(const IncidentLog* log, const std::string& system, ReplayStaff staff,
                           corridor::Peer* peer, const ReplayObserver* observer)
    : log_(*log), system_(system), peer_(peer), observer_(observer) {
  cases_.resize(log_.incidents().size());
  std::set<std::string_view> locations, assignees;
  std::set<std::string_view> groups = {""};
  std::set<std::pair<std::string_view, std::string_view>> contacts;
  for (size_t i = 0; i < cases_.size(); ++i) {
    const Incident& incident = log_.incidents()[i];
    cases_[i].index = i;
    cases_[i].incident = &incident;
    moments_.push_back({incident.opens_at(), i});
    for (const LogRow& row : incident.rows) {
      moments_.push_back({row.updated_at, i});
      groups.insert(row.group);
      assignees.insert(row.assignee);
    }
    const std::string_view location = incident.location(), caller = incident.caller();
    if (location.empty()) continue;
    locations.insert(location);
    if (!caller.empty()) contacts.insert({location, caller});
  }
  assignees.erase("");
  // Stable: of one instant, in the order of the file, and of one incident opening and rows in
  // order.
  std::stable_sort(moments_.begin(), moments_.end(),
                   [](const Moment& a, const Moment& b) { return a.at < b.at; });

  std::vector<Step> first, second;
  const auto put_staff = [&first](const triage::Staff& who) {
    triage::PutStaffRequest request;
    *request.mutable_staff() = who;
    first.push_back({kPutStaff, With(std::move(request)), nullptr});
  };
  for (const std::string_view assignee : assignees) {
    put_staff(SupportAgent(AgentId(assignee), staff.queues));
  }
  for (const std::string_view group : groups) {
    put_staff(SupportAgent(GroupStaffId(group), staff.queues));
  }
  for (const auto& [id, roles] : staff.named) {
    triage::Staff named = SupportAgent(id, {});
    named.clear_roles();
    for (const ty::StaffRole role : roles) named.add_roles(role);
    if (!roles.empty()) named.set_function(FunctionOf(*roles.begin()));
    put_staff(named);
  }
  actions_.set_staff(static_cast<int32_t>(first.size()));
  for (const std::string_view location : locations) {
    account::PutAccountRequest request;
    account::Account& put = *request.mutable_account();
    put.set_account_id(AccountId(location));
    put.set_display_name(absl::StrCat("Location ", OnOneLine(location)));
    put.set_stage(ty::JOURNEY_STAGE_LOYALTY);
    put.add_domains(Domain(location));
    first.push_back({kPutAccount, With(std::move(request)), nullptr});
  }
  actions_.set_accounts(static_cast<int32_t>(locations.size()));
  for (const auto& [location, caller] : contacts) {
    account::PutContactRequest request;
    account::Contact& put = *request.mutable_contact();
    put.set_contact_id(ContactId(location, caller));
    put.set_account_id(AccountId(location));
    put.set_display_name(absl::StrCat("Caller ", OnOneLine(caller)));
    put.add_addresses(Address(location, caller));
    put.set_level(ty::CONTACT_LEVEL_MEMBER);
    second.push_back({kPutContact, With(std::move(request)), nullptr});
  }
  actions_.set_contacts(static_cast<int32_t>(contacts.size()));
  for (std::vector<Step>* steps : {&first, &second}) {
    for (size_t i = 0; i < steps->size(); ++i) {
      if (i % kSetUpChunk == 0) set_up_.emplace_back();
      set_up_.back().push_back(std::move((*steps)[i]));
    }
  }
}

size_t ReplayDriver::IssueSetUp() {
  if (next_set_up_ == set_up_.size()) return 0;
  std::vector<Step> chunk = std::move(set_up_[next_set_up_++]);
  for (Step& step : chunk) Send(nullptr, std::move(step));
  return chunk.size();
}

absl::Time ReplayDriver::NextInstant() const {
  return next_moment_ == moments_.size() ? absl::InfiniteFuture() : moments_[next_moment_].at;
}

size_t ReplayDriver::Issue(absl::Time now) {
  for (; next_moment_ < moments_.size() && moments_[next_moment_].at <= now; ++next_moment_) {
    Case& c = cases_[moments_[next_moment_].case_index];
    ++c.due_moments;
    if (!c.is_active) {
      c.is_active = true;
      active_.push_back(c.index);
    }
  }
  size_t issued = 0;
  for (const size_t index : active_) IssueFor(cases_[index], issued);
  active_.erase(std::remove_if(active_.begin(), active_.end(),
                               [this](size_t index) { return !cases_[index].is_active; }),
                active_.end());
  return issued;
}

void ReplayDriver::IssueFor(Case& c, size_t& issued) {
  if (c.in_flight > 0) return;
  while (c.steps.empty() && (c.plan_again || c.due_moments > 0)) {
    if (c.plan_again) {
      c.plan_again = false;
      PlanRow(c, c.incident->rows[c.next_row - 1]);
      continue;
    }
    --c.due_moments;
    if (!c.is_opened) {
      c.is_opened = true;
      PlanOpening(c);
    } else {
      ++rows_done_;
      PlanRow(c, c.incident->rows[c.next_row++]);
    }
  }
  if (c.steps.empty()) {
    c.is_active = false;
    return;
  }
  do {
    Step step = std::move(c.steps.front());
    c.steps.pop_front();
    Send(&c, std::move(step));
    ++issued;
  } while (!c.steps.empty() && !c.steps.front().waits);
}

void ReplayDriver::Send(Case* c, Step step) {
  const std::string method = step.method;
  // The same row always asks under the same id.
  const std::string request_id = c == nullptr ? absl::StrCat("set-up:", set_up_requests_++)
                                              : absl::StrCat("row:", c->index, ":", c->requests++);
  corridor::CallContext context;
  context.caller = kCaller;
  ++unanswered_;
  if (c != nullptr) ++c->in_flight;
  peer_->Ask(context, method, step.build(request_id),
             [this, c, method,
              answered = std::move(step.answered)](absl::StatusOr<corridor::MessagePtr> reply) {
               --unanswered_;
               if (c != nullptr) --c->in_flight;
               Count(method, c, reply.status());
               if (reply.ok() && answered) answered(**reply);
             });
}

void ReplayDriver::Count(const std::string& method, const Case* c, const absl::Status& status) {
  ++commands_[MethodName(method)];
  if (status.ok()) return;
  RefusalCount& refusal = refusals_[{MethodName(method), Reason(status)}];
  if (refusal.count() == 0 && c != nullptr) {
    refusal.set_first_incident(std::string(c->incident->number));
  }
  refusal.set_count(refusal.count() + 1);
}

// ---- what a row asks for

void ReplayDriver::PlanOpening(Case& c) {
  const LogRow& row = c.incident->rows.front();
  c.impact = row.impact;
  c.urgency = row.urgency;
  c.category = row.category;
  c.subcategory = row.subcategory;
  c.location = row.location;
  c.caller = row.caller;

  intake::OpenTicketRequest request;
  c.attributed = !row.location.empty() && !row.caller.empty();
  request.mutable_requester()->set_address(c.attributed ? Address(row.location, row.caller)
                                                        : UnknownAddress(c.incident->number));
  request.set_subject(absl::StrCat("Incident ", OnOneLine(c.incident->number)));
  request.set_text(kOpeningText);
  request.set_channel(row.channel);
  request.set_category(CategoryKey(row.category));
  request.set_impact(row.impact);
  request.set_urgency(row.urgency);
  if (!row.subcategory.empty()) {
    (*request.mutable_custom_fields())["subcategory"] = std::string(row.subcategory);
  }
  ty::ExternalId& external_id = *request.add_external_ids();
  external_id.set_system(system_);
  external_id.set_id(std::string(c.incident->number));
  c.steps.push_back({kOpenTicket, With(std::move(request)), [this, &c](const Message& message) {
                       const auto& reply = static_cast<const intake::OpenTicketResponse&>(message);
                       c.first_ticket_id = c.ticket_id = reply.ticket_id();
                       actions_.set_tickets_opened(actions_.tickets_opened() + 1);
                       if (!c.attributed) {
                         actions_.set_unattributed_at_opening(actions_.unattributed_at_opening() +
                                                              1);
                       }
                     }});
}

void ReplayDriver::PlanRow(Case& c, const LogRow& row) {
  const TicketView* const view = observer_->Find(c.ticket_id);
  if (view == nullptr) return;  // its opening was refused, and counted
  if (!view->escalation_id.empty() && view->rung_at < row.updated_at) {
    Acknowledge(c, view->escalation_id, StaffOf(row, *view));
  }
  NoteWho(c, row);
  if (!c.attributed && !c.location.empty() && !c.caller.empty()) PlanAttribution(c);
  if (view->state == ty::TICKET_STATE_CLOSED) {
    if (WorkingState(row.state).has_value() || row.state == LOG_STATE_NEW) PlanFollowUp(c);
    return;
  }
  PlanWork(c, row, *view);
}

void ReplayDriver::NoteWho(Case& c, const LogRow& row) {
  if (c.location.empty()) c.location = row.location;
  if (c.caller.empty()) c.caller = row.caller;
  if (!row.location.empty() && row.location != c.location) {
    actions_.set_rows_at_another_location(actions_.rows_at_another_location() + 1);
  }
  if (!row.caller.empty() && row.caller != c.caller) {
    actions_.set_rows_of_another_caller(actions_.rows_of_another_caller() + 1);
  }
}

// Settles the entry of the unresolved list that the ticket waits for.
void ReplayDriver::PlanAttribution(Case& c) {
  c.attributed = true;
  c.steps.push_back(
      {kGetTicket,
       [&c](const std::string&) {
         auto request = std::make_shared<intake::GetTicketRequest>();
         request->set_ticket_id(c.ticket_id);
         request->set_page_size(-1);
         return corridor::MessagePtr(request);
       },
       [&c](const Message& message) {
         c.requester_id =
             static_cast<const intake::GetTicketResponse&>(message).ticket().requester_id();
       },
       /*waits=*/true});
  c.steps.push_back({kAssignRequester,
                     [&c](const std::string& request_id) {
                       account::AssignRequesterRequest request;
                       request.set_requester_id(c.requester_id);
                       request.set_contact_id(ContactId(c.location, c.caller));
                       return With(std::move(request))(request_id);
                     },
                     [this](const Message&) {
                       actions_.set_requesters_assigned(actions_.requesters_assigned() + 1);
                     },
                     /*waits=*/true});
}

// The requester's message on a closed ticket opens the ticket that goes on; then the row is that
// one's.
void ReplayDriver::PlanFollowUp(Case& c) {
  intake::AddMessageRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_author_kind(ty::AUTHOR_KIND_REQUESTER);
  request.set_visibility(ty::VISIBILITY_PUBLIC);
  request.set_text(kCameBack);
  c.steps.push_back({kAddMessage, With(std::move(request)),
                     [this, &c](const Message& message) {
                       c.ticket_id =
                           static_cast<const intake::AddMessageResponse&>(message).ticket_id();
                       c.greeted = false;
                       ++c.follow_ups;
                       c.plan_again = true;
                       actions_.set_follow_ups(actions_.follow_ups() + 1);
                     },
                     /*waits=*/!c.steps.empty()});
}

void ReplayDriver::PlanWork(Case& c, const LogRow& row, const TicketView& view) {
  const std::optional<ty::TicketState> working = WorkingState(row.state);
  const bool ends = row.state == LOG_STATE_RESOLVED || row.state == LOG_STATE_CLOSED;
  const bool reopens = view.state == ty::TICKET_STATE_RESOLVED &&
                       (working.has_value() || row.state == LOG_STATE_NEW);
  const bool is_worked_on = IsUnresolved(view.state) || reopens;
  const std::string staff = StaffOf(row, view);

  bool waits = false;
  if (reopens) {
    Reopen(c, staff);
    waits = true;
  }
  if (is_worked_on) {
    // Whoever is named owns it; a resolution needs an owner, if need be a group's pseudo-staff.
    const bool is_named = !row.assignee.empty() && AgentId(row.assignee) != view.owner;
    bool assigned = false;
    if (is_named || (ends && view.owner.empty())) {
      Assign(c, staff, !view.owner.empty(), waits);
      if (row.assignee.empty()) {
        actions_.set_pseudo_staff_assignments(actions_.pseudo_staff_assignments() + 1);
      }
      assigned = true;
      waits = false;
    }
    ty::TicketState state = reopens ? ty::TICKET_STATE_OPEN : view.state;
    if (!c.greeted && (!row.assignee.empty() || working.has_value() || ends)) {
      const ty::TicketState moves_to =
          working.has_value() ? *working : ty::TICKET_STATE_UNSPECIFIED;
      Greet(c, staff, moves_to);
      state = working.value_or(ty::TICKET_STATE_OPEN);
    }
    Update(c, row,
           working.has_value() && *working != state ? *working : ty::TICKET_STATE_UNSPECIFIED,
           staff);
    if (ends) Resolve(c, row, staff, assigned);
  }
  if (row.state == LOG_STATE_CLOSED) Close(c);
}

// ---- the commands

void ReplayDriver::Acknowledge(Case& c, const std::string& escalation_id,
                               const std::string& staff) {
  triage::AcknowledgeEscalationRequest request;
  request.set_escalation_id(escalation_id);
  request.set_staff_id(staff);
  c.steps.push_back({kAcknowledge, With(std::move(request)), [this](const Message&) {
                       actions_.set_acknowledgements(actions_.acknowledgements() + 1);
                     }});
}

void ReplayDriver::Assign(Case& c, const std::string& staff, bool is_owned, bool waits) {
  if (is_owned) {
    triage::ReassignTicketRequest request;
    request.set_ticket_id(c.ticket_id);
    request.set_staff_id(staff);
    c.steps.push_back(
        {kReassignTicket, With(std::move(request)),
         [this](const Message&) { actions_.set_reassignments(actions_.reassignments() + 1); },
         waits});
    return;
  }
  triage::AcceptAssignmentRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_staff_id(staff);
  c.steps.push_back(
      {kAcceptAssignment, With(std::move(request)),
       [this](const Message&) { actions_.set_assignments(actions_.assignments() + 1); }, waits});
}

void ReplayDriver::Greet(Case& c, const std::string& staff, ty::TicketState new_state) {
  intake::AddMessageRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_author_kind(ty::AUTHOR_KIND_AGENT);
  request.set_author_id(staff);
  request.set_visibility(ty::VISIBILITY_PUBLIC);
  request.set_text(kFirstResponse);
  request.set_new_state(new_state);
  c.greeted = true;
  c.steps.push_back({kAddMessage, With(std::move(request)), [this](const Message&) {
                       actions_.set_synthetic_first_responses(actions_.synthetic_first_responses() +
                                                              1);
                     }});
}

void ReplayDriver::Update(Case& c, const LogRow& row, ty::TicketState new_state,
                          const std::string& staff) {
  intake::UpdateTicketRequest request;
  intake::Ticket& ticket = *request.mutable_ticket();
  google::protobuf::FieldMask& mask = *request.mutable_update_mask();
  if (new_state != ty::TICKET_STATE_UNSPECIFIED) {
    ticket.set_state(new_state);
    mask.add_paths("state");
  }
  if (row.impact != ty::IMPACT_UNSPECIFIED && row.impact != c.impact) {
    c.impact = row.impact;
    ticket.set_impact(row.impact);
    mask.add_paths("impact");
  }
  if (row.urgency != ty::URGENCY_UNSPECIFIED && row.urgency != c.urgency) {
    c.urgency = row.urgency;
    ticket.set_urgency(row.urgency);
    mask.add_paths("urgency");
  }
  if (!row.category.empty() && row.category != c.category) {
    c.category = row.category;
    ticket.set_category(CategoryKey(row.category));
    mask.add_paths("category");
  }
  if (!row.subcategory.empty() && row.subcategory != c.subcategory) {
    c.subcategory = row.subcategory;
    (*ticket.mutable_custom_fields())["subcategory"] = std::string(row.subcategory);
    mask.add_paths("custom_fields");
  }
  if (mask.paths_size() == 0) return;
  request.set_ticket_id(c.ticket_id);
  request.set_staff_id(staff);
  c.steps.push_back({kUpdateTicket, With(std::move(request)), nullptr});
}

void ReplayDriver::Resolve(Case& c, const LogRow& row, const std::string& staff, bool waits) {
  intake::ResolveTicketRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_resolved_by(ty::RESOLVED_BY_AGENT);
  request.set_resolution_code(ResolutionCode(row.resolution_code));
  request.set_answer(kAnswer);
  request.set_staff_id(staff);
  const bool by_closing = row.state == LOG_STATE_CLOSED;
  const bool without_code = row.resolution_code.empty();
  c.steps.push_back(
      {kResolveTicket, With(std::move(request)),
       [this, by_closing, without_code](const Message&) {
         actions_.set_resolutions(actions_.resolutions() + 1);
         actions_.set_synthetic_answers(actions_.synthetic_answers() + 1);
         actions_.set_resolutions_by_closing(actions_.resolutions_by_closing() + by_closing);
         actions_.set_resolutions_without_code(actions_.resolutions_without_code() + without_code);
       },
       waits});
}

void ReplayDriver::Reopen(Case& c, const std::string& staff) {
  intake::ReopenTicketRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_staff_id(staff);
  c.steps.push_back({kReopenTicket, With(std::move(request)), [this](const Message&) {
                       actions_.set_reopenings(actions_.reopenings() + 1);
                     }});
}

void ReplayDriver::Close(Case& c) {
  intake::CloseTicketRequest request;
  request.set_ticket_id(c.ticket_id);
  request.set_reason(ty::CLOSE_REASON_CONFIRMED);
  c.steps.push_back({kCloseTicket, With(std::move(request)),
                     [this](const Message&) { actions_.set_closings(actions_.closings() + 1); },
                     /*waits=*/true});
}

// ---- the report

void ReplayDriver::Report(ReplayReport* report) const {
  ReplayActions& actions = *report->mutable_actions();
  actions = actions_;
  VerdictMatrix& matrix = *report->mutable_verdicts();
  int32_t unattributed = 0;
  for (const Case& c : cases_) {
    const TicketView* const view = observer_->Find(c.first_ticket_id);
    const bool is_attributed = view != nullptr && !view->account_id.empty();
    if (view != nullptr && !is_attributed) ++unattributed;
    if (!is_attributed && !c.incident->location().empty() && !c.incident->caller().empty()) {
      actions.set_lost_incidents(actions.lost_incidents() + 1);
      actions.set_lost_rows(actions.lost_rows() + static_cast<int32_t>(c.incident->rows.size()));
    }
    const std::optional<bool> log = c.incident->rows.back().hindsight.met;
    const std::optional<bool> here = observer_->ResolutionMet(c.first_ticket_id);
    if (c.follow_ups > 0) {
      matrix.set_with_follow_up(matrix.with_follow_up() + 1);
    } else if (!log.has_value() || !here.has_value()) {
      matrix.set_no_verdict(matrix.no_verdict() + 1);
    } else if (*log) {
      *here ? matrix.set_met_met(matrix.met_met() + 1)
            : matrix.set_met_breached(matrix.met_breached() + 1);
    } else {
      *here ? matrix.set_missed_met(matrix.missed_met() + 1)
            : matrix.set_missed_breached(matrix.missed_breached() + 1);
    }
  }
  const int32_t agreed = matrix.met_met() + matrix.missed_breached();
  const int32_t all = agreed + matrix.met_breached() + matrix.missed_met();
  matrix.set_agreement_percent(all == 0 ? 0 : std::round(agreed * 10000.0 / all) / 100.0);
  actions.set_unattributed_at_the_end(unattributed);
  for (const auto& [method, count] : commands_) {
    CommandCount* const entry = actions.add_commands();
    entry->set_method(method);
    entry->set_count(count);
  }
  for (const auto& [key, counted] : refusals_) {
    RefusalCount* const entry = actions.add_refusals();
    *entry = counted;
    entry->set_method(key.first);
    entry->set_reason(key.second);
  }
}

}  // namespace tandem::programs
