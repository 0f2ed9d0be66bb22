// triage, whole: events, commands and timers against a database and a bus in memory.
#include "services/triage/service.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "common/corridor/errors.h"
#include "common/testing/operator.h"
#include "common/testing/service_harness.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/rpc/error_details.pb.h"
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

// Each class of tickets by a policy of its own.
constexpr char kClasses[] = R"pb(
  queues { name: "desk" }
  queues { name: "databases" }
  escalations {
    name: "critical"
    severities: SEVERITY_CRITICAL
    triggers: ESCALATION_TRIGGER_SEVERITY
    levels {
      targets { staff_id: "bob" }
      acknowledge_within { seconds: 600 }
    }
  }
  escalations {
    name: "owners"
    contact_levels: CONTACT_LEVEL_OWNER
    triggers: ESCALATION_TRIGGER_MANUAL
    levels {
      targets { role: STAFF_ROLE_ACCOUNT_PM }
      targets { staff_id: "lead" }
      acknowledge_within { seconds: 3600 }
    }
  }
  escalations {
    name: "urgent"
    severities: SEVERITY_URGENT
    triggers: ESCALATION_TRIGGER_MANUAL
    levels {
      targets { staff_id: "lead" }
      acknowledge_within { seconds: 1800 }
    }
  }
  escalations {
    name: "ordinary"
    triggers: ESCALATION_TRIGGER_MANUAL
    levels {
      targets { staff_id: "anna" }
      acknowledge_within { seconds: 14400 }
    }
    acknowledgement_holds { seconds: 86400 }
  }
  escalations {
    name: "on_call"
    triggers: ESCALATION_TRIGGER_REOPENED
    levels {
      targets { staff_id: "bob" }
      acknowledge_within { seconds: 600 }
    }
    levels {
      targets { staff_id: "lead" }
      acknowledge_within { seconds: 600 }
    }
  }
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
  void Put(const std::string& staff, bool active = true) {
    v1::PutStaffRequest request;
    *request.mutable_staff() = Parse<v1::Staff>(staff);
    request.mutable_staff()->set_function(STAFF_FUNCTION_SUPPORT);
    request.mutable_staff()->set_active(active);
    const auto put = Call<v1::PutStaffResponse>(std::string(kStaff) + "PutStaff", request);
    ASSERT_TRUE(put.ok()) << put.status();
  }
  void Leave(const std::string& staff) { Put(staff, false); }
  template <typename Request, typename Reply>
  std::pair<std::string, std::function<absl::Status(const std::string&)>> Method(
      const std::string& method, const std::string& text) {
    return {method + " " + text, [this, method, text](const std::string& staff_id) {
              Request request = Parse<Request>(absl::StrReplaceAll(text, {{"%", staff_id}}));
              return Call<Reply>("tandem.triage.v1." + method, request).status();
            }};
  }
  static std::string Reason(const absl::Status& status) {
    google::rpc::ErrorInfo info;
    const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
    if (payload.has_value()) info.ParseFromString(std::string(*payload));
    return info.reason();
  }
  static std::map<std::string, std::string> Metadata(const absl::Status& status) {
    google::rpc::ErrorInfo info;
    const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
    if (payload.has_value()) info.ParseFromString(std::string(*payload));
    return {info.metadata().begin(), info.metadata().end()};
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
  static ev::SlaClockRef ClockOf(const std::string& ticket_id, SlaMetric metric) {
    ev::SlaClockRef clock;
    clock.set_ticket_id(ticket_id);
    clock.set_metric(metric);
    clock.set_cycle(1);
    return clock;
  }
  template <typename Fact>
  void Clock(const std::string& ticket_id, SlaMetric metric) {
    Fact fact;
    *fact.mutable_clock() = ClockOf(ticket_id, metric);
    Deliver("sla_timer", ticket_id, fact);
  }
  template <typename Fact>
  void Clock(const std::string& ticket_id, SlaMetric metric, absl::Time due) {
    Fact fact;
    *fact.mutable_clock() = ClockOf(ticket_id, metric);
    *fact.mutable_due_at() = time::Stamp(due);
    Deliver("sla_timer", ticket_id, fact);
  }
  // A clock that was breached at `at`; decided and told only now.
  void Breach(const std::string& ticket_id, SlaMetric metric, absl::Time at) {
    ev::SlaBreached breached;
    *breached.mutable_clock() = ClockOf(ticket_id, metric);
    *breached.mutable_occurred_at() = time::Stamp(at);
    harness_.Deliver("sla_timer", ticket_id, "account_1", breached, at);
  }
  // These happen some time after whatever happened last.
  void Override(const std::string& ticket_id, Severity severity) {
    harness_.Advance(absl::Seconds(30));
    v1::OverrideSeverityRequest request;
    request.set_ticket_id(ticket_id);
    request.set_severity(severity);
    request.set_staff_id("lead");
    const auto set =
        Call<v1::OverrideSeverityResponse>(std::string(kTriage) + "OverrideSeverity", request);
    ASSERT_TRUE(set.ok()) << set.status();
  }
  absl::StatusOr<v1::EscalateResponse> Escalate(const std::string& ticket_id,
                                                const std::string& policy = "") {
    v1::EscalateRequest request;
    request.set_ticket_id(ticket_id);
    request.set_staff_id("anna");
    request.set_policy(policy);
    return Call<v1::EscalateResponse>(std::string(kTriage) + "Escalate", request);
  }
  void Update(const std::string& ticket_id, const std::string& facts,
              const std::string& account_id = "account_1") {
    harness_.Advance(absl::Seconds(30));
    auto updated = Parse<ev::TicketUpdated>(facts);
    updated.set_ticket_id(ticket_id);
    updated.set_account_id(account_id);
    Deliver("ticket_intake", ticket_id, updated);
  }
  void Reopen(const std::string& ticket_id, int64_t reopening = 1) {
    ev::TicketReopened reopened;
    reopened.set_ticket_id(ticket_id);
    reopened.set_reopening(reopening);
    Deliver("ticket_intake", ticket_id, reopened);
  }
  // "policy: state" of every escalation of the ticket, the oldest first.
  std::vector<std::string> Escalations(const std::string& ticket_id) {
    v1::ListEscalationsRequest request;
    request.set_ticket_id(ticket_id);
    const auto listed = harness_.Call<v1::ListEscalationsResponse>(
        std::string(kTriage) + "ListEscalations", request);
    EXPECT_TRUE(listed.ok()) << listed.status();
    std::vector<std::string> lines;
    if (!listed.ok()) return lines;
    for (auto one = listed->escalations().rbegin(); one != listed->escalations().rend(); ++one) {
      const std::string state = v1::EscalationState_Name(one->state()).substr(17);
      lines.push_back(one->policy().rule() + ": " +
                      (one->close_reason().empty() ? state : one->close_reason()));
    }
    return lines;
  }
  // "ticket staff: reason" of every release so far.
  std::vector<std::string> Releases() {
    std::vector<std::string> lines;
    for (const auto& released : harness_.Published<ev::AssignmentReleased>()) {
      lines.push_back(released.ticket_id() + " " + released.staff_id() + ": " + released.reason());
    }
    return lines;
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

TEST_F(Triage, RisesByTheClassThatATicketHasNow) {
  Open("t1");
  Update("t1", kGeneral);
  harness_.Advance(absl::Hours(16));
  const auto claimed = Claim("bob", "desk");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->effective_severity(), SEVERITY_URGENT) << "two classes in 16 hours";
}

TEST_F(Triage, WeighsAnOwnedTicketByTheSeverityThatItHasNow) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "bob").ok());
  EXPECT_EQ(Staff("bob").load().units(), 1);
  Update("t1", kCritical);
  EXPECT_EQ(Staff("bob").load().units(), 4);
  Update("t1", kGeneral);
  EXPECT_EQ(Staff("bob").load().units(), 1);
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

TEST_F(Triage, PutsWhatIsDueFirstAmongEqualsFromTheClocksStartOn) {
  Open("t1");
  Open("t2");
  Open("t3");
  const absl::Time now = harness_.Now();
  Clock<ev::SlaClockStarted>("t2", SLA_METRIC_RESOLUTION, now + absl::Hours(8));
  Clock<ev::SlaClockStarted>("t3", SLA_METRIC_RESOLUTION, now + absl::Hours(9));
  Clock<ev::SlaClockStarted>("t3", SLA_METRIC_FIRST_RESPONSE, now + absl::Hours(1));
  EXPECT_EQ(time::Instant(Get("t3").due_at()), now + absl::Hours(1));
  EXPECT_EQ(Claimed("bob", "desk"), "t3");
  EXPECT_EQ(Claimed("bob", "desk"), "t2");
  EXPECT_EQ(Claimed("bob", "desk"), "t1");
}

TEST_F(Triage, PutsAClockThatIsNeverDueBehindThoseThatAre) {
  Open("t1");
  Open("t2");
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_RESOLUTION);
  Clock<ev::SlaClockStarted>("t2", SLA_METRIC_RESOLUTION, harness_.Now() + absl::Hours(8));
  EXPECT_EQ(Claimed("bob", "desk"), "t2");
}

TEST_F(Triage, CountsOtherOpenTicketsOfADayAsSimilar) {
  const auto next = [&] {
    const auto claimed = Claim("bob", "desk");
    EXPECT_TRUE(claimed.ok()) << claimed.status();
    return claimed.ok() ? std::pair(claimed->ticket_id(), claimed->impact_score())
                        : std::pair(std::string(), -1);
  };
  const auto open_like = [&](const std::string& ticket_id) {
    Open(ticket_id, R"(product: "mail" category: "defect")");
  };
  Open("t1");
  Open("t2");
  harness_.Advance(absl::Minutes(1));
  for (const char* ticket : {"a1", "a2", "a3", "a4", "a5"}) open_like(ticket);
  // Four others make no band: by age.
  EXPECT_EQ(next(), std::pair(std::string("t1"), 0));
  harness_.Advance(absl::Minutes(1));
  open_like("a6");
  // Five others make the middle band.
  EXPECT_EQ(next(), std::pair(std::string("a1"), 42));
  harness_.Advance(absl::Hours(24));
  // The last one was opened a day ago, the rest before that.
  EXPECT_EQ(next(), std::pair(std::string("t2"), 0));
  EXPECT_EQ(next(), std::pair(std::string("a2"), 8));
  harness_.Advance(absl::Microseconds(1));
  EXPECT_EQ(next(), std::pair(std::string("a3"), 0));
}

TEST_F(Triage, TakesNoTicketForSimilarToItself) {
  for (const char* ticket : {"a1", "a2", "a3", "a4", "a5"}) {
    Open(ticket, R"(product: "mail" category: "defect")");
  }
  const auto claimed = Claim("bob", "desk");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->impact_score(), 34) << "four of the five that count in full";
}

// By what each of sla_timer's events leaves running: the earliest due instant, in hours from now.
TEST_F(Triage, KnowsTheEarliestDueInstantOfTheClocksThatRun) {
  Open("t1");
  const absl::Time now = harness_.Now();
  const auto due = [&] {
    const v1::GetTriageResponse triage = Get("t1");
    return triage.has_due_at() ? absl::ToDoubleHours(time::Instant(triage.due_at()) - now) : -1;
  };
  const auto at = [&](int hours) { return now + absl::Hours(hours); };
  EXPECT_EQ(due(), -1);
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_RESOLUTION, at(8));
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_FIRST_RESPONSE, at(1));
  EXPECT_EQ(due(), 1);
  Clock<ev::SlaClockPaused>("t1", SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(due(), 8);
  Clock<ev::SlaClockResumed>("t1", SLA_METRIC_FIRST_RESPONSE, at(2));
  EXPECT_EQ(due(), 2);
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_FIRST_RESPONSE, at(4));  // another target
  EXPECT_EQ(due(), 4);
  // What is breached still waits for its answer.
  Clock<ev::SlaBreached>("t1", SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(due(), 4);
  Clock<ev::SlaStopped>("t1", SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(due(), 8);
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_TIME_TO_OWN, at(3));
  EXPECT_EQ(due(), 3);
  Clock<ev::SlaMet>("t1", SLA_METRIC_TIME_TO_OWN);
  EXPECT_EQ(due(), 8);
  ev::SlaVerdictCorrected corrected;
  *corrected.mutable_clock() = ClockOf("t1", SLA_METRIC_RESOLUTION);
  corrected.set_to_verdict("running");
  Deliver("sla_timer", "t1", corrected);
  EXPECT_EQ(due(), 8);
  corrected.set_to_verdict("met");
  Deliver("sla_timer", "t1", corrected);
  EXPECT_EQ(due(), -1);
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_NEXT_RESPONSE, at(5));
  EXPECT_EQ(due(), 5);
  Clock<ev::SlaCancelled>("t1", SLA_METRIC_NEXT_RESPONSE);
  EXPECT_EQ(due(), -1);
  // The earliest, whichever started last.
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_TIME_TO_OWN, at(3));
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_RESOLUTION, at(6));
  EXPECT_EQ(due(), 3);
  *corrected.mutable_clock() = ClockOf("t1", SLA_METRIC_TIME_TO_OWN);
  corrected.set_to_verdict("cancelled");
  Deliver("sla_timer", "t1", corrected);
  EXPECT_EQ(due(), 6);
  // A clock whose calendar never opens again runs and is never due.
  Clock<ev::SlaClockResumed>("t1", SLA_METRIC_RESOLUTION);
  EXPECT_EQ(due(), -1);
  // Each cycle of a metric is a clock of its own.
  Clock<ev::SlaClockStarted>("t1", SLA_METRIC_NEXT_RESPONSE, at(2));
  ev::SlaClockStarted second;
  *second.mutable_clock() = ClockOf("t1", SLA_METRIC_NEXT_RESPONSE);
  second.mutable_clock()->set_cycle(2);
  *second.mutable_due_at() = time::Stamp(at(7));
  Deliver("sla_timer", "t1", second);
  EXPECT_EQ(due(), 2);
  Clock<ev::SlaMet>("t1", SLA_METRIC_NEXT_RESPONSE);
  EXPECT_EQ(due(), 7);
}

TEST_F(Triage, SaysWhyAClaimIsRefused) {
  const auto why = [&](const std::string& staff_id, const std::string& queue = "") {
    const absl::Status refused = Claim(staff_id, queue).status();
    return Metadata(refused)["why"] + ": " + std::string(refused.message());
  };
  EXPECT_EQ(why("anna"), "nothing_waits: no waiting ticket fits staff anna: nothing waits");
  EXPECT_EQ(why("lead"), "no_queue: no waiting ticket fits staff lead: claims from no queue");
  Open("t1", kUrgent);
  Open("t2", kUrgent);
  ASSERT_EQ(Claimed("anna"), "t1");
  EXPECT_EQ(
      why("anna"),
      "at_capacity: no waiting ticket fits staff anna: 1 needs more room than is left (2 of 3 "
      "units)");
  Open("t3");
  ASSERT_EQ(Claimed("anna"), "t3");
  EXPECT_EQ(why("anna"),
            "at_capacity: no waiting ticket fits staff anna: at capacity (3 of 3 units)");
  auto told = Metadata(Claim("anna").status());
  EXPECT_EQ(told["staff_id"], "anna");
  EXPECT_EQ(told["waiting"], "1");
  EXPECT_EQ(told["without_room"], "1");
  EXPECT_EQ(told["load_units"], "3");
  EXPECT_EQ(told["capacity_units"], "3");
  Put(R"(staff_id: "carl" queues: "databases" languages: "fr")");
  Open("t4", R"(product: "db")");
  EXPECT_EQ(why("carl"),
            "no_skill: no waiting ticket fits staff carl: 1 needs a skill that is missing");
  Put(R"(staff_id: "carl" queues: "desk" languages: "fr")");
  Resolve("t2");
  Open("t5", R"(language: "de")");
  EXPECT_EQ(why("carl"),
            "no_language: no waiting ticket fits staff carl: 1 needs another language");
  EXPECT_EQ(Metadata(Claim("anna", "databases").status())["queues"], "desk");
  Available("anna", false);
  EXPECT_EQ(Metadata(Claim("anna").status())["why"], "unavailable");
}

TEST_F(Triage, TakesWhoIsOffShiftForOffDuty) {
  Apply(std::string(kPolicy) + R"pb(
    calendars {
      name: "tuesdays"
      zone: "UTC"
      weekly { days: DAY_OF_WEEK_TUESDAY start: "09:00" end: "17:00" }
    })pb");
  Put(R"(staff_id: "anna" queues: "desk" shift_calendar: "tuesdays")");
  // A Monday, 14:00.
  Open("t1");
  const absl::Status refused = Claim("anna").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Metadata(refused)["why"], "off_shift");
  EXPECT_FALSE(Staff("anna").on_duty());
  Open("t2", kCritical);
  EXPECT_THAT(Rings(), ElementsAre("1/0: bob")) << "only who is on duty is rung";
  Resolve("t2");
  harness_.Advance(absl::Hours(19) - absl::Microseconds(1));
  EXPECT_FALSE(Staff("anna").on_duty());
  harness_.Advance(absl::Microseconds(1));
  EXPECT_EQ(Claimed("anna"), "t1");
}

TEST_F(Triage, ComparesTheVersionsThatACommandNames) {
  Open("t1");
  const int64_t version = Get("t1").version();
  v1::OverrideSeverityRequest severity;
  severity.set_ticket_id("t1");
  severity.set_severity(SEVERITY_URGENT);
  severity.set_staff_id("lead");
  v1::ReassignTicketRequest reassign;
  reassign.set_ticket_id("t1");
  reassign.set_staff_id("bob");
  v1::TransferTicketRequest transfer;
  transfer.set_ticket_id("t1");
  transfer.set_queue("databases");
  transfer.set_staff_id("lead");
  v1::PutStaffRequest staff;
  staff.mutable_staff()->set_staff_id("anna");
  staff.mutable_staff()->set_function(STAFF_FUNCTION_SUPPORT);
  for (const int64_t other : {version + 1, version + 7}) {
    severity.set_version(other);
    reassign.set_version(other);
    transfer.set_version(other);
    staff.mutable_staff()->set_version(other + 1);
    const std::string triage = kTriage;
    for (const absl::Status& status :
         {Call<v1::OverrideSeverityResponse>(triage + "OverrideSeverity", severity).status(),
          Call<v1::ReassignTicketResponse>(triage + "ReassignTicket", reassign).status(),
          Call<v1::TransferTicketResponse>(triage + "TransferTicket", transfer).status(),
          Call<v1::PutStaffResponse>(std::string(kStaff) + "PutStaff", staff).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
    }
  }
  severity.set_version(version);
  EXPECT_TRUE(
      Call<v1::OverrideSeverityResponse>(std::string(kTriage) + "OverrideSeverity", severity).ok());
}

// The commands of somebody who has just opened it; intake knows it already.
TEST_F(Triage, AnswersForATicketWhoseOpeningIsStillOnItsWay) {
  harness_.peer().Answer(kGetTicket, intake::v1::GetTicketResponse());
  v1::AcceptAssignmentRequest accept;
  accept.set_request_id(NextId());
  accept.set_ticket_id("t1");
  accept.set_staff_id("anna");
  v1::OverrideSeverityRequest severity;
  severity.set_request_id(NextId());
  severity.set_ticket_id("t1");
  severity.set_severity(SEVERITY_URGENT);
  severity.set_staff_id("lead");
  v1::GetTriageRequest get;
  get.set_ticket_id("t1");
  v1::ClassifyTicketRequest classify;
  classify.set_ticket_id("t1");
  const auto accepted = harness_.Begin<v1::AcceptAssignmentResponse>(
      std::string(kTriage) + "AcceptAssignment", accept);
  const auto overridden = harness_.Begin<v1::OverrideSeverityResponse>(
      std::string(kTriage) + "OverrideSeverity", severity);
  const auto got = harness_.Begin<v1::GetTriageResponse>(std::string(kTriage) + "GetTriage", get);
  const auto classified =
      harness_.Begin<v1::ClassifyTicketResponse>(std::string(kTriage) + "ClassifyTicket", classify);
  EXPECT_FALSE(accepted->has_value());
  Open("t1");
  ASSERT_TRUE(accepted->has_value() && overridden->has_value() && got->has_value() &&
              classified->has_value());
  EXPECT_TRUE((*accepted)->ok()) << (*accepted)->status();
  EXPECT_TRUE((*overridden)->ok()) << (*overridden)->status();
  EXPECT_TRUE((*got)->ok()) << (*got)->status();
  EXPECT_TRUE((*classified)->ok()) << (*classified)->status();
  EXPECT_EQ(Get("t1").assignee_id(), "anna");
  EXPECT_EQ(Get("t1").severity(), SEVERITY_URGENT);
}

TEST_F(Triage, TakesNoDecisionFromWhoDoesNotWorkHere) {
  Open("t1", kCritical);
  Put(R"(staff_id: "gone")");
  Leave(R"(staff_id: "gone")");
  const std::string escalation_id = EscalationOf("t1").escalation_id();
  const auto calls = {
      Method<v1::OverrideSeverityRequest, v1::OverrideSeverityResponse>(
          "TriageService/OverrideSeverity",
          R"(ticket_id: "t1" severity: SEVERITY_NORMAL staff_id: "%")"),
      Method<v1::ClaimNextRequest, v1::ClaimNextResponse>("TriageService/ClaimNext",
                                                          R"(staff_id: "%")"),
      Method<v1::AcceptAssignmentRequest, v1::AcceptAssignmentResponse>(
          "TriageService/AcceptAssignment", R"(ticket_id: "t1" staff_id: "%")"),
      Method<v1::ReassignTicketRequest, v1::ReassignTicketResponse>(
          "TriageService/ReassignTicket", R"(ticket_id: "t1" staff_id: "%")"),
      Method<v1::ReassignTicketRequest, v1::ReassignTicketResponse>(
          "TriageService/ReassignTicket", R"(ticket_id: "t1" staff_id: "anna" by_staff_id: "%")"),
      Method<v1::TransferTicketRequest, v1::TransferTicketResponse>(
          "TriageService/TransferTicket", R"(ticket_id: "t1" queue: "databases" staff_id: "%")"),
      Method<v1::EscalateRequest, v1::EscalateResponse>("TriageService/Escalate",
                                                        R"(ticket_id: "t1" staff_id: "%")"),
      Method<v1::AcknowledgeEscalationRequest, v1::AcknowledgeEscalationResponse>(
          "TriageService/AcknowledgeEscalation",
          "escalation_id: \"" + escalation_id + R"(" staff_id: "%")"),
      Method<v1::SetAvailabilityRequest, v1::SetAvailabilityResponse>(
          "StaffService/SetAvailability", R"(staff_id: "%")"),
  };
  for (const auto& [name, call] : calls) {
    const absl::Status gone = call("gone");
    EXPECT_EQ(gone.code(), absl::StatusCode::kFailedPrecondition) << name << ": " << gone;
    EXPECT_EQ(Reason(gone), "STAFF_INACTIVE") << name;
    EXPECT_EQ(Metadata(gone)["staff_id"], "gone") << name;
    const absl::Status nobody = call("nobody");
    EXPECT_EQ(nobody.code(), absl::StatusCode::kNotFound) << name << ": " << nobody;
    EXPECT_EQ(Reason(nobody), "STAFF_NOT_FOUND") << name;
  }
  EXPECT_EQ(Get("t1").severity(), SEVERITY_CRITICAL);
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_RINGING);
}

TEST_F(Triage, LetsAnAgentTakeANamedTicketOnce) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  ASSERT_TRUE(Accept("t1", "anna").ok());
  EXPECT_EQ(Accept("t1", "bob").status().code(), absl::StatusCode::kFailedPrecondition);
  harness_.peer().On<intake::v1::GetTicketRequest, intake::v1::GetTicketResponse>(
      kGetTicket, [](const intake::v1::GetTicketRequest& asked) {
        return corridor::NotFound("ticket", asked.ticket_id());
      });
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

TEST_F(Triage, KeepsTheSupportLevelThatAPersonChose) {
  Open("t1");
  v1::TransferTicketRequest request;
  request.set_ticket_id("t1");
  request.set_support_level(SUPPORT_LEVEL_L2);
  request.set_staff_id("anna");
  ASSERT_TRUE(
      Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", request).ok());
  Update("t1", kUrgent);
  EXPECT_EQ(Get("t1").support_level(), SUPPORT_LEVEL_L2);
}

// The policy may drop a queue in which nothing is open.
TEST_F(Triage, RoutesAReopenedTicketAnewWhoseQueueByHandIsGone) {
  Open("t1");
  v1::TransferTicketRequest request;
  request.set_ticket_id("t1");
  request.set_queue("databases");
  request.set_staff_id("anna");
  ASSERT_TRUE(
      Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", request).ok());
  Resolve("t1");
  Put(R"(staff_id: "bob" queues: "desk")");
  Apply(R"pb(queues { name: "desk" })pb");
  const size_t queued = harness_.Published<ev::TicketQueued>().size();
  Reopen("t1");
  EXPECT_EQ(Get("t1").queue(), "desk");
  ASSERT_THAT(harness_.Published<ev::TicketQueued>(), SizeIs(queued + 1));
  EXPECT_EQ(harness_.Published<ev::TicketQueued>().back().queue(), "desk");
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
  harness_.Advance(absl::Minutes(1));
  ev::SlaBreached breached;
  breached.mutable_clock()->set_ticket_id("t1");
  Deliver("sla_timer", "t1", breached);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_THAT(harness_.Published<ev::EscalationRaised>(), SizeIs(1));
  EXPECT_THAT(EscalationOf("t1").causes(), SizeIs(2));
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  harness_.Advance(absl::Minutes(1));
  Deliver("sla_timer", "t1", breached);
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, NotesWhatMayNotRaiseAndRingsNobodyForIt) {
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(1));
  Clock<ev::SlaWarning>("t1", SLA_METRIC_FIRST_RESPONSE);
  EXPECT_THAT(Rings(), SizeIs(1)) << "the policy lets only a breach raise it";
  ASSERT_THAT(EscalationOf("t1").causes(), SizeIs(2));
  EXPECT_EQ(EscalationOf("t1").causes(1).trigger(), v1::ESCALATION_TRIGGER_SLA_WARNING);
}

// The instant of a cause is that of the fact, whenever it arrives.
TEST_F(Triage, RaisesByNothingThatHappenedBeforeTheLastRing) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               raised_by: [ ESCALATION_TRIGGER_SLA_WARNING, ESCALATION_TRIGGER_FRUSTRATION ]
               levels {
                 targets { staff_id: "anna" }
                 acknowledge_within { seconds: 600 }
               }
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 6000 }
               }
             })pb");
  const absl::Time before = harness_.Now();
  harness_.Advance(absl::Minutes(1));
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(1));
  ev::SlaWarning warning;
  *warning.mutable_clock() = ClockOf("t1", SLA_METRIC_FIRST_RESPONSE);
  *warning.mutable_occurred_at() = time::Stamp(before);
  harness_.Deliver("sla_timer", "t1", "account_1", warning, before);
  ev::TicketMessageAdded added;
  added.set_ticket_id("t1");
  added.set_author_kind(AUTHOR_KIND_REQUESTER);
  added.set_frustration_rule("third_time");
  *added.mutable_occurred_at() = time::Stamp(before);
  harness_.Deliver("ticket_intake", "t1", "account_1", added, before);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna"));
  ASSERT_THAT(EscalationOf("t1").causes(), SizeIs(3));
  for (const int cause : {1, 2}) {
    EXPECT_EQ(time::Instant(EscalationOf("t1").causes(cause).occurred_at()), before);
  }
  *added.mutable_occurred_at() = time::Stamp(harness_.Now());
  harness_.Deliver("ticket_intake", "t1", "account_1", added);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "2/0: lead"));
}

TEST_F(Triage, EscalatesFromTheReopeningOnThatThePolicyNames) {
  Apply(kClasses);  // two, as is the default
  Open("t1");
  Resolve("t1");
  harness_.Advance(absl::Minutes(1));
  Reopen("t1", 1);
  EXPECT_THAT(Escalations("t1"), IsEmpty());
  Resolve("t1");
  const absl::Time reopened = harness_.Now();
  harness_.Advance(absl::Minutes(1));
  ev::TicketReopened again;
  again.set_ticket_id("t1");
  again.set_reopening(2);
  *again.mutable_occurred_at() = time::Stamp(reopened);
  harness_.Deliver("ticket_intake", "t1", "account_1", again, reopened);
  EXPECT_THAT(Escalations("t1"), ElementsAre("on_call: RINGING"));
  EXPECT_EQ(time::Instant(EscalationOf("t1").causes(0).occurred_at()), reopened);
}

TEST_F(Triage, EscalatesATicketThatOpensFrustrated) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "angry"
               triggers: ESCALATION_TRIGGER_FRUSTRATION
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  Open("t1");
  Open("t2", R"(frustration_rule: "unacceptable")");
  EXPECT_THAT(Escalations("t1"), IsEmpty());
  EXPECT_THAT(Escalations("t2"), ElementsAre("angry: RINGING"));
}

TEST_F(Triage, ChangesNothingAboutATicketThatIsClosed) {
  Open("t1");
  Resolve("t1");
  ev::TicketClosed closed;
  closed.set_ticket_id("t1");
  Deliver("ticket_intake", "t1", closed);
  Update("t1", kCritical);
  Clock<ev::SlaBreached>("t1", SLA_METRIC_RESOLUTION);
  EXPECT_EQ(Get("t1").severity(), SEVERITY_NORMAL);
  EXPECT_THAT(harness_.Published<ev::SeverityChanged>(), IsEmpty());
  EXPECT_THAT(Escalations("t1"), IsEmpty());
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
  added.set_author_kind(AUTHOR_KIND_REQUESTER);
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

TEST_F(Triage, ReadsATextAnewByThePatternsOfANewPolicyAndOfATicketThatIsReopened) {
  const auto apply = [&](const std::string& pattern) {
    Apply(R"(queues { name: "desk" } queues { name: "databases" } severity_rules { name: "outage")"
          R"( fix: SEVERITY_URGENT text_patterns: ")" +
          pattern + R"(" })");
  };
  apply("nonesuch");
  intake::v1::GetTicketResponse told;
  told.mutable_ticket()->set_subject("All down");
  harness_.peer().Answer(kGetTicket, told);
  Open("t1");
  EXPECT_EQ(Get("t1").severity(), SEVERITY_NORMAL);
  apply("All down");
  Update("t1", R"(category: "other")");
  EXPECT_EQ(Get("t1").severity(), SEVERITY_URGENT);
  // Resolved before intake could be asked.
  harness_.peer().Down(kGetTicket);
  Open("t2");
  Resolve("t2");
  harness_.peer().Answer(kGetTicket, told);
  Reopen("t2");
  EXPECT_EQ(Get("t2").severity(), SEVERITY_URGENT);
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
  const absl::Status refused = Claim("anna").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Metadata(refused)["why"], "parked");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("1 is held back by dead letters"));
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

TEST_F(Triage, RingsByThePolicyOfItsNewClassWhenATicketBecomesCritical) {
  Apply(kClasses);
  for (const char* lesser : {"ringing", "acknowledged", "exhausted"}) {
    const std::string ticket = std::string("t_") + lesser;
    Open(ticket);
    ASSERT_TRUE(Escalate(ticket).ok());
    if (lesser == std::string("acknowledged")) {
      ASSERT_TRUE(Acknowledge(ticket, "anna").ok());
    }
    if (lesser == std::string("exhausted")) harness_.Advance(absl::Hours(4) + absl::Seconds(5));
    const size_t rings = Rings().size();
    Override(ticket, SEVERITY_CRITICAL);
    ASSERT_THAT(Rings(), SizeIs(rings + 1)) << lesser;
    EXPECT_EQ(Rings().back(), "1/0: bob") << lesser;
    EXPECT_THAT(Escalations(ticket), ElementsAre("ordinary: superseded", "critical: RINGING"));
    EXPECT_EQ(Get(ticket).escalation_id(), EscalationOf(ticket).escalation_id());
    const ev::EscalationClosed closed = harness_.Published<ev::EscalationClosed>().back();
    EXPECT_EQ(closed.reason(), "superseded");
    EXPECT_EQ(closed.acknowledged(), lesser == std::string("acknowledged"));
    // What was superseded rings nobody any more.
    ASSERT_TRUE(Acknowledge(ticket, "bob").ok());
    harness_.Advance(absl::Hours(30));
    EXPECT_THAT(Rings(), SizeIs(rings + 1)) << lesser;
  }
}

TEST_F(Triage, RingsAgainForACriticalTicketUnderTheSamePolicyAsItsLesserClass) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  Open("t1", kUrgent);
  ASSERT_TRUE(Escalate("t1").ok());
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  Update("t1", kCritical);
  EXPECT_THAT(Escalations("t1"), ElementsAre("all: superseded", "all: RINGING"));
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, ChoosesTheEscalationAgainWhenTheSeverityRisesOrFalls) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  Update("t1", kUrgent);
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "urgent: RINGING"));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "1/0: lead"));
  Update("t1", "");
  EXPECT_THAT(Escalations("t1"),
              ElementsAre("ordinary: superseded", "urgent: superseded", "ordinary: RINGING"));
  // Whoever took responsibility for more keeps it for less.
  Update("t1", kUrgent);
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  Update("t1", kGeneral);
  EXPECT_EQ(Escalations("t1").back(), "urgent: ACKNOWLEDGED");
}

TEST_F(Triage, RingsAgainForATicketThatIsCriticalASecondTimeAfterEverybodyWasRungInVain) {
  Apply(kClasses);
  Open("t1", kCritical);
  harness_.Advance(absl::Hours(1));
  ASSERT_THAT(Escalations("t1"), ElementsAre("critical: EXHAUSTED"));
  Update("t1", kUrgent);
  // What is exhausted rings nobody for less.
  EXPECT_THAT(Escalations("t1"), ElementsAre("critical: EXHAUSTED"));
  Update("t1", kCritical);
  EXPECT_THAT(Escalations("t1"), ElementsAre("critical: superseded", "critical: RINGING"));
}

TEST_F(Triage, EndsAnEscalationThatNoPolicyHasForTheLesserClass) {
  Apply(kClasses);
  Open("t1", kCritical);
  Update("t1", kGeneral);
  EXPECT_THAT(Escalations("t1"), ElementsAre("critical: reclassified"));
  EXPECT_EQ(Get("t1").escalation_id(), "");
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Rings(), SizeIs(1));
  EXPECT_THAT(harness_.Published<ev::EscalationExhausted>(), IsEmpty());
}

TEST_F(Triage, ChoosesTheEscalationAgainWhenTheTicketMovesToAnotherLevelOfContact) {
  Apply(kClasses);
  Open("t1", "contact_level: CONTACT_LEVEL_MEMBER");
  ASSERT_TRUE(Escalate("t1").ok());
  Update("t1", "contact_level: CONTACT_LEVEL_OWNER", "account_2");
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "owners: RINGING"));
  EXPECT_EQ(Rings().back(), "1/0: lead");
  EXPECT_EQ(EscalationOf("t1").account_id(), "account_2");
}

TEST_F(Triage, ChoosesAnAcknowledgedEscalationAgainWhenTheLevelOfTheContactRises) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  ASSERT_TRUE(Acknowledge("t1", "anna").ok());
  Update("t1", "contact_level: CONTACT_LEVEL_OWNER");
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "owners: RINGING"));
}

TEST_F(Triage, RingsTheCounterpartsOfTheLevelThatTheContactHasNow) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { counterparts: true }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  harness_.peer().On<account::v1::ListCounterpartsRequest, account::v1::ListCounterpartsResponse>(
      kCounterparts, [](const account::v1::ListCounterpartsRequest& request) {
        account::v1::ListCounterpartsResponse told;
        told.add_counterparts()->set_staff_id(
            request.contact_level() == CONTACT_LEVEL_OWNER ? "lead" : "anna");
        return told;
      });
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  Update("t1", "contact_level: CONTACT_LEVEL_OWNER");
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "1/0: lead"));
}

TEST_F(Triage, RingsTheDefaultsWhenAllCounterpartsHaveLeft) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { counterparts: true }
                 acknowledge_within { seconds: 600 }
               }
             }
             role_defaults { role: STAFF_ROLE_SUPPORT_AGENT staff_id: "bob" })pb");
  account::v1::ListCounterpartsResponse told;
  told.add_counterparts()->set_staff_id("gone");
  harness_.peer().Answer(kCounterparts, told);
  Leave(R"(staff_id: "gone")");
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  EXPECT_THAT(Rings(), ElementsAre("1/0: bob"));
}

TEST_F(Triage, RingsNobodyWhoLeftNotEvenWhereALevelRingsOffShift) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { staff_id: "gone" }
                 acknowledge_within { seconds: 600 }
                 ring_off_shift: true
               }
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 600 }
                 ring_off_shift: true
               }
             })pb");
  Leave(R"(staff_id: "gone")");
  Available("lead", false);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  EXPECT_THAT(Rings(), ElementsAre("2/0: lead"));
}

TEST_F(Triage, RemembersWhatASupersededEscalationWasRaisedFor) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  Update("t1", kCritical);
  Update("t1", "");
  EXPECT_THAT(Escalations("t1"),
              ElementsAre("ordinary: superseded", "critical: superseded", "ordinary: RINGING"));
}

TEST_F(Triage, RingsByThePolicyOfTheLesserClassOnceTheAcknowledgementExpires) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "urgent"
               severities: SEVERITY_URGENT
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 600 }
               }
               acknowledgement_holds { seconds: 3600 }
             }
             escalations {
               name: "ordinary"
               levels {
                 targets { staff_id: "anna" }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  Open("t1", kUrgent);
  ASSERT_TRUE(Escalate("t1").ok());
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  Update("t1", kGeneral);
  ASSERT_THAT(Escalations("t1"), ElementsAre("urgent: ACKNOWLEDGED"));
  harness_.Advance(absl::Hours(1) + absl::Seconds(5));
  EXPECT_THAT(Escalations("t1"), ElementsAre("urgent: superseded", "ordinary: RINGING"));
  EXPECT_THAT(Rings(), ElementsAre("1/0: lead", "1/0: anna"));
}

TEST_F(Triage, ChoosesTheEscalationAgainWhenTheRequesterBecomesKnown) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  harness_.Advance(absl::Minutes(1));
  ev::TicketRequesterResolved resolved;
  resolved.set_ticket_id("t1");
  resolved.set_account_id("account_2");
  resolved.set_contact_level(CONTACT_LEVEL_OWNER);
  Deliver("ticket_intake", "t1", resolved);
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "owners: RINGING"));
}

TEST_F(Triage, RingsTheTeamOfTheAccountThatATicketMovedTo) {
  Apply(kClasses);
  Put(R"(staff_id: "account_1-pm")");
  Put(R"(staff_id: "account_2-pm")");
  harness_.peer().On<account::v1::ListCounterpartsRequest, account::v1::ListCounterpartsResponse>(
      kCounterparts, [](const account::v1::ListCounterpartsRequest& request) {
        account::v1::ListCounterpartsResponse team;
        team.add_team()->set_role(STAFF_ROLE_ACCOUNT_PM);
        team.mutable_team(0)->set_staff_id(request.account_id() + "-pm");
        return team;
      });
  Open("t1", "contact_level: CONTACT_LEVEL_OWNER");
  ASSERT_TRUE(Escalate("t1").ok());
  harness_.Advance(absl::Minutes(1));
  Update("t1", "contact_level: CONTACT_LEVEL_OWNER", "account_2");
  EXPECT_THAT(Rings(), ElementsAre("1/0: account_1-pm lead", "1/0: account_2-pm lead"));
  EXPECT_THAT(Escalations("t1"), ElementsAre("owners: RINGING"));
  EXPECT_EQ(time::Instant(EscalationOf("t1").rings(1).acknowledge_by()),
            harness_.Now() + absl::Hours(1));
}

TEST_F(Triage, CountsTheTimeToAcknowledgeInTheHoursOfTheSeverityThatTheTicketHas) {
  Apply(R"pb(calendars {
               name: "tuesdays"
               zone: "UTC"
               weekly { days: DAY_OF_WEEK_TUESDAY start: "09:00" end: "17:00" }
             }
             queues { name: "desk" }
             queues { name: "databases" }
             queues { name: "slow" calendar: "tuesdays" }
             escalations {
               name: "all"
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 3600 }
               }
             })pb");
  // A Monday, 14:00.
  const absl::Time opened = harness_.Now();
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  const auto by = [&] { return time::Instant(EscalationOf("t1").rings(0).acknowledge_by()); };
  EXPECT_EQ(by(), opened + absl::Hours(1));
  v1::TransferTicketRequest request;
  request.set_ticket_id("t1");
  request.set_queue("slow");
  request.set_staff_id("lead");
  ASSERT_TRUE(
      Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", request).ok());
  EXPECT_EQ(by(), opened + absl::Hours(20));
  Update("t1", kUrgent);
  EXPECT_EQ(by(), opened + absl::Hours(1));
  EXPECT_THAT(Rings(), SizeIs(1));
  harness_.Advance(absl::Hours(1) + absl::Seconds(5));
  EXPECT_THAT(Escalations("t1"), ElementsAre("all: EXHAUSTED"));
}

TEST_F(Triage, CountsAnAcknowledgementInTheHoursOfTheSeverityThatTheTicketHas) {
  Apply(R"pb(calendars {
               name: "tuesdays"
               zone: "UTC"
               weekly { days: DAY_OF_WEEK_TUESDAY start: "09:00" end: "17:00" }
             }
             queues { name: "desk" calendar: "tuesdays" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 3600 }
               }
               acknowledgement_holds { seconds: 7200 }
             })pb");
  // A Monday, 14:00.
  const absl::Time opened = harness_.Now();
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  ASSERT_TRUE(Acknowledge("t1", "lead").ok());
  const auto until = [&] { return time::Instant(EscalationOf("t1").holds_until()); };
  EXPECT_EQ(until(), opened + absl::Hours(21));
  Update("t1", kUrgent);
  EXPECT_EQ(until(), opened + absl::Hours(2));
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, StartsANewEscalationWhereAnExhaustedOneIsNotLive) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  harness_.Advance(absl::Hours(5));
  ASSERT_THAT(Escalations("t1"), ElementsAre("ordinary: EXHAUSTED"));
  const auto again = Escalate("t1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->started());
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "ordinary: RINGING"));
}

TEST_F(Triage, ObeysWhoNamesAnEscalationPolicy) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1").ok());
  harness_.Advance(absl::Minutes(1));
  const auto named = Escalate("t1", "on_call");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_TRUE(named->started());
  EXPECT_THAT(Escalations("t1"), ElementsAre("ordinary: superseded", "on_call: RINGING"));
  harness_.Advance(absl::Minutes(1));
  EXPECT_FALSE(Escalate("t1", "on_call")->started());
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "1/0: bob", "2/0: lead"));
  // A person chose it: another class does not undo that, a CRITICAL one does.
  Update("t1", kUrgent);
  EXPECT_EQ(Escalations("t1").back(), "on_call: RINGING");
  Update("t1", kCritical);
  EXPECT_EQ(Escalations("t1").back(), "critical: RINGING");
  const absl::Status unknown = Escalate("t1", "nonesuch").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound) << unknown;
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("escalation policy nonesuch"));
}

TEST_F(Triage, RingsFurtherWhenTheNamedPolicyIsAcknowledgedAlready) {
  Apply(kClasses);
  Open("t1");
  ASSERT_TRUE(Escalate("t1", "on_call").ok());
  ASSERT_TRUE(Acknowledge("t1", "bob").ok());
  harness_.Advance(absl::Minutes(1));
  ASSERT_TRUE(Escalate("t1").ok());
  EXPECT_THAT(Rings(), ElementsAre("1/0: bob")) << "somebody has it";
  const auto named = Escalate("t1", "on_call");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_THAT(Rings(), ElementsAre("1/0: bob", "2/0: lead"));
}

TEST_F(Triage, EscalatesACriticalTicketThatIsReopened) {
  Apply(kClasses);
  Open("t1", kCritical);
  Resolve("t1");
  harness_.Advance(absl::Hours(1));
  Reopen("t1");
  EXPECT_THAT(Escalations("t1"), ElementsAre("critical: resolved", "critical: RINGING"));
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, RoutesATicketAnewWhenItsOwnerGivesItBack) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  Update("t1", R"(product: "db")");
  EXPECT_EQ(Get("t1").queue(), "desk");
  Leave(R"(staff_id: "anna" queues: "desk" capacity: 3)");
  harness_.Advance(absl::Seconds(5));
  EXPECT_EQ(Get("t1").queue(), "databases");
  EXPECT_EQ(Claimed("bob", "databases"), "t1");
}

TEST_F(Triage, RingsOneLevelForTwoClocksThatAreBreachedInOneInstant) {
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(5));
  const absl::Time breached = harness_.Now();
  // Told one after the other, and the second late.
  harness_.Advance(absl::Milliseconds(300));
  Breach("t1", SLA_METRIC_FIRST_RESPONSE, breached);
  ASSERT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  harness_.Advance(absl::Milliseconds(700));
  Breach("t1", SLA_METRIC_TIME_TO_OWN, breached);
  EXPECT_THAT(Rings(), SizeIs(2));
  EXPECT_THAT(EscalationOf("t1").causes(), SizeIs(3));
  EXPECT_THAT(harness_.Published<ev::EscalationExhausted>(), IsEmpty());
  // The level has all of its time.
  harness_.Advance(absl::Minutes(19));
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_RINGING);
  harness_.Advance(absl::Minutes(1) + absl::Seconds(5));
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_EXHAUSTED);
}

TEST_F(Triage, RaisesARingingEscalationByABreachThatComesTrueAfterAll) {
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(1));
  ev::SlaVerdictCorrected corrected;
  *corrected.mutable_clock() = ClockOf("t1", SLA_METRIC_FIRST_RESPONSE);
  corrected.set_from_verdict("running");
  corrected.set_to_verdict("breached");
  Deliver("sla_timer", "t1", corrected);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
}

TEST_F(Triage, RingsOneLevelForABreachInTheInstantInWhichItsTimerRangOne) {
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(10) + absl::Seconds(5));
  ASSERT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  Breach("t1", SLA_METRIC_FIRST_RESPONSE, time::Instant(EscalationOf("t1").rings(1).rung_at()));
  EXPECT_THAT(harness_.Published<ev::EscalationExhausted>(), IsEmpty());
}

TEST_F(Triage, RingsOneLevelForWhoEscalatesInTheInstantOfARing) {
  Open("t1", kCritical);
  ASSERT_TRUE(Escalate("t1").ok());
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob"));
  harness_.Advance(absl::Microseconds(1));
  ASSERT_TRUE(Escalate("t1").ok());
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
}

// sla_timer's clock is ahead by more than the ring lasts that its breach caused.
TEST_F(Triage, RingsNoFurtherLevelForAnInstantThatWasRungForAfterATimerRangOne) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               raised_by: ESCALATION_TRIGGER_SLA_BREACH
               levels {
                 targets { staff_id: "anna" }
                 acknowledge_within { seconds: 60 }
               }
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 60 }
               }
               levels {
                 targets { staff_id: "bob" }
                 acknowledge_within { seconds: 60 }
               }
             })pb");
  Open("t1", kCritical);
  const absl::Time ahead = harness_.Now() + absl::Seconds(90);
  harness_.Advance(absl::Seconds(1));
  Breach("t1", SLA_METRIC_FIRST_RESPONSE, ahead);
  harness_.Advance(absl::Seconds(61));
  ASSERT_THAT(Rings(), ElementsAre("1/0: anna", "2/0: lead", "3/0: bob"));
  Breach("t1", SLA_METRIC_TIME_TO_OWN, ahead);
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_RINGING);
}

TEST_F(Triage, RingsOneLevelForCausesOfThePastThatArriveTogether) {
  Open("t1", kCritical);
  const absl::Time opened = harness_.Now();
  harness_.Advance(absl::Minutes(8));
  Breach("t1", SLA_METRIC_FIRST_RESPONSE, opened + absl::Minutes(5));
  Breach("t1", SLA_METRIC_TIME_TO_OWN, opened + absl::Minutes(7));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_RINGING);
}

// sla_timer's clock may be ahead of this one.
TEST_F(Triage, RingsOneLevelForTwoBreachesOfOneInstantThatIsStillToCome) {
  Open("t1", kCritical);
  const absl::Time ahead = harness_.Now() + absl::Seconds(3);
  harness_.Advance(absl::Seconds(1));
  Breach("t1", SLA_METRIC_FIRST_RESPONSE, ahead);
  harness_.Advance(absl::Seconds(1));
  Breach("t1", SLA_METRIC_TIME_TO_OWN, ahead);
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
  EXPECT_EQ(EscalationOf("t1").state(), v1::ESCALATION_STATE_RINGING);
}

TEST_F(Triage, RingsOneLevelForATicketThatOpensCriticalAndFrustrated) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "critical"
               raised_by: ESCALATION_TRIGGER_FRUSTRATION
               levels {
                 targets { staff_id: "anna" }
                 acknowledge_within { seconds: 600 }
               }
               levels {
                 targets { staff_id: "lead" }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  Open("t1", std::string(kCritical) + R"( frustration_rule: "unacceptable")");
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna"));
}

TEST_F(Triage, TakesNobodysWordsForAComplaintButTheRequesters) {
  Open("t1", kUrgent);
  ev::TicketMessageAdded added;
  added.set_ticket_id("t1");
  added.set_frustration_rule("third_time");
  for (const AuthorKind kind :
       {AUTHOR_KIND_AGENT, AUTHOR_KIND_BOT, AUTHOR_KIND_SYSTEM, AUTHOR_KIND_THIRD_PARTY}) {
    added.set_author_kind(kind);
    Deliver("ticket_intake", "t1", added);
    EXPECT_EQ(Get("t1").severity(), SEVERITY_URGENT) << AuthorKind_Name(kind);
  }
  EXPECT_THAT(Rings(), IsEmpty());
}

TEST_F(Triage, GivesBackTheTicketsOfWhoLeaves) {
  Open("t1");
  Open("t2");
  Open("t3");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  ASSERT_TRUE(Accept("t2", "anna").ok());
  ASSERT_TRUE(Accept("t3", "bob").ok());
  Resolve("t2");
  Leave(R"(staff_id: "anna" queues: "desk")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Releases(), ElementsAre("t1 anna: staff_inactive"));
  EXPECT_EQ(Get("t1").assignee_id(), "");
  EXPECT_TRUE(Get("t1").has_waiting_since());
  EXPECT_EQ(harness_.Published<ev::TicketQueued>().back().ticket_id(), "t1");
  EXPECT_EQ(Staff("anna").load().tickets(), 0);
  EXPECT_EQ(Staff("anna").load().units(), 0);
  // What is resolved keeps the credit until it is reopened: then nobody is left to carry it.
  EXPECT_EQ(Get("t2").assignee_id(), "anna");
  Reopen("t2");
  EXPECT_THAT(Releases(), ElementsAre("t1 anna: staff_inactive", "t2 anna: staff_inactive"));
  EXPECT_TRUE(Get("t2").has_waiting_since());
  EXPECT_EQ(Get("t3").assignee_id(), "bob");
}

TEST_F(Triage, GivesBackThousandsOfTicketsAPageAtATime) {
  constexpr int kTickets = 250;
  for (int i = 0; i < kTickets; ++i) {
    Open("t" + std::to_string(i));
    ASSERT_TRUE(Accept("t" + std::to_string(i), "anna").ok());
  }
  Leave(R"(staff_id: "anna" queues: "desk")");
  // Killed in the middle, it goes on where it was.
  harness_.Restart();
  harness_.Advance(absl::Seconds(10));
  EXPECT_THAT(Releases(), SizeIs(kTickets));
  EXPECT_EQ(Staff("anna").load().tickets(), 0);
  EXPECT_EQ(harness_.Number("SELECT count(*) FROM timers"), 0);
}

TEST_F(Triage, GivesBackTheTicketsOfWhoIsAwayForLongerThanThePolicyAllows) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  Available("anna", false);
  harness_.Advance(absl::Hours(23));
  Available("anna", true);
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(Releases(), IsEmpty());
  Available("anna", false);
  harness_.Advance(absl::Hours(23));
  // A ticket that is given to her meanwhile has the same time.
  Open("t2");
  ASSERT_TRUE(Accept("t2", "anna").ok());
  harness_.Advance(absl::Hours(1) + absl::Seconds(5));
  EXPECT_THAT(Releases(), ElementsAre("t1 anna: staff_unavailable", "t2 anna: staff_unavailable"));
  Open("t3");
  ASSERT_TRUE(Accept("t3", "anna").ok());
  harness_.Advance(absl::Hours(24) + absl::Seconds(5));
  EXPECT_EQ(Releases().back(), "t3 anna: staff_unavailable");
}

TEST_F(Triage, GivesBackWhatSomebodyMayNotClaimAnyMore) {
  Open("t1", R"(product: "db")");
  Open("t2");
  Open("t3", R"(language: "de")");
  ASSERT_EQ(Claimed("bob", "databases"), "t1");
  ASSERT_TRUE(Accept("t2", "bob").ok());
  ASSERT_TRUE(Accept("t3", "bob").ok());
  Put(R"(staff_id: "bob" queues: "databases" queues: "desk" capacity: 10)");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Releases(), ElementsAre("t1 bob: skill_lost"));
  Put(R"(staff_id: "bob" queues: "databases" queues: "desk" capacity: 10 languages: "fr")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_EQ(Releases().back(), "t3 bob: language_lost");
  Put(R"(staff_id: "bob" queues: "databases" capacity: 10 languages: "fr")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_EQ(Releases().back(), "t2 bob: queue_left");
  v1::TransferTicketRequest deep;
  deep.set_ticket_id("t2");
  deep.set_queue("databases");
  deep.set_support_level(SUPPORT_LEVEL_L2);
  deep.set_staff_id("lead");
  ASSERT_TRUE(Call<v1::TransferTicketResponse>(std::string(kTriage) + "TransferTicket", deep).ok());
  const std::string bob = R"(staff_id: "bob" queues: "databases" capacity: 10 languages: "fr")";
  Put(bob + " support_level: SUPPORT_LEVEL_L2");
  ASSERT_EQ(Claimed("bob"), "t2");
  Put(bob + " support_level: SUPPORT_LEVEL_L1");
  harness_.Advance(absl::Seconds(5));
  EXPECT_EQ(Releases().back(), "t2 bob: level_lost");
  // A person gave him this one although he never claimed from its queue.
  Open("t4");
  ASSERT_TRUE(Accept("t4", "bob").ok());
  Put(R"(staff_id: "bob" capacity: 10 languages: "fr")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Releases(), SizeIs(4));
}

TEST_F(Triage, LeavesATicketWithItsOwnerThatChangedIntoOneThatSheWouldNotClaim) {
  Put(R"(staff_id: "anna" queues: "desk" queues: "databases" languages: "fr")");
  Open("t1");
  ASSERT_EQ(Claimed("anna", "desk"), "t1");
  Update("t1", R"(language: "de")");
  Put(R"(staff_id: "anna" queues: "desk" languages: "fr")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Releases(), IsEmpty());
  EXPECT_EQ(Get("t1").assignee_id(), "anna");
}

TEST_F(Triage, CountsAnAbsenceFromItsBeginningWhateverIsChangedMeanwhile) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  Available("anna", false);
  harness_.Advance(absl::Hours(12));
  Put(R"(staff_id: "anna" queues: "desk" skills: "sql" capacity: 5)");
  EXPECT_FALSE(Staff("anna").staff().available()) << "nobody said that she is back";
  harness_.Advance(absl::Hours(12) + absl::Seconds(5));
  EXPECT_THAT(Releases(), ElementsAre("t1 anna: staff_unavailable"));
}

TEST_F(Triage, GivesWhoIsAwayTheTimeOfAPolicyThatAllowsMore) {
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  Available("anna", false);
  harness_.Advance(absl::Hours(23));
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             release_unavailable_after { seconds: 172800 })pb");
  harness_.Advance(absl::Hours(24));
  EXPECT_THAT(Releases(), IsEmpty());
  harness_.Advance(absl::Hours(1) + absl::Seconds(5));
  EXPECT_THAT(Releases(), ElementsAre("t1 anna: staff_unavailable"));
}

TEST_F(Triage, HurriesNoEscalationThatOthersAreRungFor) {
  Open("t1", kCritical);
  ASSERT_THAT(Rings(), ElementsAre("1/0: anna bob"));
  harness_.Advance(absl::Minutes(1));
  Leave(R"(staff_id: "anna" queues: "desk")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Rings(), SizeIs(1));
}

TEST_F(Triage, RingsOthersForEachOfHundredsOfEscalationsOfWhoLeft) {
  Put(R"(staff_id: "bob")");
  constexpr int kTickets = 150;
  for (int i = 0; i < kTickets; ++i) Open("t" + std::to_string(i), kCritical);
  ASSERT_THAT(Rings(), SizeIs(kTickets));
  harness_.Advance(absl::Minutes(1));
  Leave(R"(staff_id: "anna" queues: "desk")");
  harness_.Advance(absl::Seconds(10));
  EXPECT_THAT(Rings(), SizeIs(2 * kTickets));
}

TEST_F(Triage, RingsOthersAtOnceWhenAllWhoWereRungHaveLeft) {
  Put(R"(staff_id: "bob")");
  Open("t1", kCritical);
  ASSERT_THAT(Rings(), ElementsAre("1/0: anna"));
  harness_.Advance(absl::Minutes(1));
  Leave(R"(staff_id: "anna" queues: "desk")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "3/0: lead"));
}

TEST_F(Triage, RingsAgainWhenWhoTookResponsibilityHasLeft) {
  Open("t1", kCritical);
  ASSERT_TRUE(Acknowledge("t1", "anna").ok());
  harness_.Advance(absl::Minutes(1));
  Leave(R"(staff_id: "anna" queues: "desk")");
  harness_.Advance(absl::Seconds(5));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "1/0: bob"));
  ASSERT_TRUE(Acknowledge("t1", "bob").ok());
  Available("bob", false);
  harness_.Advance(absl::Minutes(90));
  EXPECT_THAT(Rings(), SizeIs(2));
}

TEST_F(Triage, RingsTheDefaultForAMemberOfTheTeamWhoLeft) {
  account::v1::ListCounterpartsResponse team;
  auto* lead = team.add_team();
  lead->set_role(STAFF_ROLE_SUPPORT_LEAD);
  lead->set_staff_id("gone");
  harness_.peer().Answer(kCounterparts, team);
  Put(R"(staff_id: "gone")");
  Leave(R"(staff_id: "gone")");
  Open("t1", kCritical);
  harness_.Advance(absl::Minutes(11));
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna bob", "3/0: lead"));
}

TEST_F(Triage, AsksForTheTeamAtEachRing) {
  const auto team = [&](const std::string& staff_id) {
    Put("staff_id: \"" + staff_id + "\"");
    account::v1::ListCounterpartsResponse told;
    told.add_team()->set_role(STAFF_ROLE_ACCOUNT_EXECUTIVE);
    told.mutable_team(0)->set_staff_id(staff_id);
    harness_.peer().Answer(kCounterparts, told);
  };
  team("eve");
  Open("t1", kCritical);
  team("frank");
  harness_.Advance(absl::Minutes(11));
  EXPECT_EQ(Rings().back(), "2/0: frank");
  // Out of reach, it is as it was last.
  harness_.peer().Down(kCounterparts);
  ASSERT_TRUE(Acknowledge("t1", "frank").ok());
  harness_.Advance(absl::Hours(2) + absl::Minutes(1));
  EXPECT_EQ(Rings().back(), "2/0: frank");
  EXPECT_FALSE(EscalationOf("t1").by_defaults());
}

TEST_F(Triage, RingsWhoIsGivenATicketThatRingsForItsOwner) {
  Apply(R"pb(queues { name: "desk" }
             queues { name: "databases" }
             escalations {
               name: "all"
               levels {
                 targets { assignee: true }
                 acknowledge_within { seconds: 600 }
               }
             })pb");
  Open("t1");
  ASSERT_TRUE(Accept("t1", "anna").ok());
  ASSERT_TRUE(Escalate("t1").ok());
  harness_.Advance(absl::Minutes(1));
  v1::ReassignTicketRequest request;
  request.set_ticket_id("t1");
  request.set_staff_id("bob");
  request.set_by_staff_id("lead");
  ASSERT_TRUE(
      Call<v1::ReassignTicketResponse>(std::string(kTriage) + "ReassignTicket", request).ok());
  EXPECT_THAT(Rings(), ElementsAre("1/0: anna", "1/0: bob"));
  // Given on in the same instant: each ring has one of its own.
  request.set_staff_id("anna");
  ASSERT_TRUE(
      Call<v1::ReassignTicketResponse>(std::string(kTriage) + "ReassignTicket", request).ok());
  const auto rings = EscalationOf("t1").rings();
  ASSERT_THAT(rings, SizeIs(3));
  EXPECT_EQ(time::Instant(rings[2].rung_at()),
            time::Instant(rings[1].rung_at()) + absl::Microseconds(1));
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
