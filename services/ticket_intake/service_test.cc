// ticket_intake, whole: commands, events and timers against a database and a bus in memory.
#include "services/ticket_intake/service.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/testing/operator.h"
#include "common/testing/service_harness.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/ticket_intake/records.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/policy_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::ticket_intake {
namespace {

using namespace type::v1;  // NOLINT: the product's own words
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace ev = events::v1;
namespace iv = intake::v1;

constexpr char kService[] = "tandem.intake.v1.TicketService/";
constexpr char kResolve[] = "tandem.account.v1.AccountService/ResolveRequester";
constexpr char kStaff[] = "tandem.triage.v1.StaffService/GetStaff";
constexpr char kTriage[] = "tandem.triage.v1.TriageService/GetTriage";

class Intake : public ::testing::Test {
 protected:
  Intake() : harness_([] { return Make({}); }) {
    AnswerRequester("contact_1", "account_1");
    harness_.peer().On<triage::v1::GetStaffRequest, triage::v1::GetStaffResponse>(
        kStaff,
        [](const triage::v1::GetStaffRequest& request)
            -> absl::StatusOr<triage::v1::GetStaffResponse> {
          if (request.staff_id() == "ghost") return absl::NotFoundError("no such staff");
          triage::v1::GetStaffResponse response;
          response.mutable_staff()->set_staff_id(request.staff_id());
          response.mutable_staff()->set_version(5);
          response.mutable_staff()->set_active(request.staff_id() != "left");
          return response;
        });
  }

  // account_health knows `contact` of `account` under any address, but for what addresses_ says,
  // and besides him the contacts_; it knows nobody from stranger.example.
  void AnswerRequester(const std::string& contact, const std::string& account) {
    contacts_[contact] = account;
    harness_.peer().On<account::v1::ResolveRequesterRequest, account::v1::ResolveRequesterResponse>(
        kResolve,
        [this, contact, account](const account::v1::ResolveRequesterRequest& request)
            -> absl::StatusOr<account::v1::ResolveRequesterResponse> {
          asked_.push_back(request);
          account::v1::ResolveRequesterResponse known;
          if (absl::EndsWith(request.address(), "@stranger.example")) return known;
          known.set_contact_id(contact);
          known.set_account_id(account);
          if (const auto found = addresses_.find(request.address()); found != addresses_.end()) {
            known.set_contact_id(found->second.first);
            known.set_account_id(found->second.second);
          }
          if (!request.contact_id().empty()) {
            const auto found = contacts_.find(request.contact_id());
            if (found == contacts_.end()) {
              return absl::NotFoundError(
                  absl::StrCat("contact ", request.contact_id(), " does not exist"));
            }
            known.set_contact_id(found->first);
            known.set_account_id(found->second);
          }
          known.set_contact_level(CONTACT_LEVEL_MEMBER);
          known.set_segment(SEGMENT_MID);
          known.set_stage(JOURNEY_STAGE_LOYALTY);
          return known;
        });
  }
  void Heard(const std::string& contact, const std::string& account, int64_t version) {
    ev::ContactChanged changed;
    changed.set_contact_id(contact);
    changed.set_account_id(account);
    changed.set_version(version);
    *changed.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("account_health", contact, account, changed);
  }
  void Employ(const std::string& staff, int64_t version, bool active) {
    ev::StaffChanged changed;
    changed.set_staff_id(staff);
    changed.set_version(version);
    changed.set_active(active);
    *changed.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("triage", staff, staff, changed);
  }
  void AnswerUnresolved(const std::string& requester_id) {
    account::v1::ResolveRequesterResponse unresolved;
    unresolved.set_requester_id(requester_id);
    harness_.peer().Answer(kResolve, unresolved);
  }
  void Apply(const std::string& policy) {
    iv::ApplyPolicyRequest request;
    request.set_request_id(NextId());
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(policy, request.mutable_policy()));
    const auto applied = harness_.Call<iv::ApplyPolicyResponse>(
        "tandem.intake.v1.PolicyService/ApplyPolicy", request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }

  std::string NextId() { return "request_" + std::to_string(++requests_); }

  iv::OpenTicketRequest Opening() {
    iv::OpenTicketRequest request;
    request.set_request_id(NextId());
    request.mutable_requester()->set_contact_id("contact_1");
    request.set_subject("Printer on fire");
    request.set_text("It burns.");
    request.set_channel(CHANNEL_PORTAL);
    request.set_impact(IMPACT_HIGH);
    request.set_urgency(URGENCY_MEDIUM);
    return request;
  }
  iv::OpenTicketRequest From(const std::string& address) {
    iv::OpenTicketRequest request = Opening();
    request.set_channel(CHANNEL_EMAIL);
    request.mutable_requester()->set_address(address);
    return request;
  }
  // A message that came from `address`.
  absl::StatusOr<iv::AddMessageResponse> Say(const std::string& ticket_id,
                                             const std::string& address, const std::string& text) {
    iv::AddMessageRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_author_kind(AUTHOR_KIND_REQUESTER);
    request.set_sender_address(address);
    request.set_visibility(VISIBILITY_PUBLIC);
    request.set_text(text);
    return harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", request);
  }
  iv::OpenTicketResponse Open(const iv::OpenTicketRequest& request) {
    const auto opened =
        harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *opened : iv::OpenTicketResponse();
  }
  std::string Open() { return Open(Opening()).ticket_id(); }

  absl::StatusOr<iv::AddMessageResponse> Add(const std::string& ticket_id, AuthorKind author,
                                             const std::string& text,
                                             Visibility visibility = VISIBILITY_PUBLIC) {
    iv::AddMessageRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_author_kind(author);
    if (author == AUTHOR_KIND_AGENT) request.set_author_id("agent_1");
    request.set_visibility(visibility);
    request.set_text(text);
    return harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", request);
  }
  absl::StatusOr<iv::ResolveTicketResponse> Resolve(const std::string& ticket_id,
                                                    const std::string& answer = "Put out.") {
    iv::ResolveTicketRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_resolved_by(RESOLVED_BY_AGENT);
    request.set_resolution_code("FIXED");
    request.set_answer(answer);
    request.set_staff_id("agent_1");
    return harness_.Call<iv::ResolveTicketResponse>(std::string(kService) + "ResolveTicket",
                                                    request);
  }
  absl::StatusOr<iv::UpdateTicketResponse> Update(const std::string& ticket_id,
                                                  const std::string& ticket,
                                                  std::vector<std::string> paths,
                                                  int64_t version = 0) {
    iv::UpdateTicketRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_version(version);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(ticket, request.mutable_ticket()));
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    return harness_.Call<iv::UpdateTicketResponse>(std::string(kService) + "UpdateTicket", request);
  }
  absl::StatusOr<iv::CloseTicketResponse> Close(const std::string& ticket_id, CloseReason reason) {
    iv::CloseTicketRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_reason(reason);
    return harness_.Call<iv::CloseTicketResponse>(std::string(kService) + "CloseTicket", request);
  }
  void Assign(const std::string& ticket_id, const std::string& key = "account_1") {
    ev::AssignmentAccepted accepted;
    accepted.set_ticket_id(ticket_id);
    accepted.set_staff_id("agent_1");
    *accepted.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("triage", ticket_id, key, accepted);
  }
  iv::GetTicketResponse Get(const std::string& ticket_id) {
    iv::GetTicketRequest request;
    request.set_ticket_id(ticket_id);
    const auto got =
        harness_.Call<iv::GetTicketResponse>(std::string(kService) + "GetTicket", request);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *got : iv::GetTicketResponse();
  }
  iv::Ticket Ticket(const std::string& ticket_id) { return Get(ticket_id).ticket(); }
  absl::StatusOr<iv::ListTicketsResponse> List(const std::string& filter,
                                               const std::string& token = "") {
    iv::ListTicketsRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(filter, &request));
    request.set_page_token(token);
    return harness_.Call<iv::ListTicketsResponse>(std::string(kService) + "ListTickets", request);
  }
  std::vector<std::string> Listed(const std::string& filter) {
    const auto page = List(filter);
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<std::string> ids;
    if (page.ok()) {
      for (const iv::Ticket& ticket : page->tickets()) ids.push_back(ticket.ticket_id());
    }
    return ids;
  }
  std::vector<std::string> PublishedTypes() {
    std::vector<std::string> types;
    for (const bus::Event& event : harness_.PublishedEvents()) {
      types.push_back(event.type.substr(event.type.rfind('.') + 1));
    }
    return types;
  }

  void Drop() { EXPECT_TRUE(testing::DropOldestLetter(harness_).ok()); }
  std::string PlanOf(size_t measure) {
    return testing::PlanOf(harness_, Measures()[measure]).value();
  }

  testing::ServiceHarness harness_;
  int requests_ = 0;
  std::map<std::string, std::string> contacts_;                           // account by contact
  std::map<std::string, std::pair<std::string, std::string>> addresses_;  // contact and account
  std::vector<account::v1::ResolveRequesterRequest> asked_;
};

bool Is(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  return status.code() == code && std::string(status.message()).find(text) != std::string::npos;
}

TEST_F(Intake, OpensATicketAndTellsOfItWithoutItsText) {
  const iv::OpenTicketResponse opened = Open(Opening());
  EXPECT_EQ(opened.version(), 1);
  EXPECT_EQ(opened.account_id(), "account_1");
  EXPECT_EQ(opened.contact_id(), "contact_1");

  const iv::GetTicketResponse got = Get(opened.ticket_id());
  EXPECT_EQ(got.ticket().state(), TICKET_STATE_NEW);
  EXPECT_EQ(got.ticket().bus_key(), "account_1");
  ASSERT_THAT(got.messages(), SizeIs(1));
  EXPECT_EQ(got.messages(0).text(), "It burns.");
  EXPECT_EQ(got.messages(0).author_kind(), AUTHOR_KIND_REQUESTER);

  const auto facts = harness_.Published<ev::TicketOpened>();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].ticket_id(), opened.ticket_id());
  EXPECT_EQ(facts[0].version(), 1);
  EXPECT_EQ(facts[0].impact(), IMPACT_HIGH);
  EXPECT_EQ(facts[0].segment(), SEGMENT_MID);
  EXPECT_EQ(facts[0].origin(), ORIGIN_CUSTOMER);
  const bus::Event event = harness_.PublishedEvents()[0];
  EXPECT_EQ(event.key, "account_1");
  EXPECT_EQ(event.subject, opened.ticket_id());
  EXPECT_THAT(event.body, ::testing::Not(HasSubstr("burns")));
  EXPECT_THAT(event.body, ::testing::Not(HasSubstr("Printer")));
}

TEST_F(Intake, OpensOneTicketForARequestSentTwice) {
  const iv::OpenTicketRequest request = Opening();
  const std::string first = Open(request).ticket_id();
  EXPECT_EQ(Open(request).ticket_id(), first);
  EXPECT_THAT(harness_.Published<ev::TicketOpened>(), SizeIs(1));
}

TEST_F(Intake, AsksAccountHealthAgainWhenItsAnswerIsOld) {
  Open();
  harness_.Advance(absl::Minutes(9));
  Open();
  EXPECT_EQ(harness_.peer().Asked(kResolve), 1);
  harness_.Advance(absl::Minutes(2));
  Open();
  EXPECT_EQ(harness_.peer().Asked(kResolve), 2);
}

TEST_F(Intake, AcceptsATicketWhileAccountHealthIsDownAndResolvesItsRequesterLater) {
  harness_.peer().Down(kResolve);
  const iv::OpenTicketResponse opened = Open(Opening());
  EXPECT_EQ(opened.account_id(), "");
  const iv::Ticket unresolved = Ticket(opened.ticket_id());
  EXPECT_EQ(unresolved.bus_key(), opened.ticket_id());

  harness_.Advance(absl::Seconds(40));  // asked again after 30 s, still down
  EXPECT_EQ(harness_.peer().Asked(kResolve), 2);
  AnswerRequester("contact_1", "account_1");
  harness_.Advance(absl::Seconds(60));
  const iv::Ticket resolved = Ticket(opened.ticket_id());
  EXPECT_EQ(resolved.account_id(), "account_1");
  EXPECT_EQ(resolved.contact_id(), "contact_1");
  EXPECT_EQ(resolved.bus_key(), opened.ticket_id());
  const auto facts = harness_.Published<ev::TicketRequesterResolved>();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].account_id(), "account_1");
  EXPECT_EQ(facts[0].contact_level(), CONTACT_LEVEL_MEMBER);
  EXPECT_EQ(harness_.PublishedEvents().back().key, opened.ticket_id());
}

TEST_F(Intake, RefusesAContactThatDoesNotExist) {
  harness_.peer().On<account::v1::ResolveRequesterRequest, account::v1::ResolveRequesterResponse>(
      kResolve,
      [](const account::v1::ResolveRequesterRequest&)
          -> absl::StatusOr<account::v1::ResolveRequesterResponse> {
        return absl::NotFoundError("contact contact_1 does not exist");
      });
  const auto opened =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", Opening());
  EXPECT_TRUE(Is(opened.status(), absl::StatusCode::kNotFound, "contact_1")) << opened.status();
}

TEST_F(Intake, GivesTheWaitingTicketsTheirContactOnceAPersonAssignedIt) {
  AnswerUnresolved("req_1");
  iv::OpenTicketRequest request = Opening();
  request.mutable_requester()->set_address("who@unknown.example");
  const std::string first = Open(request).ticket_id();
  request.set_request_id(NextId());
  const std::string second = Open(request).ticket_id();
  EXPECT_EQ(Ticket(first).requester_id(), "req_1");

  ev::RequesterAssigned assigned;
  assigned.set_requester_id("req_1");
  assigned.set_account_id("account_2");
  assigned.set_contact_id("contact_2");
  assigned.add_ticket_ids(first);  // account_health need not know of both
  *assigned.mutable_occurred_at() = time::Stamp(harness_.Now());
  harness_.Deliver("account_health", "req_1", "account_2", assigned);
  for (const std::string& ticket_id : {first, second}) {
    EXPECT_EQ(Ticket(ticket_id).contact_id(), "contact_2");
    EXPECT_EQ(Ticket(ticket_id).account_id(), "account_2");
    EXPECT_EQ(Ticket(ticket_id).requester_id(), "");
  }
  EXPECT_THAT(harness_.Published<ev::TicketRequesterResolved>(), SizeIs(2));

  // A ticket whose question was answered before the assignment, but decided after it.
  request.set_request_id(NextId());
  const std::string late = Open(request).ticket_id();
  EXPECT_EQ(Ticket(late).contact_id(), "contact_2");
  EXPECT_EQ(Ticket(late).bus_key(), "account_2");
}

TEST_F(Intake, NamesEveryBadFieldOfAnOpening) {
  iv::OpenTicketRequest request;
  request.set_request_id("request");
  request.set_subject(std::string(501, 'x'));
  request.set_text(std::string(65537, 'x'));
  request.set_origin(ORIGIN_STAFF);
  request.set_product("Not A Key");
  request.set_affected_users(-1);
  request.set_language("german!");
  for (int i = 0; i < 201; ++i) request.add_watcher_contact_ids("c" + std::to_string(i));
  request.add_external_ids()->set_system("jira");
  const auto opened =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
  ASSERT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* field :
       {"requester", "subject", "text", "channel", "opened_by_staff_id", "product",
        "affected_users", "language", "watcher_contact_ids", "external_ids.id"}) {
    EXPECT_THAT(std::string(opened.status().message()), HasSubstr(field));
  }
}

TEST_F(Intake, RefusesWhatDoesNotFitOnALine) {
  iv::OpenTicketRequest request = Opening();
  request.mutable_requester()->set_address("ada@acme.example\nBcc: all@acme.example");
  request.set_thread_ref("<1@mail>\r\n");
  request.set_product_version("1\x07");
  (*request.mutable_custom_fields())["a\tb"] = "of any form:\n\t1";
  auto* attachment = request.add_attachments();
  attachment->set_name("a\nb.txt");
  attachment->set_media_type("text/plain\r\nX: y");
  attachment->set_sha256(std::string(64, '0'));
  attachment->set_url("https://files.example/a");
  const auto opened =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
  ASSERT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* field :
       {"requester.address", "thread_ref", "product_version", "custom_fields.key",
        "attachments[0].name", "attachments[0].media_type"}) {
    EXPECT_THAT(std::string(opened.status().message()),
                HasSubstr(std::string(field) + ": holds a control character"));
  }
}

TEST_F(Intake, KeepsAnExternalIdUnique) {
  iv::OpenTicketRequest request = Opening();
  auto* external_id = request.add_external_ids();
  external_id->set_system("jira");
  external_id->set_id("ABC-1");
  const std::string first = Open(request).ticket_id();
  request.set_request_id(NextId());
  const auto again =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
  EXPECT_TRUE(Is(again.status(), absl::StatusCode::kAlreadyExists, first)) << again.status();
  EXPECT_THAT(Listed(R"(external_id { system: "jira" id: "ABC-1" })"), ElementsAre(first));
  EXPECT_THAT(Listed(R"(external_id { system: "jira" id: "ABC-2" })"), IsEmpty());

  // Replaced, the old name is free again.
  ASSERT_TRUE(
      Update(first, R"(external_ids { system: "jira" id: "ABC-2" })", {"external_ids"}).ok());
  EXPECT_THAT(Listed(R"(external_id { system: "jira" id: "ABC-1" })"), IsEmpty());
  EXPECT_THAT(Listed(R"(external_id { system: "jira" id: "ABC-2" })"), ElementsAre(first));
}

TEST_F(Intake, BringsAReplyToItsTicketByItsThread) {
  iv::OpenTicketRequest request = Opening();
  request.set_thread_ref("<mail-1@example>");
  const std::string ticket_id = Open(request).ticket_id();
  iv::AddMessageRequest reply;
  reply.set_request_id(NextId());
  reply.add_in_reply_to("<unknown@example>");
  reply.add_in_reply_to("<mail-1@example>");
  reply.set_author_kind(AUTHOR_KIND_REQUESTER);
  reply.set_visibility(VISIBILITY_PUBLIC);
  reply.set_text("More smoke.");
  reply.set_thread_ref("<mail-2@example>");
  auto added = harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", reply);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->ticket_id(), ticket_id);

  // The same mail delivered again by another request.
  reply.set_request_id(NextId());
  added = harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", reply);
  EXPECT_TRUE(Is(added.status(), absl::StatusCode::kAlreadyExists, ticket_id));

  reply.set_request_id(NextId());
  reply.set_thread_ref("");
  reply.clear_in_reply_to();
  reply.add_in_reply_to("<nobody@example>");
  added = harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", reply);
  EXPECT_EQ(added.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Intake, MovesFromNewToOpenByTheFirstPublicAnswer) {
  const std::string ticket_id = Open();
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Note to self", VISIBILITY_INTERNAL).ok());
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_NEW);
  const auto added = Add(ticket_id, AUTHOR_KIND_AGENT, "We are on it.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->state(), TICKET_STATE_OPEN);
  EXPECT_EQ(added->version(), 3);
  EXPECT_THAT(PublishedTypes(), ElementsAre("TicketOpened", "TicketMessageAdded",
                                            "TicketMessageAdded", "TicketStateChanged"));
}

TEST_F(Intake, ReopensAWaitingTicketByTheCustomersMessage) {
  const std::string ticket_id = Open();
  ASSERT_TRUE(Update(ticket_id, "state: TICKET_STATE_PENDING", {"state"}).ok());
  const auto added = Add(ticket_id, AUTHOR_KIND_REQUESTER, "Here is the log.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->state(), TICKET_STATE_OPEN);
  const auto moves = harness_.Published<ev::TicketStateChanged>();
  ASSERT_THAT(moves, SizeIs(2));
  EXPECT_EQ(moves[1].from_state(), TICKET_STATE_PENDING);
  EXPECT_EQ(moves[1].to_state(), TICKET_STATE_OPEN);
}

TEST_F(Intake, LetsAnAgentAnswerAndMoveInOneStep) {
  const std::string ticket_id = Open();
  iv::AddMessageRequest request;
  request.set_request_id(NextId());
  request.set_ticket_id(ticket_id);
  request.set_author_kind(AUTHOR_KIND_AGENT);
  request.set_author_id("agent_1");
  request.set_visibility(VISIBILITY_PUBLIC);
  request.set_text("Which printer?");
  request.set_new_state(TICKET_STATE_PENDING);
  const auto added =
      harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", request);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->state(), TICKET_STATE_PENDING);
}

TEST_F(Intake, FlagsFrustrationByTheNameOfItsRuleOnly) {
  Apply(R"(frustration { name: "third_time" pattern: "(?i)third time" })");
  const std::string ticket_id = Open();
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "This is the THIRD TIME!").ok());
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "The third time, I know.").ok());
  const auto added = harness_.Published<ev::TicketMessageAdded>();
  ASSERT_THAT(added, SizeIs(2));
  EXPECT_EQ(added[0].frustration_rule(), "third_time");
  EXPECT_EQ(added[1].frustration_rule(), "");
  EXPECT_EQ(Get(ticket_id).messages(1).frustration_rule(), "third_time");
}

TEST_F(Intake, ResolvesWithTheAssigneeThatTriagePublished) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  const auto resolved = Resolve(ticket_id);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->assignee_id(), "agent_1");
  EXPECT_EQ(resolved->resolution(), 1);
  EXPECT_EQ(harness_.peer().Asked(kTriage), 0);
  const auto facts = harness_.Published<ev::TicketResolved>();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].assignee_id(), "agent_1");
  EXPECT_EQ(facts[0].resolution_code(), "FIXED");
  EXPECT_EQ(facts[0].from_state(), TICKET_STATE_NEW);
  EXPECT_FALSE(facts[0].problem_confirmed());
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_RESOLVED);
}

TEST_F(Intake, AsksTriageForTheAssigneeThatItHasNotSeen) {
  const std::string ticket_id = Open();
  EXPECT_TRUE(Is(Resolve(ticket_id).status(), absl::StatusCode::kUnavailable, "triage"));
  triage::v1::GetTriageResponse told;
  harness_.peer().Answer(kTriage, told);
  EXPECT_TRUE(
      Is(Resolve(ticket_id).status(), absl::StatusCode::kFailedPrecondition, "nobody owns"));
  told.set_assignee_id("agent_7");
  harness_.peer().Answer(kTriage, told);
  const auto resolved = Resolve(ticket_id);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->assignee_id(), "agent_7");
}

TEST_F(Intake, NeedsANewAnswerAfterAReopening) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  EXPECT_TRUE(Is(Resolve(ticket_id, "").status(), absl::StatusCode::kFailedPrecondition,
                 "no public answer"));
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Put out.").ok());
  ASSERT_TRUE(Resolve(ticket_id, "").ok());
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "It burns again.").ok());
  EXPECT_EQ(Resolve(ticket_id, "").status().code(), absl::StatusCode::kFailedPrecondition);
  const auto again = Resolve(ticket_id, "Bought a new one.");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->resolution(), 2);
}

TEST_F(Intake, ReopensByTheCustomersMessageButNotByAThankYou) {
  Apply(R"(thank_you { name: "thanks" pattern: "(?i)thanks" })");
  const std::string ticket_id = Open();
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  auto added = Add(ticket_id, AUTHOR_KIND_REQUESTER, "Thanks!");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(added->thank_you());
  EXPECT_EQ(added->state(), TICKET_STATE_RESOLVED);
  EXPECT_TRUE(harness_.Published<ev::TicketMessageAdded>().back().thank_you());

  added = Add(ticket_id, AUTHOR_KIND_REQUESTER, "It burns again.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(added->reopened());
  EXPECT_EQ(added->state(), TICKET_STATE_OPEN);
  const auto reopened = harness_.Published<ev::TicketReopened>();
  ASSERT_THAT(reopened, SizeIs(1));
  EXPECT_EQ(reopened[0].reopening(), 1);
  EXPECT_TRUE(reopened[0].has_resolved_at());
  EXPECT_FALSE(Ticket(ticket_id).has_resolved_at());
}

TEST_F(Intake, ClosesByItselfFiveDaysAfterTheResolution) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  const absl::Time resolved_at = harness_.Now();
  ASSERT_TRUE(Resolve(ticket_id).ok());
  harness_.Advance(absl::Hours(120) - absl::Seconds(1));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_RESOLVED);
  harness_.Advance(absl::Seconds(1));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_CLOSED);
  const auto closed = harness_.Published<ev::TicketClosed>();
  ASSERT_THAT(closed, SizeIs(1));
  EXPECT_EQ(closed[0].reason(), CLOSE_REASON_AUTO);
  EXPECT_EQ(closed[0].resolution(), 1);
  EXPECT_EQ(time::Instant(closed[0].occurred_at()), resolved_at + absl::Hours(120));
}

TEST_F(Intake, StartsTheFiveDaysAnewAfterAReopening) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  harness_.Advance(absl::Hours(100));
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "Still.").ok());
  harness_.Advance(absl::Hours(100));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_OPEN);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  harness_.Advance(absl::Hours(119));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_RESOLVED);
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_CLOSED);
}

TEST_F(Intake, OpensAFollowUpForTheRequesterOfAClosedTicketAndRefusesTheAgent) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  ASSERT_TRUE(Close(ticket_id, CLOSE_REASON_CONFIRMED).ok());
  EXPECT_TRUE(Is(Add(ticket_id, AUTHOR_KIND_AGENT, "By the way").status(),
                 absl::StatusCode::kFailedPrecondition, "CLOSED"));
  const auto added = Add(ticket_id, AUTHOR_KIND_REQUESTER, "It burns again.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_NE(added->ticket_id(), ticket_id);
  EXPECT_EQ(added->follow_up_of(), ticket_id);
  const iv::Ticket next = Ticket(added->ticket_id());
  EXPECT_EQ(next.follow_up_of(), ticket_id);
  EXPECT_EQ(next.account_id(), "account_1");
  EXPECT_EQ(next.state(), TICKET_STATE_NEW);
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_CLOSED);
  EXPECT_EQ(Ticket(ticket_id).followed_up_by(), added->ticket_id());
  EXPECT_EQ(harness_.Published<ev::TicketOpened>().back().follow_up_of(), ticket_id);

  // The next message goes on where the talk goes on.
  const auto more = Add(ticket_id, AUTHOR_KIND_REQUESTER, "And smokes.");
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->ticket_id(), added->ticket_id());
  EXPECT_THAT(harness_.Published<ev::TicketOpened>(), SizeIs(2));
}

TEST_F(Intake, ClosesSpamFromAnyState) {
  const std::string ticket_id = Open();
  EXPECT_EQ(Close(ticket_id, CLOSE_REASON_CONFIRMED).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Close(ticket_id, CLOSE_REASON_AUTO).status().code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Close(ticket_id, CLOSE_REASON_SPAM).ok());
  const auto closed = harness_.Published<ev::TicketClosed>();
  ASSERT_THAT(closed, SizeIs(1));
  EXPECT_EQ(closed[0].from_state(), TICKET_STATE_NEW);
  EXPECT_EQ(closed[0].resolution(), 0);
  EXPECT_THAT(Listed(R"(account_id: "account_1" blocking_only: true)"), IsEmpty());
}

TEST_F(Intake, AsksForTheRequiredContextOnceAndMeasuresTheWait) {
  Apply(R"(required_context { category: "defect" fields: "product" fields: "steps" })");
  iv::OpenTicketRequest request = Opening();
  request.set_category("defect");
  const iv::OpenTicketResponse opened = Open(request);
  EXPECT_THAT(opened.missing_fields(), ElementsAre("product", "steps"));
  auto asked = harness_.Published<ev::TicketContextRequested>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_THAT(asked[0].missing_fields(), ElementsAre("product", "steps"));
  EXPECT_EQ(asked[0].policy().version(), 1);
  EXPECT_EQ(Get(opened.ticket_id()).messages(1).author_kind(), AUTHOR_KIND_SYSTEM);
  EXPECT_EQ(Ticket(opened.ticket_id()).state(), TICKET_STATE_NEW);

  harness_.Advance(absl::Minutes(5));
  ASSERT_TRUE(Update(opened.ticket_id(), R"(product: "press")", {"product"}).ok());
  EXPECT_THAT(harness_.Published<ev::TicketContextSupplied>(), IsEmpty());
  harness_.Advance(absl::Minutes(5));
  const auto updated =
      Update(opened.ticket_id(), R"(context { steps: "print" })", {"context.steps"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_THAT(updated->missing_fields(), IsEmpty());
  const auto supplied = harness_.Published<ev::TicketContextSupplied>();
  ASSERT_THAT(supplied, SizeIs(1));
  EXPECT_EQ(supplied[0].waited_seconds(), 600);

  // It is not asked a second time.
  ASSERT_TRUE(Update(opened.ticket_id(), "", {"product"}).ok());
  EXPECT_THAT(harness_.Published<ev::TicketContextRequested>(), SizeIs(1));
}

TEST_F(Intake, ChangesTheVersionThatTheCallerKnowsAndNoOther) {
  const std::string ticket_id = Open();
  const auto first = Update(ticket_id, R"(category: "a")", {"category"}, 1);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->version(), 2);
  EXPECT_THAT(first->changed_fields(), ElementsAre("category"));
  EXPECT_EQ(Update(ticket_id, R"(category: "b")", {"category"}, 1).status().code(),
            absl::StatusCode::kAborted);
  // Nothing differs: no version, no event.
  const auto same = Update(ticket_id, R"(category: "a")", {"category"}, 2);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->version(), 2);
  EXPECT_THAT(harness_.Published<ev::TicketUpdated>(), SizeIs(1));
}

TEST_F(Intake, DoesNotFailAnUpdateBecauseTriagePublishedMeanwhile) {
  const std::string ticket_id = Open();
  ev::TicketTriaged triaged;
  triaged.set_ticket_id(ticket_id);
  triaged.set_severity(SEVERITY_URGENT);
  triaged.set_queue("desk");
  harness_.Deliver("triage", ticket_id, "account_1", triaged);
  Assign(ticket_id);
  const iv::Ticket shown = Ticket(ticket_id);
  EXPECT_EQ(shown.version(), 1);
  EXPECT_EQ(shown.severity(), SEVERITY_URGENT);
  EXPECT_EQ(shown.queue(), "desk");
  EXPECT_EQ(shown.assignee_id(), "agent_1");
  EXPECT_TRUE(Update(ticket_id, R"(category: "a")", {"category"}, 1).ok());
  EXPECT_THAT(Listed(R"(severities: SEVERITY_URGENT assignee_id: "agent_1" queue: "desk")"),
              ElementsAre(ticket_id));
  EXPECT_THAT(Listed("severities: SEVERITY_CRITICAL"), IsEmpty());

  ev::AssignmentReleased released;
  released.set_ticket_id(ticket_id);
  released.set_staff_id("agent_1");
  harness_.Deliver("triage", ticket_id, "account_1", released);
  EXPECT_EQ(Ticket(ticket_id).assignee_id(), "");
}

TEST_F(Intake, MovesATicketToAnotherAccountByOneEventThatNamesBoth) {
  const std::string ticket_id = Open();
  AnswerRequester("contact_9", "account_9");
  const auto moved = Update(ticket_id, R"(contact_id: "contact_9")", {"contact_id"});
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->account_id(), "account_9");
  EXPECT_THAT(moved->changed_fields(), ElementsAre("account_id", "contact_id"));
  const auto updated = harness_.Published<ev::TicketUpdated>();
  ASSERT_THAT(updated, SizeIs(1));
  EXPECT_EQ(updated[0].account_id(), "account_9");
  EXPECT_EQ(updated[0].previous_account_id(), "account_1");
  EXPECT_EQ(updated[0].contact_id(), "contact_9");
  EXPECT_EQ(harness_.PublishedEvents().back().key, "account_1");
  EXPECT_EQ(Ticket(ticket_id).bus_key(), "account_1");
  EXPECT_THAT(Listed(R"(account_id: "account_9")"), ElementsAre(ticket_id));

  harness_.peer().Down(kResolve);
  EXPECT_EQ(Update(ticket_id, R"(contact_id: "contact_1")", {"contact_id"}).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(Intake, RecordsTheProblemAsConfirmedWithTheCustomer) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  iv::ConfirmProblemRequest request;
  request.set_request_id(NextId());
  request.set_ticket_id(ticket_id);
  request.set_statement("The printer burns when it prints.");
  request.set_staff_id("agent_1");
  const auto confirmed =
      harness_.Call<iv::ConfirmProblemResponse>(std::string(kService) + "ConfirmProblem", request);
  ASSERT_TRUE(confirmed.ok()) << confirmed.status();
  EXPECT_EQ(Ticket(ticket_id).confirmed_problem().staff_id(), "agent_1");
  ASSERT_TRUE(Resolve(ticket_id).ok());
  EXPECT_TRUE(harness_.Published<ev::TicketResolved>().back().problem_confirmed());
}

TEST_F(Intake, PagesTicketsStablyWhileOthersAreOpened) {
  std::vector<std::string> opened;
  for (int i = 0; i < 7; ++i) {
    opened.push_back(Open());
    if (i % 2 == 0) harness_.Advance(absl::Seconds(1));  // some share one instant
  }
  std::set<std::string> seen;
  std::string token;
  absl::Time last = absl::InfiniteFuture();
  do {
    const auto page = List(R"(account_id: "account_1" page_size: 2)", token);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const iv::Ticket& ticket : page->tickets()) {
      EXPECT_TRUE(seen.insert(ticket.ticket_id()).second);
      EXPECT_LE(time::Instant(ticket.opened_at()), last);
      last = time::Instant(ticket.opened_at());
    }
    token = page->next_page_token();
    harness_.Advance(absl::Seconds(1));
    Open();
  } while (!token.empty());
  EXPECT_EQ(seen, std::set<std::string>(opened.begin(), opened.end()));
}

TEST_F(Intake, RefusesAPageTokenOfAnotherQuestion) {
  for (int i = 0; i < 3; ++i) Open();
  const auto page = List(R"(account_id: "account_1" page_size: 2)");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(
      List(R"(account_id: "account_2" page_size: 2)", page->next_page_token()).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(List("", "nonsense").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Intake, FindsTicketsByWhatTheyCarry) {
  iv::OpenTicketRequest request = Opening();
  request.set_category("defect");
  request.add_tags("50%_off");
  const std::string tagged = Open(request).ticket_id();
  harness_.Advance(absl::Hours(1));
  request = Opening();
  request.add_tags("50x_off");
  request.set_channel(CHANNEL_EMAIL);
  request.set_internal(true);
  const std::string other = Open(request).ticket_id();
  EXPECT_THAT(Listed(R"(tag: "50%_off")"), ElementsAre(tagged));
  EXPECT_THAT(Listed(R"(tag: "50%")"), IsEmpty());
  EXPECT_THAT(Listed(R"(category: "defect")"), ElementsAre(tagged));
  EXPECT_THAT(Listed("channel: CHANNEL_EMAIL"), ElementsAre(other));
  EXPECT_THAT(Listed("states: TICKET_STATE_NEW blocking_only: true"), ElementsAre(tagged));
  EXPECT_THAT(Listed(R"(contact_id: "contact_1" states: TICKET_STATE_NEW)"),
              ElementsAre(other, tagged));
  EXPECT_THAT(Listed("states: TICKET_STATE_RESOLVED"), IsEmpty());
}

TEST_F(Intake, PagesTheMessagesOfATicket) {
  const std::string ticket_id = Open();
  for (int i = 2; i <= 12; ++i) {
    ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "message " + std::to_string(i)).ok());
  }
  iv::GetTicketRequest request;
  request.set_ticket_id(ticket_id);
  request.set_page_size(5);
  std::vector<std::string> texts;
  do {
    const auto page =
        harness_.Call<iv::GetTicketResponse>(std::string(kService) + "GetTicket", request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& message : page->messages()) texts.push_back(message.text());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  ASSERT_THAT(texts, SizeIs(12));
  EXPECT_EQ(texts[1], "message 2");
  EXPECT_EQ(texts[11], "message 12");
}

TEST_F(Intake, KeepsTheLimitsThatThePolicyDrawsTighter) {
  Apply("limits { message_bytes: 20 messages_per_ticket: 2 }");
  const std::string ticket_id = Open();
  EXPECT_TRUE(Is(Add(ticket_id, AUTHOR_KIND_REQUESTER, std::string(21, 'x')).status(),
                 absl::StatusCode::kInvalidArgument, "20 bytes"));
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "second").ok());
  EXPECT_TRUE(Is(Add(ticket_id, AUTHOR_KIND_REQUESTER, "third").status(),
                 absl::StatusCode::kFailedPrecondition, "at most 2 messages"));
}

TEST_F(Intake, LosesNothingThatItAcknowledgedWhenItIsKilled) {
  harness_.peer().Down(kResolve);
  const std::string ticket_id = Open();
  harness_.Restart();
  EXPECT_EQ(Ticket(ticket_id).subject(), "Printer on fire");
  AnswerRequester("contact_1", "account_1");
  harness_.Advance(absl::Minutes(2));
  EXPECT_EQ(Ticket(ticket_id).contact_id(), "contact_1");
  // The relay may publish once more after a kill; consumers know it by its sequence.
  std::set<std::string> openings;
  for (const bus::Event& event : harness_.PublishedEvents()) {
    if (event.type == ev::TicketOpened::descriptor()->full_name()) openings.insert(event.id);
  }
  EXPECT_THAT(openings, SizeIs(1));
}

TEST_F(Intake, CreditsNobodyWhileTriagesFactsOfTheTicketAreParked) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  harness_.DeliverBroken("triage", ticket_id, "account_1", "tandem.events.v1.AssignmentReleased");
  EXPECT_TRUE(
      Is(Resolve(ticket_id).status(), absl::StatusCode::kFailedPrecondition, "dead-letter"));
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_NEW) << "the ticket itself is intake's own";
  EXPECT_TRUE(Add(ticket_id, AUTHOR_KIND_REQUESTER, "Hurry.").ok());
  Drop();
  EXPECT_TRUE(Resolve(ticket_id).ok());
}

TEST_F(Intake, SaysThatTriageCannotTellWhoOwnsAParkedTicket) {
  const std::string ticket_id = Open();
  harness_.peer().On<triage::v1::GetTriageRequest, triage::v1::GetTriageResponse>(
      kTriage, [](const triage::v1::GetTriageRequest&) {
        return absl::FailedPreconditionError("events wait among the dead letters");
      });
  EXPECT_TRUE(
      Is(Resolve(ticket_id).status(), absl::StatusCode::kFailedPrecondition, "dead letters"));
}

TEST_F(Intake, CountsOpenTicketsBySeverityAndState) {
  const std::string first = Open();
  const std::string second = Open();
  ev::TicketTriaged triaged;
  triaged.set_ticket_id(first);
  triaged.set_severity(SEVERITY_URGENT);
  *triaged.mutable_occurred_at() = time::Stamp(harness_.Now());
  harness_.Deliver("triage", first, "account_1", triaged);
  std::string text = harness_.Metrics();
  const std::string name = "tandem_tickets_open{service=\"ticket_intake\",severity=";
  EXPECT_THAT(text, HasSubstr(name + "\"urgent\",state=\"new\"} 1"));
  EXPECT_THAT(text, HasSubstr(name + "\"unclassified\",state=\"new\"} 1"));
  Assign(first);
  ASSERT_TRUE(Resolve(first).ok());
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(name + "\"urgent\",state=\"new\"} 0"));
  EXPECT_THAT(text, HasSubstr(name + "\"unclassified\",state=\"new\"} 1"));
  EXPECT_THAT(PlanOf(0), HasSubstr("COVERING INDEX tickets_open"));
}

// ---- addresses

TEST_F(Intake, ReadsAnAddressOutOfAFromLineAndKnowsItAgainInAnySpelling) {
  Open(From("Carl C <Carl@K4.Example.>"));
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(asked_[0].address(), "Carl@k4.example");
  EXPECT_FALSE(asked_[0].lookup_only());
  for (const char* address :
       {"carl@k4.example", "<CARL@K4.EXAMPLE>", "\"carl\"@k4.example (Carl)"}) {
    EXPECT_EQ(Open(From(address)).contact_id(), "contact_1");
  }
  EXPECT_THAT(asked_, SizeIs(1));
}

TEST_F(Intake, RefusesAMalformedAddressAndSaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"c@d@k4.example", "requester.address: has two '@'"},
      {"carl", "requester.address: is neither a mail address"},
      {"030 123456", "requester.address: is neither a mail address (no '@') nor a phone number"},
      {"c@k4", "requester.address: has a domain without a dot"},
  };
  for (const auto& [address, problem] : cases) {
    const auto opened =
        harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", From(address));
    EXPECT_TRUE(Is(opened.status(), absl::StatusCode::kInvalidArgument, problem))
        << opened.status();
  }
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(Intake, MakesNobodyOfAContactIdThatItsOwnerDoesNotKnow) {
  iv::OpenTicketRequest request = Opening();
  request.mutable_requester()->set_contact_id("nobody");
  const auto opened =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
  EXPECT_TRUE(Is(opened.status(), absl::StatusCode::kNotFound, "contact nobody does not exist"))
      << opened.status();
  ASSERT_THAT(asked_, SizeIs(1));
  EXPECT_TRUE(asked_[0].lookup_only());
  EXPECT_THAT(harness_.Published<ev::TicketOpened>(), IsEmpty());
}

// ---- what is remembered of requesters

TEST_F(Intake, SendsTicketsToTheNewCompanyOnceItHeardThatAnAddressMoved) {
  EXPECT_EQ(Open(From("c@k4.example")).account_id(), "account_1");
  EXPECT_EQ(Open(From("c@k4.example")).account_id(), "account_1");
  EXPECT_THAT(asked_, SizeIs(1));
  addresses_["c@k4.example"] = {"contact_2", "account_2"};
  Heard("contact_1", "account_1", 2);
  EXPECT_EQ(Open(From("c@k4.example")).account_id(), "account_2");
}

TEST_F(Intake, AsksAnewAfterAnyChangeOfTheContactOrItsAccountAndOnlyThen) {
  const auto asks = [&](const std::function<void()>& change) {
    harness_.Advance(absl::Seconds(6));  // beyond what two clocks may differ by
    Open(From("c@k4.example"));
    const size_t before = asked_.size();
    harness_.Advance(absl::Seconds(1));
    change();
    Open(From("c@k4.example"));
    return asked_.size() > before;
  };
  EXPECT_FALSE(asks([] {}));
  EXPECT_TRUE(asks([&] { Heard("contact_1", "account_1", 2); }));
  EXPECT_TRUE(asks([&] { Heard("contact_1", "account_1", 2); }));  // also without a new version
  EXPECT_FALSE(asks([&] { Heard("contact_9", "account_1", 1); }));
  EXPECT_TRUE(asks([&] {
    ev::AccountRegistered registered;
    registered.set_account_id("account_1");
    harness_.Deliver("account_health", "account_1", "account_1", registered);
  }));
  EXPECT_TRUE(asks([&] {
    ev::JourneyAdvanced advanced;
    advanced.set_account_id("account_1");
    harness_.Deliver("account_health", "account_1", "account_1", advanced);
  }));
  EXPECT_TRUE(asks([&] {
    ev::RequesterAssigned assigned;
    assigned.set_requester_id("req_1");
    assigned.set_contact_id("contact_1");
    assigned.set_account_id("account_1");
    *assigned.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("account_health", "req_1", "account_1", assigned);
  }));
}

// ---- who speaks

TEST_F(Intake, KeepsAStrangersReplyAsAThirdPartysAndTellsNobodyHisAddress) {
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  ASSERT_TRUE(Update(ticket_id, "state: TICKET_STATE_PENDING", {"state"}).ok());
  Apply(R"(frustration { name: "any" pattern: "." })");
  const auto added = Say(ticket_id, "Eve <eve@stranger.example>", "Send me the log.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_THIRD_PARTY);
  EXPECT_EQ(added->author_id(), "");
  EXPECT_EQ(added->state(), TICKET_STATE_PENDING);
  const iv::TicketMessage message = Get(ticket_id).messages(1);
  EXPECT_EQ(message.author_kind(), AUTHOR_KIND_THIRD_PARTY);
  EXPECT_EQ(message.sender_address(), "eve@stranger.example");
  EXPECT_EQ(message.frustration_rule(), "");
  const auto facts = harness_.Published<ev::TicketMessageAdded>();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].author_kind(), AUTHOR_KIND_THIRD_PARTY);
  for (const bus::Event& event : harness_.PublishedEvents()) {
    EXPECT_THAT(event.body, ::testing::Not(HasSubstr("stranger")));
  }
  ASSERT_FALSE(asked_.empty());
  EXPECT_TRUE(asked_.back().lookup_only());  // asking made nobody of him
}

TEST_F(Intake, KnowsAContactOfTheAccountByTheAddressAndNoOther) {
  addresses_["dora@k4.example"] = {"contact_3", "account_1"};
  addresses_["eve@other.example"] = {"contact_8", "account_8"};
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  auto added = Say(ticket_id, "c@k4.example", "It is me.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_REQUESTER);
  EXPECT_EQ(added->author_id(), "contact_1");
  added = Say(ticket_id, "Dora <DORA@k4.example>", "Me too.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_REQUESTER);
  EXPECT_EQ(added->author_id(), "contact_3");
  EXPECT_EQ(Get(ticket_id).messages(2).sender_address(), "");
  added = Say(ticket_id, "eve@other.example", "Not me.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_THIRD_PARTY);
  const size_t asked = asked_.size();
  ASSERT_TRUE(Say(ticket_id, "dora@k4.example", "Once more.").ok());
  EXPECT_EQ(asked_.size(), asked);  // remembered
}

TEST_F(Intake, TakesWhoOpenedAnUnresolvedTicketForItsRequester) {
  AnswerUnresolved("req_1");
  const std::string ticket_id = Open(From("who@unknown.example")).ticket_id();
  const auto added = Say(ticket_id, "Who <WHO@unknown.example>", "Still there?");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_REQUESTER);
  EXPECT_EQ(added->author_id(), "");
  const auto other = Say(ticket_id, "eve@stranger.example", "Hello.");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->author_kind(), AUTHOR_KIND_THIRD_PARTY);
}

TEST_F(Intake, GuessesNotWhoSpeaksWhileAccountHealthIsDown) {
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  harness_.peer().Down(kResolve);
  harness_.Advance(absl::Minutes(11));  // nothing is remembered any more
  const auto stranger = Say(ticket_id, "eve@stranger.example", "Hello.");
  EXPECT_TRUE(Is(stranger.status(), absl::StatusCode::kUnavailable, "the sender of the message"))
      << stranger.status();
  // The address that opened the ticket needs nobody's word.
  const auto requester = Say(ticket_id, "c@k4.example", "It is me.");
  ASSERT_TRUE(requester.ok()) << requester.status();
  EXPECT_EQ(requester->author_id(), "contact_1");
}

TEST_F(Intake, ReopensByAStrangersMessageOnlyIfThePolicySaysSo) {
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  auto added = Say(ticket_id, "eve@stranger.example", "It burns.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->state(), TICKET_STATE_RESOLVED);
  Apply("third_party_reopens: true");
  added = Say(ticket_id, "eve@stranger.example", "It burns.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(added->reopened());
  EXPECT_EQ(added->state(), TICKET_STATE_OPEN);
}

TEST_F(Intake, OpensNoFollowUpForAStranger) {
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  ASSERT_TRUE(Close(ticket_id, CLOSE_REASON_CONFIRMED).ok());
  EXPECT_TRUE(Is(Say(ticket_id, "eve@stranger.example", "Hello.").status(),
                 absl::StatusCode::kFailedPrecondition, "CLOSED"));
  const auto added = Say(ticket_id, "c@k4.example", "It burns again.");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->follow_up_of(), ticket_id);
  EXPECT_EQ(added->author_kind(), AUTHOR_KIND_REQUESTER);
  EXPECT_EQ(added->author_id(), "contact_1");
}

TEST_F(Intake, TakesASenderAddressForARequestersMessageAlone) {
  const std::string ticket_id = Open();
  iv::AddMessageRequest request;
  request.set_request_id(NextId());
  request.set_ticket_id(ticket_id);
  request.set_author_kind(AUTHOR_KIND_AGENT);
  request.set_author_id("agent_1");
  request.set_visibility(VISIBILITY_PUBLIC);
  request.set_text("Hello.");
  request.set_sender_address("c@@k4.example");
  const auto added =
      harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", request);
  ASSERT_EQ(added.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* problem : {"sender_address: has two '@'", "sender_address: is for a REQUESTER",
                              "author_id: does not go with sender_address"}) {
    EXPECT_THAT(std::string(added.status().message()), HasSubstr(problem));
  }
}

TEST_F(Intake, FindsAThreadWithAndWithoutAngleBrackets) {
  iv::OpenTicketRequest request = Opening();
  request.set_thread_ref("<mail-1@example>");
  const std::string ticket_id = Open(request).ticket_id();
  iv::AddMessageRequest reply;
  reply.set_request_id(NextId());
  reply.add_in_reply_to("mail-1@example");
  reply.set_author_kind(AUTHOR_KIND_REQUESTER);
  reply.set_visibility(VISIBILITY_PUBLIC);
  reply.set_text("More smoke.");
  const auto added =
      harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", reply);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->ticket_id(), ticket_id);
}

// ---- who is named

TEST_F(Intake, RefusesStaffWhoDoNotExistOrDoNotWorkHereAnyMore) {
  const std::string ticket_id = Open();
  Assign(ticket_id);
  const auto refused = [&](const absl::Status& status, absl::StatusCode code, const char* text) {
    EXPECT_TRUE(Is(status, code, text)) << status;
  };
  for (const auto& [staff, code, text] :
       {std::tuple{"ghost", absl::StatusCode::kNotFound, "staff ghost does not exist"},
        std::tuple{"left", absl::StatusCode::kFailedPrecondition,
                   "staff left does not work here"}}) {
    iv::OpenTicketRequest open = Opening();
    open.set_origin(ORIGIN_STAFF);
    open.set_opened_by_staff_id(staff);
    refused(
        harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", open).status(),
        code, text);
    iv::AddMessageRequest add;
    add.set_request_id(NextId());
    add.set_ticket_id(ticket_id);
    add.set_author_kind(AUTHOR_KIND_AGENT);
    add.set_author_id(staff);
    add.set_visibility(VISIBILITY_PUBLIC);
    add.set_text("Hello.");
    refused(
        harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", add).status(),
        code, text);
    iv::UpdateTicketRequest update;
    update.set_request_id(NextId());
    update.set_ticket_id(ticket_id);
    update.set_staff_id(staff);
    update.mutable_update_mask()->add_paths("product");
    refused(harness_.Call<iv::UpdateTicketResponse>(std::string(kService) + "UpdateTicket", update)
                .status(),
            code, text);
    iv::ConfirmProblemRequest confirm;
    confirm.set_request_id(NextId());
    confirm.set_ticket_id(ticket_id);
    confirm.set_staff_id(staff);
    confirm.set_statement("It burns.");
    refused(
        harness_.Call<iv::ConfirmProblemResponse>(std::string(kService) + "ConfirmProblem", confirm)
            .status(),
        code, text);
    iv::ResolveTicketRequest resolve;
    resolve.set_request_id(NextId());
    resolve.set_ticket_id(ticket_id);
    resolve.set_resolved_by(RESOLVED_BY_AGENT);
    resolve.set_resolution_code("FIXED");
    resolve.set_answer("Done.");
    resolve.set_staff_id(staff);
    refused(
        harness_.Call<iv::ResolveTicketResponse>(std::string(kService) + "ResolveTicket", resolve)
            .status(),
        code, text);
    iv::CloseTicketRequest close;
    close.set_request_id(NextId());
    close.set_ticket_id(ticket_id);
    close.set_reason(CLOSE_REASON_SPAM);
    close.set_staff_id(staff);
    refused(harness_.Call<iv::CloseTicketResponse>(std::string(kService) + "CloseTicket", close)
                .status(),
            code, text);
  }
  EXPECT_EQ(Ticket(ticket_id).version(), 1);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  for (const char* staff : {"ghost", "left"}) {
    iv::ReopenTicketRequest reopen;
    reopen.set_request_id(NextId());
    reopen.set_ticket_id(ticket_id);
    reopen.set_staff_id(staff);
    EXPECT_FALSE(
        harness_.Call<iv::ReopenTicketResponse>(std::string(kService) + "ReopenTicket", reopen)
            .ok());
  }
  EXPECT_EQ(Ticket(ticket_id).state(), TICKET_STATE_RESOLVED);
}

TEST_F(Intake, AsksForAPersonOnceAndBelievesEventsAfterwards) {
  const std::string ticket_id = Open();
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Hello.").ok());
  EXPECT_EQ(harness_.peer().Asked(kStaff), 1);
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Hello again.").ok());
  EXPECT_EQ(harness_.peer().Asked(kStaff), 1);
  // An older event, overtaken by the answer, changes nothing; a newer one does.
  Employ("agent_1", 4, /*active=*/false);
  ASSERT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Still here.").ok());
  EXPECT_EQ(harness_.peer().Asked(kStaff), 1);
  Employ("agent_1", 6, /*active=*/false);
  harness_.peer().Down(kStaff);
  EXPECT_TRUE(Is(Add(ticket_id, AUTHOR_KIND_AGENT, "Gone.").status(),
                 absl::StatusCode::kFailedPrecondition, "does not work here"));
}

TEST_F(Intake, SaysThatAnOwnerCannotBeAskedAboutSomebodyUnknown) {
  harness_.peer().Down(kStaff);
  const std::string ticket_id = Open();
  EXPECT_TRUE(Is(Add(ticket_id, AUTHOR_KIND_AGENT, "Hello.").status(),
                 absl::StatusCode::kUnavailable, "staff agent_1"));
  Employ("agent_1", 1, /*active=*/true);
  EXPECT_TRUE(Add(ticket_id, AUTHOR_KIND_AGENT, "Hello.").ok());
  harness_.peer().Down(kResolve);
  EXPECT_TRUE(
      Is(Update(ticket_id, R"(watcher_contact_ids: "contact_7")", {"watcher_contact_ids"}).status(),
         absl::StatusCode::kUnavailable, "contact contact_7"));
  // Bots and the system name nobody.
  EXPECT_TRUE(Add(ticket_id, AUTHOR_KIND_BOT, "We got it.").ok());
  EXPECT_TRUE(Add(ticket_id, AUTHOR_KIND_SYSTEM, "Noted.").ok());
}

TEST_F(Intake, LetsNoContactOfAnotherAccountAuthor) {
  const std::string ticket_id = Open();
  const auto author = [&](const std::string& contact) {
    iv::AddMessageRequest request;
    request.set_request_id(NextId());
    request.set_ticket_id(ticket_id);
    request.set_author_kind(AUTHOR_KIND_REQUESTER);
    request.set_author_id(contact);
    request.set_visibility(VISIBILITY_PUBLIC);
    request.set_text("Hello.");
    return harness_.Call<iv::AddMessageResponse>(std::string(kService) + "AddMessage", request)
        .status();
  };
  contacts_["colleague"] = "account_1";
  contacts_["stranger"] = "account_8";
  EXPECT_TRUE(author("contact_1").ok());
  EXPECT_TRUE(author("colleague").ok());
  EXPECT_TRUE(Is(author("stranger"), absl::StatusCode::kFailedPrecondition,
                 "does not belong to account account_1"));
  EXPECT_TRUE(Is(author("nobody"), absl::StatusCode::kNotFound, "contact nobody does not exist"));
  // Whoever moved since he was heard of is asked about before he is refused.
  Heard("mover", "account_8", 1);
  contacts_["mover"] = "account_1";
  EXPECT_TRUE(author("mover").ok());
  // And who is known needs no question.
  Heard("known", "account_1", 1);
  harness_.peer().Down(kResolve);
  EXPECT_TRUE(author("known").ok());
}

TEST_F(Intake, RefusesWatchersWhoDoNotExist) {
  contacts_["colleague"] = "account_1";
  iv::OpenTicketRequest request = Opening();
  request.add_watcher_contact_ids("colleague");
  request.add_watcher_contact_ids("nobody");
  const auto opened =
      harness_.Call<iv::OpenTicketResponse>(std::string(kService) + "OpenTicket", request);
  EXPECT_TRUE(Is(opened.status(), absl::StatusCode::kNotFound, "contact nobody does not exist"))
      << opened.status();
  request.mutable_watcher_contact_ids()->RemoveLast();
  const std::string ticket_id = Open(request).ticket_id();
  const auto updated =
      Update(ticket_id, R"(watcher_contact_ids: "colleague" watcher_contact_ids: "nobody")",
             {"watcher_contact_ids"});
  EXPECT_TRUE(Is(updated.status(), absl::StatusCode::kNotFound, "contact nobody does not exist"));
}

TEST_F(Intake, OpensATicketWithoutAQuestionWhenEverybodyIsKnown) {
  contacts_["colleague"] = "account_1";
  iv::OpenTicketRequest request = From("c@k4.example");
  request.set_origin(ORIGIN_STAFF);
  request.set_opened_by_staff_id("agent_1");
  request.add_watcher_contact_ids("colleague");
  Open(request);
  const size_t asked = asked_.size();
  const int staff = harness_.peer().Asked(kStaff);
  request.set_request_id(NextId());
  Open(request);
  EXPECT_EQ(asked_.size(), asked);
  EXPECT_EQ(harness_.peer().Asked(kStaff), staff);
}

// ---- internal tickets and suspected spam

TEST_F(Intake, MakesATicketInternalAndTellsOfIt) {
  const std::string ticket_id = Open();
  EXPECT_THAT(Listed("blocking_only: true"), ElementsAre(ticket_id));
  const auto updated = Update(ticket_id, "internal: true", {"internal"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_THAT(updated->changed_fields(), ElementsAre("internal"));
  EXPECT_TRUE(Ticket(ticket_id).internal());
  EXPECT_TRUE(harness_.Published<ev::TicketUpdated>().back().internal());
  EXPECT_THAT(Listed("blocking_only: true"), IsEmpty());
  ASSERT_TRUE(Update(ticket_id, R"(product: "mail")", {"product"}).ok());
  EXPECT_TRUE(harness_.Published<ev::TicketUpdated>().back().internal());  // still
}

TEST_F(Intake, SuspectsAnAddressAfterTwoSpamClosuresInThirtyDays) {
  AnswerUnresolved("req_1");
  const auto spam = [&] {
    const std::string ticket_id = Open(From("Spam <SPAM@spam.example>")).ticket_id();
    EXPECT_TRUE(Close(ticket_id, CLOSE_REASON_SPAM).ok());
  };
  spam();
  const std::string early = Open(From("spam@spam.example")).ticket_id();
  EXPECT_FALSE(Ticket(early).suspected_spam());
  EXPECT_TRUE(Close(early, CLOSE_REASON_SPAM).ok());
  const std::string suspect = Open(From("spam@spam.example")).ticket_id();
  const std::string other = Open(From("ham@spam.example")).ticket_id();
  EXPECT_TRUE(Ticket(suspect).suspected_spam());
  EXPECT_FALSE(Ticket(other).suspected_spam());
  const auto opened = harness_.Published<ev::TicketOpened>();
  ASSERT_THAT(opened, SizeIs(4));
  EXPECT_TRUE(opened[2].suspected_spam());
  EXPECT_FALSE(opened[3].suspected_spam());
  EXPECT_THAT(Listed("suspected_spam_only: true"), ElementsAre(suspect));
  EXPECT_THAT(Listed("blocking_only: true states: TICKET_STATE_NEW"), ElementsAre(other));

  // Whoever closes it has reviewed it.
  ASSERT_TRUE(Close(suspect, CLOSE_REASON_SPAM).ok());
  EXPECT_THAT(Listed("suspected_spam_only: true"), IsEmpty());
  harness_.Advance(absl::Hours(24 * 31));
  EXPECT_FALSE(Ticket(Open(From("spam@spam.example")).ticket_id()).suspected_spam());
}

TEST_F(Intake, LetsASuspectedTicketBlockFromTheMomentThatAnAgentConfirmsIt) {
  AnswerUnresolved("req_1");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Close(Open(From("spam@spam.example")).ticket_id(), CLOSE_REASON_SPAM).ok());
  }
  const std::string ticket_id = Open(From("spam@spam.example")).ticket_id();
  EXPECT_TRUE(Is(Update(ticket_id, "suspected_spam: true", {"suspected_spam"}).status(),
                 absl::StatusCode::kInvalidArgument, "can only be set to false"));
  const auto updated = Update(ticket_id, "suspected_spam: false", {"suspected_spam"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_THAT(updated->changed_fields(), ElementsAre("suspected_spam"));
  const auto told = harness_.Published<ev::TicketUpdated>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].changed_fields(), ElementsAre("suspected_spam"));
  EXPECT_FALSE(told[0].suspected_spam());
  EXPECT_THAT(Listed("blocking_only: true states: TICKET_STATE_NEW"), ElementsAre(ticket_id));
}

TEST_F(Intake, TakesASuspectedTicketThatAnAgentResolvesForConfirmed) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Close(Open(From("c@k4.example")).ticket_id(), CLOSE_REASON_SPAM).ok());
  }
  const std::string ticket_id = Open(From("c@k4.example")).ticket_id();
  EXPECT_TRUE(Ticket(ticket_id).suspected_spam());
  Assign(ticket_id);
  ASSERT_TRUE(Resolve(ticket_id).ok());
  EXPECT_FALSE(Ticket(ticket_id).suspected_spam());
  const auto told = harness_.Published<ev::TicketUpdated>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].changed_fields(), ElementsAre("suspected_spam"));
}

TEST_F(Intake, SuspectsNoAddressWithAResolvedTicket) {
  const std::string good = Open(From("c@k4.example")).ticket_id();
  Assign(good);
  ASSERT_TRUE(Resolve(good).ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Close(Open(From("c@k4.example")).ticket_id(), CLOSE_REASON_SPAM).ok());
  }
  EXPECT_FALSE(Ticket(Open(From("c@k4.example")).ticket_id()).suspected_spam());
  // Reopened it is not resolved any more, and resolved again it is.
  ASSERT_TRUE(Add(good, AUTHOR_KIND_REQUESTER, "It burns again.").ok());
  EXPECT_TRUE(Ticket(Open(From("c@k4.example")).ticket_id()).suspected_spam());
  ASSERT_TRUE(Resolve(good).ok());
  EXPECT_FALSE(Ticket(Open(From("c@k4.example")).ticket_id()).suspected_spam());
  ASSERT_TRUE(Close(good, CLOSE_REASON_SPAM).ok());
  EXPECT_TRUE(Ticket(Open(From("c@k4.example")).ticket_id()).suspected_spam());
}

TEST_F(Intake, SuspectsTheFollowUpOfASpamTicketToo) {
  AnswerUnresolved("req_1");
  std::string last;
  for (int i = 0; i < 2; ++i) {
    last = Open(From("spam@spam.example")).ticket_id();
    ASSERT_TRUE(Close(last, CLOSE_REASON_SPAM).ok());
  }
  const auto added = Say(last, "spam@spam.example", "Buy!");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_NE(added->ticket_id(), last);
  EXPECT_TRUE(Ticket(added->ticket_id()).suspected_spam());
}

TEST_F(Intake, SendsNoQuestionToASuspectedSender) {
  Apply(R"(required_context { category: "*" fields: "product" })");
  AnswerUnresolved("req_1");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Close(Open(From("spam@spam.example")).ticket_id(), CLOSE_REASON_SPAM).ok());
  }
  const size_t asked = harness_.Published<ev::TicketContextRequested>().size();
  const std::string ticket_id = Open(From("spam@spam.example")).ticket_id();
  EXPECT_EQ(harness_.Published<ev::TicketContextRequested>().size(), asked);
  ASSERT_TRUE(Update(ticket_id, "suspected_spam: false", {"suspected_spam"}).ok());
  EXPECT_EQ(harness_.Published<ev::TicketContextRequested>().size(), asked + 1);
}

TEST_F(Intake, TrustsTheAgentWhoOpensATicketForASuspectedAddress) {
  AnswerUnresolved("req_1");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Close(Open(From("spam@spam.example")).ticket_id(), CLOSE_REASON_SPAM).ok());
  }
  iv::OpenTicketRequest request = From("spam@spam.example");
  request.set_origin(ORIGIN_STAFF);
  request.set_opened_by_staff_id("agent_1");
  EXPECT_FALSE(Ticket(Open(request).ticket_id()).suspected_spam());
}

}  // namespace
}  // namespace tandem::ticket_intake
