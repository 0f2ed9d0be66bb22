// triage, whole: events, commands and timers against a database and a bus in memory.
#include "services/triage/service.h"

#include <set>
#include <string>
#include <vector>

#include "common/testing/operator.h"
#include "common/testing/service_harness.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/triage/records.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT: the product's own words
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace ev = events::v1;

constexpr char kTriage[] = "tandem.triage.v1.TriageService/";
constexpr char kStaff[] = "tandem.triage.v1.StaffService/";
constexpr char kCounterparts[] = "tandem.account.v1.AccountService/ListCounterparts";
constexpr char kGetTicket[] = "tandem.intake.v1.TicketService/GetTicket";

constexpr char kPolicy[] = R"pb(
  queues { name: "desk" }
  queues { name: "databases" }
  routing {
    name: "db"
    when { products: "db" }
    queue: "databases"
  }
  product_skills { product: "db" skills: "sql" }
  severity_rules {
    name: "frustrated"
    when { frustrated: true }
    raise: 1
  }
  escalations {
    name: "critical"
    triggers: [
      ESCALATION_TRIGGER_SEVERITY,
      ESCALATION_TRIGGER_MANUAL,
      ESCALATION_TRIGGER_SLA_BREACH
    ]
    raised_by: ESCALATION_TRIGGER_SLA_BREACH
    levels {
      targets { queue: "desk" }
      acknowledge_within { seconds: 600 }
    }
    levels {
      targets { role: STAFF_ROLE_ACCOUNT_EXECUTIVE }
      acknowledge_within { seconds: 600 }
    }
    levels {
      targets { role: STAFF_ROLE_SUPPORT_LEAD }
      acknowledge_within { seconds: 1200 }
      ring_off_shift: true
    }
    acknowledgement_holds { seconds: 7200 }
  }
  role_defaults { role: STAFF_ROLE_SUPPORT_LEAD staff_id: "lead" }
  reopenings_to_escalate: 1
)pb";

class Triage : public ::testing::Test {
 protected:
  Triage() : harness_([] { return Make({}); }) {
    Apply(kPolicy);
    Put(R"(staff_id: "anna" queues: "desk" capacity: 3)");
    Put(R"(staff_id: "bob" queues: "databases" queues: "desk" skills: "sql" capacity: 10)");
    Put(R"(staff_id: "lead" roles: STAFF_ROLE_SUPPORT_LEAD)");
  }

  std::string NextId() { return "request_" + std::to_string(++requests_); }

  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const std::string& method, Request request) {
    request.set_request_id(NextId());
    return harness_.Call<Reply>(method, request);
  }
  template <typename Request>
  static Request Parse(const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    return request;
  }

  void Apply(const std::string& policy) {
    v1::ApplyPolicyRequest request;
    *request.mutable_policy() = Parse<v1::TriagePolicy>(policy);
    const auto applied =
        Call<v1::ApplyPolicyResponse>("tandem.triage.v1.PolicyService/ApplyPolicy", request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  void Put(const std::string& staff) {
    v1::PutStaffRequest request;
    *request.mutable_staff() = Parse<v1::Staff>(staff);
    request.mutable_staff()->set_function(STAFF_FUNCTION_SUPPORT);
    request.mutable_staff()->set_active(true);
    const auto put = Call<v1::PutStaffResponse>(std::string(kStaff) + "PutStaff", request);
    ASSERT_TRUE(put.ok()) << put.status();
  }
  void Available(const std::string& staff_id, bool available) {
    v1::SetAvailabilityRequest request;
    request.set_staff_id(staff_id);
    request.set_available(available);
    ASSERT_TRUE(
        Call<v1::SetAvailabilityResponse>(std::string(kStaff) + "SetAvailability", request).ok());
  }
  v1::GetStaffResponse Staff(const std::string& staff_id) {
    v1::GetStaffRequest request;
    request.set_staff_id(staff_id);
    const auto got = harness_.Call<v1::GetStaffResponse>(std::string(kStaff) + "GetStaff", request);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *got : v1::GetStaffResponse();
  }

  template <typename Fact>
  void Deliver(const std::string& source, const std::string& ticket_id, Fact fact) {
    *fact.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver(source, ticket_id, "account_1", fact);
  }
  void Open(const std::string& ticket_id, const std::string& facts = "") {
    auto opened = Parse<ev::TicketOpened>(facts);
    opened.set_ticket_id(ticket_id);
    opened.set_account_id("account_1");
    opened.set_version(1);
    Deliver("ticket_intake", ticket_id, opened);
  }
  void Resolve(const std::string& ticket_id) {
    ev::TicketResolved resolved;
    resolved.set_ticket_id(ticket_id);
    Deliver("ticket_intake", ticket_id, resolved);
  }
  absl::StatusOr<v1::ClaimNextResponse> Claim(const std::string& staff_id,
                                              const std::string& queue = "") {
    v1::ClaimNextRequest request;
    request.set_staff_id(staff_id);
    request.set_queue(queue);
    return Call<v1::ClaimNextResponse>(std::string(kTriage) + "ClaimNext", request);
  }
  std::string Claimed(const std::string& staff_id, const std::string& queue = "") {
    const auto claimed = Claim(staff_id, queue);
    return claimed.ok() ? claimed->ticket_id() : std::string(claimed.status().message());
  }
  absl::StatusOr<v1::AcceptAssignmentResponse> Accept(const std::string& ticket_id,
                                                      const std::string& staff_id) {
    v1::AcceptAssignmentRequest request;
    request.set_ticket_id(ticket_id);
    request.set_staff_id(staff_id);
    return Call<v1::AcceptAssignmentResponse>(std::string(kTriage) + "AcceptAssignment", request);
  }
  v1::GetTriageResponse Get(const std::string& ticket_id) {
    v1::GetTriageRequest request;
    request.set_ticket_id(ticket_id);
    const auto got =
        harness_.Call<v1::GetTriageResponse>(std::string(kTriage) + "GetTriage", request);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *got : v1::GetTriageResponse();
  }
  v1::Escalation EscalationOf(const std::string& ticket_id) {
    v1::ListEscalationsRequest request;
    request.set_ticket_id(ticket_id);
    const auto listed = harness_.Call<v1::ListEscalationsResponse>(
        std::string(kTriage) + "ListEscalations", request);
    EXPECT_TRUE(listed.ok()) << listed.status();
    return listed.ok() && listed->escalations_size() > 0 ? listed->escalations(0)
                                                         : v1::Escalation();
  }
  absl::StatusOr<v1::AcknowledgeEscalationResponse> Acknowledge(const std::string& ticket_id,
                                                                const std::string& staff_id) {
    v1::AcknowledgeEscalationRequest request;
    request.set_escalation_id(EscalationOf(ticket_id).escalation_id());
    request.set_staff_id(staff_id);
    return Call<v1::AcknowledgeEscalationResponse>(std::string(kTriage) + "AcknowledgeEscalation",
                                                   request);
  }
  // "level/repeat: staff …" of every ring so far.
  std::vector<std::string> Rings() {
    std::vector<std::string> rings;
    for (const auto& ring : harness_.Published<ev::EscalationLevelReached>()) {
      std::string line = std::to_string(ring.level()) + "/" + std::to_string(ring.repeat()) + ":";
      for (const std::string& staff_id : ring.staff_ids()) line += " " + staff_id;
      rings.push_back(line);
    }
    return rings;
  }

  static constexpr char kCritical[] = "impact: IMPACT_HIGH urgency: URGENCY_HIGH";
  static constexpr char kUrgent[] = "impact: IMPACT_HIGH";
  static constexpr char kGeneral[] = "impact: IMPACT_LOW";

  void Drop() { EXPECT_TRUE(testing::DropOldestLetter(harness_).ok()); }
  std::string PlanOf(size_t measure) {
    return testing::PlanOf(harness_, Measures()[measure]).value();
  }

  testing::ServiceHarness harness_;
  int requests_ = 0;
};

TEST_F(Triage, ClassifiesAndQueuesAnOpenedTicket) {
  Open("t1", R"(impact: IMPACT_HIGH product: "db" category: "defect")");
  const auto triaged = harness_.Published<ev::TicketTriaged>();
  ASSERT_THAT(triaged, SizeIs(1));
  EXPECT_EQ(triaged[0].severity(), SEVERITY_URGENT);
  EXPECT_EQ(triaged[0].queue(), "databases");
  EXPECT_THAT(triaged[0].rules(), ElementsAre("matrix", "db"));
  EXPECT_EQ(triaged[0].policy().version(), 1);
  EXPECT_EQ(triaged[0].account_id(), "account_1");
  ASSERT_THAT(harness_.Published<ev::TicketQueued>(), SizeIs(1));
  for (const bus::Event& event : harness_.PublishedEvents()) {
    if (event.subject == "t1") {
      EXPECT_EQ(event.key, "account_1");
    }
  }
  EXPECT_EQ(Get("t1").severity(), SEVERITY_URGENT);
  EXPECT_TRUE(Get("t1").has_waiting_since());
  harness_.DeliverAgain();
  EXPECT_THAT(harness_.Published<ev::TicketTriaged>(), SizeIs(1));
}

TEST_F(Triage, ChangesTheSeverityWithTheFactsUnlessAPersonSetIt) {
  Open("t1");
  ev::TicketUpdated updated;
  updated.set_ticket_id("t1");
  updated.set_account_id("account_1");
  updated.set_impact(IMPACT_HIGH);
  Deliver("ticket_intake", "t1", updated);
  auto changes = harness_.Published<ev::SeverityChanged>();
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].from_severity(), SEVERITY_NORMAL);
  EXPECT_EQ(changes[0].to_severity(), SEVERITY_URGENT);

  v1::OverrideSeverityRequest request;
  request.set_ticket_id("t1");
  request.set_severity(SEVERITY_GENERAL);
  request.set_staff_id("lead");
  ASSERT_TRUE(
      Call<v1::OverrideSeverityResponse>(std::string(kTriage) + "OverrideSeverity", request).ok());
  updated.set_impact(IMPACT_MEDIUM);
  Deliver("ticket_intake", "t1", updated);
  EXPECT_EQ(Get("t1").severity(), SEVERITY_GENERAL);
  EXPECT_EQ(Get("t1").rule_severity(), SEVERITY_NORMAL);
  EXPECT_TRUE(Get("t1").overridden());
  request.set_severity(SEVERITY_UNSPECIFIED);
  ASSERT_TRUE(
      Call<v1::OverrideSeverityResponse>(std::string(kTriage) + "OverrideSeverity", request).ok());
  EXPECT_EQ(Get("t1").severity(), SEVERITY_NORMAL);
  changes = harness_.Published<ev::SeverityChanged>();
  ASSERT_THAT(changes, SizeIs(3));
  EXPECT_EQ(changes[1].staff_id(), "lead");
}

TEST_F(Triage, ExplainsADryRunAndChangesNothing) {
  const auto request = Parse<v1::ClassifyTicketRequest>(
      R"(facts { impact: IMPACT_HIGH frustrated: true product: "db" })");
  const auto made =
      harness_.Call<v1::ClassifyTicketResponse>(std::string(kTriage) + "ClassifyTicket", request);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->severity(), SEVERITY_CRITICAL);
  EXPECT_THAT(made->steps(), SizeIs(2));
  EXPECT_EQ(made->queue(), "databases");
  EXPECT_THAT(made->skills(), ElementsAre("sql"));
  EXPECT_THAT(harness_.Published<ev::TicketTriaged>(), IsEmpty());
}

TEST_F(Triage, GivesTheNextTicketBySeverityAndOneTicketToOneAgent) {
  Open("t1", kGeneral);
  Open("t2", kUrgent);
  Open("t3");
  EXPECT_EQ(Claimed("anna"), "t2");
  EXPECT_EQ(Claimed("bob", "desk"), "t3");
  EXPECT_EQ(Claimed("anna"), "t1");
  const auto nothing = Claim("bob");
  EXPECT_EQ(nothing.status().code(), absl::StatusCode::kNotFound);
  const auto accepted = harness_.Published<ev::AssignmentAccepted>();
  ASSERT_THAT(accepted, SizeIs(3));
  EXPECT_EQ(accepted[0].staff_id(), "anna");
  EXPECT_EQ(accepted[0].queue(), "desk");
  EXPECT_EQ(Get("t2").assignee_id(), "anna");
  EXPECT_EQ(Staff("anna").load().units(), 3);
  EXPECT_EQ(Staff("anna").load().tickets(), 2);
}

TEST_F(Triage, ClaimsBySkillAndCapacity) {
  Open("t1", R"(product: "db")");
  Put(R"(staff_id: "carl" queues: "databases" capacity: 10)");
  EXPECT_EQ(Claim("carl").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Claimed("bob"), "t1");
  // Anna has 3 units: an URGENT one takes 2, a second does not fit, a NORMAL one does.
  Open("t2", kUrgent);
  Open("t3", kUrgent);
  Open("t4");
  EXPECT_EQ(Claimed("anna"), "t2");
  EXPECT_EQ(Claimed("anna"), "t4");
  EXPECT_EQ(Claim("anna").status().code(), absl::StatusCode::kNotFound);
  // A resolution gives the capacity back and leaves the credit.
  Resolve("t2");
  EXPECT_EQ(Staff("anna").load().units(), 1);
  EXPECT_EQ(Get("t2").assignee_id(), "anna");
  EXPECT_EQ(Claimed("anna"), "t3");
}

TEST_F(Triage, RefusesWorkToWhoIsAway) {
  Open("t1");
  Available("anna", false);
  EXPECT_EQ(Claim("anna").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Claim("anna", "databases").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Claim("nobody").status().code(), absl::StatusCode::kNotFound);
  Available("anna", true);
  EXPECT_EQ(Claimed("anna"), "t1");
}

TEST_F(Triage, RisesByWaiting) {
  Open("t1", kGeneral);
  harness_.Advance(absl::Hours(8));
  Open("t2");
  harness_.Advance(absl::Hours(8));
  Open("t3", kUrgent);
  // t1 waited 16 hours and counts as URGENT, t2 8 hours and counts as URGENT; by age.
  const auto claimed = Claim("bob", "desk");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->ticket_id(), "t1");
  EXPECT_EQ(claimed->severity(), SEVERITY_GENERAL);
  EXPECT_EQ(claimed->effective_severity(), SEVERITY_URGENT);
  EXPECT_EQ(Claimed("bob", "desk"), "t2");
}

TEST_F(Triage, KeepsTheTimeWaitedWhenATicketChangesItsQueue) {
  Open("t1", kGeneral);
  const absl::Time since = time::Instant(Get("t1").waiting_since());
  harness_.Advance(absl::Hours(7));
  v1::TransferTicketRequest request;
  request.set_ticket_id("t1");
  request.set_queue("databases");
  request.set_staff_id("anna");
  ASSERT_TRUE(
      Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", request).ok());
  EXPECT_EQ(time::Instant(Get("t1").waiting_since()), since);
  harness_.Advance(absl::Hours(1));
  const auto claimed = Claim("bob", "databases");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->effective_severity(), SEVERITY_NORMAL);
}

TEST_F(Triage, PutsWhatIsDueFirstAmongEquals) {
  Open("t1");
  Open("t2");
  ev::SlaWarning warning;
  warning.mutable_clock()->set_ticket_id("t2");
  *warning.mutable_due_at() = time::Stamp(harness_.Now() + absl::Hours(1));
  Deliver("sla_timer", "t2", warning);
  EXPECT_EQ(Claimed("bob", "desk"), "t2");
}

TEST_F(Triage, LetsAnAgentTakeANamedTicketOnce) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  ASSERT_TRUE(Accept("t1", "anna").ok());
  EXPECT_EQ(Accept("t1", "bob").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Accept("t9", "bob").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(harness_.Published<ev::AssignmentAccepted>(), SizeIs(1));
  v1::ReassignTicketRequest request;
  request.set_ticket_id("t1");
  request.set_staff_id("bob");
  const auto moved =
      Call<v1::ReassignTicketResponse>(std::string(kTriage) + "ReassignTicket", request);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->previous_staff_id(), "anna");
  EXPECT_EQ(Staff("anna").load().units(), 0);
  EXPECT_EQ(Staff("bob").load().units(), 1);
  EXPECT_EQ(harness_.Published<ev::AssignmentAccepted>().back().previous_staff_id(), "anna");
}

TEST_F(Triage, TransfersToAnotherQueueAndStaysThere) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  v1::TransferTicketRequest request;
  request.set_ticket_id("t1");
  request.set_queue("databases");
  request.set_staff_id("anna");
  ASSERT_TRUE(
      Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", request).ok());
  const auto released = harness_.Published<ev::AssignmentReleased>();
  ASSERT_THAT(released, SizeIs(1));
  EXPECT_EQ(released[0].reason(), "transfer");
  EXPECT_EQ(Get("t1").assignee_id(), "");
  EXPECT_EQ(Staff("anna").load().units(), 0);
  ev::TicketUpdated updated;
  updated.set_ticket_id("t1");
  updated.set_category("other");
  Deliver("ticket_intake", "t1", updated);
  EXPECT_EQ(Get("t1").queue(), "databases");
  EXPECT_EQ(Claimed("bob", "databases"), "t1");
}

TEST_F(Triage, CarriesAReopenedTicketAgain) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  Resolve("t1");
  EXPECT_EQ(Staff("anna").load().tickets(), 0);
  ev::TicketReopened reopened;
  reopened.set_ticket_id("t1");
  reopened.set_reopening(1);
  Deliver("ticket_intake", "t1", reopened);
  EXPECT_EQ(Staff("anna").load().tickets(), 1);
  EXPECT_THAT(harness_.Published<ev::TicketQueued>(), SizeIs(1));
}

TEST_F(Triage, CountsWhatWaitsAgainstTheCapacityOnDuty) {
  Open("t1", kUrgent);
  Open("t2");
  ASSERT_TRUE(Accept("t2", "anna").ok());
  v1::GetQueueLoadRequest request;
  request.set_queue("desk");
  const auto load =
      harness_.Call<v1::GetQueueLoadResponse>(std::string(kTriage) + "GetQueueLoad", request);
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_EQ(load->summary().waiting(), 1);
  EXPECT_EQ(load->waiting_units(), 2);
  EXPECT_EQ(load->on_duty(), 2);
  EXPECT_EQ(load->capacity_units(), 13);
  EXPECT_EQ(load->loaded_units(), 1);
  EXPECT_EQ(load->owned(), 1);
  const auto queues = harness_.Call<v1::ListQueuesResponse>(std::string(kTriage) + "ListQueues",
                                                            v1::ListQueuesRequest());
  ASSERT_TRUE(queues.ok()) << queues.status();
  ASSERT_THAT(queues->queues(), SizeIs(2));
  EXPECT_EQ(queues->queues(0).queue(), "desk");
  EXPECT_EQ(queues->queues(1).waiting(), 0);
}

TEST_F(Triage, RingsLevelByLevelUntilItIsExhausted) {
  // account_health is down: nobody is known as the account executive, so level 2 is empty and
  // skipped.
  Open("t1", kCritical);
  const auto raised = harness_.Published<ev::EscalationRaised>();
  ASSERT_THAT(raised, SizeIs(1));
  EXPECT_EQ(raised[0].trigger(), "severity");
  EXPECT_EQ(raised[0].policy().rule(), "critical");
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob"));
  harness_.Advance(absl::Minutes(9));
  EXPECT_THAT(Rings(), SizeIs(1));
  harness_.Advance(absl::Minutes(2));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_TRUE(EscalationOf("t1").by_defaults());
  harness_.Advance(absl::Minutes(21));
  EXPECT_THAT(harness_.Published<ev::EscalationExhausted>(), SizeIs(1));
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_EXHAUSTED);
  // Still worth acknowledging.
  EXPECT_TRUE(Acknowledge("t1", "lead").ok());
}

TEST_F(Triage, RingsTheAccountsOwnTeam) {
  account::v1::ListCounterpartsResponse team;
  auto* executive = team.add_team();
  executive->set_role(STAFF_ROLE_ACCOUNT_EXECUTIVE);
  executive->set_staff_id("eve");
  harness_.peer().Answer(kCounterparts, team);
  Put(R"(staff_id: "eve")");
  Available("bob", false);
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(11));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "2/0: eve"));
}

// The ticket moves to another account while account_health is asked for the team of the former one.
TEST_F(Triage, RingsTheTeamOfTheAccountThatTheTicketHasWhenItIsDecided) {
  Put(R"(staff_id: "account_1-executive")");
  Put(R"(staff_id: "account_2-executive")");
  for (const char* executive : {"account_1-executive", "account_2-executive"}) {
    Available(executive, true);
  }
  Available("bob", false);
  Open("t1", kCritical);
  const auto move = [this] {
    records::TicketRecord record;
    ASSERT_TRUE(harness_.store()
                    .reader()
                    .Query({"SELECT body FROM tickets WHERE key = 't1'", {}},
                           [&](const store::RowView& row) {
                             record.ParseFromString(std::string(row.Text(0)));
                           })
                    .ok());
    record.set_account_id("account_2");
    const store::CommitResult result = harness_.store().Commit(
        {{"tickets",
          "t1",
          {"UPDATE tickets SET version = version + 1, body = $1 WHERE key = 't1'",
           {store::Blob{record.SerializeAsString()}}},
          store::Expect::kOneRow}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  };
  std::vector<std::string> asked;
  harness_.peer().On<account::v1::ListCounterpartsRequest, account::v1::ListCounterpartsResponse>(
      kCounterparts, [&](const account::v1::ListCounterpartsRequest& request) {
        asked.push_back(request.account_id());
        if (asked.size() == 1) move();
        account::v1::ListCounterpartsResponse team;
        team.add_team()->set_role(STAFF_ROLE_ACCOUNT_EXECUTIVE);
        team.mutable_team(0)->set_staff_id(request.account_id() + "-executive");
        return team;
      });
  harness_.Advance(absl::Minutes(11));
  EXPECT_THAT(asked, ElementsAre("account_1", "account_2"));
  EXPECT_THAT(Rings(), SizeIs(2));
  EXPECT_EQ(Rings().back(), "2/0: account_2-executive");
}

// Nobody could be rung, so no level is the one that was acknowledged.
TEST_F(Triage, BeginsAtTheFirstLevelWhenTheAcknowledgementOfOneThatRangNobodyExpires) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             default_queue: "desk"
             escalations {
               name: "critical"
               triggers: ESCALATION_TRIGGER_SEVERITY
               levels {
                 targets { queue: "desk" }
                 acknowledge_within { seconds: 600 }
               }
               acknowledgement_holds { seconds: 7200 }
             })pb");
  Available("anna", false);
  Available("bob", false);
  Open("t1", kCritical);
  ASSERT_THAT(Rings(), IsEmpty());
  ASSERT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_EXHAUSTED);
  ASSERT_TRUE(Acknowledge("t1", "anna").ok());
  Available("anna", true);
  harness_.Advance(absl::Hours(2) + absl::Minutes(1));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna"));
}

TEST_F(Triage, StopsRingingOnAcknowledgementAndRingsTheSameLevelWhenItExpires) {
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(11));
  ASSERT_THAT(Rings(), SizeIs(2));
  const auto acknowledged = Acknowledge("t1", "lead");
  ASSERT_TRUE(acknowledged.ok()) << acknowledged.status();
  EXPECT_EQ(time::Instant(acknowledged->holds_until()), harness_.Now() + absl::Hours(2));
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Rings(), SizeIs(2));
  harness_.Advance(absl::Hours(1) + absl::Seconds(5));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead", "3/0: lead"));
}

TEST_F(Triage, StopsRingingWhenTheTicketIsResolved) {
  Open("t1", kCritical);
  Resolve("t1");
  const auto closed = harness_.Published<ev::EscalationClosed>();
  ASSERT_THAT(closed, SizeIs(1));
  EXPECT_FALSE(closed[0].acknowledged());
  harness_.Advance(absl::Hours(5));
  EXPECT_THAT(Rings(), SizeIs(1));
  EXPECT_EQ(Acknowledge("t1", "lead").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Triage, RaisesARingingEscalationByABreach) {
  Open("t1", kCritical);
  ev::SlaBreached breached;
  breached.mutable_clock()->set_ticket_id("t1");
  Deliver("sla_timer", "t1", breached);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_THAT(harness_.Published<ev::EscalationRaised>(), SizeIs(1));
  EXPECT_THAT(EscalationOf("t1").causes(), SizeIs(2));
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  Deliver("sla_timer", "t1", breached);
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, EscalatesByHandAndKeepsTheVersionThatItStartedWith) {
  Open("t1");
  v1::EscalateRequest request;
  request.set_ticket_id("t1");
  request.set_staff_id("anna");
  const auto started = Call<v1::EscalateResponse>(std::string(kTriage) + "Escalate", request);
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_TRUE(started->started());
  EXPECT_EQ(started->level(), 1);
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "critical"
               triggers: ESCALATION_TRIGGER_SLA_WARNING
               levels {
                 targets { assignee: true }
                 acknowledge_within { seconds: 60 }
               }
             }
             role_defaults { role: STAFF_ROLE_SUPPORT_LEAD staff_id: "lead" })pb");
  harness_.Advance(absl::Minutes(11));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_EQ(EscalationOf("t1").policy().version(), 1);
  Open("t2");
  request.set_ticket_id("t2");
  EXPECT_EQ(Call<v1::EscalateResponse>(std::string(kTriage) + "Escalate", request).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(Triage, EscalatesWhatBecomesCriticalByFrustration) {
  Open("t1", kUrgent);
  EXPECT_THAT(harness_.Published<ev::EscalationRaised>(), IsEmpty());
  ev::TicketMessageAdded added;
  added.set_ticket_id("t1");
  added.set_frustration_rule("third_time");
  Deliver("ticket_intake", "t1", added);
  EXPECT_EQ(Get("t1").severity(), SEVERITY_CRITICAL);
  EXPECT_THAT(harness_.Published<ev::EscalationRaised>(), SizeIs(1));
}

TEST_F(Triage, ReadsTheTextOnlyWhenARuleNeedsItAndLaterWhenIntakeIsDown) {
  Open("t1");
  EXPECT_EQ(harness_.peer().Asked(kGetTicket), 0);
  Apply(
      R"pb(queues { name: "desk" }
           queues { name: "databases" }
           severity_rules { name: "outage" text_patterns: "(?i)all down" fix: SEVERITY_URGENT })pb");
  Open("t2");
  EXPECT_EQ(Get("t2").severity(), SEVERITY_NORMAL);
  EXPECT_TRUE(Get("t2").text_pending());
  intake::v1::GetTicketResponse told;
  told.mutable_ticket()->set_subject("Help");
  told.add_messages()->set_text("We are ALL DOWN.");
  harness_.peer().Answer(kGetTicket, told);
  harness_.Advance(absl::Seconds(31));
  EXPECT_EQ(Get("t2").severity(), SEVERITY_URGENT);
  EXPECT_FALSE(Get("t2").text_pending());
  ASSERT_THAT(harness_.Published<ev::SeverityChanged>(), SizeIs(1));
  Open("t3");
  EXPECT_EQ(Get("t3").severity(), SEVERITY_URGENT);
  EXPECT_THAT(harness_.Published<ev::SeverityChanged>(), SizeIs(1));
}

TEST_F(Triage, LosesNoRingWhenItIsKilled) {
  Open("t1", kCritical);
  harness_.Restart();
  harness_.Advance(absl::Minutes(11));
  const v1::Escalation escalation = EscalationOf("t1");
  ASSERT_THAT(escalation.rings(), SizeIs(2));
  EXPECT_EQ(time::Instant(escalation.rings(1).rung_at()),
            time::Instant(escalation.rings(0).acknowledge_by()));
}

TEST_F(Triage, GivesNobodyATicketWhoseFactsAreParked) {
  Open("t1");
  harness_.DeliverBroken("ticket_intake", "t1", "account_1", "tandem.events.v1.TicketResolved");
  v1::GetTriageRequest get;
  get.set_ticket_id("t1");
  const absl::Status got =
      harness_.Call<v1::GetTriageResponse>(std::string(kTriage) + "GetTriage", get).status();
  EXPECT_EQ(got.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(got.message()), HasSubstr("dead-letter"));
  EXPECT_EQ(Accept("t1", "anna").status().code(), absl::StatusCode::kFailedPrecondition);
  v1::TransferTicketRequest transfer;
  transfer.set_ticket_id("t1");
  transfer.set_queue("databases");
  transfer.set_staff_id("anna");
  EXPECT_THAT(std::string(Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket",
                                                           transfer)
                              .status()
                              .message()),
              HasSubstr("dead-letter"));
  EXPECT_EQ(Claim("anna").status().code(), absl::StatusCode::kNotFound);
  Drop();
  EXPECT_EQ(Claimed("anna"), "t1");
  EXPECT_EQ(Get("t1").assignee_id(), "anna");
}

TEST_F(Triage, RingsNobodyFurtherWhileItsTicketsFactsAreParked) {
  Open("t1", kCritical);
  EXPECT_THAT(Rings(), SizeIs(1));
  harness_.DeliverBroken("ticket_intake", "t1", "account_1", "tandem.events.v1.TicketResolved");
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Rings(), SizeIs(1));
  Drop();
  harness_.Advance(absl::Minutes(1));
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, CountsQueuesLoadAndEscalations) {
  Open("t1", kCritical);
  Open("t2", R"(product: "db")");
  Open("t3");
  ASSERT_EQ(Claimed("bob", "desk"), "t1");
  std::string text = harness_.Metrics();
  const auto series = [](const std::string& name, const std::string& labels) {
    return "tandem_" + name + "{" + labels + "} ";
  };
  const std::string service = "service=\"triage\"";
  const auto queue = [&](const std::string& name, const std::string& ownership) {
    return series("queue_tickets",
                  "ownership=\"" + ownership + "\",queue=\"" + name + "\"," + service);
  };
  EXPECT_THAT(text, HasSubstr(queue("desk", "assigned") + "1"));
  EXPECT_THAT(text, HasSubstr(queue("desk", "waiting") + "1"));
  EXPECT_THAT(text, HasSubstr(queue("databases", "waiting") + "1"));
  const std::string support = "function=\"support\"," + service;
  EXPECT_THAT(text, HasSubstr(series("staff_load_units", support) +
                              std::to_string(Staff("bob").load().units())));
  EXPECT_GT(Staff("bob").load().units(), 0);
  EXPECT_THAT(text, HasSubstr(series("staff_capacity_units", support) + "13"));
  const auto escalations = [&](const std::string& level, const std::string& state) {
    return series("escalations_open",
                  "level=\"" + level + "\"," + service + ",state=\"" + state + "\"");
  };
  EXPECT_THAT(text, HasSubstr(escalations("1", "ringing") + "1"));
  Resolve("t1");
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(queue("desk", "assigned") + "0"));
  EXPECT_THAT(text, HasSubstr(escalations("1", "ringing") + "0"));
  EXPECT_THAT(PlanOf(0), HasSubstr("COVERING INDEX tickets_open"));
  EXPECT_THAT(PlanOf(3), HasSubstr("COVERING INDEX escalations_open"));
}

}  // namespace
}  // namespace tandem::triage
