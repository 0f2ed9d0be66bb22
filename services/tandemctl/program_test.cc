#include "services/tandemctl/program.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/corridor/errors.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "services/tandemctl/command.h"
#include "services/tandemctl/completion.h"
#include "services/tandemctl/sample.h"
#include "services/tandemctl/testing.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/admin/v1/admin_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/intake/v1/policy_service.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/sla/v1/calendar.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tandem/sla/v1/sla_service.pb.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::tandemctl {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::ProgramTest;
using testing::Ran;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kOpen[] = "tandem.intake.v1.TicketService/OpenTicket";
constexpr char kList[] = "tandem.intake.v1.TicketService/ListTickets";
constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";
constexpr char kPutContact[] = "tandem.account.v1.AccountService/PutContact";
constexpr char kUpdate[] = "tandem.intake.v1.TicketService/UpdateTicket";

intake::v1::OpenTicketResponse Opened(const intake::v1::OpenTicketRequest&) {
  intake::v1::OpenTicketResponse reply;
  reply.set_ticket_id("tk_1");
  reply.set_version(1);
  reply.set_account_id("acme");
  reply.mutable_opened_at()->set_seconds(1795442400);
  return reply;
}

void SetInstant(const char* text, google::protobuf::Timestamp* stamp) {
  absl::Time instant;
  std::string error;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &instant, &error)) << error;
  stamp->set_seconds(absl::ToUnixSeconds(instant));
}

TEST_F(ProgramTest, FlagsBecomeTheFieldsOfTheRequest) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  const Ran ran = Run({"ticket",
                       "open",
                       "--requester",
                       "ada@acme.example",
                       "--subject",
                       "Down, since noon",
                       "--impact",
                       "high",
                       "--urgency",
                       "HIGH",
                       "--tag",
                       "a",
                       "--tag",
                       "b, c",
                       "--custom-field",
                       "room=12=13",
                       "--external",
                       "jira=OPS-1",
                       "--internal",
                       "--affected-users",
                       "40",
                       "--steps",
                       "click"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  const auto requests = tandem_.Requests<intake::v1::OpenTicketRequest>(kOpen);
  ASSERT_EQ(requests.size(), 1u);
  const intake::v1::OpenTicketRequest& request = requests.front();
  EXPECT_EQ(request.requester().address(), "ada@acme.example");
  EXPECT_EQ(request.subject(), "Down, since noon");
  EXPECT_EQ(request.text(), "Down, since noon");
  EXPECT_EQ(request.channel(), type::v1::CHANNEL_API);
  EXPECT_EQ(request.impact(), type::v1::IMPACT_HIGH);
  EXPECT_EQ(request.urgency(), type::v1::URGENCY_HIGH);
  EXPECT_THAT(request.tags(), ElementsAre("a", "b, c"));
  EXPECT_EQ(request.custom_fields().at("room"), "12=13");
  ASSERT_EQ(request.external_ids_size(), 1);
  EXPECT_EQ(request.external_ids(0).system(), "jira");
  EXPECT_EQ(request.external_ids(0).id(), "OPS-1");
  EXPECT_TRUE(request.internal());
  EXPECT_EQ(request.affected_users(), 40);
  EXPECT_EQ(request.context().steps(), "click");
  EXPECT_THAT(request.request_id(), StartsWith("ctl_"));
  EXPECT_EQ(tandem_.caller(), "ann:desk");
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("TICKET ID"), HasSubstr("tk_1"), HasSubstr("2026-11-23 14:00:00Z")));
  EXPECT_THAT(ran.messages, IsEmpty());
}

TEST_F(ProgramTest, EachChangeHasARequestIdOfItsOwnUnlessOneIsGiven) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  for (int i = 0; i < 2; ++i) Run({"ticket", "open", "--subject", "x"});
  Run({"ticket", "open", "--subject", "x", "--request-id", "mine"});
  const auto requests = tandem_.Requests<intake::v1::OpenTicketRequest>(kOpen);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_NE(requests[0].request_id(), requests[1].request_id());
  EXPECT_EQ(requests[2].request_id(), "mine");
}

TEST_F(ProgramTest, AChangeIsTriedAgainUnderTheSameIdWhenTheAnswerIsUnavailable) {
  int calls = 0;
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, [&calls](const auto&) {
    return ++calls, absl::UnavailableError("the store is away");
  });
  const Ran ran = Run({"ticket", "open", "--subject", "x"});
  EXPECT_EQ(ran.code, 1);
  const auto requests = tandem_.Requests<intake::v1::OpenTicketRequest>(kOpen);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].request_id(), requests[2].request_id());
  EXPECT_EQ(pauses_.size(), 2u);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("the store is away; trying again"),
                                  HasSubstr("UNAVAILABLE: the store is away"),
                                  HasSubstr("--request-id " + requests[0].request_id())));
}

TEST_F(ProgramTest, AQuestionIsNotTriedAgain) {
  tandem_.On<intake::v1::ListTicketsRequest>(
      kList, [](const auto&) { return absl::UnavailableError("away"); });
  EXPECT_EQ(Run({"ticket", "list"}).code, 1);
  EXPECT_EQ(tandem_.Requests<intake::v1::ListTicketsRequest>(kList).size(), 1u);
}

TEST_F(ProgramTest, EveryBadFieldIsToldWithItsFlag) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, [](const auto&) {
    corridor::Violations violations;
    violations.Text("subject", "", 500);
    violations.Require(false, "external_ids[1].id", "is required");
    violations.Require(false, "requester.address", "is no address");
    return corridor::WithRetryAfter(corridor::WithReason(violations.status(), "BAD_TICKET"),
                                    absl::Seconds(3));
  });
  const Ran ran = Run({"ticket", "open"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, IsEmpty());
  EXPECT_EQ(ran.messages,
            "tandemctl: INVALID_ARGUMENT: the request has bad fields\n"
            "  subject (--subject): is required\n"
            "  external_ids[1].id (--external): is required\n"
            "  requester.address (--requester): is no address\n"
            "  reason: BAD_TICKET\n"
            "  try again after 3s\n");
}

TEST_F(ProgramTest, AFailureIsJsonForAScript) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, [](const auto&) {
    corridor::Violations violations;
    violations.Text("subject", "", 500);
    return corridor::WithRetryAfter(corridor::WithReason(violations.status(), "BAD_TICKET"),
                                    absl::Milliseconds(2500));
  });
  const Ran ran = Run({"ticket", "open", "--output", "json"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, IsEmpty());
  google::protobuf::Struct told;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(ran.messages, &told).ok())
      << ran.messages;
  const auto& error = told.fields().at("error").struct_value().fields();
  EXPECT_EQ(error.at("code").string_value(), "INVALID_ARGUMENT");
  EXPECT_EQ(error.at("message").string_value(), "subject: is required");
  EXPECT_EQ(error.at("reason").string_value(), "BAD_TICKET");
  EXPECT_EQ(error.at("retry_after_seconds").number_value(), 2.5);
  const auto& field = error.at("bad_fields").list_value().values(0).struct_value().fields();
  EXPECT_EQ(field.at("field").string_value(), "subject");
  EXPECT_EQ(field.at("problem").string_value(), "is required");
  EXPECT_FALSE(error.contains("request_id"));  // nothing happened: there is nothing to repeat
}

TEST_F(ProgramTest, AFailureOfUnknownOutcomeGivesAScriptTheIdToRepeatIt) {
  tandem_.On<intake::v1::OpenTicketRequest>(
      kOpen, [](const auto&) { return absl::DeadlineExceededError("late"); });
  const Ran ran = Run({"ticket", "open", "--output", "json", "--request-id", "mine"});
  EXPECT_THAT(ran.messages, HasSubstr("\"request_id\":\"mine\""));
}

TEST_F(ProgramTest, TheWayOnNamesTheInstantsThatNowMeant) {
  constexpr char kHolds[] = "tandem.account.v1.OutreachService/ListHolds";
  tandem_.On<account::v1::ListHoldsRequest>(kHolds, [](const auto&) {
    account::v1::ListHoldsResponse reply;
    reply.add_holds()->set_account_id("acme");
    reply.set_next_page_token("tok");
    return reply;
  });
  const Ran ran = Run({"outreach", "holds", "--limit", "1", "--from", "-1d"});
  const auto requests = tandem_.Requests<account::v1::ListHoldsRequest>(kHolds);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_THAT(
      ran.messages,
      HasSubstr(absl::StrCat("--page-token tok --from ",
                             time::FormatInstant(time::Instant(requests[0].from())), " --to ",
                             time::FormatInstant(time::Instant(requests[0].to())), " goes on\n")));
}

TEST_F(ProgramTest, AnEventThatNobodyKnowsIsSaidAndWaitedForAllTheSame) {
  tandem_.On<admin::v1::ReadEventsRequest>(
      "tandem.admin.v1.AdminService/ReadEvents",
      [](const auto&) { return admin::v1::ReadEventsResponse(); });
  const Ran ran = Run({"event", "tail", "--type", "TicketOpend", "--type", "SlaMet"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.messages,
            "tandemctl: --type: this program knows no event TicketOpend; did you mean "
            "'TicketOpened'?\n");
}

TEST_F(ProgramTest, NobodyAtTheAddressIsSaidWithTheWayOut) {
  const std::string address = server_->address();
  server_.reset();
  const Ran ran = RunAt({"status", "--address", address});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages,
              HasSubstr("no tandem at " + address + "; start one with `tandem serve`"));
}

TEST_F(ProgramTest, AWrongCommandLineIsCode2AndSendsNothing) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"ticket", "opne"}, "did you mean 'open'?"},
      {{"ticket", "open", "--impact", "huge"}, "--impact: unknown value 'huge'"},
      {{"ticket", "open", "--affected-users", "many"}, "--affected-users: expected a whole number"},
      {{"ticket", "open", "--subject", "a", "--subject", "b"}, "--subject is given more than once"},
      {{"ticket", "open", "--external", "jira"}, "--external: expected SYSTEM=ID"},
      {{"ticket", "list", "--opened-from", "soon"}, "--opened-from: expected an instant"},
      {{"ticket", "get"}, "argument ticket-id is missing"},
      {{"ticket", "update", "tk_1"}, "nothing to change is given"},
      {{"ticket", "update", "tk_1", "--clear", "colour"}, "there is no field 'colour'"},
      {{"call", "TicketService/OpenTickets"}, "did you mean 'TicketService/OpenTicket'?"},
      {{"call", "PolicyService/GetPolicy"}, "'PolicyService/GetPolicy' may be "},
      {{"call", "TicketService/OpenTicket", "{\"subjekt\": 1}"}, "subjekt"},
      {{"policy", "get", "sl"}, "no kind of policy is called 'sl'"},
      {{"policy", "apply", "/nowhere"}, "expected KIND FILE, or a folder"},
      {{"completion", "fish"}, "known: bash"},
      {{"event", "tail", "--bus", "local:"}, "leave --bus out, and the process is asked"},
      {{"event", "tail", "--bus", "localhost:9092"}, "is not kafka:HOST:PORT"},
      {{"event", "tail", "--kafka-property", "sasl.username=a"}, "need --bus kafka:HOST:PORT"},
      {{"event", "tail", "--bus", "kafka:h:1", "--kafka-property", "acks=0"},
       "\"acks\" is not a prop"},
      {{}, "a command is missing"},
  };
  for (const auto& [arguments, message] : wrong) {
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 2) << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr(message));
    EXPECT_THAT(ran.output, IsEmpty());
  }
  EXPECT_EQ(tandem_.caller(), "");
}

TEST_F(ProgramTest, AnUpdateNamesTheFieldsThatWereGiven) {
  tandem_.On<intake::v1::UpdateTicketRequest>(
      kUpdate, [](const auto&) { return intake::v1::UpdateTicketResponse(); });
  const Ran ran = Run({"ticket", "update", "tk_1", "--state", "pending", "--steps", "click",
                       "--clear", "goal-id", "--if-version", "7", "--staff", "agent-1"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  const auto requests = tandem_.Requests<intake::v1::UpdateTicketRequest>(kUpdate);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].ticket_id(), "tk_1");
  EXPECT_EQ(requests[0].version(), 7);
  EXPECT_EQ(requests[0].staff_id(), "agent-1");
  EXPECT_EQ(requests[0].ticket().state(), type::v1::TICKET_STATE_PENDING);
  EXPECT_EQ(requests[0].ticket().context().steps(), "click");
  EXPECT_THAT(requests[0].update_mask().paths(),
              UnorderedElementsAre("state", "context.steps", "goal_id"));
}

TEST_F(ProgramTest, ATagIsAddedToTheTicketsOwnUnderTheVersionThatTheyWereReadAt) {
  tandem_.On<intake::v1::UpdateTicketRequest>(
      kUpdate, [](const auto&) { return intake::v1::UpdateTicketResponse(); });
  tandem_.On<intake::v1::GetTicketRequest>(kGetTicket, [](const auto&) {
    intake::v1::GetTicketResponse reply;
    reply.mutable_ticket()->set_ticket_id("tk_1");
    reply.mutable_ticket()->set_version(4);
    reply.mutable_ticket()->add_tags("vip");
    reply.mutable_ticket()->add_tags("eu");
    (*reply.mutable_ticket()->mutable_custom_fields())["room"] = "12";
    (*reply.mutable_ticket()->mutable_custom_fields())["floor"] = "3";
    return reply;
  });
  const Ran ran =
      Run({"ticket", "update", "tk_1", "--tag", "eu", "--tag", "new", "--custom-field", "room=14"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  Run({"ticket", "update", "tk_1", "--clear", "tags", "--tag", "only"});
  const auto requests = tandem_.Requests<intake::v1::UpdateTicketRequest>(kUpdate);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].version(), 4);
  EXPECT_THAT(requests[0].ticket().tags(), ElementsAre("vip", "eu", "new"));
  EXPECT_EQ(requests[0].ticket().custom_fields().size(), 2u);
  EXPECT_EQ(requests[0].ticket().custom_fields().at("room"), "14");
  EXPECT_THAT(requests[0].update_mask().paths(), UnorderedElementsAre("tags", "custom_fields"));
  EXPECT_EQ(requests[1].version(), 0);
  EXPECT_THAT(requests[1].ticket().tags(), ElementsAre("only"));
}

TEST_F(ProgramTest, APutNamesWhatItChangesAndNothingElse) {
  tandem_.On<account::v1::PutContactRequest>(
      kPutContact, [](const auto&) { return account::v1::PutContactResponse(); });
  const Ran ran = Run({"account", "contact", "put", "c1", "--account", "acme", "--champion"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  Run({"account", "contact", "put", "c1", "--clear", "champion"});
  Run({"account", "contact", "put", "c1", "--account", "acme", "--champion", "--replace"});
  const auto requests = tandem_.Requests<account::v1::PutContactRequest>(kPutContact);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_THAT(requests[0].update_mask().paths(), ElementsAre("champion"));
  EXPECT_EQ(requests[0].contact().account_id(), "acme");
  EXPECT_TRUE(requests[0].contact().champion());
  EXPECT_THAT(requests[1].update_mask().paths(), ElementsAre("champion"));
  EXPECT_FALSE(requests[1].contact().champion());
  EXPECT_THAT(requests[2].update_mask().paths(), ElementsAre("*"));
}

TEST_F(ProgramTest, ATeamIsChangedRoleByRoleUnlessItIsReplaced) {
  constexpr char kPut[] = "tandem.account.v1.AccountService/PutAccountTeam";
  tandem_.On<account::v1::PutAccountTeamRequest>(
      kPut, [](const auto&) { return account::v1::PutAccountTeamResponse(); });
  Run({"account", "team", "put", "acme", "--member", "CSM=csm-1"});
  Run({"account", "team", "put", "acme", "--member", "CSM=csm-1", "--replace"});
  const auto requests = tandem_.Requests<account::v1::PutAccountTeamRequest>(kPut);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_FALSE(requests[0].has_update_mask());
  EXPECT_THAT(requests[1].update_mask().paths(), ElementsAre("*"));
}

triage::v1::GetStaffResponse StoredStaff(const triage::v1::GetStaffRequest&) {
  triage::v1::GetStaffResponse reply;
  triage::v1::Staff& staff = *reply.mutable_staff();
  staff.set_staff_id("ada");
  staff.set_version(6);
  staff.set_function(type::v1::STAFF_FUNCTION_SUPPORT);
  staff.set_display_name("Ada");
  staff.add_skills("sso");
  staff.add_queues("support");
  staff.set_capacity(8);
  staff.set_active(false);
  return reply;
}

TEST_F(ProgramTest, AStaffRecordKeepsWhatIsNotGiven) {
  constexpr char kPut[] = "tandem.triage.v1.StaffService/PutStaff";
  constexpr char kGet[] = "tandem.triage.v1.StaffService/GetStaff";
  tandem_.On<triage::v1::PutStaffRequest>(
      kPut, [](const auto&) { return triage::v1::PutStaffResponse(); });
  tandem_.On<triage::v1::GetStaffRequest>(kGet, &StoredStaff);
  const Ran ran = Run({"triage", "staff", "put", "ada", "--skill", "billing"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  const auto requests = tandem_.Requests<triage::v1::PutStaffRequest>(kPut);
  ASSERT_EQ(requests.size(), 1u);
  triage::v1::Staff wanted = StoredStaff({}).staff();
  wanted.add_skills("billing");
  EXPECT_EQ(requests[0].staff().ShortDebugString(), wanted.ShortDebugString());
}

TEST_F(ProgramTest, ANewStaffRecordIsActiveUnlessOtherwiseSaid) {
  constexpr char kPut[] = "tandem.triage.v1.StaffService/PutStaff";
  constexpr char kGet[] = "tandem.triage.v1.StaffService/GetStaff";
  tandem_.On<triage::v1::PutStaffRequest>(
      kPut, [](const auto&) { return triage::v1::PutStaffResponse(); });
  tandem_.On<triage::v1::GetStaffRequest>(
      kGet, [](const auto&) { return corridor::NotFound("staff", "ada"); });
  EXPECT_EQ(Run({"triage", "staff", "put", "ada", "--function", "SUPPORT"}).code, 0);
  const auto requests = tandem_.Requests<triage::v1::PutStaffRequest>(kPut);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_TRUE(requests[0].staff().active());
  EXPECT_EQ(requests[0].staff().version(), 0);
}

TEST_F(ProgramTest, AChangeIsMadeAnewWhenSomebodyWasFaster) {
  constexpr char kPut[] = "tandem.triage.v1.StaffService/PutStaff";
  constexpr char kGet[] = "tandem.triage.v1.StaffService/GetStaff";
  tandem_.On<triage::v1::GetStaffRequest>(kGet, &StoredStaff);
  tandem_.On<triage::v1::PutStaffRequest>(
      kPut, [](const auto&) { return corridor::VersionConflict("staff", "ada", 6, 7); });
  EXPECT_EQ(Run({"triage", "staff", "put", "ada", "--capacity", "9"}).code, 1);
  EXPECT_EQ(tandem_.Requests<triage::v1::PutStaffRequest>(kPut).size(), 3u);
  // Whoever names the version wants that one.
  EXPECT_EQ(Run({"triage", "staff", "put", "ada", "--capacity", "9", "--if-version", "6"}).code, 1);
  EXPECT_EQ(tandem_.Requests<triage::v1::PutStaffRequest>(kPut).size(), 4u);
}

// Every field set to something else than its default.
void FillAll(google::protobuf::Message* message, int depth = 0) {
  const auto& reflection = *message->GetReflection();
  if (auto* stamp = dynamic_cast<google::protobuf::Timestamp*>(message); stamp != nullptr) {
    stamp->set_seconds(1795442400);
    return;
  }
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = message->GetDescriptor()->field(i);
    using Field = google::protobuf::FieldDescriptor;
    const bool is_list = field->is_repeated();
    switch (field->cpp_type()) {
      case Field::CPPTYPE_INT32:
        is_list ? reflection.AddInt32(message, field, 41) : reflection.SetInt32(message, field, 41);
        break;
      case Field::CPPTYPE_INT64:
        is_list ? reflection.AddInt64(message, field, int64_t{1} << 40)
                : reflection.SetInt64(message, field, int64_t{1} << 40);
        break;
      case Field::CPPTYPE_DOUBLE:
        is_list ? reflection.AddDouble(message, field, 0.5)
                : reflection.SetDouble(message, field, 0.5);
        break;
      case Field::CPPTYPE_BOOL:
        is_list ? reflection.AddBool(message, field, true)
                : reflection.SetBool(message, field, true);
        break;
      case Field::CPPTYPE_ENUM:
        is_list ? reflection.AddEnumValue(message, field, 1)
                : reflection.SetEnumValue(message, field, 1);
        break;
      case Field::CPPTYPE_STRING: {
        const std::string text = absl::StrCat("true: \"", field->name(), "\" # 1\n\xC3\xA9");
        is_list ? reflection.AddString(message, field, text)
                : reflection.SetString(message, field, text);
        break;
      }
      case Field::CPPTYPE_MESSAGE:
        if (depth < 3) {
          FillAll(is_list ? reflection.AddMessage(message, field)
                          : reflection.MutableMessage(message, field),
                  depth + 1);
        }
        break;
      default:
        break;
    }
  }
}

// `get` prints `reply`; what `put --file` makes of it.
template <typename Get, typename Put, typename Reply>
std::vector<Put> PrintedAndPut(testing::FakeTandem& tandem,
                               const std::function<Ran(const std::vector<std::string>&)>& run,
                               const std::vector<std::string>& group, const std::string& id,
                               const std::string& get, const std::string& put, const Reply& reply) {
  tandem.On<Get>(get, [reply](const auto&) { return reply; });
  const google::protobuf::MethodDescriptor* method = corridor::FindMethod(put);
  EXPECT_NE(method, nullptr);
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_printed");
  for (const std::string form : {"json", "yaml"}) {
    for (const bool replaces : {false, true}) {
      std::vector<std::string> words = group;
      words.insert(words.end(), {"get", id, "--output", form});
      const Ran printed = run(words);
      EXPECT_EQ(printed.code, 0) << printed.messages;
      std::ofstream(path) << printed.output;
      words = group;
      words.insert(words.end(), {"put", id, "--file", path});
      if (replaces) words.push_back("--replace");
      const Ran stored = run(words);
      EXPECT_EQ(stored.code, 0) << form << "\n" << printed.output << stored.messages;
      std::remove(path.c_str());
    }
  }
  return tandem.Requests<Put>(put);
}

TEST_F(ProgramTest, WhatGetPrintsIsWhatPutTakes) {
  const std::function<Ran(const std::vector<std::string>&)> run =
      [this](const std::vector<std::string>& words) { return Run(words); };
  const std::string accounts = "tandem.account.v1.AccountService/";
  const std::string staff = "tandem.triage.v1.StaffService/";
  tandem_.On<account::v1::PutAccountRequest>(
      accounts + "PutAccount", [](const auto&) { return account::v1::PutAccountResponse(); });
  tandem_.On<account::v1::PutContactRequest>(
      kPutContact, [](const auto&) { return account::v1::PutContactResponse(); });
  tandem_.On<account::v1::PutAccountTeamRequest>(accounts + "PutAccountTeam", [](const auto&) {
    return account::v1::PutAccountTeamResponse();
  });
  tandem_.On<triage::v1::PutStaffRequest>(
      staff + "PutStaff", [](const auto&) { return triage::v1::PutStaffResponse(); });

  account::v1::GetAccountResponse account;
  FillAll(&account);
  account::v1::Account wanted_account = account.account();
  wanted_account.set_account_id("a1");
  wanted_account.clear_created_at();
  wanted_account.clear_updated_at();
  for (const auto& put :
       PrintedAndPut<account::v1::GetAccountRequest, account::v1::PutAccountRequest>(
           tandem_, run, {"account"}, "a1", accounts + "GetAccount", accounts + "PutAccount",
           account)) {
    EXPECT_EQ(put.account().ShortDebugString(), wanted_account.ShortDebugString());
  }

  account::v1::GetContactResponse contact;
  FillAll(&contact);
  account::v1::Contact wanted_contact = contact.contact();
  wanted_contact.set_contact_id("c1");
  wanted_contact.clear_updated_at();
  for (const auto& put :
       PrintedAndPut<account::v1::GetContactRequest, account::v1::PutContactRequest>(
           tandem_, run, {"account", "contact"}, "c1", accounts + "GetContact", kPutContact,
           contact)) {
    EXPECT_EQ(put.contact().ShortDebugString(), wanted_contact.ShortDebugString());
  }

  triage::v1::GetStaffResponse person;
  FillAll(&person);
  triage::v1::Staff wanted_staff = person.staff();
  wanted_staff.set_staff_id("s1");
  for (const auto& put : PrintedAndPut<triage::v1::GetStaffRequest, triage::v1::PutStaffRequest>(
           tandem_, run, {"triage", "staff"}, "s1", staff + "GetStaff", staff + "PutStaff",
           person)) {
    EXPECT_EQ(put.staff().ShortDebugString(), wanted_staff.ShortDebugString());
  }

  account::v1::GetAccountTeamResponse team;
  team.set_version(3);
  account::v1::Counterpart* place = team.add_team();
  place->set_role(type::v1::STAFF_ROLE_CSM);
  place->set_staff_id("csm-1");
  place = team.add_team();
  place->set_role(type::v1::STAFF_ROLE_SUPPORT_LEAD);
  place->set_staff_id("lead-1");
  place->set_is_default(true);
  for (const auto& put :
       PrintedAndPut<account::v1::GetAccountTeamRequest, account::v1::PutAccountTeamRequest>(
           tandem_, run, {"account", "team"}, "a1", accounts + "GetAccountTeam",
           accounts + "PutAccountTeam", team)) {
    EXPECT_EQ(put.version(), 3);
    ASSERT_EQ(put.members_size(), 1);
    EXPECT_EQ(put.members(0).staff_id(), "csm-1");
  }
}

intake::v1::ListTicketsResponse Page(const intake::v1::ListTicketsRequest& request) {
  int first = 0;
  if (!request.page_token().empty()) first = std::stoi(request.page_token());
  intake::v1::ListTicketsResponse reply;
  for (int i = first; i < std::min(250, first + request.page_size()); ++i) {
    intake::v1::Ticket* ticket = reply.add_tickets();
    ticket->set_ticket_id(absl::StrCat("tk_", i));
    ticket->set_severity(type::v1::SEVERITY_URGENT);
    ticket->set_subject("a\nb");
  }
  if (first + request.page_size() < 250) {
    reply.set_next_page_token(absl::StrCat(first + request.page_size()));
  }
  return reply;
}

TEST_F(ProgramTest, AListIsReadPageByPageUpToItsLimit) {
  tandem_.On<intake::v1::ListTicketsRequest>(kList, &Page);
  const auto lines = [](const Ran& ran) {
    return std::count(ran.output.begin(), ran.output.end(), '\n') - 1;
  };
  const Ran hundred = Run({"ticket", "list"});
  EXPECT_EQ(lines(hundred), 100);
  EXPECT_THAT(hundred.messages, HasSubstr("--page-token 100"));
  EXPECT_EQ(lines(Run({"ticket", "list", "--limit", "130"})), 130);
  const Ran all = Run({"ticket", "list", "--limit", "0"});
  EXPECT_EQ(lines(all), 250);
  EXPECT_THAT(all.messages, IsEmpty());
  EXPECT_EQ(lines(Run({"ticket", "list", "--page-token", "240"})), 10);
}

TEST_F(ProgramTest, ATableHasItsColumnsAndNoLineEndsOfStrangers) {
  tandem_.On<intake::v1::ListTicketsRequest>(kList, &Page);
  const Ran ran = Run({"ticket", "list", "--limit", "1", "--state", "new", "--state", "open"});
  EXPECT_EQ(ran.output,
            "TICKET  STATE  SEVERITY  ACCOUNT  QUEUE  ASSIGNEE  OPENED  SUBJECT\n"
            "tk_0           URGENT                                      a b\n");
  const auto requests = tandem_.Requests<intake::v1::ListTicketsRequest>(kList);
  EXPECT_THAT(requests.at(0).states(),
              ElementsAre(type::v1::TICKET_STATE_NEW, type::v1::TICKET_STATE_OPEN));
}

TEST_F(ProgramTest, JsonIsTheReplyWithTheNamesOfTheProto) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  const Ran ran = Run({"ticket", "open", "--subject", "x", "--output", "json"});
  EXPECT_THAT(ran.output, AllOf(StartsWith("{\n \"ticket_id\": \"tk_1\",\n"),
                                HasSubstr("\"opened_at\": \"2026-11-23T14:00:00Z\"")));
}

TEST_F(ProgramTest, VariablesOfTheServerAreNoneOfOurs) {
  environment_ = {{"TANDEM_LISTEN", "x"}, {"TANDEM_CTL_OUTPUT", "json"}};
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  EXPECT_THAT(Run({"ticket", "open", "--subject", "x"}).output, StartsWith("{"));
}

TEST_F(ProgramTest, WhatIsStoredMayStandInAFileAndFlagsWinOverIt) {
  constexpr char kPut[] = "tandem.account.v1.AccountService/PutAccount";
  tandem_.On<account::v1::PutAccountRequest>(
      kPut, [](const auto&) { return account::v1::PutAccountResponse(); });
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_file.yaml");
  std::ofstream(path) << "display_name: Acme\nsegment: enterprise\nseats: 7\n";
  EXPECT_EQ(Run({"account", "put", "acme", "--file", path, "--seats", "9"}).code, 0);
  const auto accounts = tandem_.Requests<account::v1::PutAccountRequest>(kPut);
  ASSERT_EQ(accounts.size(), 1u);
  EXPECT_EQ(accounts[0].account().account_id(), "acme");
  EXPECT_EQ(accounts[0].account().display_name(), "Acme");
  EXPECT_EQ(accounts[0].account().seats(), 9);

  std::ofstream(path) << "subject: Down\nchannel: phone\nrequester: {address: a@b}\n";
  EXPECT_EQ(Run({"ticket", "open", "--file", path}).code, 0);
  const auto tickets = tandem_.Requests<intake::v1::OpenTicketRequest>(kOpen);
  ASSERT_EQ(tickets.size(), 1u);
  EXPECT_EQ(tickets[0].channel(), type::v1::CHANNEL_PHONE);
  EXPECT_EQ(tickets[0].requester().address(), "a@b");

  std::ofstream(path) << "subjekt: Down\n";
  const Ran broken = Run({"ticket", "open", "--file", path});
  std::remove(path.c_str());
  EXPECT_EQ(broken.code, 2);
  EXPECT_THAT(broken.messages, HasSubstr(path + ":1: unknown key 'subjekt'"));
}

TEST_F(ProgramTest, InstantsMayBeToldFromNow) {
  constexpr char kAdd[] = "tandem.sla.v1.CalendarService/AddBusinessTime";
  tandem_.On<sla::v1::AddBusinessTimeRequest>(kAdd, [](const auto&) {
    sla::v1::AddBusinessTimeResponse reply;
    reply.mutable_due_at()->set_seconds(1795478400);
    return reply;
  });
  const Ran ran = Run({"sla", "calendar", "add", "support", "-2h", "4h"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  Run({"sla", "calendar", "add", "support", "2026-11-23", "1d12h"});
  const auto requests = tandem_.Requests<sla::v1::AddBusinessTimeRequest>(kAdd);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].calendar().name(), "support");
  EXPECT_EQ(requests[0].from().seconds(), absl::ToUnixSeconds(clock_.now - absl::Hours(2)));
  EXPECT_EQ(requests[0].budget().seconds(), 4 * 3600);
  EXPECT_EQ(requests[1].from().seconds(), 1795392000);
  EXPECT_EQ(requests[1].budget().seconds(), 36 * 3600);
}

TEST_F(ProgramTest, AnExplanationShowsThePiecesAndTheirSum) {
  constexpr char kExplain[] = "tandem.sla.v1.SlaService/ExplainClock";
  tandem_.On<sla::v1::ExplainClockRequest>(kExplain, [](const sla::v1::ExplainClockRequest& ask) {
    sla::v1::ExplainClockResponse reply;
    reply.mutable_clock()->set_metric(ask.metric());
    reply.mutable_clock()->set_cycle(1);
    reply.mutable_clock()->set_phase(sla::v1::CLOCK_PHASE_RUNNING);
    reply.mutable_clock()->mutable_target()->set_seconds(4 * 3600);
    reply.mutable_clock()->mutable_used()->set_seconds(3661);
    const auto add = [&reply](const char* from, const char* to, bool counted, const char* why) {
      sla::v1::ClockSegment* segment = reply.add_segments();
      SetInstant(from, segment->mutable_from());
      SetInstant(to, segment->mutable_to());
      segment->set_counted(counted);
      segment->set_why(why);
      segment->set_cause_event_id("ev_1");
      segment->set_calendar_rule(counted ? "weekly MON 09:00-17:30" : "");
    };
    add("2026-11-23T14:00:00Z", "2026-11-23T15:01:01Z", true, "open");
    add("2026-11-23T15:01:01Z", "2026-11-23T16:01:01Z", false, "paused: PENDING");
    reply.mutable_counted()->set_seconds(3661);
    SetInstant("2026-11-23T16:01:01Z", reply.mutable_as_of());
    return reply;
  });
  const Ran ran = Run({"sla", "explain", "tk_1"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_THAT(
      ran.output,
      AllOf(
          StartsWith("RESOLUTION, cycle 1: RUNNING\ntarget 4h, used 1h1m1s"),
          HasSubstr("2026-11-23 14:00:00Z  2026-11-23 15:01:01Z  1h1m1s  yes      open             "
                    "weekly MON 09:00-17:30  ev_1\n"),
          HasSubstr("1h  no       paused: PENDING"), HasSubstr("\ncounted: 1h1m1s, as of ")));
  Run({"sla", "explain", "tk_1", "--metric", "first-response"});
  const auto requests = tandem_.Requests<sla::v1::ExplainClockRequest>(kExplain);
  EXPECT_EQ(requests.at(0).metric(), type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_EQ(requests.at(1).metric(), type::v1::SLA_METRIC_FIRST_RESPONSE);
}

TEST_F(ProgramTest, ASumThatThePiecesDoNotGiveIsShown) {
  constexpr char kExplain[] = "tandem.sla.v1.SlaService/ExplainClock";
  tandem_.On<sla::v1::ExplainClockRequest>(kExplain, [](const auto&) {
    sla::v1::ExplainClockResponse reply;
    reply.mutable_counted()->set_seconds(60);
    return reply;
  });
  EXPECT_THAT(Run({"sla", "explain", "tk_1"}).output,
              HasSubstr("counted: 1m (in the pieces shown: 0)"));
}

TEST_F(ProgramTest, ACheckBeginsWithItsVerdict) {
  constexpr char kCheck[] = "tandem.account.v1.OutreachService/CheckOutreach";
  tandem_.On<account::v1::CheckOutreachRequest>(
      kCheck, [](const account::v1::CheckOutreachRequest& ask) {
        account::v1::CheckOutreachResponse reply;
        if (ask.account_id() == "globex") {
          reply.set_verdict(account::v1::OUTREACH_VERDICT_ALLOW);
          reply.set_clearance_id("cl_1");
          SetInstant("2026-11-24T14:00:00Z", reply.mutable_expires_at());
          reply.set_units(1);
          return reply;
        }
        reply.set_verdict(account::v1::OUTREACH_VERDICT_HOLD);
        account::v1::OutreachBlock* block = reply.add_blocks();
        block->set_rule("critical_ticket");
        block->set_subject_id("tk_1");
        block->set_severity(type::v1::SEVERITY_CRITICAL);
        reply.mutable_policy()->set_kind("account");
        reply.mutable_policy()->set_version(3);
        return reply;
      });
  tandem_.On<intake::v1::GetTicketRequest>(kGetTicket, [](const auto&) {
    intake::v1::GetTicketResponse reply;
    reply.mutable_ticket()->set_subject("Nobody can sign in");
    return reply;
  });
  const Ran held =
      Run({"outreach", "check", "--account", "acme", "--topic", "RENEWAL", "--staff", "csm-1"});
  EXPECT_EQ(held.code, 3);
  EXPECT_EQ(held.output,
            "HOLD (policy account v3)\n\n"
            "RULE             BLOCKED BY  SEVERITY  MAY CLEAR  SUBJECT\n"
            "critical_ticket  tk_1        CRITICAL             Nobody can sign in\n");
  const Ran allowed = Run({"outreach", "check", "--account", "globex", "--topic", "RENEWAL"});
  EXPECT_EQ(allowed.code, 0);
  EXPECT_EQ(allowed.output,
            "ALLOW: clearance cl_1 until 2026-11-24 14:00:00Z, 1 unit of the contact budget\n");
}

TEST_F(ProgramTest, ACheckShowsTenBlocksAndCountsTheRest) {
  tandem_.On<account::v1::CheckOutreachRequest>(
      "tandem.account.v1.OutreachService/CheckOutreach", [](const auto&) {
        account::v1::CheckOutreachResponse reply;
        reply.set_verdict(account::v1::OUTREACH_VERDICT_HOLD);
        for (int i = 0; i < 137; ++i) reply.add_blocks()->set_subject_id(absl::StrCat("tk_", i));
        return reply;
      });
  tandem_.On<intake::v1::GetTicketRequest>(
      kGetTicket, [](const auto&) { return absl::UnavailableError("away"); });
  const Ran ran = Run({"outreach", "check", "--account", "acme", "--topic", "RENEWAL"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("tk_9"), Not(HasSubstr("tk_10")), HasSubstr("and 127 more")));
  EXPECT_EQ(tandem_.Requests<intake::v1::GetTicketRequest>(kGetTicket).size(), 1u)
      << "who does not answer is not asked ten times";
  EXPECT_THAT(ran.messages, IsEmpty());
}

TEST_F(ProgramTest, ClocksAtRiskStandInTheOrderOfTheirDueInstantsWithTheirTickets) {
  tandem_.On<sla::v1::ListAtRiskRequest>("tandem.sla.v1.SlaService/ListAtRisk", [](const auto&) {
    sla::v1::ListAtRiskResponse reply;
    for (const char* due :
         {"2026-11-23T14:05:00Z", "2026-11-23T18:00:00Z", "2026-11-23T14:30:00Z"}) {
      sla::v1::ClockAtRisk* risk = reply.add_clocks();
      risk->set_ticket_id(absl::StrCat("tk_", reply.clocks_size() == 3 ? 2 : 1));
      SetInstant(due, risk->mutable_clock()->mutable_due_at());
    }
    return reply;
  });
  tandem_.On<intake::v1::GetTicketRequest>(
      kGetTicket, [](const intake::v1::GetTicketRequest& asked) {
        intake::v1::GetTicketResponse reply;
        reply.mutable_ticket()->set_subject(absl::StrCat("Subject of ", asked.ticket_id()));
        reply.mutable_ticket()->set_queue("support");
        reply.mutable_ticket()->set_assignee_id("ada");
        return reply;
      });
  const Ran ran = Run({"sla", "at-risk"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  const size_t second = ran.output.find("14:30");
  EXPECT_LT(ran.output.find("14:05"), second);
  EXPECT_LT(second, ran.output.find("18:00"));
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("Subject of tk_2"), HasSubstr("ada"), HasSubstr("support")));
  EXPECT_EQ(tandem_.Requests<intake::v1::GetTicketRequest>(kGetTicket).size(), 2u)
      << "once for each ticket";
}

TEST_F(ProgramTest, ARetryThatLeavesEventsParkedFails) {
  constexpr char kRetry[] = "tandem.admin.v1.AdminService/RetryDeadLetters";
  tandem_.On<admin::v1::RetryDeadLettersRequest>(
      kRetry, [](const admin::v1::RetryDeadLettersRequest& asked) {
        admin::v1::RetryDeadLettersResponse reply;
        reply.set_applied(asked.subject() == "tk_1" ? 2 : 0);
        reply.set_remaining(asked.subject() == "tk_1" ? 0 : 1);
        if (asked.subject() != "tk_1") reply.set_reason("poison");
        return reply;
      });
  tandem_.On<admin::v1::ListDeadLettersRequest>(
      "tandem.admin.v1.AdminService/ListDeadLetters", [](const auto&) {
        admin::v1::ListDeadLettersResponse reply;
        for (const char* subject : {"tk_1", "tk_2", "tk_1", "timer:clock:tk_9"}) {
          reply.add_dead_letters()->set_subject(subject);
        }
        return reply;
      });
  EXPECT_EQ(Run({"dead-letter", "retry", "triage", "--subject", "tk_1"}).code, 0);
  EXPECT_EQ(Run({"dead-letter", "retry", "triage", "tk_1"}).code, 0);
  const Ran failed = Run({"dead-letter", "retry", "triage", "--subject", "tk_2"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.output, HasSubstr("poison"));
  const Ran all = Run({"dead-letter", "retry", "triage", "--all"});
  EXPECT_EQ(all.code, 1);
  EXPECT_THAT(all.output, AllOf(HasSubstr("tk_1"), HasSubstr("tk_2")));
  EXPECT_EQ(tandem_.Requests<admin::v1::RetryDeadLettersRequest>(kRetry).size(), 5u)
      << "each subject once, and no timer";
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"triage"},
                                                {"triage", "tk_1", "--all"},
                                                {"triage", "tk_1", "--subject", "tk_1"}}) {
    std::vector<std::string> words = {"dead-letter", "retry"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    EXPECT_EQ(Run(words).code, 2);
  }
}

TEST_F(ProgramTest, ATextThatIsNoUtf8IsOneJsonErrorAndNoLineOfALibrary) {
  tandem_.On<intake::v1::OpenTicketRequest>(
      kOpen, [](const auto&) { return absl::FailedPreconditionError("broken \xC3 text"); });
  ::testing::internal::CaptureStderr();
  const Ran ran = Run({"ticket", "open", "--subject", "x", "--output", "json"});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages,
              AllOf(StartsWith("{\"error\":{"), HasSubstr("broken "), HasSubstr("FAILED_PRE")));
}

TEST_F(ProgramTest, AnErrorCarriesWhatAProgramNeedsToActOnIt) {
  tandem_.On<intake::v1::GetTicketRequest>(
      kGetTicket, [](const auto&) { return corridor::NotFound("ticket", "tk_404"); });
  const Ran ran = Run({"ticket", "get", "tk_404", "--output", "json"});
  EXPECT_THAT(ran.messages, HasSubstr("\"metadata\":{\"ticket_id\":\"tk_404\"}"));
}

TEST_F(ProgramTest, ATicketSuspectedToBeSpamIsConfirmedToBeNone) {
  tandem_.On<intake::v1::UpdateTicketRequest>(
      kUpdate, [](const auto&) { return intake::v1::UpdateTicketResponse(); });
  tandem_.On<intake::v1::ListTicketsRequest>(
      kList, [](const auto&) { return intake::v1::ListTicketsResponse(); });
  EXPECT_EQ(Run({"ticket", "not-spam", "tk_1", "--staff", "ada"}).code, 0);
  EXPECT_EQ(Run({"ticket", "list", "--suspected-spam"}).code, 0);
  const auto updates = tandem_.Requests<intake::v1::UpdateTicketRequest>(kUpdate);
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(updates[0].ticket_id(), "tk_1");
  EXPECT_EQ(updates[0].staff_id(), "ada");
  EXPECT_FALSE(updates[0].ticket().suspected_spam());
  EXPECT_THAT(updates[0].update_mask().paths(), ElementsAre("suspected_spam"));
  EXPECT_TRUE(tandem_.Requests<intake::v1::ListTicketsRequest>(kList).at(0).suspected_spam_only());
}

TEST_F(ProgramTest, StatusNamesWhatIsNotReadyAndWhatIsNotHealthy) {
  constexpr char kStatus[] = "tandem.admin.v1.AdminService/GetStatus";
  tandem_.On<admin::v1::GetStatusRequest>(kStatus, [](const auto&) {
    admin::v1::GetStatusResponse reply;
    reply.set_version("0.1.0");
    SetInstant("2026-11-23T13:00:00Z", reply.mutable_started_at());
    admin::v1::ServiceStatus* service = reply.add_services();
    service->set_service("triage");
    service->add_not_ready("the store cannot be written: the disk is full");
    service->add_unhealthy("partition 3 stopped: too many subjects");
    admin::v1::PartitionStatus* partition = service->add_partitions();
    partition->set_next_offset(10);
    partition->set_end_offset(1244);
    return reply;
  });
  const Ran ran = Run({"status"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.output,
              AllOf(StartsWith("tandem 0.1.0, started 2026-11-23 13:00:00Z (1h ago)\n"),
                    HasSubstr("triage   NO     NO       1,234"),
                    HasSubstr("triage: not ready: the store cannot be written: the disk is "
                              "full\n"),
                    HasSubstr("triage: not healthy: partition 3 stopped: too many "
                              "subjects\n")));
  EXPECT_EQ(Run({"status", "--ready"}).code, 1);
}

// Five processes, of which the fake is each; a door that is closed stands for one that is gone.
class SeveralProcesses : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    rpc::ServerOptions options;
    options.address = "127.0.0.1:0";
    auto started = rpc::Server::Start(options, {&triage_}, &logger_, &registry_);
    ASSERT_TRUE(started.ok()) << started.status();
    triage_server_ = *std::move(started);
    // Whoever answers a question about the status says who he is.
    const auto say = [](const char* service, const char* letter) {
      return [service, letter](testing::FakeTandem& tandem) {
        tandem.On<admin::v1::GetStatusRequest>("tandem.admin.v1.AdminService/GetStatus",
                                               [service](const auto&) {
                                                 admin::v1::GetStatusResponse reply;
                                                 reply.set_version("0.1.0");
                                                 reply.add_services()->set_service(service);
                                                 return reply;
                                               });
        tandem.On<admin::v1::ListDeadLettersRequest>(
            kLetters, [service, letter](const admin::v1::ListDeadLettersRequest& ask) {
              admin::v1::ListDeadLettersResponse reply;
              // Two pages of one letter each.
              const bool is_second = ask.page_token() == "2|x";
              auto* one = reply.add_dead_letters();
              one->set_service(service);
              one->set_subject(absl::StrCat(letter, is_second ? "2" : "1"));
              if (!is_second) reply.set_next_page_token("2|x");
              return reply;
            });
      };
    };
    say("ticket_intake", "i")(tandem_);
    say("triage", "t")(triage_);
  }

  // Both, and then what is asked of them.
  Ran RunBoth(std::vector<std::string> arguments) {
    arguments.push_back("--address=ticket_intake=" + server_->address());
    arguments.push_back("--address=triage=" + triage_server_->address());
    return RunAt(arguments);
  }

  static constexpr char kLetters[] = "tandem.admin.v1.AdminService/ListDeadLetters";
  testing::FakeTandem triage_;
  std::unique_ptr<rpc::Server> triage_server_;
};

TEST_F(SeveralProcesses, ACallGoesToTheProcessOfItsService) {
  tandem_.On<intake::v1::ListTicketsRequest>(
      kList, [](const auto&) { return intake::v1::ListTicketsResponse(); });
  constexpr char kStaff[] = "tandem.triage.v1.StaffService/ListStaff";
  triage_.On<triage::v1::ListStaffRequest>(
      kStaff, [](const auto&) { return triage::v1::ListStaffResponse(); });
  EXPECT_EQ(RunBoth({"ticket", "list"}).code, 0);
  EXPECT_EQ(RunBoth({"triage", "staff", "list"}).code, 0);
  EXPECT_EQ(tandem_.Requests<intake::v1::ListTicketsRequest>(kList).size(), 1u);
  EXPECT_EQ(triage_.Requests<triage::v1::ListStaffRequest>(kStaff).size(), 1u);
}

TEST_F(SeveralProcesses, OneAddressForAllStandsBesideThoseOfSingleServices) {
  tandem_.On<intake::v1::ListTicketsRequest>(
      kList, [](const auto&) { return intake::v1::ListTicketsResponse(); });
  constexpr char kStaff[] = "tandem.triage.v1.StaffService/ListStaff";
  triage_.On<triage::v1::ListStaffRequest>(
      kStaff, [](const auto&) { return triage::v1::ListStaffResponse(); });
  environment_["TANDEM_CTL_ADDRESS"] =
      absl::StrCat(server_->address(), ",triage=", triage_server_->address());
  EXPECT_EQ(RunAt({"ticket", "list"}).code, 0);
  EXPECT_EQ(RunAt({"triage", "staff", "list"}).code, 0);
  EXPECT_EQ(triage_.Requests<triage::v1::ListStaffRequest>(kStaff).size(), 1u);
}

TEST_F(SeveralProcesses, AServiceWithoutAnAddressIsSaidBeforeAnythingIsSent) {
  const Ran ran = RunBoth({"survey", "list"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.messages,
            "tandemctl: no address is given for survey; add --address survey=HOST:PORT\n");
  // Also when there is only one address, and it is another's.
  EXPECT_EQ(RunAt({"survey", "list", "--address=triage=" + triage_server_->address()}).code, 2);
  EXPECT_EQ(triage_.caller(), "");
}

TEST_F(SeveralProcesses, AnAddressThatCannotBeIsRefusedWithTheWayOut) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--address", "triag=localhost:7400"},
       "did you mean 'triage'? there are ticket_intake, tri"},
      {{"--address", "billing=localhost:1"}, "no service is called 'billing'; there are ticket_in"},
      {{"--address", "localhost"}, "'localhost' is neither HOST:PORT nor NAME=HOST:PORT"},
      {{"--address", "triage="}, "'triage=' is neither"},
      {{"--address", "a:1", "--address", "b:2"}, "a:1 and b:2 are both given for all services;"},
      {{"--address", "triage=a:1,triage=b:2"}, "a:1 and b:2 are both given for triage"},
      {{"--address", ","}, "give HOST:PORT"},
  };
  for (const auto& [address, message] : wrong) {
    std::vector<std::string> arguments = {"status"};
    arguments.insert(arguments.end(), address.begin(), address.end());
    const Ran ran = RunAt(arguments);
    EXPECT_EQ(ran.code, 2) << ran.messages;
    EXPECT_THAT(ran.messages, HasSubstr(message));
  }
}

TEST_F(SeveralProcesses, StatusShowsAllOfThemAndWhoDoesNotAnswer) {
  Ran ran = RunBoth({"status"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("tandem 0.1.0 at " + server_->address()),
                    HasSubstr("tandem 0.1.0 at " + triage_server_->address()),
                    HasSubstr("\nticket_intake  yes"), HasSubstr("\ntriage         yes")));
  ran = RunBoth({"status", "--output", "json"});
  EXPECT_THAT(ran.output,
              AllOf(StartsWith("{\n  \"processes\": [\n    {\"address\": \"" + server_->address() +
                               "\", \"status\": {\"version\":\"0.1.0\""),
                    HasSubstr("\"service\":\"triage\"")));
  const std::string gone = triage_server_->address();
  triage_server_.reset();
  const auto both = [&](std::vector<std::string> arguments) {
    arguments.push_back("--address=" + server_->address() + ",triage=" + gone);
    return RunAt(arguments);
  };
  ran = both({"status"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("ticket_intake  yes"));
  EXPECT_THAT(ran.messages, HasSubstr("no tandem at " + gone));
  ran = both({"status", "--output", "json"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output,
              HasSubstr("{\"address\": \"" + gone + "\", \"error\": \"UNAVAILABLE\"}\n  ]\n}\n"));
}

TEST_F(SeveralProcesses, TheirListsFollowOneAnother) {
  const Ran all = RunBoth({"dead-letter", "list", "--limit", "0"});
  EXPECT_EQ(all.code, 0) << all.messages;
  std::vector<std::string> subjects;
  for (const char* subject : {"i1", "i2", "t1", "t2"}) {
    EXPECT_THAT(all.output, HasSubstr(subject));
    subjects.emplace_back(subject);
  }
  // A page at a time, wherever it ends, each is seen once and in the same order.
  for (int limit = 1; limit < 4; ++limit) {
    std::vector<std::string> seen;
    std::string token;
    for (int pages = 0; pages < 5; ++pages) {
      std::vector<std::string> arguments = {"dead-letter", "list", "--limit", absl::StrCat(limit)};
      if (!token.empty()) arguments.push_back("--page-token=" + token);
      const Ran page = RunBoth(arguments);
      ASSERT_EQ(page.code, 0) << page.messages;
      for (absl::string_view line : absl::StrSplit(page.output, '\n')) {
        for (const std::string& subject : subjects) {
          if (absl::StrContains(line, " " + subject)) seen.push_back(subject);
        }
      }
      const size_t at = page.messages.find("--page-token ");
      if (at == std::string::npos) break;
      token = page.messages.substr(at + 13, page.messages.find(' ', at + 13) - at - 13);
    }
    EXPECT_EQ(seen, subjects) << limit;
  }
  const Ran one = RunBoth({"dead-letter", "list", "--service", "triage", "--limit", "0"});
  EXPECT_THAT(one.output, AllOf(HasSubstr("t1"), HasSubstr("t2"), Not(HasSubstr("i1"))));
  const Ran strange = RunBoth({"dead-letter", "list", "--page-token", "2|x"});
  EXPECT_EQ(strange.code, 2);
  EXPECT_THAT(strange.messages, HasSubstr("is none of a list of these processes"));
}

TEST_F(SeveralProcesses, WhatIsForOneProcessWantsOneAddress) {
  const Ran ran = RunBoth({"drain"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.messages,
              AllOf(HasSubstr("Drain is for one process, and there are ticket_intake="),
                    HasSubstr("; give one --address HOST:PORT")));
}

class EventTail : public ProgramTest {
 protected:
  // A log of one partition: `count` tickets opened, then an event of a type that nobody knows.
  void Log(int count) {
    tandem_.On<admin::v1::ReadEventsRequest>(
        kRead, [count](const admin::v1::ReadEventsRequest& ask) {
          admin::v1::ReadEventsResponse reply;
          const auto named = ask.offsets().find(0);
          int64_t offset = named != ask.offsets().end() ? named->second
                           : ask.from_beginning()       ? 0
                                                        : count + 1;
          for (; offset <= count && reply.events_size() < 2; ++offset) {
            admin::v1::BusEvent* event = reply.add_events();
            event->set_offset(offset);
            event->mutable_time()->set_seconds(1795442400 + offset);
            event->set_type(offset == count ? "tandem.events.v9.Strange"
                                            : "tandem.events.v1.TicketOpened");
            event->set_key("key");
            events::v1::TicketOpened body;
            body.set_ticket_id(absl::StrCat("tk_", offset));
            event->set_body(body.SerializeAsString());
          }
          (*reply.mutable_next_offsets())[0] = offset;
          (*reply.mutable_first_offsets())[0] = 0;
          (*reply.mutable_end_offsets())[0] = count + 1;
          return reply;
        });
  }

  static constexpr char kRead[] = "tandem.admin.v1.AdminService/ReadEvents";
};

TEST_F(EventTail, DecodesTheBodyByTheTypeOfTheEvent) {
  Log(1);
  const Ran ran = Run({"event", "tail", "--from-beginning", "--output", "json"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  const std::vector<std::string> lines = absl::StrSplit(ran.output, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], AllOf(StartsWith("{\"partition\":0,\"offset\":\"0\""),
                              HasSubstr("\"body\":{\"ticket_id\":\"tk_0\",\"account_id\":\"\""),
                              HasSubstr("},\"time\":\"2026-11-23T14:00:00Z\"}")));
  EXPECT_THAT(lines[1], AllOf(HasSubstr("Strange"), HasSubstr("\"body\":\"CgR0a18x\"")));
}

TEST_F(EventTail, ShowsTheLastEventsUnlessAllAreAskedFor) {
  Log(30);
  const auto lines = [](const Ran& ran) {
    return std::vector<std::string>(absl::StrSplit(ran.output, '\n', absl::SkipEmpty()));
  };
  EXPECT_EQ(lines(Run({"event", "tail"})).size(), 20u);
  EXPECT_EQ(lines(Run({"event", "tail", "--from-beginning"})).size(), 31u);
  const auto last = lines(Run({"event", "tail", "--last", "2", "--type", "TicketOpened"}));
  ASSERT_EQ(last.size(), 2u);
  EXPECT_THAT(last[0],
              AllOf(HasSubstr("TicketOpened "), HasSubstr("key"), HasSubstr("ticket_id=tk_28")));
  EXPECT_THAT(last[1], HasSubstr("tk_29"));
}

TEST_F(EventTail, GoesOnBehindTheLastEventThatWasShown) {
  Log(5);
  const std::string place = absl::StrCat(::testing::TempDir(), "/tail-place-", getpid());
  const auto numbers = [this, &place](std::vector<std::string> more) {
    std::vector<std::string> words = {"event", "tail", "--resume", place, "--output", "json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = Run(words);
    EXPECT_EQ(ran.code, 0) << ran.messages;
    return std::count(ran.output.begin(), ran.output.end(), '\n');
  };
  EXPECT_EQ(numbers({"--from-beginning", "--limit", "3"}), 3);
  std::ifstream kept(place);
  std::string text;
  std::getline(kept, text);
  EXPECT_EQ(text, "0=3");
  EXPECT_EQ(numbers({"--limit", "1"}), 1);
  EXPECT_EQ(numbers({}), 2);
  EXPECT_EQ(numbers({}), 0);
  // A filter passes over what it does not show, for good.
  std::filesystem::remove(place);
  EXPECT_EQ(numbers({"--type", "Strange", "--from-beginning"}), 1);
  EXPECT_EQ(numbers({}), 0);
  std::filesystem::remove(place);
}

TEST_F(EventTail, BeginsAtTheOffsetsThatAreGiven) {
  Log(5);
  const Ran ran = Run({"event", "tail", "--from", "0=4"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 2);
  for (const char* wrong : {"4", "0=", "0=x", "-1=3", "0=1,0=2", "0=-4"}) {
    const Ran refused = Run({"event", "tail", "--from", wrong});
    EXPECT_EQ(refused.code, 2) << wrong;
    EXPECT_THAT(refused.messages, HasSubstr("such as 0=12,3=40")) << wrong;
  }
}

TEST_F(EventTail, SaysHowToBeginAnewWhenItsPlaceIsGone) {
  tandem_.On<admin::v1::ReadEventsRequest>(kRead, [](const auto&) {
    return absl::OutOfRangeError("offsets 0=3 are not in the log, which begins at 0=10");
  });
  const std::string place = absl::StrCat(::testing::TempDir(), "/gone-place-", getpid());
  std::ofstream(place) << "0=3\n";
  const Ran ran = Run({"event", "tail", "--resume", place});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages, AllOf(HasSubstr("begins at 0=10"), HasSubstr("delete it")));
  std::filesystem::remove(place);
}

TEST_F(EventTail, FollowsUntilItsLimit) {
  Log(3);
  const Ran ran = Run({"event", "tail", "--follow", "--from-beginning", "--limit", "4"});
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 4);
}

TEST_F(ProgramTest, AnyCallCanBeMadeByJson) {
  tandem_.On<intake::v1::OpenTicketRequest>(kOpen, &Opened);
  const Ran ran =
      Run({"call", "TicketService/OpenTicket", "-"},
          R"({"subject": "x", "requester": {"address": "a@b"}, "channel": "CHANNEL_API"})");
  EXPECT_EQ(ran.code, 0) << ran.messages;
  EXPECT_THAT(ran.output, HasSubstr("\"ticket_id\": \"tk_1\""));
  const auto requests = tandem_.Requests<intake::v1::OpenTicketRequest>(kOpen);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].requester().address(), "a@b");
  EXPECT_THAT(requests[0].request_id(), StartsWith("ctl_"));
}

TEST_F(ProgramTest, APolicyFileIsAppliedOnlyWhenAllOfItCanBeRead) {
  constexpr char kApply[] = "tandem.sla.v1.PolicyService/ApplyPolicy";
  tandem_.On<sla::v1::ValidatePolicyRequest>(
      "tandem.sla.v1.PolicyService/ValidatePolicy",
      [](const auto&) { return sla::v1::ValidatePolicyResponse(); });
  tandem_.On<sla::v1::ApplyPolicyRequest>(kApply, [](const auto&) {
    sla::v1::ApplyPolicyResponse reply;
    reply.set_version(4);
    reply.set_is_new(true);
    return reply;
  });
  const std::string shipped = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/sla.yaml";
  const Ran applied = Run({"policy", "apply", "sla", shipped});
  EXPECT_EQ(applied.code, 0) << applied.messages;
  EXPECT_EQ(applied.output, shipped + ": sla version 4 is in force\n");
  const auto requests = tandem_.Requests<sla::v1::ApplyPolicyRequest>(kApply);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_GT(requests[0].policy().ByteSizeLong(), 0u);

  const std::string broken = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_broken.yaml");
  std::ofstream(broken) << "targts: []\n";
  const Ran refused = Run({"policy", "apply", "sla", broken});
  std::remove(broken.c_str());
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.messages, HasSubstr(broken + ":1: unknown key 'targts'"));
  EXPECT_EQ(tandem_.Requests<sla::v1::ApplyPolicyRequest>(kApply).size(), 1u);
}

TEST_F(ProgramTest, WhatAServiceSaysAgainstAPolicyIsToldByTheLinesOfItsFile) {
  tandem_.On<sla::v1::ValidatePolicyRequest>(
      "tandem.sla.v1.PolicyService/ValidatePolicy", [](const auto&) {
        corridor::Violations violations;
        violations.Require(false, "calendars[0].zone", "is no zone");
        violations.Require(false, "policy.calendars[1]", "is bad\x1b[2J");
        violations.Require(false, "rules", "are missing");
        return violations.status();
      });
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_zones.yaml");
  std::ofstream(path)
      << "applies_to: new_tickets\ncalendars:\n  - name: a\n    zone: Mars\n  - name: "
         "b\n";
  const Ran ran = Run({"policy", "validate", "sla", path});
  const Ran json = Run({"policy", "validate", "sla", path, "--output", "json"});
  std::remove(path.c_str());
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.messages,
            absl::StrCat("tandemctl: ", path, ":4: calendars[0].zone: is no zone\n",  //
                         path, ":5: calendars[1]: is bad\xEF\xBF\xBD[2J\n",           //
                         path, ":1: rules: are missing\n"));
  EXPECT_EQ(json.code, 1);
  EXPECT_THAT(json.messages, StartsWith("{\"error\":"));
}

TEST_F(ProgramTest, WhatCannotBeReadInAPolicyFileDoesNotHideWhatItsServiceSaysOfTheRest) {
  tandem_.On<sla::v1::ValidatePolicyRequest>(
      "tandem.sla.v1.PolicyService/ValidatePolicy",
      [](const sla::v1::ValidatePolicyRequest& asked) {
        EXPECT_EQ(asked.policy().calendars_size(), 1);  // as far as it can be read
        corridor::Violations violations;
        violations.Require(false, "policy.calendars[0].zone", "is no zone");
        violations.Require(false, "policy.rules[0].name", "must have 1 to 100 bytes");
        return violations.status();
      });
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_both.yaml");
  std::ofstream(path) << "calendars:\n  - name: a\n    zone: Mars\nrules:\n  - nmae: first\n";
  for (const char* command : {"validate", "apply"}) {
    const Ran ran = Run({"policy", command, "sla", path});
    EXPECT_EQ(ran.code, 1);
    // The name is missing because of the key that nobody knows: that is said once.
    EXPECT_EQ(ran.messages, absl::StrCat("tandemctl: ", path,
                                         ":5: rules[0]: unknown key 'nmae'; did you mean 'name'?\n",
                                         path, ":3: calendars[0].zone: is no zone\n"));
  }
  std::remove(path.c_str());
}

TEST_F(ProgramTest, ADryRunShowsWhatAPolicyWouldChangeAndAppliesNothing) {
  constexpr char kApply[] = "tandem.sla.v1.PolicyService/ApplyPolicy";
  tandem_.On<sla::v1::ValidatePolicyRequest>(
      "tandem.sla.v1.PolicyService/ValidatePolicy",
      [](const auto&) { return sla::v1::ValidatePolicyResponse(); });
  tandem_.On<sla::v1::ApplyPolicyRequest>(kApply, [](const sla::v1::ApplyPolicyRequest& asked) {
    sla::v1::ApplyPolicyResponse reply;
    reply.set_version(asked.validate_only() ? 3 : 4);
    reply.set_is_new(!asked.validate_only());
    type::v1::PolicyEffect& effect = *reply.add_effects();
    effect.set_code("clock_moved");
    effect.set_text("7 RESOLUTION clocks get another due instant");
    return reply;
  });
  const std::string shipped = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/sla.yaml";
  EXPECT_EQ(Run({"policy", "apply", "sla", shipped, "--dry-run"}).output,
            shipped +
                ": not applied; sla version 3 is in force\n"
                "  7 RESOLUTION clocks get another due instant\n");
  EXPECT_EQ(Run({"policy", "apply", "sla", shipped}).output,
            shipped +
                ": sla version 4 is in force\n"
                "  7 RESOLUTION clocks get another due instant\n");
  const auto requests = tandem_.Requests<sla::v1::ApplyPolicyRequest>(kApply);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_TRUE(requests[0].validate_only());
  EXPECT_FALSE(requests[1].validate_only());
}

TEST_F(ProgramTest, OnePolicyThatWouldDropWhatIsInUseKeepsAllFilesFromBeingApplied) {
  tandem_.On<sla::v1::ValidatePolicyRequest>(
      "tandem.sla.v1.PolicyService/ValidatePolicy",
      [](const auto&) { return sla::v1::ValidatePolicyResponse(); });
  tandem_.On<triage::v1::ValidatePolicyRequest>(
      "tandem.triage.v1.PolicyService/ValidatePolicy", [](const auto&) {
        triage::v1::ValidatePolicyResponse reply;
        type::v1::PolicyEffect& effect = *reply.add_effects();
        effect.set_code("queue_in_use");
        effect.set_text("queue billing is gone and is used by staff ann");
        return reply;
      });
  const std::filesystem::path folder =
      absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_policies");
  std::filesystem::create_directory(folder);
  const std::filesystem::path shipped = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies";
  for (const char* file : {"sla.yaml", "triage.yaml"}) {
    std::filesystem::copy_file(shipped / file, folder / file);
  }
  const Ran ran = Run({"policy", "apply", folder.string()});
  std::filesystem::remove_all(folder);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.messages,
              HasSubstr("triage.yaml: refused\n"
                        "  refused: queue billing is gone and is used by staff ann\n"));
  EXPECT_TRUE(
      tandem_.Requests<sla::v1::ApplyPolicyRequest>("tandem.sla.v1.PolicyService/ApplyPolicy")
          .empty());
}

TEST_F(ProgramTest, APolicyIsTakenAsPolicyGetPrintsIt) {
  const std::string shipped = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/";
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_printed.json");
  const auto round_trip = [&](const std::string& kind, auto get, auto got, auto validate,
                              auto validated) {
    using Get = decltype(get);
    using Got = decltype(got);
    using Validate = decltype(validate);
    using Validated = decltype(validated);
    const std::string service = absl::StrCat("tandem.", kind, ".v1.PolicyService/");
    tandem_.On<Validate>(service + "ValidatePolicy", [](const auto&) { return Validated(); });
    ASSERT_EQ(Run({"policy", "validate", kind, shipped + kind + ".yaml"}).code, 0);
    const auto policy = tandem_.Requests<Validate>(service + "ValidatePolicy").back().policy();
    tandem_.On<Get>(service + "GetPolicy", [policy](const auto&) {
      Got reply;
      reply.mutable_version()->set_version(3);
      reply.mutable_version()->mutable_applied_at()->set_seconds(1'795'442'400);
      *reply.mutable_policy() = policy;
      return reply;
    });
    for (const char* form : {"json", "yaml"}) {
      const Ran printed = Run({"policy", "get", kind, "--output", form});
      ASSERT_EQ(printed.code, 0) << printed.messages;
      std::ofstream(path) << printed.output;
      const Ran taken = Run({"policy", "validate", kind, path});
      EXPECT_EQ(taken.code, 0) << taken.messages;
      EXPECT_EQ(
          tandem_.Requests<Validate>(service + "ValidatePolicy").back().policy().DebugString(),
          policy.DebugString());
    }
  };
  round_trip("intake", intake::v1::GetPolicyRequest(), intake::v1::GetPolicyResponse(),
             intake::v1::ValidatePolicyRequest(), intake::v1::ValidatePolicyResponse());
  round_trip("triage", triage::v1::GetPolicyRequest(), triage::v1::GetPolicyResponse(),
             triage::v1::ValidatePolicyRequest(), triage::v1::ValidatePolicyResponse());
  round_trip("sla", sla::v1::GetPolicyRequest(), sla::v1::GetPolicyResponse(),
             sla::v1::ValidatePolicyRequest(), sla::v1::ValidatePolicyResponse());
  round_trip("survey", survey::v1::GetPolicyRequest(), survey::v1::GetPolicyResponse(),
             survey::v1::ValidatePolicyRequest(), survey::v1::ValidatePolicyResponse());
  round_trip("account", account::v1::GetPolicyRequest(), account::v1::GetPolicyResponse(),
             account::v1::ValidatePolicyRequest(), account::v1::ValidatePolicyResponse());
  std::remove(path.c_str());
}

TEST_F(ProgramTest, TheSampleStoresWhatIsMissingUnderFixedIds) {
  for (const SampleItem& item : SampleItems()) {
    const SampleKind& kind = KindOf(item);
    if (item.kind == "staff") {
      tandem_.On<triage::v1::GetStaffRequest>(
          kind.get, [](const auto&) { return absl::NotFoundError("nobody"); });
      tandem_.On<triage::v1::PutStaffRequest>(
          kind.put, [](const auto&) { return triage::v1::PutStaffResponse(); });
    } else if (item.kind == "account") {
      // Somebody stored and changed it before: it stays.
      tandem_.On<account::v1::GetAccountRequest>(
          kind.get, [](const auto&) { return account::v1::GetAccountResponse(); });
    } else if (item.kind == "contact") {
      tandem_.On<account::v1::GetContactRequest>(
          kind.get, [](const auto&) { return absl::NotFoundError("nobody"); });
      tandem_.On<account::v1::PutContactRequest>(
          kind.put, [](const auto&) { return account::v1::PutContactResponse(); });
    } else {
      tandem_.On<account::v1::GetAccountTeamRequest>(
          kind.get, [](const auto&) { return account::v1::GetAccountTeamResponse(); });
      tandem_.On<account::v1::PutAccountTeamRequest>(
          kind.put, [](const auto&) { return account::v1::PutAccountTeamResponse(); });
    }
  }
  const Ran first = Run({"sample"});
  EXPECT_EQ(first.code, 0) << first.messages;
  EXPECT_THAT(first.output, AllOf(HasSubstr("acme"), HasSubstr("was there"), HasSubstr("stored")));
  constexpr char kPutStaff[] = "tandem.triage.v1.StaffService/PutStaff";
  const size_t once = tandem_.Requests<triage::v1::PutStaffRequest>(kPutStaff).size();
  ASSERT_GE(once, 4u);
  Run({"sample"});
  const auto requests = tandem_.Requests<triage::v1::PutStaffRequest>(kPutStaff);
  ASSERT_EQ(requests.size(), 2 * once);
  EXPECT_EQ(requests[0].request_id(), requests[once].request_id());
  EXPECT_NE(requests[0].request_id(), requests[1].request_id());
}

TEST_F(ProgramTest, HelpSaysWhatTheProtoSays) {
  const Ran ran = Run({"ticket", "open", "--help"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("1 to 500 bytes on one line"), HasSubstr("One of HIGH, MEDIUM, LOW."),
                    HasSubstr("[TANDEM_CTL_SUBJECT]")));
}

TEST(Sample, EveryRequestFitsItsProto) {
  for (const SampleItem& item : SampleItems()) {
    const auto request = SampleRequest(item);
    EXPECT_TRUE(request.ok()) << request.status();
  }
}

TEST(Caller, ConsistsOfWhatACallerMayBe) {
  EXPECT_EQ(DefaultCaller("ann", "desk-1.example"), "ann:desk-1.example");
  EXPECT_EQ(DefaultCaller("Ä b", "h@st"), "---b:h-st");
  EXPECT_EQ(DefaultCaller("", "").size(), std::string("unknown:").size());
  EXPECT_EQ(DefaultCaller(std::string(300, 'a'), "h").size(), 128u);
}

TEST(LinkedProtos, AreAllThatTandemHas) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(TANDEM_SOURCE_DIR) / "proto";
  int files = 0;
  LinkedFiles();
  for (const auto& entry : fs::recursive_directory_iterator(root / "tandem")) {
    if (entry.path().extension() != ".proto") continue;
    ++files;
    const std::string name = fs::relative(entry.path(), root).string();
    EXPECT_NE(google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name), nullptr)
        << name << " is missing in linked_protos.cc";
  }
  EXPECT_GE(files, 20);
}

// Runs the completion in a real bash, as readline would.
std::vector<std::string> Completed(const std::string& line) {
  std::vector<Entry> entries = AllCommands();
  const std::string path = absl::StrCat(::testing::TempDir(), "/", ::getpid(), "_completion");
  std::ofstream(path) << BashCompletion(entries, {"--output", "--help"});
  const std::string command = absl::StrCat("bash -c 'source ", path, "; COMP_WORDS=(", line,
                                           " \"$0\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                                           "_tandemctl; printf \"%s\\n\" \"${COMPREPLY[@]}\"' ''");
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (pipe != nullptr && fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  if (pipe != nullptr) pclose(pipe);
  std::remove(path.c_str());
  return absl::StrSplit(output, '\n', absl::SkipEmpty());
}

TEST(Completion, KnowsCommandsFlagsAndTheirWords) {
  using ::testing::Contains;
  EXPECT_THAT(Completed("tandemctl"), AllOf(Contains("ticket"), Contains("--output")));
  EXPECT_THAT(Completed("tandemctl sla"), AllOf(Contains("explain"), Not(Contains("ticket"))));
  EXPECT_THAT(Completed("tandemctl sla calendar"), Contains("next-opening"));
  EXPECT_THAT(Completed("tandemctl --output json ticket open"),
              AllOf(Contains("--impact"), Contains("--help"), Not(Contains("list"))));
  EXPECT_THAT(Completed("tandemctl ticket open --impact"), ElementsAre("HIGH", "MEDIUM", "LOW"));
  EXPECT_THAT(Completed("tandemctl ticket open --output"), ElementsAre("table", "json"));
  EXPECT_THAT(Completed("tandemctl --address"), AllOf(Contains("triage="), Contains("sla_timer=")));
}

}  // namespace
}  // namespace tandem::tandemctl
