// Every RPC that takes the id of a record of another service: how it is settled that the record
// exists. A new field has to be put into the table before the tree is green again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/corridor/endpoint.h"
#include "common/corridor/errors.h"
#include "common/testing/service_harness.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "services/tandem/services.h"

namespace tandem {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kTicket[] = "tandem.intake.v1.TicketService/GetTicket";
constexpr char kStaff[] = "tandem.triage.v1.StaffService/GetStaff";

// Whose record a field of this name means; fields of other names mean none of another service's.
std::string OwnerOf(const std::string& field) {
  static const std::map<std::string, std::string>* const owners =
      new std::map<std::string, std::string>{
          {"ticket_id", "ticket_intake"},   {"account_id", "account_health"},
          {"contact_id", "account_health"}, {"watcher_contact_ids", "account_health"},
          {"staff_id", "triage"},           {"by_staff_id", "triage"},
          {"opened_by_staff_id", "triage"}, {"assignee_id", "triage"},
          {"author_id", "triage"}};
  const auto found = owners->find(field);
  return found == owners->end() ? "" : found->second;
}

// How an id is settled: its owner is asked (`asks`, with a request that names it), or `why` not.
struct Settled {
  std::string asks = {};
  std::string request = {};
  std::string why = {};
};

constexpr char kFilter[] = "a filter: nothing fits, and the page is empty";
constexpr char kOutput[] = "not set by callers";
// Where a follower's copy may be older than the service, the owner's answer is used at once.
constexpr char kPeople[] = "people.h asks the owner about whom it does not know";
constexpr char kStaffCheck[] = "staff_check.h asks triage about whom it does not know";
constexpr char kNote[] =
    "what the question is about, noted and never looked up: the caller is the owner's own";

// "Service/Method field" → how.
const std::map<std::string, Settled>& Table() {
  static const std::map<std::string, Settled>* const table = new std::map<std::string, Settled>{
      {"SlaService/GetTicketSla ticket_id", {kTicket, "ticket_id: 't'"}},
      {"SlaService/ExplainClock ticket_id",
       {kTicket, "ticket_id: 't' metric: SLA_METRIC_RESOLUTION"}},
      {"SlaService/RecomputeTicket ticket_id", {kTicket, "ticket_id: 't'"}},
      {"TriageService/GetTriage ticket_id", {kTicket, "ticket_id: 't'"}},
      {"TriageService/ClassifyTicket ticket_id", {kTicket, "ticket_id: 't'"}},
      {"TriageService/OverrideSeverity ticket_id",
       {kTicket, "ticket_id: 't' severity: SEVERITY_URGENT staff_id: 's'"}},
      {"TriageService/AcceptAssignment ticket_id", {kTicket, "ticket_id: 't' staff_id: 's'"}},
      {"TriageService/ReassignTicket ticket_id", {kTicket, "ticket_id: 't' staff_id: 's'"}},
      {"TriageService/TransferTicket ticket_id",
       {kTicket, "ticket_id: 't' support_level: SUPPORT_LEVEL_L2 staff_id: 's'"}},
      {"TriageService/Escalate ticket_id", {kTicket, "ticket_id: 't' staff_id: 's'"}},
      {"TriageService/ListEscalations ticket_id", {.why = kFilter}},
      {"TriageService/ListEscalations account_id", {.why = kFilter}},
      {"TicketService/OpenTicket requester.contact_id", {.why = kPeople}},
      {"TicketService/OpenTicket opened_by_staff_id", {.why = kPeople}},
      {"TicketService/OpenTicket watcher_contact_ids", {.why = kPeople}},
      {"TicketService/AddMessage author_id", {.why = kPeople}},
      {"TicketService/UpdateTicket staff_id", {.why = kPeople}},
      {"TicketService/UpdateTicket ticket.contact_id", {.why = kPeople}},
      {"TicketService/UpdateTicket ticket.watcher_contact_ids", {.why = kPeople}},
      {"TicketService/UpdateTicket ticket.account_id", {.why = kOutput}},
      {"TicketService/UpdateTicket ticket.opened_by_staff_id", {.why = kOutput}},
      {"TicketService/UpdateTicket ticket.assignee_id", {.why = kOutput}},
      {"TicketService/UpdateTicket ticket.confirmed_problem.staff_id", {.why = kOutput}},
      {"TicketService/ConfirmProblem staff_id", {.why = kPeople}},
      {"TicketService/ResolveTicket staff_id", {.why = kPeople}},
      {"TicketService/ReopenTicket staff_id", {.why = kPeople}},
      {"TicketService/CloseTicket staff_id", {.why = kPeople}},
      {"TicketService/ListTickets account_id", {.why = kFilter}},
      {"TicketService/ListTickets contact_id", {.why = kFilter}},
      {"TicketService/ListTickets assignee_id", {.why = kFilter}},
      {"AccountService/AdvanceJourney staff_id", {.why = kStaffCheck}},
      {"AccountService/AssignRequester staff_id", {.why = kStaffCheck}},
      {"AccountService/PutAccountTeam members.staff_id", {.why = kStaffCheck}},
      {"AccountService/ResolveRequester ticket_id", {.why = kNote}},
      {"OutreachService/CheckOutreach staff_id", {.why = kStaffCheck}},
      {"OutreachService/CheckOutreach ticket_id", {.why = kNote}},
      {"OutreachService/RecordTouch staff_id", {.why = kStaffCheck}},
      {"OutreachService/GrantOutreachException staff_id", {.why = kStaffCheck}},
      {"OutreachService/ReleaseClearance staff_id",
       {.why = "it has to be the holder, whom the clearance names"}},
      {"SurveyService/OptOut contact_id",
       {"tandem.account.v1.AccountService/GetContact", "contact_id: 'c'"}},
      {"SurveyService/CloseFollowUp staff_id",
       {.why = "of a follow-up that is open; triage is asked about whom survey does not know"}},
      {"SlaService/ListAtRisk account_id", {.why = kFilter}},
      {"SlaService/GetSlaReport account_id", {.why = kFilter}},
      {"SurveyService/ListAnswers account_id", {.why = kFilter}},
      {"SurveyService/ListAnswers contact_id", {.why = kFilter}},
      {"SurveyService/ListAnswers ticket_id", {.why = kFilter}},
      {"SurveyService/ListAnswers assignee_id", {.why = kFilter}},
      {"SurveyService/ListSurveys account_id", {.why = kFilter}},
      {"SurveyService/ListSurveys contact_id", {.why = kFilter}},
      {"SurveyService/ListSurveys ticket_id", {.why = kFilter}},
      {"SurveyService/ListFollowUps account_id", {.why = kFilter}},
      {"SurveyService/ListFollowUps assignee_id", {.why = kFilter}},
      {"SurveyService/GetScores account_id", {.why = kFilter}},
      {"SurveyService/GetScores assignee_id", {.why = kFilter}},
  };
  return *table;
}

// The id fields of a request, "ticket.contact_id" for those of its parts. What a policy names is
// checked when it is applied.
void CollectIds(const Descriptor& type, const std::string& prefix, int depth,
                std::vector<std::pair<std::string, std::string>>* found) {
  if (depth > 3 || absl::EndsWith(type.name(), "Policy")) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->message_type() != nullptr) {
      CollectIds(*field->message_type(), absl::StrCat(prefix, field->name(), "."), depth + 1,
                 found);
    } else if (std::string owner = OwnerOf(field->name()); !owner.empty()) {
      found->emplace_back(absl::StrCat(prefix, field->name()), std::move(owner));
    }
  }
}

std::string ShortName(const std::string& method) { return method.substr(method.rfind('.') + 1); }

corridor::MessagePtr RequestOf(const Descriptor& type, const std::string& text) {
  std::shared_ptr<Message> request(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, request.get())) << text;
  const FieldDescriptor* id = type.FindFieldByName("request_id");
  if (id != nullptr) request->GetReflection()->SetString(request.get(), id, "r1");
  return request;
}

std::vector<programs::Service> Services() {
  auto services = programs::FiveServices({});
  EXPECT_TRUE(services.ok()) << services.status();
  return services.ok() ? *std::move(services) : std::vector<programs::Service>();
}

TEST(ForeignIds, OfEveryRpcAreSettledByATableEntry) {
  std::set<std::string> unused;
  for (const auto& [use, settled] : Table()) unused.insert(use);
  for (const programs::Service& service : Services()) {
    const auto definition = service.make();
    for (const auto& [name, method] : definition->methods()) {
      std::vector<std::pair<std::string, std::string>> ids;
      CollectIds(*method.request_type, "", 0, &ids);
      for (const auto& [field, owner] : ids) {
        if (owner == service.name) continue;
        const std::string use = absl::StrCat(ShortName(name), " ", field);
        EXPECT_TRUE(Table().contains(use))
            << use << " names a record of " << owner << ": say in the table how it is settled that "
            << "it exists (corridor::NotHeardOf and ServiceDefinition::Follows, or Decision::Ask)";
        unused.erase(use);
      }
    }
  }
  for (const std::string& use : unused) ADD_FAILURE() << use << " is no use of a foreign id";
}

TEST(ForeignIds, ThatAreUnknownHereAreAskedForAtTheirOwners) {
  for (const programs::Service& service : Services()) {
    for (const auto& [use, settled] : Table()) {
      if (settled.asks.empty()) continue;
      const std::string method = use.substr(0, use.find(' '));
      testing::ServiceHarness harness(service.make);
      const auto& methods = harness.runtime().definition().methods();
      const auto bound = std::find_if(methods.begin(), methods.end(), [&](const auto& one) {
        return ShortName(one.first) == method;
      });
      if (bound == methods.end()) continue;
      SCOPED_TRACE(use);
      const corridor::MessagePtr request = RequestOf(*bound->second.request_type, settled.request);
      const auto reply = harness.CallRaw(bound->first, request);
      EXPECT_EQ(harness.peer().Asked(settled.asks), 1);
      // Nobody answers for the owner: nothing is decided.
      EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable) << reply.status();
    }
  }
}

}  // namespace
}  // namespace tandem
