// The service whole: events and calls in, answers, events and timers out.
#include "services/account_health/service.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/account_health/holds.h"
#include "services/account_health/policy.h"
#include "services/account_health/records.h"
#include "services/account_health/requesters.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/health_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/account/v1/policy_service.pb.h"
#include "tandem/events/v1/account.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::account_health {
namespace {

namespace av = account::v1;
namespace ev = events::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using testing::HarnessOptions;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::ServiceHarness;
using ::testing::SizeIs;

constexpr auto kRenewal = type::v1::OUTREACH_TOPIC_RENEWAL;
constexpr auto kTraining = type::v1::OUTREACH_TOPIC_TRAINING;
constexpr auto kSurvey = type::v1::OUTREACH_TOPIC_SURVEY_TICKET;
constexpr auto kUpsell = type::v1::OUTREACH_TOPIC_UPSELL;
constexpr char kGetStaff[] = "tandem.triage.v1.StaffService/GetStaff";
constexpr char kListTickets[] = "tandem.intake.v1.TicketService/ListTickets";

// Health by support alone, so that a few facts already give a number.
av::AccountPolicy SupportAlone() {
  av::AccountPolicy policy = DefaultPolicy();
  auto* groups = policy.mutable_health()->mutable_profiles(0)->mutable_groups();
  groups->DeleteSubrange(1, groups->size() - 1);
  return policy;
}

// Months pass in these tests: nobody looks at gauges, and what is old is pruned seldom.
HarnessOptions Quiet() {
  HarnessOptions options;
  options.runtime.sample_every = absl::ZeroDuration();
  options.runtime.prune_every = absl::Hours(24);
  return options;
}

// An account "acme" with contacts anna and bert, and an intake that has no open ticket.
// What is counted and held is what the open issues say, counted anew.
void ExpectHoldsAsIssuesSay(ServiceHarness& harness, const av::OutreachPolicy& policy) {
  const auto read = [&](std::string sql, auto parse) {
    const absl::Status status =
        harness.store().reader().Query({std::move(sql), {}}, [&](const store::RowView& row) {
          parse(std::string(row.Text(0)), std::string(row.Text(1)));
        });
    EXPECT_TRUE(status.ok()) << status;
  };
  std::map<std::string, std::map<std::string, records::HeldScope>> counted;  // account, contact
  std::map<std::string, int64_t> open;
  read("SELECT key, body FROM issues", [&](const std::string& key, const std::string& body) {
    records::Issue issue;
    ASSERT_TRUE(issue.ParseFromString(body));
    const std::string account_id = key.substr(0, key.find('/'));
    ++open[account_id];
    const HeldBy held = TopicsHeldBy(issue, policy);
    Count(counted[account_id][""], held.account, 1);
    for (const std::string& contact_id : ContactsOf(issue)) {
      if (held.contact != 0) Count(counted[account_id][contact_id], held.contact, 1);
    }
  });
  size_t scopes = 0;
  read("SELECT key, body FROM contact_holds", [&](const std::string& key, const std::string& body) {
    records::ContactHoldRecord record;
    ASSERT_TRUE(record.ParseFromString(body));
    const records::HeldScope& expected = counted[key.substr(0, key.find('/'))][record.contact_id()];
    EXPECT_EQ(CountedTopics(record.scope()), CountedTopics(expected)) << key;
    EXPECT_TRUE(IsSettled(record.scope(), false)) << key;
    ++scopes;
  });
  read("SELECT key, body FROM holds", [&](const std::string& key, const std::string& body) {
    records::HoldRecord record;
    ASSERT_TRUE(record.ParseFromString(body));
    EXPECT_EQ(record.open_issues(), open[key]) << key;
    EXPECT_EQ(CountedTopics(record.account()), CountedTopics(counted[key][""])) << key;
    EXPECT_TRUE(IsSettled(record.account(), !record.parked().empty())) << key;
    EXPECT_EQ(record.held_contacts(), static_cast<int64_t>(counted[key].size()) - 1) << key;
    scopes -= static_cast<size_t>(record.held_contacts());
  });
  EXPECT_EQ(scopes, 0u);
}

class AccountHealth : public ::testing::Test {
 protected:
  explicit AccountHealth(av::AccountPolicy policy = SupportAlone())
      : harness_([policy] { return Make({.built_in_policy = policy}); }, Quiet()) {
    // Triage knows everybody but a stranger; "gone" has left.
    harness_.peer().On<triage::v1::GetStaffRequest, triage::v1::GetStaffResponse>(
        kGetStaff,
        [](const triage::v1::GetStaffRequest& request)
            -> absl::StatusOr<triage::v1::GetStaffResponse> {
          if (request.staff_id() == "stranger") return absl::NotFoundError("unknown");
          triage::v1::GetStaffResponse answer;
          answer.mutable_staff()->set_staff_id(request.staff_id());
          answer.mutable_staff()->set_active(request.staff_id() != "gone");
          answer.mutable_staff()->add_roles(type::v1::STAFF_ROLE_CSM);
          return answer;
        });
    PutAccount("acme", {"acme.com"});
    PutContact("acme", "anna", "anna@acme.com");
    PutContact("acme", "bert", "bert@acme.com");
    SetOpenTickets({});
  }

  template <typename Reply, typename Request>
  Reply Must(const std::string& method, Request request) {
    absl::StatusOr<Reply> reply = Try<Reply>(method, std::move(request));
    EXPECT_TRUE(reply.ok()) << method << ": " << reply.status();
    return reply.ok() ? *reply : Reply();
  }
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Try(const std::string& method, Request request) {
    if constexpr (requires { request.set_request_id(""); }) {
      if (request.request_id().empty()) request.set_request_id(absl::StrCat("r", ++requests_));
    }
    return harness_.Call<Reply>("tandem.account.v1." + method, request);
  }

  void PutAccount(const std::string& id, const std::vector<std::string>& domains,
                  type::v1::JourneyStage stage = type::v1::JOURNEY_STAGE_LOYALTY) {
    av::PutAccountRequest request;
    request.mutable_account()->set_account_id(id);
    request.mutable_account()->set_stage(stage);
    request.mutable_account()->set_segment(type::v1::SEGMENT_MID);
    for (const std::string& domain : domains) request.mutable_account()->add_domains(domain);
    Must<av::PutAccountResponse>("AccountService/PutAccount", request);
  }
  void PutContact(const std::string& account, const std::string& id, const std::string& address,
                  std::vector<type::v1::OutreachTopic> opted_out = {}) {
    av::PutContactRequest request;
    request.mutable_contact()->set_account_id(account);
    request.mutable_contact()->set_contact_id(id);
    request.mutable_contact()->add_addresses(address);
    request.mutable_contact()->set_level(type::v1::CONTACT_LEVEL_MEMBER);
    for (const auto topic : opted_out) request.mutable_contact()->add_opted_out(topic);
    Must<av::PutContactResponse>("AccountService/PutContact", request);
  }

  // What intake answers from now on: (ticket, requester).
  void SetOpenTickets(const std::vector<std::pair<std::string, std::string>>& tickets) {
    intake::v1::ListTicketsResponse answer;
    for (const auto& [id, contact] : tickets) {
      intake::v1::Ticket& ticket = *answer.add_tickets();
      ticket.set_ticket_id(id);
      ticket.set_contact_id(contact);
      ticket.set_account_id("acme");
      ticket.set_state(type::v1::TICKET_STATE_OPEN);
    }
    harness_.peer().Answer(kListTickets, answer);
  }

  // ---- events of a ticket; `key` is its bus key
  void Opened(const std::string& ticket, const std::string& contact = "anna",
              const std::string& account = "acme", std::string key = "", bool internal = false) {
    ev::TicketOpened event;
    event.set_ticket_id(ticket);
    event.set_account_id(account);
    event.set_contact_id(account.empty() ? "" : contact);
    event.set_internal(internal);
    if (key.empty()) key = account.empty() ? ticket : account;
    keys_[ticket] = key;
    harness_.Deliver("ticket_intake", ticket, key, event);
  }
  void Triaged(const std::string& ticket, type::v1::Severity severity) {
    ev::TicketTriaged event;
    event.set_ticket_id(ticket);
    event.set_severity(severity);
    harness_.Deliver("triage", ticket, keys_[ticket], event);
  }
  void Resolved(const std::string& ticket) {
    ev::TicketResolved event;
    event.set_ticket_id(ticket);
    harness_.Deliver("ticket_intake", ticket, keys_[ticket], event);
  }
  void Reopened(const std::string& ticket) {
    ev::TicketReopened event;
    event.set_ticket_id(ticket);
    harness_.Deliver("ticket_intake", ticket, keys_[ticket], event);
  }
  void Breached(const std::string& ticket, type::v1::SlaMetric metric, int cycle = 1) {
    ev::SlaBreached event;
    event.mutable_clock()->set_ticket_id(ticket);
    event.mutable_clock()->set_metric(metric);
    event.mutable_clock()->set_cycle(cycle);
    *event.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("sla_timer", ticket, keys_[ticket], event);
  }
  void Attributed(const std::string& ticket, const std::string& account,
                  const std::string& contact) {
    ev::TicketRequesterResolved event;
    event.set_ticket_id(ticket);
    event.set_account_id(account);
    event.set_contact_id(contact);
    harness_.Deliver("ticket_intake", ticket, keys_[ticket], event);
  }
  void StaffIs(const std::string& staff, type::v1::StaffRole role, bool active = true) {
    ev::StaffChanged event;
    event.set_staff_id(staff);
    event.set_version(++staff_versions_[staff]);
    event.add_roles(role);
    event.set_active(active);
    harness_.Deliver("triage", staff, staff, event);
  }
  void Updated(const std::string& ticket, bool internal, bool suspected_spam) {
    ev::TicketUpdated event;
    event.set_ticket_id(ticket);
    event.set_account_id("acme");
    event.set_contact_id("anna");
    event.set_internal(internal);
    event.set_suspected_spam(suspected_spam);
    harness_.Deliver("ticket_intake", ticket, keys_[ticket], event);
  }
  void Closed(const std::string& ticket, type::v1::CloseReason reason) {
    ev::TicketClosed event;
    event.set_ticket_id(ticket);
    event.set_reason(reason);
    harness_.Deliver("ticket_intake", ticket, keys_[ticket], event);
  }
  // Changes the fields of a contact that are set.
  av::PutContactResponse ChangeContact(const std::string& id, av::Contact values,
                                       const std::vector<std::string>& mask = {},
                                       const std::string& account = "acme") {
    av::PutContactRequest request;
    *request.mutable_contact() = std::move(values);
    request.mutable_contact()->set_contact_id(id);
    request.mutable_contact()->set_account_id(account);
    for (const std::string& path : mask) request.mutable_update_mask()->add_paths(path);
    return Must<av::PutContactResponse>("AccountService/PutContact", request);
  }
  void OptOut(const std::string& contact, type::v1::OutreachTopic topic) {
    av::Contact values;
    values.add_opted_out(topic);
    ChangeContact(contact, values);
  }
  av::Contact ContactOf(const std::string& id) {
    av::GetContactRequest request;
    request.set_contact_id(id);
    return Must<av::GetContactResponse>("AccountService/GetContact", request).contact();
  }
  av::ResolveRequesterResponse Resolve(const std::string& address, const std::string& ticket = "") {
    av::ResolveRequesterRequest request;
    request.set_address(address);
    request.set_ticket_id(ticket);
    return Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", request);
  }
  std::vector<std::string> Unresolved() {
    av::ListUnresolvedRequestersRequest list;
    list.set_page_size(500);
    std::vector<std::string> addresses;
    const auto open =
        Must<av::ListUnresolvedRequestersResponse>("AccountService/ListUnresolvedRequesters", list);
    for (const auto& one : open.requesters()) addresses.push_back(one.address());
    return addresses;
  }
  av::Clearance ClearanceOf(const std::string& id) {
    av::GetClearanceRequest request;
    request.set_clearance_id(id);
    return Must<av::GetClearanceResponse>("OutreachService/GetClearance", request).clearance();
  }
  absl::StatusOr<av::ReleaseClearanceResponse> TryRelease(const std::string& id,
                                                          const std::string& staff = "csm") {
    av::ReleaseClearanceRequest request;
    request.set_clearance_id(id);
    request.set_staff_id(staff);
    return Try<av::ReleaseClearanceResponse>("OutreachService/ReleaseClearance", request);
  }

  // An event whose body nobody can read, and what an operator does about it.
  void Park(const std::string& subject, const std::string& key,
            const std::string& source = "ticket_intake",
            const std::string& type = "tandem.events.v1.TicketUpdated") {
    harness_.DeliverBroken(source, subject, key, type);
  }
  // How many letters of its subject are left.
  int64_t DropOldestLetter() {
    absl::StatusOr<int64_t> left = -1;
    harness_.runtime().Drop(harness_.Number("SELECT MIN(id) FROM dead_letters"),
                            [&](absl::StatusOr<int64_t> l) { left = std::move(l); });
    harness_.Settle();
    EXPECT_TRUE(left.ok()) << left.status();
    return left.value_or(-1);
  }
  int64_t HoldVersion() {
    records::HoldRecord holds;
    const absl::Status status = harness_.store().reader().Query(
        {"SELECT body FROM holds WHERE key='acme'", {}}, [&](const store::RowView& row) {
          EXPECT_TRUE(holds.ParseFromString(std::string(row.Text(0))));
        });
    EXPECT_TRUE(status.ok()) << status;
    return holds.hold_version();
  }
  int64_t Retry(const std::string& subject) {
    absl::StatusOr<lane::RetryResult> retried = lane::RetryResult();
    harness_.runtime().Retry(subject,
                             [&](absl::StatusOr<lane::RetryResult> r) { retried = std::move(r); });
    harness_.Settle();
    EXPECT_TRUE(retried.ok()) << retried.status();
    return retried.ok() ? static_cast<int64_t>(retried->remaining) : -1;
  }

  // ---- calls
  absl::StatusOr<av::GrantOutreachExceptionResponse> TryGrant(
      type::v1::OutreachTopic topic, absl::Duration stands = absl::Hours(1)) {
    av::GrantOutreachExceptionRequest request;
    request.set_account_id("acme");
    request.set_topic(topic);
    request.set_reason("agreed with the customer");
    *request.mutable_until() = time::Stamp(harness_.Now() + stands);
    request.set_staff_id("lead");
    return Try<av::GrantOutreachExceptionResponse>("OutreachService/GrantOutreachException",
                                                   request);
  }
  void Grant(type::v1::OutreachTopic topic, absl::Duration stands = absl::Hours(1)) {
    const auto granted = TryGrant(topic, stands);
    EXPECT_TRUE(granted.ok()) << granted.status();
  }
  static av::CheckOutreachRequest CheckOf(type::v1::OutreachTopic topic,
                                          const std::string& contact = "anna",
                                          const std::string& staff = "csm") {
    av::CheckOutreachRequest request;
    request.set_account_id("acme");
    request.set_contact_id(contact);
    request.set_topic(topic);
    request.set_staff_id(staff);
    return request;
  }
  av::CheckOutreachResponse Check(const av::CheckOutreachRequest& request) {
    return Must<av::CheckOutreachResponse>("OutreachService/CheckOutreach", request);
  }
  av::CheckOutreachResponse Check(type::v1::OutreachTopic topic,
                                  const std::string& contact = "anna",
                                  const std::string& staff = "csm") {
    return Check(CheckOf(topic, contact, staff));
  }
  av::RecordTouchResponse Touch(type::v1::OutreachTopic topic, const std::string& contact = "anna",
                                absl::Time at = absl::InfiniteFuture(), bool inbound = false) {
    av::RecordTouchRequest request;
    request.set_account_id("acme");
    request.set_contact_id(contact);
    request.set_topic(topic);
    request.set_staff_id("csm");
    request.set_minutes(10);
    request.set_inbound(inbound);
    if (at < absl::InfiniteFuture()) *request.mutable_occurred_at() = time::Stamp(at);
    return Must<av::RecordTouchResponse>("OutreachService/RecordTouch", request);
  }
  av::GetHealthResponse Health(const std::string& account = "acme") {
    av::GetHealthRequest request;
    request.set_account_id(account);
    return Must<av::GetHealthResponse>("HealthService/GetHealth", request);
  }
  std::vector<av::HealthMove> Moves() {
    av::ExplainHealthRequest request;
    request.set_account_id("acme");
    const auto reply = Must<av::ExplainHealthResponse>("HealthService/ExplainHealth", request);
    return {reply.moves().begin(), reply.moves().end()};
  }
  std::vector<std::string> TimelineTypes(const std::string& account = "acme") {
    av::GetTimelineRequest request;
    request.set_account_id(account);
    request.set_order(av::TIMELINE_ORDER_OLDEST_FIRST);
    request.set_page_size(500);
    std::vector<std::string> types;
    const auto page = Must<av::GetTimelineResponse>("AccountService/GetTimeline", request);
    for (const av::TimelineEntry& entry : page.entries()) {
      types.push_back(entry.type());
    }
    return types;
  }
  std::map<type::v1::OutreachTopic, av::TopicHold> HoldsBetween(absl::Time from, absl::Time to) {
    av::ListHoldsRequest request;
    request.set_account_id("acme");
    *request.mutable_from() = time::Stamp(from);
    *request.mutable_to() = time::Stamp(to);
    std::map<type::v1::OutreachTopic, av::TopicHold> holds;
    const auto answer = Must<av::ListHoldsResponse>("OutreachService/ListHolds", request);
    for (const av::TopicHold& hold : answer.holds()) {
      holds[hold.topic()] = hold;
    }
    return holds;
  }

  // Changes a stored record behind the service's back.
  template <typename Record, typename Change>
  void Falsify(const std::string& table, const std::string& key, Record record, Change change) {
    int64_t version = 0;
    const absl::Status status = harness_.store().reader().Query(
        {absl::StrCat("SELECT version, body FROM ", table, " WHERE key=$1"), {key}},
        [&](const store::RowView& row) {
          version = row.Int(0);
          EXPECT_TRUE(record.ParseFromString(std::string(row.Text(1))));
        });
    EXPECT_TRUE(status.ok()) << status;
    change(record);
    const store::CommitResult result = harness_.store().Commit(
        {{table,
          key,
          {absl::StrCat("UPDATE ", table, " SET version=$2, body=$3 WHERE key=$1"),
           {key, version + 1, store::Blob{record.SerializeAsString()}}}}});
    EXPECT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  }
  // A row as a former version stored it, and a timer.
  static store::Write Row(const char* table, const std::string& columns, const std::string& values,
                          const std::string& key, const google::protobuf::Message& body) {
    return {table,
            key,
            {absl::StrCat("INSERT INTO ", table, " (key, version, body", columns,
                          ") VALUES ($1, 1, $2", values, ")"),
             {store::Value(key), store::Value(store::Blob{body.SerializeAsString()})}},
            store::Expect::kOneRow};
  }
  static store::Write TimerRow(const std::string& kind, const std::string& key,
                               const google::protobuf::Message& payload) {
    return {"timers",
            kind,
            {"INSERT INTO timers (id, due, kind, key, bound, payload, traceparent) VALUES "
             "($1, 0, $1, $2, -1, $3, '')",
             {store::Value(kind), store::Value(key),
              store::Value(store::Blob{payload.SerializeAsString()})}},
            store::Expect::kOneRow};
  }

  int64_t PendingTimers() {
    int64_t timers = -1;
    harness_.runtime().Sample([&](absl::StatusOr<runtime::ServiceSample> sample) {
      if (sample.ok()) timers = sample->timers;
    });
    harness_.Settle();
    return timers;
  }

  ServiceHarness harness_;
  std::map<std::string, std::string> keys_;
  std::map<std::string, int> staff_versions_;
  int requests_ = 0;
};

std::vector<std::string> Rules(const av::CheckOutreachResponse& answer) {
  std::vector<std::string> rules;
  for (const av::OutreachBlock& block : answer.blocks()) rules.push_back(block.rule());
  return rules;
}

// A line of Prometheus's text format; labels in the order of their names.
std::string Series(const std::string& name, int value,
                   std::map<std::string, std::string> labels = {}) {
  labels["service"] = "account_health";
  std::vector<std::string> pairs;
  for (const auto& [label, word] : labels) {
    pairs.push_back(absl::StrCat(label, "=\"", word, "\""));
  }
  return absl::StrCat(name, "{", absl::StrJoin(pairs, ","), "} ", value, "\n");
}

// ---- clearance

TEST_F(AccountHealth, HoldsOutreachWhileABlockingTicketIsOpenAndAllowsItAfterwards) {
  Opened("t1");
  SetOpenTickets({{"t1", "anna"}});
  const auto untriaged = Check(kRenewal, "bert");
  EXPECT_EQ(untriaged.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_THAT(Rules(untriaged), ElementsAre("untriaged_ticket"));
  EXPECT_EQ(untriaged.blocks(0).subject_id(), "t1");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  EXPECT_THAT(Rules(Check(kRenewal, "bert")), ElementsAre("urgent_ticket"));

  Resolved("t1");
  SetOpenTickets({});
  const auto allowed = Check(kRenewal, "bert");
  EXPECT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(allowed.units(), 2);
  EXPECT_EQ(time::Instant(allowed.expires_at()) - time::Instant(allowed.as_of()), absl::Hours(4));
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), SizeIs(1));
}

TEST_F(AccountHealth, AsksIntakeWhichTicketsAreOpenNotItsOwnView) {
  // Intake acknowledged a ticket whose event is still under way: it is not classified, so it
  // blocks.
  SetOpenTickets({{"t9", "anna"}});
  EXPECT_THAT(Rules(Check(kRenewal, "bert")), ElementsAre("untriaged_ticket"));
  // Intake resolved a ticket whose event is still under way: it does not block.
  Opened("t1");
  SetOpenTickets({});
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, RevokesAStandingClearanceInTheCommitThatConsumesABlockingTicket) {
  av::PutAccountTeamRequest team;
  team.set_account_id("acme");
  auto& member = *team.add_members();
  member.set_role(type::v1::STAFF_ROLE_CSM);
  member.set_staff_id("csm-7");
  Must<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", team);
  const auto allowed = Check(kRenewal);
  ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  harness_.Advance(absl::Minutes(1));
  Opened("t1", "bert");
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].clearance_id(), allowed.clearance_id());
  EXPECT_EQ(revoked[0].staff_id(), "csm");
  EXPECT_EQ(revoked[0].csm_staff_id(), "csm-7");
  EXPECT_EQ(revoked[0].ticket_id(), "t1");
  harness_.DeliverAgain();
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), SizeIs(1))
      << "a duplicate changes nothing";
}

TEST_F(AccountHealth, KeepsAClearanceWhoseAnswerHadSeenTheTicket) {
  const absl::Time before = harness_.Now();
  harness_.Advance(absl::Seconds(6));
  ASSERT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
  ev::TicketOpened late;
  late.set_ticket_id("t1");
  late.set_account_id("acme");
  late.set_contact_id("anna");
  // Opened six seconds before intake was asked, resolved before that, consumed only now.
  harness_.Deliver("ticket_intake", "t1", "acme", late, before);
  keys_["t1"] = "acme";
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), IsEmpty());
  Reopened("t1");
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), SizeIs(1))
      << "a reopening always revokes";
}

TEST_F(AccountHealth, AsksAgainWhenTheHoldVersionChangedBetweenAskAndCommit) {
  av::ResolveRequesterRequest resolve;
  resolve.set_address("zoe@gmail.com");
  const auto unknown =
      Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", resolve);
  const auto assign = std::make_shared<av::AssignRequesterRequest>();
  assign->set_request_id("assign");
  assign->set_requester_id(unknown.requester_id());
  assign->set_contact_id("anna");
  // Intake answers that nothing is open, and before that is decided on somebody gives zoe's tickets
  // to the account; asked again, intake knows one.
  harness_.peer().On<intake::v1::ListTicketsRequest, intake::v1::ListTicketsResponse>(
      kListTickets,
      [&](const intake::v1::ListTicketsRequest& request)
          -> absl::StatusOr<intake::v1::ListTicketsResponse> {
        EXPECT_TRUE(request.blocking_only());
        EXPECT_EQ(request.states_size(), 4);
        intake::v1::ListTicketsResponse answer;
        if (harness_.peer().Asked(kListTickets) == 1) {
          corridor::CallContext context;
          context.caller = "tester";
          harness_.runtime().Call(
              context, corridor::FindMethod("tandem.account.v1.AccountService/AssignRequester"),
              assign, [](absl::StatusOr<corridor::MessagePtr> reply) { EXPECT_TRUE(reply.ok()); });
        } else {
          answer.add_tickets()->set_ticket_id("t1");
        }
        return answer;
      });
  const auto answer = Check(kRenewal, "bert");
  EXPECT_EQ(answer.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_EQ(harness_.peer().Asked(kListTickets), 2);
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), IsEmpty());
}

TEST_F(AccountHealth, HoldsWhenIntakeCannotBeAsked) {
  harness_.peer().Down(kListTickets);
  const auto answer = Check(kRenewal);
  EXPECT_EQ(answer.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_THAT(Rules(answer), ElementsAre("intake_unreachable"));
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW) << "no ticket can hold it";
  EXPECT_EQ(Check(type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP).verdict(),
            av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, ReadsEveryPageOfIntakesAnswer) {
  harness_.peer().On<intake::v1::ListTicketsRequest, intake::v1::ListTicketsResponse>(
      kListTickets,
      [](const intake::v1::ListTicketsRequest& request)
          -> absl::StatusOr<intake::v1::ListTicketsResponse> {
        intake::v1::ListTicketsResponse answer;
        if (request.page_token().empty()) {
          answer.set_next_page_token("more");
        } else {
          answer.add_tickets()->set_ticket_id("t2");
        }
        return answer;
      });
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_HOLD);
}

TEST_F(AccountHealth, IsAsOldAsTheOldestPageOfIntakesAnswer) {
  harness_.peer().On<intake::v1::ListTicketsRequest, intake::v1::ListTicketsResponse>(
      kListTickets,
      [](const intake::v1::ListTicketsRequest& request)
          -> absl::StatusOr<intake::v1::ListTicketsResponse> {
        intake::v1::ListTicketsResponse answer;
        if (request.page_token().empty()) answer.set_next_page_token("more");
        return answer;
      });
  harness_.peer().Hold(kListTickets);
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("slow");
  const absl::Time asked = harness_.Now();
  const auto pending = harness_.Begin<av::CheckOutreachResponse>(
      "tandem.account.v1.OutreachService/CheckOutreach", request);
  for (int page = 0; page < 2; ++page) {
    EXPECT_FALSE(pending->has_value());
    harness_.Advance(absl::Milliseconds(300));
    harness_.peer().Release();
    harness_.Settle();
  }
  ASSERT_TRUE(pending->has_value() && (*pending)->ok());
  EXPECT_EQ(time::Instant((**pending)->as_of()), asked);
}

TEST_F(AccountHealth, HoldsForTheRequesterOfANormalTicketAlone) {
  Opened("t1", "anna");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  SetOpenTickets({{"t1", "anna"}});
  EXPECT_THAT(Rules(Check(kRenewal, "anna")), ElementsAre("normal_ticket_requester"));
  const auto bert = Check(kRenewal, "bert");
  EXPECT_EQ(bert.verdict(), av::OUTREACH_VERDICT_ALLOW);
  ASSERT_THAT(bert.advice(), SizeIs(1));
  EXPECT_EQ(bert.advice(0).subject_id(), "t1");
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), SizeIs(1));
  EXPECT_THAT(Rules(Check(kRenewal, "bert")), Contains("normal_ticket_breached"));
}

TEST_F(AccountHealth, IsNotHeldByAnInternalTicket) {
  Opened("t1", "anna", "acme", "", true);
  EXPECT_THAT(harness_.Published<ev::OutreachHeld>(), IsEmpty());
  EXPECT_EQ(Health().score(), 10000);
}

TEST_F(AccountHealth, HoldsWhileTheFollowUpOfABadSurveyIsOpen) {
  ev::SurveyFollowUpRequested requested;
  requested.mutable_survey()->set_survey_id("s1");
  requested.mutable_survey()->set_account_id("acme");
  requested.mutable_survey()->set_contact_id("anna");
  requested.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
  requested.set_follow_up_id("f1");
  requested.set_score(1);
  harness_.Deliver("survey", "s1", "acme", requested);
  const auto held = Check(kRenewal, "bert");
  EXPECT_THAT(Rules(held), ElementsAre("bad_survey"));
  EXPECT_EQ(held.blocks(0).subject_id(), "f1");
  ev::SurveyFollowUpClosed closed;
  *closed.mutable_survey() = requested.survey();
  closed.set_follow_up_id("f1");
  harness_.Deliver("survey", "s1", "acme", closed);
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, RespectsAnOptOut) {
  PutContact("acme", "carl", "carl@acme.com", {kRenewal});
  EXPECT_THAT(Rules(Check(kRenewal, "carl")), ElementsAre("opt_out"));
  EXPECT_THAT(Rules(Check(kRenewal, "")), ElementsAre("opt_out")) << "carl is one of all";
  EXPECT_EQ(Check(kTraining, "carl").verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, RemembersAClearanceByItsRequest) {
  av::CheckOutreachRequest request;
  request.set_request_id("once");
  request.set_account_id("acme");
  request.set_contact_id("anna");
  request.set_topic(kRenewal);
  const auto first = Must<av::CheckOutreachResponse>("OutreachService/CheckOutreach", request);
  harness_.Restart();
  const auto again = Must<av::CheckOutreachResponse>("OutreachService/CheckOutreach", request);
  EXPECT_EQ(first.clearance_id(), again.clearance_id());
  av::ListClearancesRequest list;
  list.set_account_id("acme");
  const auto all = Must<av::ListClearancesResponse>("OutreachService/ListClearances", list);
  EXPECT_THAT(all.clearances(), SizeIs(1));
}

// ---- held and cleared

TEST_F(AccountHealth, TellsOnceThatTopicsBecameHeldAndCleared) {
  const absl::Time from = harness_.Now();
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  Opened("t2");
  Triaged("t2", type::v1::SEVERITY_CRITICAL);
  harness_.Advance(absl::Hours(3));
  Resolved("t1");
  harness_.Advance(absl::Hours(1));
  Resolved("t2");
  const auto held = harness_.Published<ev::OutreachHeld>();
  ASSERT_THAT(held, SizeIs(1));
  EXPECT_THAT(held[0].topics(), SizeIs(6));
  EXPECT_THAT(held[0].rules(), ElementsAre("untriaged_ticket"));
  const auto cleared = harness_.Published<ev::OutreachCleared>();
  ASSERT_THAT(cleared, SizeIs(1));
  EXPECT_EQ(time::MicrosOf(cleared[0].held_since()), time::ToMicros(from));
  harness_.Advance(absl::Hours(5));
  const auto holds = HoldsBetween(from, harness_.Now());
  ASSERT_TRUE(holds.contains(kRenewal));
  EXPECT_EQ(time::Span(holds.at(kRenewal).account_held()), absl::Hours(4));
  EXPECT_FALSE(holds.at(kRenewal).is_held());
  EXPECT_FALSE(holds.contains(kTraining));
}

TEST_F(AccountHealth, FollowsATicketThatMovesToAnotherAccount) {
  const absl::Time from = harness_.Now();
  PutAccount("beta", {});
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Hours(2));
  ev::TicketUpdated moved;
  moved.set_ticket_id("t1");
  moved.set_account_id("beta");
  moved.set_previous_account_id("acme");
  moved.set_contact_id("bea");
  harness_.Deliver("ticket_intake", "t1", "acme", moved);
  EXPECT_EQ(Health("acme").score(), 10000);
  EXPECT_LT(Health("beta").score(), 10000);
  harness_.Advance(absl::Hours(2));
  const auto holds = HoldsBetween(from, harness_.Now());
  EXPECT_EQ(time::Span(holds.at(kRenewal).account_held()), absl::Hours(2))
      << "the hours before the move stay with acme";
  EXPECT_FALSE(holds.at(kRenewal).is_held());
  EXPECT_THAT(TimelineTypes("acme"), Contains("TicketUpdated"));
  EXPECT_THAT(TimelineTypes("beta"), Contains("TicketUpdated"));
}

// ---- parked events

TEST_F(AccountHealth, HoldsEveryTopicOfAnAccountWhoseEventsAreParkedUntilTheyAreDrained) {
  const absl::Time from = harness_.Now();
  Park("t1", "acme");
  for (const auto topic : {kRenewal, kTraining, kSurvey}) {
    for (const char* contact : {"", "anna"}) {
      const auto held = Check(topic, contact);
      EXPECT_EQ(held.verdict(), av::OUTREACH_VERDICT_HOLD);
      ASSERT_THAT(Rules(held), ElementsAre("account_parked"));
      EXPECT_EQ(held.blocks(0).subject_id(), "t1");
      EXPECT_EQ(held.policy().rule(), "account_parked");
    }
  }
  EXPECT_EQ(Check(type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP).verdict(),
            av::OUTREACH_VERDICT_ALLOW)
      << "it is never held";
  const auto told = harness_.Published<ev::OutreachHeld>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].topics(), SizeIs(9));
  EXPECT_THAT(told[0].rules(), ElementsAre("account_parked"));
  EXPECT_EQ(told[0].contact_id(), "");

  harness_.Advance(absl::Hours(2));
  EXPECT_TRUE(HoldsBetween(from, harness_.Now()).at(kTraining).is_held());
  EXPECT_EQ(DropOldestLetter(), 0);
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  const auto cleared = harness_.Published<ev::OutreachCleared>();
  ASSERT_THAT(cleared, SizeIs(1));
  EXPECT_THAT(cleared[0].topics(), SizeIs(9));
  EXPECT_EQ(time::Instant(cleared[0].held_since()), from);
  const auto holds = HoldsBetween(from, harness_.Now());
  EXPECT_EQ(time::Span(holds.at(kTraining).account_held()), absl::Hours(2));
  EXPECT_FALSE(holds.at(kTraining).is_held());
  EXPECT_EQ(harness_.Number("SELECT COUNT(*) FROM parked"), 0);
}

TEST_F(AccountHealth, IsHeldByParkedEventsAlsoWhileIntakeIsDownAndBesideItsTickets) {
  Opened("t1", "bert");
  SetOpenTickets({{"t1", "bert"}});
  Park("t1", "acme");
  EXPECT_THAT(Rules(Check(kRenewal)), ElementsAre("account_parked", "untriaged_ticket"));
  const auto training = Check(kTraining);
  EXPECT_THAT(Rules(training), ElementsAre("account_parked"));
  ASSERT_THAT(training.advice(), SizeIs(1));
  EXPECT_EQ(training.advice(0).rule(), "untriaged_ticket");
  harness_.peer().Down(kListTickets);
  EXPECT_THAT(Rules(Check(kRenewal)),
              ElementsAre("account_parked", "intake_unreachable", "untriaged_ticket"));
  harness_.Restart();
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("account_parked"));
}

TEST_F(AccountHealth, RevokesWhateverStandsWhenAnEventIsParked) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  Opened("t1", "bert");
  SetOpenTickets({{"t1", "bert"}});
  Grant(kRenewal);
  const auto training = Check(kTraining);
  const auto renewal = Check(kRenewal, "bert");
  ASSERT_EQ(training.verdict(), av::OUTREACH_VERDICT_ALLOW);
  ASSERT_NE(renewal.exception_id(), "");
  const int64_t before = HoldVersion();
  Park("s1", "acme", "survey", "tandem.events.v1.SurveyAnswered");
  EXPECT_EQ(HoldVersion(), before + 1);
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(2));
  EXPECT_EQ(revoked[0].clearance_id(), training.clearance_id());
  EXPECT_EQ(revoked[1].clearance_id(), renewal.clearance_id()) << "no exception weighed this";
  EXPECT_EQ(revoked[0].ticket_id(), "");
  EXPECT_NE(revoked[0].cause_event_id(), "");
  EXPECT_EQ(Touch(kTraining).verdict(), av::TOUCH_VERDICT_VIOLATION);
  const auto still = Check(kRenewal);
  EXPECT_THAT(Rules(still), ElementsAre("account_parked")) << "no exception lets it through";
  av::ProveOutreachRequest prove;
  const auto proof = Must<av::ProveOutreachResponse>("OutreachService/ProveOutreach", prove);
  ASSERT_THAT(proof.touches(), SizeIs(1));
  ASSERT_THAT(proof.touches(0).open_issues(), SizeIs(2));
  EXPECT_EQ(proof.touches(0).open_issues(1).rule(), "account_parked");
  EXPECT_EQ(proof.touches(0).open_issues(1).subject_id(), "s1");
}

TEST_F(AccountHealth, IsLetGoWithTheLastParkedSubject) {
  PutAccount("beta", {});
  Park("t1", "acme");
  Park("t1", "acme");
  Park("t2", "acme");
  EXPECT_THAT(harness_.Published<ev::OutreachHeld>(), SizeIs(1));
  EXPECT_EQ(DropOldestLetter(), 1);
  EXPECT_EQ(DropOldestLetter(), 0);
  const auto held = Check(kTraining);
  ASSERT_THAT(Rules(held), ElementsAre("account_parked"));
  EXPECT_EQ(held.blocks(0).subject_id(), "t2") << "t1 is drained";
  EXPECT_THAT(harness_.Published<ev::OutreachCleared>(), IsEmpty());
  EXPECT_EQ(DropOldestLetter(), 0);
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_THAT(harness_.Published<ev::OutreachCleared>(), SizeIs(1));
}

TEST_F(AccountHealth, IsHeldByATicketThatKeepsAnotherKey) {
  Opened("t1", "", "", "t1");
  Attributed("t1", "acme", "anna");
  Resolved("t1");
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  Park("t1", "t1");
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("account_parked"));
  EXPECT_EQ(DropOldestLetter(), 0);
  EXPECT_EQ(Check(kTraining, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
  // A survey about it stands under the ticket's key.
  Park("s1", "t1", "survey", "tandem.events.v1.SurveyAnswered");
  EXPECT_THAT(Rules(Check(kTraining, "bert")), ElementsAre("account_parked"));
}

TEST_F(AccountHealth, WaitsForTheRestOfATicketThatARetryGaveIt) {
  Park("t1", "t1");
  Opened("t1", "", "", "t1");
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW) << "nothing says acme yet";
  Attributed("t1", "acme", "anna");
  Park("t1", "t1");
  Resolved("t1");
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("account_parked"));
  EXPECT_EQ(DropOldestLetter(), 4);
  EXPECT_EQ(Retry("t1"), 2) << "up to the second broken one";
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("account_parked"));
  EXPECT_EQ(DropOldestLetter(), 1);
  EXPECT_EQ(Retry("t1"), 0);
  EXPECT_EQ(Check(kTraining, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(harness_.Number("SELECT COUNT(*) FROM parked"), 0);
}

// The ticket moves while events of it are parked: what stands for its new account is revoked by the
// commit that consumes the move, not only by the one that drains it.
TEST_F(AccountHealth, IsHeldByATicketWhoseMoveToItIsParked) {
  PutAccount("beta", {});
  PutContact("beta", "carl", "carl@beta.com");
  Opened("t1");
  const auto check = [&](type::v1::OutreachTopic topic) {
    av::CheckOutreachRequest request;
    request.set_account_id("beta");
    request.set_contact_id("carl");
    request.set_topic(topic);
    return Must<av::CheckOutreachResponse>("OutreachService/CheckOutreach", request);
  };
  const auto renewal = check(kRenewal);
  ASSERT_EQ(renewal.verdict(), av::OUTREACH_VERDICT_ALLOW);
  Park("t1", "acme");
  EXPECT_EQ(check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW) << "nothing says beta yet";
  ev::TicketUpdated moved;
  moved.set_ticket_id("t1");
  moved.set_account_id("beta");
  moved.set_previous_account_id("acme");
  moved.set_contact_id("carl");
  const std::string move = harness_.Deliver("ticket_intake", "t1", "acme", moved);
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(2));
  EXPECT_EQ(revoked[0].clearance_id(), renewal.clearance_id());
  EXPECT_EQ(revoked[0].cause_event_id(), move);
  EXPECT_THAT(Rules(check(kTraining)), ElementsAre("account_parked"));
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("account_parked")) << "its old account too";
  EXPECT_EQ(DropOldestLetter(), 1);
  EXPECT_EQ(Retry("t1"), 0);
  EXPECT_EQ(check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(harness_.Number("SELECT COUNT(*) FROM parked"), 0);
}

TEST_F(AccountHealth, TakesNoExceptionFromStaffWhoseEventsAreParked) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  Park("lead", "lead", "triage", "tandem.events.v1.StaffChanged");
  const auto refused = TryGrant(kRenewal);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("dead-letter"));
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW) << "it concerns no account";
  EXPECT_EQ(DropOldestLetter(), 0);
  EXPECT_TRUE(TryGrant(kRenewal).ok());
}

// ---- what operators see

TEST_F(AccountHealth, ShowsOperatorsAccountsByBandAndSegment) {
  PutAccount("gone", {}, type::v1::JOURNEY_STAGE_CHURNED);
  const std::string metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_by_band", 1,
                                        {{"band", "green"}, {"segment", "mid"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_by_band", 1,
                                        {{"band", "none"}, {"segment", "mid"}})));
}

TEST_F(AccountHealth, ShowsOperatorsWhatIsHeld) {
  PutAccount("beta", {});
  Opened("t1", "anna");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  Opened("t2", "bea", "beta");
  std::string metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_held", 1,
                                        {{"scope", "account"}, {"topic", "renewal"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_held", 1,
                                        {{"scope", "contact"}, {"topic", "renewal"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_contacts_held", 1)));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_parked", 0)));
  EXPECT_THAT(metrics, Not(HasSubstr("topic=\"training\"")));
  Park("t3", "acme");
  metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_held", 2,
                                        {{"scope", "account"}, {"topic", "renewal"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_held", 1,
                                        {{"scope", "account"}, {"topic", "training"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_parked", 1)));
  DropOldestLetter();
  Resolved("t1");
  Resolved("t2");
  metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_held", 0,
                                        {{"scope", "account"}, {"topic", "renewal"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_contacts_held", 0)));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_accounts_parked", 0)));
}

TEST_F(AccountHealth, ShowsOperatorsClearancesAndTouches) {
  Check(kRenewal);
  Check(kRenewal, "bert");
  Check(kTraining, "bert");
  Touch(kTraining, "anna");
  Touch(kRenewal, "bert");
  std::string metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_standing", 2, {{"topic", "renewal"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_standing", 1, {{"topic", "training"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_last_hour", 3, {{"outcome", "kept"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_touches_last_hour", 1, {{"verdict", "cleared"}})));
  EXPECT_THAT(metrics,
              HasSubstr(Series("tandem_touches_last_hour", 1, {{"verdict", "violation"}})));
  Opened("t1");
  metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_standing", 0, {{"topic", "renewal"}})));
  EXPECT_THAT(metrics,
              HasSubstr(Series("tandem_clearances_last_hour", 2, {{"outcome", "revoked"}})));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_last_hour", 1, {{"outcome", "kept"}})));
  harness_.Advance(absl::Hours(4));
  metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_standing", 0, {{"topic", "training"}})))
      << "it expired";
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_clearances_last_hour", 0, {{"outcome", "kept"}})));
  EXPECT_THAT(metrics,
              HasSubstr(Series("tandem_touches_last_hour", 0, {{"verdict", "violation"}})));
}

TEST_F(AccountHealth, ShowsOperatorsTheUnresolvedRequesters) {
  EXPECT_THAT(harness_.Metrics(), HasSubstr(Series("tandem_requesters_unresolved", 0)));
  av::ResolveRequesterRequest request;
  request.set_address("zoe@gmail.com");
  Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", request);
  EXPECT_THAT(harness_.Metrics(), HasSubstr(Series("tandem_requesters_unresolved", 1)));
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(harness_.Metrics(),
              HasSubstr(Series("tandem_requester_oldest_unresolved_seconds", 7200)));
  Opened("t1", "", "", "t1");
  EXPECT_THAT(harness_.Metrics(), HasSubstr(Series("tandem_tickets_unattributed", 1)));
  PutContact("acme", "zoe", "zoe@gmail.com");
  Attributed("t1", "acme", "zoe");
  const std::string metrics = harness_.Metrics();
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_requester_oldest_unresolved_seconds", 0)));
  EXPECT_THAT(metrics, HasSubstr(Series("tandem_tickets_unattributed", 0)));
}

TEST_F(AccountHealth, MeasuresByIndexesAndWalksNoTable) {
  for (const auto& measure : Measures()) {
    const bool has_now = absl::StrContains(measure.sql, "$1");
    store::Statement statement{"EXPLAIN QUERY PLAN " + measure.sql, {}};
    if (has_now) statement.params.emplace_back(int64_t{0});
    const absl::Status status =
        harness_.store().reader().Query(statement, [&](const store::RowView& row) {
          const std::string step(row.Text(3));
          for (const char* table : {"health", "holds", "clearances", "touches", "requesters"}) {
            EXPECT_THAT(step, Not(::testing::EndsWith(absl::StrCat(" ", table)))) << measure.name;
            if (!absl::StrContains(step, absl::StrCat(" ", table, " "))) continue;
            EXPECT_THAT(step, HasSubstr("COVERING INDEX")) << measure.name;
            // Over a table that only grows the index is entered at a place.
            if (has_now) {
              EXPECT_THAT(step, ::testing::StartsWith("SEARCH")) << measure.name;
            }
          }
        });
    EXPECT_TRUE(status.ok()) << status;
  }
}

// ---- touches, exceptions, proof

TEST_F(AccountHealth, AnswersAViolationAndProvesIt) {
  const auto allowed = Check(kRenewal);
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_CLEARED);
  harness_.Advance(absl::Minutes(10));
  const absl::Time before = harness_.Now();
  harness_.Advance(absl::Minutes(10));
  Opened("t1", "bert");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  const auto violation = Touch(kRenewal, "bert");
  EXPECT_EQ(violation.verdict(), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(Touch(kRenewal, "anna", before).verdict(), av::TOUCH_VERDICT_CLEARED)
      << "the clearance stood at that instant";
  EXPECT_EQ(Touch(kRenewal, "anna", absl::InfiniteFuture(), true).verdict(),
            av::TOUCH_VERDICT_FREE);

  av::ProveOutreachRequest request;
  request.set_account_id("acme");
  request.set_page_size(2);
  auto proof = Must<av::ProveOutreachResponse>("OutreachService/ProveOutreach", request);
  EXPECT_EQ(proof.totals().touches(), 4);
  EXPECT_EQ(proof.totals().cleared(), 2);
  EXPECT_EQ(proof.totals().violations(), 1);
  EXPECT_EQ(proof.totals().free(), 1);
  EXPECT_EQ(proof.totals().minutes(), 40);
  ASSERT_THAT(proof.touches(), SizeIs(2));
  const av::ProvenTouch& first = proof.touches(0);
  EXPECT_THAT(first.open_issues(), IsEmpty());
  EXPECT_EQ(first.clearance().clearance_id(), allowed.clearance_id());
  EXPECT_THAT(first.touch().sequence(), Gt(first.clearance().given_sequence()));
  EXPECT_THAT(first.clearance().revoked_sequence(), Gt(first.touch().sequence()));
  const av::ProvenTouch& second = proof.touches(1);
  EXPECT_EQ(second.touch().touch_id(), violation.touch_id());
  ASSERT_THAT(second.open_issues(), SizeIs(1));
  EXPECT_EQ(second.open_issues(0).rule(), "critical_ticket");
  EXPECT_THAT(second.touch().sequence(), Gt(second.open_issues(0).known_sequence()));
  request.set_page_token(proof.next_page_token());
  proof = Must<av::ProveOutreachResponse>("OutreachService/ProveOutreach", request);
  EXPECT_THAT(proof.touches(), SizeIs(2));
  EXPECT_EQ(proof.next_page_token(), "");
}

TEST_F(AccountHealth, EndsAClearanceAtItsExpiry) {
  Check(kRenewal);
  harness_.Advance(absl::Hours(4));
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_VIOLATION);
  av::ListClearancesRequest request;
  request.set_account_id("acme");
  const auto all = Must<av::ListClearancesResponse>("OutreachService/ListClearances", request);
  ASSERT_THAT(all.clearances(), SizeIs(1));
  EXPECT_EQ(all.clearances(0).state(), av::CLEARANCE_STATE_EXPIRED);
  request.set_standing_only(true);
  EXPECT_THAT(
      Must<av::ListClearancesResponse>("OutreachService/ListClearances", request).clearances(),
      IsEmpty());
}

TEST_F(AccountHealth, LetsASupportLeadGrantAnException) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  StaffIs("agent", type::v1::STAFF_ROLE_SUPPORT_AGENT);
  Opened("t1", "bert");
  SetOpenTickets({{"t1", "bert"}});
  av::GrantOutreachExceptionRequest request;
  request.set_account_id("acme");
  request.set_topic(kRenewal);
  request.set_reason("agreed with the customer");
  *request.mutable_until() = time::Stamp(harness_.Now() + absl::Hours(1));
  for (const auto& [staff, code] : {std::pair("agent", absl::StatusCode::kPermissionDenied),
                                    std::pair("stranger", absl::StatusCode::kNotFound),
                                    std::pair("gone", absl::StatusCode::kFailedPrecondition)}) {
    request.set_staff_id(staff);
    EXPECT_EQ(
        Try<av::GrantOutreachExceptionResponse>("OutreachService/GrantOutreachException", request)
            .status()
            .code(),
        code)
        << staff;
  }
  request.set_staff_id("lead");
  const auto granted =
      Must<av::GrantOutreachExceptionResponse>("OutreachService/GrantOutreachException", request);
  const auto answer = Check(kRenewal);
  EXPECT_EQ(answer.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(answer.exception_id(), granted.exception_id());
  EXPECT_THAT(answer.advice(), SizeIs(1));
  EXPECT_EQ(Check(type::v1::OUTREACH_TOPIC_UPSELL).verdict(), av::OUTREACH_VERDICT_HOLD);
  Opened("t2", "bert");
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_EXCEPTION)
      << "it does not fall by an issue";
  av::ProveOutreachRequest prove;
  const auto proof = Must<av::ProveOutreachResponse>("OutreachService/ProveOutreach", prove);
  EXPECT_EQ(proof.totals().exceptions(), 1);
  EXPECT_EQ(proof.touches(0).exception_reason(), "agreed with the customer");
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_HOLD);
}

TEST_F(AccountHealth, GrantsAnExceptionForAsLongAsThePolicyAllowsAndNoLonger) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  const absl::Duration limit = absl::Hours(24 * 30);
  EXPECT_TRUE(TryGrant(kRenewal, limit).ok());
  EXPECT_TRUE(TryGrant(kRenewal, absl::Microseconds(1)).ok());
  for (const absl::Duration stands : {limit + absl::Microseconds(1), absl::ZeroDuration()}) {
    const absl::Status refused = TryGrant(kRenewal, stands).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << stands;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("until: ")) << stands;
  }
}

TEST_F(AccountHealth, LetsFiftyExceptionsStandAtATime) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  for (int i = 0; i < 50; ++i) Grant(kRenewal, absl::Minutes(1));
  EXPECT_EQ(TryGrant(kRenewal).status().code(), absl::StatusCode::kFailedPrecondition);
  harness_.Advance(absl::Minutes(1));
  EXPECT_TRUE(TryGrant(kRenewal).ok()) << "the former ones are over";
}

TEST_F(AccountHealth, ClearsNoOptOutAndNoFatigueByAnException) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  SetOpenTickets({{"t1", "anna"}});
  Grant(kRenewal);
  OptOut("anna", kRenewal);
  Check(kTraining, "bert");
  harness_.Advance(absl::Seconds(1));
  for (int i = 0; i < 4; ++i) Touch(kTraining, "bert");
  EXPECT_THAT(Rules(Check(kRenewal, "anna")), ElementsAre("opt_out"));
  EXPECT_THAT(Rules(Check(kRenewal, "bert")), ElementsAre("fatigue"));
}

// Intake knows a ticket whose event has not arrived: what was cleared before it falls with it.
TEST_F(AccountHealth, GivesAClearanceUnderAnExceptionAnewWhereTheFormerOneRestsOnNone) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  const auto plain = Check(kRenewal);
  SetOpenTickets({{"t1", "bert"}});
  Grant(kRenewal);
  const auto excepted = Check(kRenewal);
  EXPECT_NE(excepted.exception_id(), "");
  EXPECT_NE(excepted.clearance_id(), plain.clearance_id());
  EXPECT_EQ(ClearanceOf(plain.clearance_id()).state(), av::CLEARANCE_STATE_RELEASED);
  Opened("t1", "bert");
  EXPECT_EQ(ClearanceOf(excepted.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
}

// ---- budget

TEST_F(AccountHealth, KeepsAContactsBudgetInOneLedger) {
  const auto survey = Check(kSurvey, "anna", "");
  ASSERT_EQ(survey.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_THAT(Rules(Check(kSurvey, "anna", "")), ElementsAre("fatigue")) << "one survey in 30 days";
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_THAT(Rules(Check(kTraining)), ElementsAre("fatigue")) << "all four units are reserved";
  EXPECT_EQ(Check(kTraining, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);

  ev::SurveyInvited invited;
  invited.mutable_survey()->set_survey_id("s1");
  invited.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
  invited.mutable_survey()->set_account_id("acme");
  invited.mutable_survey()->set_contact_id("anna");
  invited.set_clearance_id(survey.clearance_id());
  harness_.Deliver("survey", "s1", "acme", invited);
  harness_.Advance(absl::Hours(4));
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW)
      << "the renewal's reservation expired, the survey's was used";
  EXPECT_THAT(Rules(Check(kSurvey)), ElementsAre("fatigue"));

  ev::SurveyWithdrawn withdrawn;
  *withdrawn.mutable_survey() = invited.survey();
  withdrawn.set_clearance_id(survey.clearance_id());
  harness_.Deliver("survey", "s1", "acme", withdrawn);
  EXPECT_EQ(Check(kSurvey).verdict(), av::OUTREACH_VERDICT_ALLOW) << "the budget was given back";
}

TEST_F(AccountHealth, ReservesOfEveryContactWhenAllAreReached) {
  EXPECT_EQ(Check(kRenewal, "").verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(Check(kRenewal, "anna").verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_THAT(Rules(Check(kUpsell, "anna")), ElementsAre("fatigue"));
  EXPECT_THAT(Rules(Check(kTraining, "")), ElementsAre("fatigue"));
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, ClearsOutreachToFiveHundredContactsAtOnceAndNoMore) {
  for (int i = 2; i < 500; ++i)
    PutContact("acme", absl::StrCat("c", i), absl::StrCat("c", i, "@a.b"));
  EXPECT_EQ(Check(kTraining, "").verdict(), av::OUTREACH_VERDICT_ALLOW);
  PutContact("acme", "c500", "c500@a.b");
  const absl::Status refused =
      Try<av::CheckOutreachResponse>("OutreachService/CheckOutreach", CheckOf(kRenewal, ""))
          .status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("500"));
}

TEST_F(AccountHealth, GivesBackWhatARevokedClearanceDidNotUse) {
  Check(kRenewal);
  Check(kUpsell);
  ASSERT_THAT(Rules(Check(kTraining)), ElementsAre("fatigue"));
  Opened("t1");
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

// ---- a clearance ends with what it rests on

TEST_F(AccountHealth, EndsAClearanceWithTheExceptionThatItRestsOn) {
  StaffIs("lead", type::v1::STAFF_ROLE_SUPPORT_LEAD);
  Opened("t1", "bert");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  SetOpenTickets({{"t1", "bert"}});
  Grant(kRenewal, absl::Seconds(3));
  const absl::Time until = harness_.Now() + absl::Seconds(3);
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("once");
  const auto allowed = Check(request);
  ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(time::Instant(allowed.expires_at()), until);
  harness_.Advance(absl::Seconds(3));
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_EXPIRED);
  const auto again = Check(request);
  EXPECT_EQ(again.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_EQ(again.clearance_state(), av::CLEARANCE_STATE_EXPIRED);
  EXPECT_THAT(Rules(again), ElementsAre("clearance_expired"));
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, EndsWhatStandsForAContactWhoOptsOut) {
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("once");
  const auto anna = Check(request);
  const auto all = Check(kRenewal, "", "another");
  const auto bert = Check(kTraining, "bert");
  const int64_t before = HoldVersion();
  OptOut("anna", kRenewal);
  EXPECT_EQ(HoldVersion(), before + 1) << "who read the contacts before reads them again";
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(2));
  EXPECT_EQ(revoked[0].clearance_id(), anna.clearance_id());
  EXPECT_EQ(revoked[1].clearance_id(), all.clearance_id()) << "anna is one of all";
  EXPECT_EQ(revoked[0].reason(), "opt_out");
  EXPECT_THAT(TimelineTypes(), Contains("ClearanceRevoked"));
  EXPECT_EQ(ClearanceOf(anna.clearance_id()).revoked_reason(), "opt_out");
  EXPECT_EQ(ClearanceOf(bert.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
  const auto again = Check(request);
  EXPECT_EQ(again.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_EQ(again.clearance_id(), anna.clearance_id());
  EXPECT_EQ(again.clearance_state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(Check(kUpsell).verdict(), av::OUTREACH_VERDICT_ALLOW) << "its units are free again";
}

TEST_F(AccountHealth, EndsAClearanceForAllWhenSomebodyJoinsWhoOptedOut) {
  const auto all = Check(kRenewal, "");
  PutContact("acme", "carl", "carl@acme.com");
  EXPECT_EQ(ClearanceOf(all.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
  PutContact("acme", "dora", "dora@acme.com", {kRenewal});
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].clearance_id(), all.clearance_id());
  EXPECT_EQ(revoked[0].reason(), "contact_added");
}

TEST_F(AccountHealth, AnswersARepeatedCheckByWhatStandsNow) {
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("once");
  const auto first = Check(request);
  auto again = Check(request);
  EXPECT_EQ(again.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(again.clearance_id(), first.clearance_id());
  EXPECT_EQ(again.clearance_state(), av::CLEARANCE_STATE_STANDING);
  Opened("t1", "bert");
  harness_.Restart();
  again = Check(request);
  EXPECT_EQ(again.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_EQ(again.clearance_id(), first.clearance_id());
  EXPECT_EQ(again.clearance_state(), av::CLEARANCE_STATE_REVOKED);
  ASSERT_THAT(Rules(again), ElementsAre("clearance_revoked"));
  EXPECT_EQ(again.blocks(0).subject_id(), "t1");
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), SizeIs(1));
}

TEST_F(AccountHealth, AnswersACheckByItsClearanceWhenItsReplyIsForgotten) {
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("once");
  const auto first = Check(request);
  harness_.Advance(absl::Hours(24 * 9));
  const auto again = Check(request);
  EXPECT_EQ(again.verdict(), av::OUTREACH_VERDICT_HOLD);
  EXPECT_EQ(again.clearance_id(), first.clearance_id());
  EXPECT_EQ(again.clearance_state(), av::CLEARANCE_STATE_EXPIRED);
  EXPECT_EQ(time::Instant(again.as_of()), time::Instant(first.as_of()));
  EXPECT_EQ(again.units(), 0);
  EXPECT_THAT(Rules(again), ElementsAre("clearance_expired"));
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), SizeIs(1));
  // Only looking gives nothing, under whatever id.
  request.set_preview(true);
  EXPECT_EQ(Check(request).verdict(), av::OUTREACH_VERDICT_ALLOW);
  request.set_preview(false);
  request.set_contact_id("bert");
  const auto other = harness_.Call<av::CheckOutreachResponse>(
      "tandem.account.v1.OutreachService/CheckOutreach", request);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(other.status().message(), HasSubstr("used with another request"));
}

// Who was given another request's clearance again has given none.
TEST_F(AccountHealth, DecidesAForgottenCheckAnewThatGaveNoClearance) {
  const auto first = Check(kRenewal);
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("second");
  EXPECT_EQ(Check(request).clearance_id(), first.clearance_id());
  harness_.Advance(absl::Hours(24));
  EXPECT_EQ(Check(request).clearance_state(), av::CLEARANCE_STATE_EXPIRED);
  harness_.Advance(absl::Hours(24 * 9));
  const auto anew = Check(request);
  EXPECT_EQ(anew.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_NE(anew.clearance_id(), first.clearance_id());
  EXPECT_EQ(ClearanceOf(anew.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
}

TEST_F(AccountHealth, RemembersNoHold) {
  SetOpenTickets({{"t1", "anna"}});
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_request_id("once");
  EXPECT_EQ(Check(request).verdict(), av::OUTREACH_VERDICT_HOLD);
  SetOpenTickets({});
  EXPECT_EQ(Check(request).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, AsksWithoutCostByAPreview) {
  av::CheckOutreachRequest request = CheckOf(kRenewal);
  request.set_preview(true);
  request.set_request_id("look");
  for (int i = 0; i < 3; ++i) {
    const auto seen = Check(request);
    EXPECT_EQ(seen.verdict(), av::OUTREACH_VERDICT_ALLOW);
    EXPECT_EQ(seen.clearance_id(), "");
    EXPECT_EQ(seen.units(), 2);
  }
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), IsEmpty());
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_VIOLATION) << "a look clears nothing";
  SetOpenTickets({{"t1", "anna"}});
  EXPECT_EQ(Check(request).verdict(), av::OUTREACH_VERDICT_HOLD) << "under the same request id";
}

TEST_F(AccountHealth, GivesTheClearanceAgainThatItsHolderHasNotUsed) {
  const auto first = Check(kRenewal);
  for (int i = 0; i < 3; ++i) {
    const auto again = Check(kRenewal);
    EXPECT_EQ(again.clearance_id(), first.clearance_id());
    EXPECT_EQ(time::Instant(again.expires_at()), time::Instant(first.expires_at()));
  }
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), SizeIs(1));
  EXPECT_NE(Check(kRenewal, "anna", "another").clearance_id(), first.clearance_id())
      << "somebody else's is another";
  harness_.Advance(absl::Hours(5));
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
  Touch(kRenewal);
  const auto second = Check(kRenewal);
  EXPECT_EQ(second.verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_THAT(harness_.Published<ev::ClearanceGiven>(), SizeIs(4)) << "one that is used is not";
}

TEST_F(AccountHealth, HoldsTheUnitsOfAClearanceNotAgainstItsHolder) {
  const auto renewal = Check(kRenewal);
  Check(kUpsell);
  ASSERT_THAT(Rules(Check(kTraining)), ElementsAre("fatigue")) << "all four units are reserved";
  EXPECT_EQ(Check(kRenewal).clearance_id(), renewal.clearance_id());
}

TEST_F(AccountHealth, GivesAClearanceForAllAnewWhenSomebodyJoined) {
  const auto first = Check(kRenewal, "");
  PutContact("acme", "carl", "carl@acme.com");
  const auto second = Check(kRenewal, "");
  EXPECT_NE(second.clearance_id(), first.clearance_id());
  EXPECT_EQ(ClearanceOf(first.clearance_id()).state(), av::CLEARANCE_STATE_RELEASED);
  EXPECT_EQ(Touch(kRenewal, "carl").clearance_id(), second.clearance_id());
}

TEST_F(AccountHealth, FreesTheUnitsOfAReleasedClearance) {
  const auto renewal = Check(kRenewal);
  Check(kUpsell);
  ASSERT_THAT(Rules(Check(kTraining)), ElementsAre("fatigue"));
  EXPECT_EQ(TryRelease(renewal.clearance_id(), "another").status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(TryRelease("clr_none").status().code(), absl::StatusCode::kNotFound);
  const auto released = TryRelease(renewal.clearance_id());
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->units(), 2);
  const auto told = harness_.Published<ev::ClearanceReleased>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].units(), 2);
  EXPECT_EQ(told[0].contact_id(), "anna");
  EXPECT_THAT(TimelineTypes(), Contains("ClearanceReleased"));
  const auto clearance = ClearanceOf(renewal.clearance_id());
  EXPECT_EQ(clearance.state(), av::CLEARANCE_STATE_RELEASED);
  EXPECT_EQ(time::Instant(clearance.revoked_at()), time::Instant(released->released_at()));
  EXPECT_THAT(std::string(TryRelease(renewal.clearance_id()).status().message()),
              HasSubstr("clearance_released"));
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(Touch(kRenewal).verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, ReleasesNothingThatWasUsed) {
  const auto allowed = Check(kRenewal);
  Touch(kRenewal);
  EXPECT_EQ(TryRelease(allowed.clearance_id()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // One for all was used with anna alone: bert's units are free again.
  const auto all = Check(kTraining, "");
  Touch(kTraining, "anna");
  const auto released = TryRelease(all.clearance_id());
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->units(), 1);
}

TEST_F(AccountHealth, CoversOneTouchWithAContactAndReservesForEachFurtherOne) {
  const auto allowed = Check(kRenewal);
  auto touch = Touch(kRenewal);
  EXPECT_EQ(touch.verdict(), av::TOUCH_VERDICT_CLEARED);
  touch = Touch(kRenewal);
  EXPECT_EQ(touch.verdict(), av::TOUCH_VERDICT_CLEARED) << "two more of four units";
  EXPECT_EQ(touch.clearance_id(), allowed.clearance_id());
  for (int i = 0; i < 3; ++i) {
    touch = Touch(kRenewal);
    EXPECT_EQ(touch.verdict(), av::TOUCH_VERDICT_VIOLATION) << "no units are left";
    EXPECT_EQ(touch.clearance_id(), "");
  }
}

TEST_F(AccountHealth, CoversOneTouchWithEachContactByAClearanceForAll) {
  Check(kRenewal, "");
  EXPECT_EQ(Touch(kRenewal, "anna").verdict(), av::TOUCH_VERDICT_CLEARED);
  EXPECT_EQ(Touch(kRenewal, "bert").verdict(), av::TOUCH_VERDICT_CLEARED);
  EXPECT_EQ(Touch(kUpsell, "bert").verdict(), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(Touch(kRenewal, "bert").verdict(), av::TOUCH_VERDICT_VIOLATION)
      << "bert's four units are used";
  EXPECT_EQ(Touch(kRenewal, "anna").verdict(), av::TOUCH_VERDICT_CLEARED);
  // Somebody who joined was not reserved for: the touch reserves by itself.
  PutContact("acme", "carl", "carl@acme.com");
  EXPECT_EQ(Touch(kRenewal, "carl").verdict(), av::TOUCH_VERDICT_CLEARED);
}

TEST_F(AccountHealth, CoversNoTouchWithSomebodyWhoJoinedAndHasNoUnitsLeft) {
  Check(kRenewal, "");
  PutContact("acme", "carl", "carl@acme.com");
  for (int i = 0; i < 3; ++i) Touch(kTraining, "carl");
  EXPECT_EQ(Touch(kRenewal, "carl").verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, CoversAFurtherTouchWithAllOnlyIfEachOfThemHasUnitsLeft) {
  Check(kRenewal, "");
  EXPECT_EQ(Touch(kRenewal, "").verdict(), av::TOUCH_VERDICT_CLEARED);
  Touch(kTraining, "bert");
  EXPECT_EQ(Touch(kRenewal, "").verdict(), av::TOUCH_VERDICT_VIOLATION) << "bert has one of four";
}

TEST_F(AccountHealth, CoversATouchByAClearanceThatIsNotUsedYet) {
  const auto other = Check(kTraining, "anna", "another");
  const auto own = Check(kTraining);
  ASSERT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);  // no unit is left
  EXPECT_EQ(Touch(kTraining).clearance_id(), own.clearance_id());
  EXPECT_EQ(Touch(kTraining).clearance_id(), other.clearance_id());
  EXPECT_EQ(Touch(kTraining).verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, CoversATouchByTheNamedClearanceOnlyWhereThatFits) {
  PutAccount("beta", {});
  PutContact("beta", "bea", "bea@beta.com");
  const auto all = Check(kUpsell, "");
  const auto renewal = Check(kRenewal);
  ASSERT_EQ(renewal.verdict(), av::OUTREACH_VERDICT_ALLOW);
  harness_.Advance(absl::Minutes(1));
  const auto touch = [&](const std::string& clearance_id, const std::string& account = "acme",
                         const std::string& contact = "anna",
                         type::v1::OutreachTopic topic = kRenewal) {
    av::RecordTouchRequest request;
    request.set_account_id(account);
    request.set_contact_id(contact);
    request.set_topic(topic);
    request.set_staff_id("csm");
    request.set_clearance_id(clearance_id);
    return Must<av::RecordTouchResponse>("OutreachService/RecordTouch", request).verdict();
  };
  EXPECT_EQ(touch("clr_none"), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(touch(renewal.clearance_id(), "acme", "bert"), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(touch(renewal.clearance_id(), "acme", "anna", kTraining), av::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(touch(renewal.clearance_id()), av::TOUCH_VERDICT_CLEARED);
  EXPECT_EQ(touch(all.clearance_id(), "beta", "bea", kUpsell), av::TOUCH_VERDICT_VIOLATION)
      << "a clearance of another account";
  harness_.Advance(absl::Hours(4));
  EXPECT_EQ(touch(all.clearance_id(), "acme", "bert", kUpsell), av::TOUCH_VERDICT_VIOLATION)
      << "it has expired";
}

TEST_F(AccountHealth, TakesNoBudgetForWhatTheCustomerStarted) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Touch(kRenewal, "anna", absl::InfiniteFuture(), /*inbound=*/true).units(), 0);
  }
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, TakesATouchOfThisInstantAndNoneOfTheFuture) {
  Touch(kTraining, "anna", harness_.Now());
  av::RecordTouchRequest future;
  future.set_account_id("acme");
  future.set_contact_id("anna");
  future.set_topic(kTraining);
  future.set_staff_id("csm");
  *future.mutable_occurred_at() = time::Stamp(harness_.Now() + absl::Microseconds(1));
  const absl::Status refused =
      Try<av::RecordTouchResponse>("OutreachService/RecordTouch", future).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("occurred_at: "));
}

TEST_F(AccountHealth, CoversALateTouchWhoseReservationIsOver) {
  Check(kRenewal);
  const absl::Time then = harness_.Now() + absl::Hours(1);
  harness_.Advance(absl::Hours(5));
  Touch(kUpsell);
  Touch(kUpsell);
  EXPECT_EQ(Touch(kRenewal, "anna", then).verdict(), av::TOUCH_VERDICT_CLEARED)
      << "it stood, and was not used before";
  EXPECT_EQ(Touch(kRenewal, "anna", then).verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, CoversNoTouchByAClearanceThatWasReturned) {
  const auto survey = Check(kSurvey, "anna", "");
  harness_.Advance(absl::Minutes(1));
  ev::SurveyWithdrawn withdrawn;
  withdrawn.mutable_survey()->set_survey_id("s1");
  withdrawn.mutable_survey()->set_account_id("acme");
  withdrawn.mutable_survey()->set_contact_id("anna");
  withdrawn.set_clearance_id(survey.clearance_id());
  harness_.Deliver("survey", "s1", "acme", withdrawn);
  EXPECT_EQ(ClearanceOf(survey.clearance_id()).state(), av::CLEARANCE_STATE_RETURNED);
  EXPECT_EQ(Touch(kSurvey).verdict(), av::TOUCH_VERDICT_VIOLATION);
}

TEST_F(AccountHealth, UsesTheClearanceOfAnInvitationAndLeavesARevokedOneRevoked) {
  const auto survey = Check(type::v1::OUTREACH_TOPIC_SURVEY_NPS, "anna", "");
  ev::SurveyInvited invited;
  invited.mutable_survey()->set_survey_id("s1");
  invited.mutable_survey()->set_kind(type::v1::SURVEY_KIND_NPS);
  invited.mutable_survey()->set_account_id("acme");
  invited.mutable_survey()->set_contact_id("anna");
  invited.set_clearance_id(survey.clearance_id());
  harness_.Deliver("survey", "s1", "acme", invited);
  EXPECT_EQ(time::Instant(ClearanceOf(survey.clearance_id()).used_at()), harness_.Now());
  harness_.Advance(absl::Minutes(1));
  Opened("t1");
  ASSERT_EQ(ClearanceOf(survey.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  ev::SurveyWithdrawn withdrawn;
  *withdrawn.mutable_survey() = invited.survey();
  withdrawn.set_clearance_id(survey.clearance_id());
  harness_.Deliver("survey", "s1", "acme", withdrawn);
  EXPECT_EQ(ClearanceOf(survey.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
}

// The ticket is open here and resolved at intake, whose event is still under way.
TEST_F(AccountHealth, RevokesByARaisedSeverityAndNotByALoweredOne) {
  const auto changed = [&](type::v1::Severity from, type::v1::Severity to) {
    ev::SeverityChanged event;
    event.set_ticket_id("t1");
    event.set_from_severity(from);
    event.set_to_severity(to);
    harness_.Deliver("triage", "t1", "acme", event);
  };
  Opened("t1", "bert");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  harness_.Advance(absl::Minutes(1));
  const auto allowed = Check(kRenewal);
  changed(type::v1::SEVERITY_CRITICAL, type::v1::SEVERITY_URGENT);
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
  changed(type::v1::SEVERITY_URGENT, type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
}

TEST_F(AccountHealth, RevokesForAContactWhoWatchesFromNowOn) {
  Opened("t1", "anna");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  harness_.Advance(absl::Minutes(1));
  const auto allowed = Check(kRenewal, "bert");
  ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  ev::TicketUpdated updated;
  updated.set_ticket_id("t1");
  updated.set_account_id("acme");
  updated.set_contact_id("anna");
  updated.add_watcher_contact_ids("bert");
  harness_.Deliver("ticket_intake", "t1", "acme", updated);
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
}

TEST_F(AccountHealth, HoldsForTheFollowUpOfASurveyUpToTheScoresOfThePolicy) {
  int surveys = 0;
  for (const auto& [kind, worst_good] :
       {std::pair(type::v1::SURVEY_KIND_CSAT, 3), std::pair(type::v1::SURVEY_KIND_CES, 4),
        std::pair(type::v1::SURVEY_KIND_NPS, 7)}) {
    for (const int score : {worst_good, worst_good - 1}) {
      const std::string id = absl::StrCat("s", ++surveys);
      ev::SurveyFollowUpRequested requested;
      requested.mutable_survey()->set_survey_id(id);
      requested.mutable_survey()->set_account_id("acme");
      requested.mutable_survey()->set_contact_id("anna");
      requested.mutable_survey()->set_kind(kind);
      requested.set_follow_up_id("f" + id);
      requested.set_score(score);
      harness_.Deliver("survey", id, "acme", requested);
      av::CheckOutreachRequest look = CheckOf(kRenewal, "bert");
      look.set_preview(true);
      EXPECT_EQ(Check(look).verdict(),
                score == worst_good ? av::OUTREACH_VERDICT_ALLOW : av::OUTREACH_VERDICT_HOLD)
          << type::v1::SurveyKind_Name(kind) << " " << score;
      ev::SurveyFollowUpClosed closed;
      *closed.mutable_survey() = requested.survey();
      closed.set_follow_up_id("f" + id);
      harness_.Deliver("survey", id, "acme", closed);
    }
  }
}

TEST_F(AccountHealth, SaysWhyAClearanceWasRevoked) {
  Check(kRenewal);
  Opened("t1", "bert");
  Check(kTraining);
  Park("t2", "acme");
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(2));
  EXPECT_EQ(revoked[0].reason(), "ticket");
  EXPECT_EQ(revoked[1].reason(), "account_parked");
}

// ---- staff

TEST_F(AccountHealth, RevokesWhatSomebodyHoldsWhoLeaves) {
  const auto renewal = Check(kRenewal);
  const auto follow_up = Check(type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP);
  const auto other = Check(kTraining, "anna", "another");
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), IsEmpty());
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(2));
  EXPECT_EQ(revoked[0].reason(), "staff_left");
  EXPECT_EQ(ClearanceOf(renewal.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_EQ(ClearanceOf(follow_up.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_EQ(ClearanceOf(other.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
}

TEST_F(AccountHealth, RevokesAllThatSomebodyHeldHoweverMuchItWas) {
  for (int i = 0; i < 120; ++i) {
    PutContact("acme", absl::StrCat("c", i), absl::StrCat("c", i, "@acme.com"));
    Check(kRenewal, absl::StrCat("c", i));
  }
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  harness_.Settle();
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), SizeIs(120));
}

TEST_F(AccountHealth, LeavesWhoCameBackWhatIsNotRevokedYet) {
  const auto allowed = Check(kRenewal);
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  records::StaffTimer rest;
  rest.set_staff_id("csm");
  const auto stored = harness_.store().Commit({TimerRow("staff_left", "csm", rest)});
  ASSERT_EQ(stored.kind, store::CommitResult::Kind::kCommitted) << stored.status;
  harness_.Restart();
  harness_.Advance(absl::Seconds(1));
  EXPECT_EQ(PendingTimers(), 0);
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
}

TEST_F(AccountHealth, NamesTheDefaultForATeamMemberWhoLeft) {
  av::AccountPolicy policy = SupportAlone();
  policy.clear_team_defaults();
  auto& stand_in = *policy.add_team_defaults();
  stand_in.set_role(type::v1::STAFF_ROLE_CSM);
  stand_in.set_staff_id("desk");
  av::ApplyPolicyRequest apply;
  *apply.mutable_policy() = policy;
  Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", apply);
  av::PutAccountTeamRequest team;
  team.set_account_id("acme");
  auto& member = *team.add_members();
  member.set_role(type::v1::STAFF_ROLE_CSM);
  member.set_staff_id("csm-7");
  Must<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", team);
  const auto csm = [&] {
    av::GetAccountTeamRequest request;
    request.set_account_id("acme");
    const auto answer = Must<av::GetAccountTeamResponse>("AccountService/GetAccountTeam", request);
    for (const av::Counterpart& place : answer.team()) {
      if (place.role() == type::v1::STAFF_ROLE_CSM) return place;
    }
    return av::Counterpart();
  };
  EXPECT_EQ(csm().staff_id(), "csm-7");
  StaffIs("csm-7", type::v1::STAFF_ROLE_CSM, false);
  EXPECT_EQ(csm().staff_id(), "desk");
  EXPECT_TRUE(csm().is_default());
  EXPECT_EQ(csm().inactive_staff_id(), "csm-7");
  StaffIs("desk", type::v1::STAFF_ROLE_CSM, false);
  EXPECT_EQ(csm().staff_id(), "") << "nobody is named who is not there";
}

TEST_F(AccountHealth, TakesOnlyStaffWhoWorkHere) {
  const auto check = [&](const std::string& staff) {
    return Try<av::CheckOutreachResponse>("OutreachService/CheckOutreach",
                                          CheckOf(kTraining, "anna", staff))
        .status();
  };
  EXPECT_EQ(check("stranger").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(check("gone").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(check("gone").message()), HasSubstr("gone"));
  av::PutAccountTeamRequest team;
  team.set_account_id("acme");
  auto& member = *team.add_members();
  member.set_role(type::v1::STAFF_ROLE_CSM);
  member.set_staff_id("gone");
  EXPECT_EQ(Try<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", team).status().code(),
            absl::StatusCode::kFailedPrecondition);
  av::AdvanceJourneyRequest advance;
  advance.set_account_id("acme");
  advance.set_to_stage(type::v1::JOURNEY_STAGE_RENEWAL);
  av::AssignRequesterRequest assign;
  assign.set_requester_id(Resolve("zoe@gmail.com").requester_id());
  assign.set_account_id("acme");
  for (const auto& [staff, code] : {std::pair("stranger", absl::StatusCode::kNotFound),
                                    std::pair("gone", absl::StatusCode::kFailedPrecondition)}) {
    advance.set_staff_id(staff);
    EXPECT_EQ(
        Try<av::AdvanceJourneyResponse>("AccountService/AdvanceJourney", advance).status().code(),
        code)
        << staff;
    assign.set_staff_id(staff);
    EXPECT_EQ(
        Try<av::AssignRequesterResponse>("AccountService/AssignRequester", assign).status().code(),
        code)
        << staff;
  }
}

TEST_F(AccountHealth, RecordsATouchOfSomebodyWhoLeftLater) {
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  const absl::Time worked = harness_.Now();
  harness_.Advance(absl::Hours(1));
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  harness_.Advance(absl::Hours(1));
  Touch(kTraining, "anna", worked);
  av::RecordTouchRequest late;
  late.set_account_id("acme");
  late.set_contact_id("anna");
  late.set_topic(kTraining);
  late.set_staff_id("csm");
  EXPECT_EQ(Try<av::RecordTouchResponse>("OutreachService/RecordTouch", late).status().code(),
            absl::StatusCode::kFailedPrecondition);
  late.clear_request_id();
  late.set_staff_id("stranger");
  EXPECT_EQ(Try<av::RecordTouchResponse>("OutreachService/RecordTouch", late).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(AccountHealth, KnowsTheInstantInWhichSomebodyLeft) {
  const auto touch = [&](absl::Time at) {
    av::RecordTouchRequest request;
    request.set_account_id("acme");
    request.set_contact_id("anna");
    request.set_topic(kTraining);
    request.set_staff_id("csm");
    *request.mutable_occurred_at() = time::Stamp(at);
    return Try<av::RecordTouchResponse>("OutreachService/RecordTouch", request).status().code();
  };
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  harness_.Advance(absl::Hours(1));
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  const absl::Time left = harness_.Now();
  harness_.Advance(absl::Hours(1));
  // A further change of who has left is no leaving.
  StaffIs("csm", type::v1::STAFF_ROLE_SUPPORT_LEAD, false);
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(touch(left - absl::Microseconds(1)), absl::StatusCode::kOk);
  EXPECT_EQ(touch(left), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(touch(left + absl::Minutes(30)), absl::StatusCode::kFailedPrecondition);
  // Who comes back and leaves once more, left then.
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  harness_.Advance(absl::Hours(1));
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  EXPECT_EQ(touch(harness_.Now() - absl::Minutes(30)), absl::StatusCode::kOk);
}

TEST_F(AccountHealth, TakesNoOlderWordOfSomebodyForNews) {
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  staff_versions_["csm"] = 0;
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, /*active=*/false);
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

// As a version before the column stored it.
TEST_F(AccountHealth, RevokesWhatSomebodyHeldBeforeHoldersWereIndexed) {
  const auto csm = Check(kTraining);
  const auto other = Check(kTraining, "anna", "another");
  const auto stored = harness_.store().Commit(
      {{"clearances",
        csm.clearance_id(),
        {"UPDATE clearances SET staff_id='?' WHERE key=$1", {store::Value(csm.clearance_id())}},
        store::Expect::kOneRow},
       {"clearances",
        other.clearance_id(),
        {"UPDATE clearances SET staff_id='?' WHERE key=$1", {store::Value(other.clearance_id())}},
        store::Expect::kOneRow}});
  ASSERT_EQ(stored.kind, store::CommitResult::Kind::kCommitted) << stored.status;
  StaffIs("csm", type::v1::STAFF_ROLE_CSM, false);
  EXPECT_EQ(ClearanceOf(csm.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_EQ(ClearanceOf(other.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
}

TEST_F(AccountHealth, AsksTriageAboutAMissAlone) {
  StaffIs("csm", type::v1::STAFF_ROLE_CSM);
  harness_.peer().Down(kGetStaff);
  EXPECT_EQ(Check(kTraining).verdict(), av::OUTREACH_VERDICT_ALLOW);
  EXPECT_EQ(harness_.peer().Asked(kGetStaff), 0);
  EXPECT_EQ(Try<av::CheckOutreachResponse>("OutreachService/CheckOutreach",
                                           CheckOf(kTraining, "anna", "unseen"))
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(AccountHealth, RefusesAContactOfAnotherAccount) {
  PutAccount("beta", {});
  PutContact("beta", "bea", "bea@beta.com");
  EXPECT_EQ(
      Try<av::CheckOutreachResponse>("OutreachService/CheckOutreach", CheckOf(kTraining, "bea"))
          .status()
          .code(),
      absl::StatusCode::kNotFound);
  av::RecordTouchRequest touch;
  touch.set_account_id("acme");
  touch.set_contact_id("bea");
  touch.set_topic(kTraining);
  touch.set_staff_id("csm");
  EXPECT_EQ(Try<av::RecordTouchResponse>("OutreachService/RecordTouch", touch).status().code(),
            absl::StatusCode::kNotFound);
}

// ---- puts

TEST_F(AccountHealth, KeepsWhatAPutDoesNotName) {
  OptOut("anna", kRenewal);
  av::Contact values;
  values.set_champion(true);
  ChangeContact("anna", values);
  av::Contact anna = ContactOf("anna");
  EXPECT_TRUE(anna.champion());
  EXPECT_THAT(anna.addresses(), ElementsAre("anna@acme.com"));
  EXPECT_EQ(anna.level(), type::v1::CONTACT_LEVEL_MEMBER);
  EXPECT_THAT(Rules(Check(kRenewal)), ElementsAre("opt_out"));
  ChangeContact("anna", {}, {"opted_out"});
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);

  av::PutAccountRequest seats;
  seats.mutable_account()->set_account_id("acme");
  seats.mutable_account()->set_seats(50);
  Must<av::PutAccountResponse>("AccountService/PutAccount", seats);
  av::GetAccountRequest get;
  get.set_account_id("acme");
  av::Account account = Must<av::GetAccountResponse>("AccountService/GetAccount", get).account();
  EXPECT_EQ(account.seats(), 50);
  EXPECT_THAT(account.domains(), ElementsAre("acme.com"));
  EXPECT_EQ(account.segment(), type::v1::SEGMENT_MID);
  EXPECT_EQ(Resolve("new@acme.com").account_id(), "acme");
  seats.clear_request_id();
  seats.mutable_account()->set_seats(60);
  seats.mutable_update_mask()->add_paths("*");
  Must<av::PutAccountResponse>("AccountService/PutAccount", seats);
  account = Must<av::GetAccountResponse>("AccountService/GetAccount", get).account();
  EXPECT_THAT(account.domains(), IsEmpty()) << "replaced whole, as asked";
  EXPECT_EQ(account.stage(), type::v1::JOURNEY_STAGE_LOYALTY) << "the journey moves it alone";
}

TEST_F(AccountHealth, ChecksWhatAPutMakesOfTheWhole) {
  av::PutAccountRequest put;
  put.mutable_account()->set_account_id("acme");
  put.mutable_account()->set_arr_minor(100);
  EXPECT_THAT(
      std::string(Try<av::PutAccountResponse>("AccountService/PutAccount", put).status().message()),
      HasSubstr("account.currency"));
  put.clear_request_id();
  put.mutable_account()->set_currency("EUR");
  Must<av::PutAccountResponse>("AccountService/PutAccount", put);
  put.clear_request_id();
  put.mutable_account()->clear_currency();
  put.mutable_account()->set_arr_minor(200);
  Must<av::PutAccountResponse>("AccountService/PutAccount", put);
  put.clear_request_id();
  put.mutable_update_mask()->add_paths("account_id");
  put.mutable_update_mask()->add_paths("seat");
  const std::string problems(
      Try<av::PutAccountResponse>("AccountService/PutAccount", put).status().message());
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[0]"));
  EXPECT_THAT(problems, HasSubstr("update_mask.paths[1]"));
}

TEST_F(AccountHealth, ChangesThePlacesOfATeamThatAPutNames) {
  const auto put = [&](std::vector<std::pair<type::v1::StaffRole, std::string>> members,
                       bool whole) {
    av::PutAccountTeamRequest request;
    request.set_account_id("acme");
    for (const auto& [role, staff] : members) {
      request.add_members()->set_role(role);
      request.mutable_members()->rbegin()->set_staff_id(staff);
    }
    if (whole) request.mutable_update_mask()->add_paths("*");
    Must<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", request);
    av::GetAccountTeamRequest get;
    get.set_account_id("acme");
    std::map<type::v1::StaffRole, std::string> team;
    const auto answer = Must<av::GetAccountTeamResponse>("AccountService/GetAccountTeam", get);
    for (const av::Counterpart& place : answer.team()) {
      if (!place.staff_id().empty()) team[place.role()] = place.staff_id();
    }
    return team;
  };
  constexpr auto kCsm = type::v1::STAFF_ROLE_CSM;
  constexpr auto kLead = type::v1::STAFF_ROLE_SUPPORT_LEAD;
  using Team = std::map<type::v1::StaffRole, std::string>;
  EXPECT_EQ(put({{kCsm, "cid"}, {kLead, "lea"}}, false), (Team{{kCsm, "cid"}, {kLead, "lea"}}));
  EXPECT_EQ(put({{kCsm, "carol"}}, false), (Team{{kCsm, "carol"}, {kLead, "lea"}}));
  EXPECT_EQ(put({{kLead, ""}}, false), (Team{{kCsm, "carol"}}));
  EXPECT_EQ(put({{kLead, "leo"}}, true), (Team{{kLead, "leo"}}));
}

TEST_F(AccountHealth, CountsTheVersionsOfWhatIsPutAndRefusesAnOlderOne) {
  av::PutAccountRequest account;
  account.mutable_account()->set_account_id("acme");
  av::PutContactRequest contact;
  contact.mutable_contact()->set_account_id("acme");
  contact.mutable_contact()->set_contact_id("anna");
  av::PutAccountTeamRequest team;
  team.set_account_id("acme");
  for (int64_t version = 2; version < 4; ++version) {
    account.mutable_account()->set_version(version - 1);
    EXPECT_EQ(Must<av::PutAccountResponse>("AccountService/PutAccount", account).version(),
              version);
    contact.mutable_contact()->set_version(version - 1);
    EXPECT_EQ(Must<av::PutContactResponse>("AccountService/PutContact", contact).version(),
              version);
    EXPECT_EQ(Must<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", team).version(),
              version - 1);
    team.set_version(version - 1);
  }
  team.set_version(1);
  EXPECT_EQ(Try<av::PutAccountResponse>("AccountService/PutAccount", account).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(Try<av::PutContactResponse>("AccountService/PutContact", contact).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(Try<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", team).status().code(),
            absl::StatusCode::kAborted);
}

TEST_F(AccountHealth, KeepsWhenAnAccountWasRegisteredAndItsStageWhateverIsPut) {
  const absl::Time registered = harness_.Now();
  harness_.Advance(absl::Hours(1));
  av::PutAccountRequest put;
  put.mutable_account()->set_account_id("acme");
  put.mutable_account()->set_seats(7);
  put.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_CHURNED);
  put.mutable_update_mask()->add_paths("seats");
  Must<av::PutAccountResponse>("AccountService/PutAccount", put);  // the mask leaves the stage out
  av::GetAccountRequest get;
  get.set_account_id("acme");
  const av::Account account =
      Must<av::GetAccountResponse>("AccountService/GetAccount", get).account();
  EXPECT_EQ(account.seats(), 7);
  EXPECT_EQ(account.stage(), type::v1::JOURNEY_STAGE_LOYALTY);
  EXPECT_EQ(time::Instant(account.created_at()), registered);
  EXPECT_EQ(time::Instant(account.updated_at()), harness_.Now());
}

TEST_F(AccountHealth, ScoresAnAccountInItsNewSegmentFromThePutOn) {
  av::PutAccountRequest put;
  put.mutable_account()->set_account_id("acme");
  put.mutable_account()->set_segment(type::v1::SEGMENT_ENTERPRISE);
  Must<av::PutAccountResponse>("AccountService/PutAccount", put);
  av::ListHealthRequest list;
  list.add_segments(type::v1::SEGMENT_ENTERPRISE);
  EXPECT_THAT(Must<av::ListHealthResponse>("HealthService/ListHealth", list).accounts(), SizeIs(1));
}

TEST_F(AccountHealth, MovesNoContactToAnotherAccountByAPut) {
  PutAccount("beta", {});
  av::PutContactRequest put;
  put.mutable_contact()->set_account_id("beta");
  put.mutable_contact()->set_contact_id("anna");
  const absl::Status refused =
      Try<av::PutContactResponse>("AccountService/PutContact", put).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ContactOf("anna").account_id(), "acme");
}

TEST_F(AccountHealth, TakesNoMaskOfATeamButTheWhole) {
  for (const std::vector<std::string>& paths :
       {std::vector<std::string>{"members"}, std::vector<std::string>{"*", "members"}}) {
    av::PutAccountTeamRequest put;
    put.set_account_id("acme");
    for (const std::string& path : paths) put.mutable_update_mask()->add_paths(path);
    const absl::Status refused =
        Try<av::PutAccountTeamResponse>("AccountService/PutAccountTeam", put).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("update_mask.paths[0]"));
  }
}

// ---- requesters who came before their contact

TEST_F(AccountHealth, SettlesARequesterWhenAContactGetsTheAddress) {
  const auto unknown = Resolve("zoe@gmail.com", "t1");
  Opened("t1", "", "", "t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(Check(kRenewal, "bert").unattributed_tickets(), 1);
  const auto allowed = Check(kRenewal, "bert");
  const int64_t before = HoldVersion();
  av::Contact values;
  values.add_addresses("anna@acme.com");
  values.add_addresses("Zoe <ZOE@gmail.com.>");
  ChangeContact("anna", values);
  const auto assigned = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(assigned, SizeIs(1));
  EXPECT_EQ(assigned[0].requester_id(), unknown.requester_id());
  EXPECT_EQ(assigned[0].contact_id(), "anna");
  EXPECT_THAT(assigned[0].ticket_ids(), ElementsAre("t1"));
  EXPECT_EQ(HoldVersion(), before + 1);
  EXPECT_THAT(Unresolved(), IsEmpty());
  EXPECT_EQ(Resolve("zoe@gmail.com").contact_id(), "anna");
  // Intake attributes the ticket: it revokes like one that is opened now.
  harness_.Advance(absl::Seconds(1));
  Attributed("t1", "acme", "anna");
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_EQ(Check(kTraining, "bert").unattributed_tickets(), 0);
}

TEST_F(AccountHealth, SettlesTheRequestersOfADomainThatAnAccountGets) {
  for (int i = 0; i < 50; ++i) Resolve(absl::StrCat("p", i, "@beta.com"), absl::StrCat("t", i));
  Resolve("x@gamma.com");
  PutAccount("beta", {"beta.com"});
  harness_.Settle();
  EXPECT_THAT(harness_.Published<ev::RequesterAssigned>(), SizeIs(50));
  EXPECT_THAT(Unresolved(), ElementsAre("x@gamma.com"));
  EXPECT_EQ(Resolve("p7@beta.com").account_id(), "beta");
}

TEST_F(AccountHealth, SettlesByADomainThatTheOtherAccountGivesUp) {
  PutAccount("beta", {"shared.com"});
  PutAccount("gamma", {"shared.com"});
  EXPECT_EQ(Resolve("x@shared.com", "t1").contact_id(), "");
  av::PutAccountRequest put;
  put.mutable_account()->set_account_id("beta");
  put.mutable_update_mask()->add_paths("domains");
  Must<av::PutAccountResponse>("AccountService/PutAccount", put);
  const auto assigned = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(assigned, SizeIs(1));
  EXPECT_EQ(assigned[0].account_id(), "gamma");
}

TEST_F(AccountHealth, SettlesByAnAddressThatTheOtherContactGivesUp) {
  PutAccount("beta", {});
  PutContact("beta", "bea", "shared@gmail.com");
  PutContact("acme", "carl", "shared@gmail.com");
  EXPECT_EQ(Resolve("shared@gmail.com", "t1").contact_id(), "") << "it may be either";
  ChangeContact("carl", {}, {"addresses"});
  const auto assigned = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(assigned, SizeIs(1));
  EXPECT_EQ(assigned[0].contact_id(), "bea");
  EXPECT_EQ(Resolve("shared@gmail.com").account_id(), "beta") << "an address that moved";
}

TEST_F(AccountHealth, SettlesByAnExternalIdAndByTheIdOfAContact) {
  av::ResolveRequesterRequest by_name;
  by_name.mutable_external_id()->set_system("crm");
  by_name.mutable_external_id()->set_id("42");
  by_name.set_ticket_id("t1");
  Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", by_name);
  av::ResolveRequesterRequest by_id;
  by_id.set_contact_id("carl");
  by_id.set_ticket_id("t2");
  Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", by_id);
  av::Contact values;
  *values.add_external_ids() = by_name.external_id();
  ChangeContact("anna", values);
  PutContact("acme", "carl", "carl@acme.com");
  const auto assigned = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(assigned, SizeIs(2));
  EXPECT_THAT(assigned[0].ticket_ids(), ElementsAre("t1"));
  EXPECT_EQ(assigned[1].contact_id(), "carl");
  EXPECT_THAT(assigned[1].ticket_ids(), ElementsAre("t2"));
  EXPECT_THAT(Unresolved(), IsEmpty());
}

TEST_F(AccountHealth, TellsTheContactsWhoLoseAnAddressThatAPersonSettled) {
  PutAccount("beta", {});
  PutContact("beta", "bea", "shared@gmail.com");
  PutContact("acme", "carl", "shared@gmail.com");
  const auto waiting = Resolve("shared@gmail.com", "t1");
  std::map<std::string, int> before, after;
  for (const auto& event : harness_.Published<ev::ContactChanged>()) ++before[event.contact_id()];
  av::AssignRequesterRequest assign;
  assign.set_requester_id(waiting.requester_id());
  assign.set_contact_id("anna");
  Must<av::AssignRequesterResponse>("AccountService/AssignRequester", assign);
  for (const auto& event : harness_.Published<ev::ContactChanged>()) ++after[event.contact_id()];
  EXPECT_THAT(after["bea"], Gt(before["bea"]));
  EXPECT_THAT(after["carl"], Gt(before["carl"]));
  EXPECT_EQ(Resolve("shared@gmail.com").contact_id(), "anna");
}

// The domain was public mail when the requester was put on the list.
TEST_F(AccountHealth, SettlesByTheContactThatTheNextMessageMakes) {
  Resolve("zoe@mail.example", "t1");
  av::ApplyPolicyRequest apply;
  *apply.mutable_policy() = SupportAlone();
  apply.mutable_policy()->add_public_mail_domains("mail.example");
  Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", apply);
  PutAccount("beta", {"mail.example"});
  EXPECT_THAT(harness_.Published<ev::RequesterAssigned>(), IsEmpty()) << "it is public mail";
  apply.clear_request_id();
  *apply.mutable_policy() = SupportAlone();
  Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", apply);
  EXPECT_EQ(Resolve("zoe@mail.example", "t2").account_id(), "beta");
  const auto assigned = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(assigned, SizeIs(1));
  EXPECT_THAT(assigned[0].ticket_ids(), ElementsAre("t1"));
  EXPECT_THAT(Unresolved(), IsEmpty());
}

TEST_F(AccountHealth, CountsOnlyOpenRequestsOfCustomersAsUnattributed) {
  Opened("plain", "", "", "plain");
  Opened("internal", "", "", "internal", /*internal=*/true);
  Opened("spam", "", "", "spam");
  Closed("spam", type::v1::CLOSE_REASON_SPAM);
  Opened("resolved", "", "", "resolved");
  Resolved("resolved");
  ev::TicketOpened suspected;
  suspected.set_ticket_id("suspected");
  suspected.set_suspected_spam(true);
  harness_.Deliver("ticket_intake", "suspected", "suspected", suspected);
  EXPECT_EQ(Check(kTraining).unattributed_tickets(), 1);
}

// ---- addresses

TEST_F(AccountHealth, ComparesAddressesByTheirCanonicalForm) {
  av::Contact values;
  values.add_addresses("Carl C <Carl@B\u00fccher.example.>");
  PutAccount("books", {"B\u00dcCHER.example"});
  ChangeContact("carl", values, {}, "books");
  EXPECT_THAT(ContactOf("carl").addresses(), ElementsAre("Carl@xn--bcher-kva.example"));
  for (const char* same : {"carl@b\u00fccher.example", "CARL@xn--bcher-kva.EXAMPLE",
                           "\"Carl\" <carl@b\u00fccher.example.>"}) {
    EXPECT_EQ(Resolve(same).contact_id(), "carl") << same;
  }
  EXPECT_EQ(Resolve("new@b\u00fccher.example").account_id(), "books");
  EXPECT_EQ(Resolve("+49 (30) 123-45.67").requester_id(), Resolve("+49301234567").requester_id());
}

// As a former version stored it: the address as it was typed, indexed by its bytes in lower case.
TEST_F(AccountHealth, IndexesAnewWhatWasStoredBeforeAddressesWereParsed) {
  const std::string typed = "Carl C <carl@old.example>";
  const std::string stranger = "zoe <zoe@gmail.com>";
  av::Contact carl;
  carl.set_contact_id("carl");
  carl.set_account_id("acme");
  carl.set_version(1);
  carl.add_addresses(typed);
  records::AddressRecord of_carl, of_stranger;
  of_carl.add_contact_ids("carl");
  of_stranger.set_requester_id("req_1");
  records::RequesterRecord requester;
  requester.mutable_entry()->set_requester_id("req_1");
  requester.mutable_entry()->set_address(stranger);
  requester.mutable_entry()->add_ticket_ids("t1");
  const auto stored = harness_.store().Commit(
      {Row("contacts", ", account_id", ", 'acme'", "carl", carl),
       Row("addresses", "", "", AddressKey(NormalAddress(typed)), of_carl),
       Row("addresses", "", "", AddressKey(NormalAddress(stranger)), of_stranger),
       Row("requesters", ", is_open, first_seen_us", ", 1, 0", "req_1", requester),
       TimerRow("index_addresses", "index_addresses", records::AddressIndexing())});
  ASSERT_EQ(stored.kind, store::CommitResult::Kind::kCommitted) << stored.status;
  harness_.Restart();
  harness_.Advance(absl::Seconds(1));
  EXPECT_THAT(ContactOf("carl").addresses(), ElementsAre(typed)) << "readable as it was";
  EXPECT_EQ(Resolve("CARL@old.example.").contact_id(), "carl");
  EXPECT_EQ(Resolve("zoe@gmail.com", "t2").requester_id(), "req_1") << "the same entry";
  PutContact("acme", "zoe", "zoe@gmail.com");
  ASSERT_THAT(harness_.Published<ev::RequesterAssigned>(), SizeIs(1));
  EXPECT_THAT(harness_.Published<ev::RequesterAssigned>()[0].ticket_ids(), ElementsAre("t1", "t2"));
  // Changing it finds both forms.
  ChangeContact("carl", {}, {"addresses"});
  EXPECT_NE(Resolve("carl@old.example").contact_id(), "carl");
}

TEST_F(AccountHealth, IndexesAnewAndSettlesHoweverMuchWasStored) {
  std::vector<store::Write> rows;
  for (int i = 0; i < 250; ++i) {
    const std::string id = absl::StrCat("p", i);
    const std::string typed = absl::StrCat("P <", id, "@old.example>");
    av::Contact contact;
    contact.set_contact_id(id);
    contact.set_account_id("acme");
    contact.set_version(1);
    contact.add_addresses(typed);
    records::AddressRecord address;
    address.add_contact_ids(id);
    rows.push_back(Row("contacts", ", account_id", ", 'acme'", id, contact));
    rows.push_back(Row("addresses", "", "", AddressKey(NormalAddress(typed)), address));
  }
  // Entries of people who have a contact, which their bytes did not find.
  for (int i = 0; i < 50; ++i) {
    const std::string id = absl::StrCat("req_", i);
    records::RequesterRecord requester;
    requester.mutable_entry()->set_requester_id(id);
    requester.mutable_entry()->set_address(absl::StrCat("Pat <p", i, "@old.example>"));
    records::AddressRecord address;
    address.set_requester_id(id);
    rows.push_back(Row("requesters", ", is_open, first_seen_us", ", 1, 0", id, requester));
    rows.push_back(
        Row("addresses", "", "", AddressKey(NormalAddress(requester.entry().address())), address));
  }
  rows.push_back(TimerRow("index_addresses", "index_addresses", records::AddressIndexing()));
  const auto stored = harness_.store().Commit(rows);
  ASSERT_EQ(stored.kind, store::CommitResult::Kind::kCommitted) << stored.status;
  harness_.Restart();
  harness_.Advance(absl::Seconds(1));
  EXPECT_THAT(harness_.Published<ev::RequesterAssigned>(), SizeIs(50));
  EXPECT_THAT(Unresolved(), IsEmpty());
  for (int i = 0; i < 250; ++i) {
    const std::string id = absl::StrCat("p", i);
    EXPECT_EQ(Resolve(absl::StrCat(id, "@old.example")).contact_id(), id);
  }
}

// One person was put on the list twice, in two spellings.
TEST_F(AccountHealth, SettlesBothEntriesOfOnePersonWithTheOneThatWasIndexedLater) {
  std::vector<store::Write> rows;
  for (const auto& [id, address] :
       {std::pair("req_1", "zoe <zoe@gmail.com>"), std::pair("req_2", "zoe@gmail.com")}) {
    records::RequesterRecord requester;
    requester.mutable_entry()->set_requester_id(id);
    requester.mutable_entry()->set_address(address);
    records::AddressRecord index;
    index.set_requester_id(id);
    rows.push_back(Row("requesters", ", is_open, first_seen_us", ", 1, 0", id, requester));
    rows.push_back(Row("addresses", "", "", AddressKey(NormalAddress(address)), index));
  }
  rows.push_back(TimerRow("index_addresses", "index_addresses", records::AddressIndexing()));
  const auto stored = harness_.store().Commit(rows);
  ASSERT_EQ(stored.kind, store::CommitResult::Kind::kCommitted) << stored.status;
  harness_.Restart();
  harness_.Advance(absl::Seconds(1));
  EXPECT_EQ(Resolve("zoe@gmail.com").requester_id(), "req_2") << "who stood there before";
  av::AssignRequesterRequest assign;
  assign.set_requester_id("req_1");
  assign.set_contact_id("anna");
  Must<av::AssignRequesterResponse>("AccountService/AssignRequester", assign);
  EXPECT_THAT(Unresolved(), IsEmpty());
  EXPECT_THAT(harness_.Published<ev::RequesterAssigned>(), SizeIs(2));
}

TEST_F(AccountHealth, RefusesWhatIsNoAddress) {
  av::ResolveRequesterRequest resolve;
  resolve.set_address("a@b@c.example");
  const absl::Status none =
      Try<av::ResolveRequesterResponse>("AccountService/ResolveRequester", resolve).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(none.message()), HasSubstr("address: "));
  av::PutContactRequest put;
  put.mutable_contact()->set_account_id("acme");
  put.mutable_contact()->set_contact_id("eve");
  put.mutable_contact()->add_addresses("030/1234");
  put.mutable_contact()->add_addresses("eve@acme.com");
  put.mutable_contact()->add_addresses("Eve <EVE@acme.com>");
  const std::string problems(
      Try<av::PutContactResponse>("AccountService/PutContact", put).status().message());
  EXPECT_THAT(problems, HasSubstr("contact.addresses[0]"));
  EXPECT_THAT(problems, HasSubstr("contact.addresses[2]: stands twice"));
  av::PutAccountRequest account;
  account.mutable_account()->set_account_id("acme");
  account.mutable_account()->add_domains("no domain");
  account.mutable_account()->add_domains("b\u00fccher.example");
  account.mutable_account()->add_domains("XN--BCHER-KVA.example.");
  const std::string domains(
      Try<av::PutAccountResponse>("AccountService/PutAccount", account).status().message());
  EXPECT_THAT(domains, HasSubstr("account.domains[0]: "));
  EXPECT_THAT(domains, HasSubstr("account.domains[2]: stands twice"));
}

TEST_F(AccountHealth, LooksARequesterUpAndStoresNothing) {
  av::ResolveRequesterRequest look;
  look.set_lookup_only(true);
  look.set_address("new@acme.com");
  auto seen = Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", look);
  EXPECT_EQ(seen.contact_id(), "");
  EXPECT_EQ(seen.requester_id(), "");
  look.set_address("anna@acme.com");
  EXPECT_EQ(
      Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", look).contact_id(),
      "anna");
  look.set_address("zoe@gmail.com");
  Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", look);
  EXPECT_THAT(Unresolved(), IsEmpty());
  EXPECT_EQ(harness_.Number("SELECT COUNT(*) FROM contacts"), 2);
  look.clear_address();
  look.set_contact_id("nobody");
  EXPECT_EQ(
      Try<av::ResolveRequesterResponse>("AccountService/ResolveRequester", look).status().code(),
      absl::StatusCode::kNotFound);
}

// Who remembers whose address it is has to ask again.
TEST_F(AccountHealth, TellsTheContactWhoseAddressAnotherOneGets) {
  PutAccount("beta", {});
  const auto told = [&](const std::string& contact) {
    int64_t count = 0;
    for (const auto& event : harness_.Published<ev::ContactChanged>()) {
      count += event.contact_id() == contact ? 1 : 0;
    }
    return count;
  };
  const int64_t before = told("anna");
  PutContact("beta", "bea", "anna@acme.com");
  EXPECT_EQ(told("anna"), before + 1);
  EXPECT_EQ(ContactOf("anna").version(), 1) << "anna's own record is as it was";
}

// ---- what is no request

TEST_F(AccountHealth, LeavesSpamOutOfHealthAlsoWhereItHadBreached) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  Breached("t1", type::v1::SLA_METRIC_FIRST_RESPONSE);
  Reopened("t1");
  EXPECT_LT(Health().score(), 10000);
  Closed("t1", type::v1::CLOSE_REASON_SPAM);
  EXPECT_EQ(Health().score(), 10000);
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_EQ(Health().score(), 10000) << "nor what comes late";
  EXPECT_EQ(Check(kRenewal).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, EndsTheStretchOfAHoldWithTheTicketThatIsNoRequestAnyMore) {
  const absl::Time from = harness_.Now();
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  harness_.Advance(absl::Hours(2));
  Updated("t1", /*internal=*/true, false);
  harness_.Advance(absl::Hours(2));
  EXPECT_EQ(time::Span(HoldsBetween(from, harness_.Now()).at(kRenewal).account_held()),
            absl::Hours(2));
}

TEST_F(AccountHealth, FollowsATicketThatBecomesInternalAndBack) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  Breached("t1", type::v1::SLA_METRIC_FIRST_RESPONSE);
  Updated("t1", /*internal=*/true, false);
  EXPECT_EQ(Health().score(), 10000);
  EXPECT_THAT(harness_.Published<ev::OutreachCleared>(), SizeIs(1));
  const auto allowed = Check(kRenewal);
  ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  harness_.Advance(absl::Minutes(1));
  Updated("t1", /*internal=*/false, false);
  EXPECT_LT(Health().score(), 10000);
  EXPECT_EQ(ClearanceOf(allowed.clearance_id()).state(), av::CLEARANCE_STATE_REVOKED);
  EXPECT_THAT(harness_.Published<ev::OutreachHeld>(), SizeIs(2));
}

TEST_F(AccountHealth, ShowsSuspectedSpamAsAdviceUntilAnAgentConfirmsIt) {
  ev::TicketOpened opened;
  opened.set_ticket_id("t1");
  opened.set_account_id("acme");
  opened.set_contact_id("anna");
  opened.set_suspected_spam(true);
  keys_["t1"] = "acme";
  harness_.Deliver("ticket_intake", "t1", "acme", opened);
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  EXPECT_EQ(Health().score(), 10000);
  EXPECT_THAT(harness_.Published<ev::OutreachHeld>(), IsEmpty());
  for (const auto topic : {kRenewal, kTraining}) {
    const auto allowed = Check(topic, "bert");
    ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
    ASSERT_THAT(allowed.advice(), SizeIs(1));
    EXPECT_EQ(allowed.advice(0).rule(), "suspected_spam");
    EXPECT_EQ(allowed.advice(0).subject_id(), "t1");
  }
  // An agent confirmed it at intake, whose event is still under way.
  SetOpenTickets({{"t1", "anna"}});
  av::CheckOutreachRequest look = CheckOf(kUpsell, "bert");
  look.set_preview(true);
  EXPECT_THAT(Rules(Check(look)), Contains("critical_ticket"));
  SetOpenTickets({});
  const int64_t before = HoldVersion();
  harness_.Advance(absl::Minutes(1));
  Updated("t1", false, /*suspected_spam=*/false);
  EXPECT_EQ(HoldVersion(), before + 1);
  EXPECT_LT(Health().score(), 10000);
  EXPECT_THAT(harness_.Published<ev::ClearanceRevoked>(), SizeIs(1)) << "the renewal";
  ExpectHoldsAsIssuesSay(harness_, SupportAlone().outreach());
  Closed("t1", type::v1::CLOSE_REASON_SPAM);
  EXPECT_EQ(Health().score(), 10000);
}

// ---- a survey's opt-out

TEST_F(AccountHealth, TakesAnOptOutThatASurveyWasGiven) {
  const auto survey = Check(kSurvey, "anna", "");
  const auto renewal = Check(kRenewal);
  ev::SurveyOptedOut opted;
  opted.set_contact_id("anna");
  opted.set_account_id("acme");
  opted.set_opted_out(true);
  const std::string event = harness_.Deliver("survey", "anna", "acme", opted);
  EXPECT_THAT(ContactOf("anna").opted_out(),
              ElementsAre(type::v1::OUTREACH_TOPIC_SURVEY_NPS, kSurvey));
  EXPECT_EQ(ContactOf("anna").version(), 2) << "who read the contact before writes nothing over it";
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].clearance_id(), survey.clearance_id());
  EXPECT_EQ(revoked[0].cause_event_id(), event);
  EXPECT_EQ(ClearanceOf(renewal.clearance_id()).state(), av::CLEARANCE_STATE_STANDING);
  EXPECT_THAT(TimelineTypes(), Contains("SurveyOptedOut"));
  EXPECT_THAT(Rules(Check(kSurvey, "anna", "")), ElementsAre("opt_out"));
  const size_t told = harness_.Published<ev::ContactChanged>().size();
  harness_.Deliver("survey", "anna", "acme", opted);
  EXPECT_THAT(harness_.Published<ev::ContactChanged>(), SizeIs(told)) << "it is so already";
  opted.set_opted_out(false);
  harness_.Deliver("survey", "anna", "acme", opted);
  EXPECT_THAT(ContactOf("anna").opted_out(), IsEmpty());
  EXPECT_EQ(Check(kSurvey, "anna", "").verdict(), av::OUTREACH_VERDICT_ALLOW);
}

// ---- health

TEST_F(AccountHealth, ExplainsWhichEventsMovedTheScore) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  Resolved("t1");
  const auto moves = Moves();
  ASSERT_THAT(moves, SizeIs(4));
  EXPECT_EQ(moves[0].cause_type(), "TicketResolved");
  EXPECT_EQ(moves[1].cause_type(), "TicketTriaged");
  EXPECT_EQ(moves[1].subject_id(), "t1");
  EXPECT_EQ(moves[2].cause_type(), "TicketOpened");
  EXPECT_EQ(moves[3].cause_type(), "AccountRegistered");
  EXPECT_EQ(moves[1].to_score(), 7500);
  EXPECT_EQ(moves[0].share() + moves[1].share() + moves[2].share(), 0);
  EXPECT_THAT(harness_.Published<ev::HealthChanged>(), SizeIs(4));
  EXPECT_EQ(Health().band(), type::v1::HEALTH_BAND_GREEN);
}

TEST_F(AccountHealth, RecoversByTimerWhenFactsLeaveTheirWindow) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  for (int cycle = 1; cycle <= 5; ++cycle)
    Breached("t1", type::v1::SLA_METRIC_NEXT_RESPONSE, cycle);
  Resolved("t1");
  EXPECT_EQ(Health().score(), 8500);
  EXPECT_EQ(PendingTimers(), 1) << "one timer an account, for the next edge";
  harness_.Advance(absl::Hours(24 * 30));
  EXPECT_EQ(Health().score(), 8500) << "the hour in which they happened is not over";
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(Health().score(), 10000);
  EXPECT_EQ(Moves()[0].cause_type(), "window");
  EXPECT_EQ(PendingTimers(), 0);
}

TEST_F(AccountHealth, CountsABreachOnceAndTakesACorrectedOneBack) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  const int before = Health().score();
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION);
  harness_.DeliverAgain();
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION);
  EXPECT_EQ(Health().groups(0).measures(1).counted(), 1);
  ev::SlaVerdictCorrected corrected;
  corrected.mutable_clock()->set_ticket_id("t1");
  corrected.mutable_clock()->set_metric(type::v1::SLA_METRIC_RESOLUTION);
  corrected.mutable_clock()->set_cycle(1);
  corrected.set_from_verdict("breached");
  corrected.set_to_verdict("met");
  harness_.Deliver("sla_timer", "t1", "acme", corrected);
  EXPECT_EQ(Health().score(), before);
  SetOpenTickets({{"t1", "anna"}});
  EXPECT_EQ(Check(kRenewal, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
  // Missed after all: the cycle had its one SlaBreached already.
  corrected.set_from_verdict("met");
  corrected.set_to_verdict("breached");
  *corrected.mutable_occurred_at() = time::Stamp(harness_.Now());
  harness_.Deliver("sla_timer", "t1", "acme", corrected);
  EXPECT_EQ(Health().groups(0).measures(1).counted(), 1);
  EXPECT_THAT(Rules(Check(kRenewal, "bert")), ElementsAre("normal_ticket_breached"));
}

TEST_F(AccountHealth, HoldsForNoMissedCycleButThoseOfTheResolution) {
  const auto corrected = [&](int cycle) {
    ev::SlaVerdictCorrected event;
    event.mutable_clock()->set_ticket_id("t1");
    event.mutable_clock()->set_metric(type::v1::SLA_METRIC_RESOLUTION);
    event.mutable_clock()->set_cycle(cycle);
    event.set_from_verdict("breached");
    event.set_to_verdict("met");
    harness_.Deliver("sla_timer", "t1", "acme", event);
  };
  Opened("t1", "anna");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  SetOpenTickets({{"t1", "anna"}});
  Breached("t1", type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(Check(kTraining, "bert").verdict(), av::OUTREACH_VERDICT_ALLOW);
  av::CheckOutreachRequest look = CheckOf(kRenewal, "bert");
  look.set_preview(true);
  EXPECT_EQ(Check(look).verdict(), av::OUTREACH_VERDICT_ALLOW);
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION, 1);
  Breached("t1", type::v1::SLA_METRIC_RESOLUTION, 2);
  corrected(1);
  EXPECT_THAT(Rules(Check(look)), ElementsAre("normal_ticket_breached")) << "the other one stands";
  corrected(2);
  EXPECT_EQ(Check(look).verdict(), av::OUTREACH_VERDICT_ALLOW);
}

TEST_F(AccountHealth, CountsAnswersOfFourAndFiveAndTheLastRevisionOfEach) {
  av::ApplyPolicyRequest apply;
  *apply.mutable_policy() = DefaultPolicy();
  av::HealthProfile& profile = *apply.mutable_policy()->mutable_health()->mutable_profiles(0);
  av::HealthGroup voice = profile.groups(4);
  voice.mutable_measures()->DeleteSubrange(1, 1);
  profile.clear_groups();
  *profile.add_groups() = voice;
  Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", apply);
  const auto good_of_all = [&](const std::string& survey, int score, int revision) {
    ev::SurveyAnswered answered;
    answered.mutable_survey()->set_survey_id(survey);
    answered.mutable_survey()->set_kind(type::v1::SURVEY_KIND_CSAT);
    answered.mutable_survey()->set_account_id("acme");
    answered.set_score(score);
    answered.set_revision(revision);
    harness_.Deliver("survey", survey, "acme", answered);
    const av::MeasureScore csat = Health().groups(0).measures(0);
    return std::pair(csat.counted(), csat.of());
  };
  EXPECT_EQ(good_of_all("s1", 4, 1), std::pair(int64_t{1}, int64_t{1}));
  EXPECT_EQ(good_of_all("s2", 3, 1), std::pair(int64_t{1}, int64_t{2}));
  EXPECT_EQ(good_of_all("s2", 5, 2), std::pair(int64_t{2}, int64_t{2}));
  EXPECT_EQ(good_of_all("s2", 1, 1), std::pair(int64_t{2}, int64_t{2})) << "an older revision";
  EXPECT_EQ(Health().score(), 10000);
}

class DefaultWeights : public AccountHealth {
 protected:
  DefaultWeights() : AccountHealth(DefaultPolicy()) {}
};

TEST_F(DefaultWeights, LeaveAnAccountUnknownUntilHalfOfTheWeightIsKnown) {
  EXPECT_EQ(Health().band(), type::v1::HEALTH_BAND_UNKNOWN);
  EXPECT_EQ(Health().score(), -1);
  EXPECT_EQ(Health().known_share(), 2500);
  EXPECT_EQ(Health().groups(0).score(), 10000) << "its parts are told all the same";
}

TEST_F(AccountHealth, HasNoHealthOnceItChurned) {
  av::AdvanceJourneyRequest request;
  request.set_account_id("acme");
  request.set_to_stage(type::v1::JOURNEY_STAGE_CHURNED);
  Must<av::AdvanceJourneyResponse>("AccountService/AdvanceJourney", request);
  EXPECT_EQ(Health().band(), type::v1::HEALTH_BAND_UNSPECIFIED);
  Opened("t1");
  EXPECT_EQ(Health().score(), -1);
  av::ListHealthRequest list;
  const auto healthy = Must<av::ListHealthResponse>("HealthService/ListHealth", list);
  EXPECT_THAT(healthy.accounts(), IsEmpty());
  ASSERT_THAT(healthy.counts(), SizeIs(5));
  EXPECT_EQ(healthy.counts(4).accounts(), 1);
}

TEST_F(AccountHealth, ListsTheWorstFirst) {
  PutAccount("beta", {});
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  av::ListHealthRequest request;
  request.set_page_size(1);
  auto page = Must<av::ListHealthResponse>("HealthService/ListHealth", request);
  ASSERT_THAT(page.accounts(), SizeIs(1));
  EXPECT_EQ(page.accounts(0).account_id(), "acme");
  request.set_page_token(page.next_page_token());
  page = Must<av::ListHealthResponse>("HealthService/ListHealth", request);
  ASSERT_THAT(page.accounts(), SizeIs(1));
  EXPECT_EQ(page.accounts(0).account_id(), "beta");
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(AccountHealth, JudgesEveryAccountAnewUnderANewPolicy) {
  for (int i = 0; i < 120; ++i) PutAccount(absl::StrCat("more-", i), {});
  Opened("t1", "bert");
  Triaged("t1", type::v1::SEVERITY_URGENT);
  av::ApplyPolicyRequest request;
  *request.mutable_policy() = SupportAlone();
  // URGENT tickets hold nothing any more and count ten times as much.
  auto* rules = request.mutable_policy()->mutable_outreach()->mutable_rules();
  rules->DeleteSubrange(2, 1);
  request.mutable_policy()
      ->mutable_health()
      ->mutable_profiles(0)
      ->mutable_groups(0)
      ->mutable_measures(0)
      ->mutable_points(1)
      ->set_points(100);
  const int before = Health().score();
  const auto applied = Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", request);
  EXPECT_EQ(applied.version(), 1);
  harness_.Settle();
  EXPECT_LT(Health().score(), before);
  EXPECT_EQ(Moves()[0].cause_type(), "policy");
  EXPECT_EQ(Health("more-119").policy().version(), 1) << "the walk reached the last account";
  EXPECT_THAT(harness_.Published<ev::OutreachCleared>(), SizeIs(1));
  EXPECT_EQ(PendingTimers(), 0);
}

TEST_F(AccountHealth, RevokesWhatANewPolicyHolds) {
  Opened("t1", "anna");
  Triaged("t1", type::v1::SEVERITY_GENERAL);
  SetOpenTickets({{"t1", "anna"}});
  harness_.Advance(absl::Minutes(1));
  const auto allowed = Check(kRenewal, "bert");
  ASSERT_EQ(allowed.verdict(), av::OUTREACH_VERDICT_ALLOW);
  av::ApplyPolicyRequest request;
  *request.mutable_policy() = SupportAlone();
  for (av::HoldRule& rule : *request.mutable_policy()->mutable_outreach()->mutable_rules()) {
    if (rule.condition() == av::HOLD_CONDITION_GENERAL_TICKET) {
      rule.set_scope(av::HOLD_SCOPE_ACCOUNT);
    }
  }
  Must<av::ApplyPolicyResponse>("PolicyService/ApplyPolicy", request);
  harness_.Settle();
  const auto revoked = harness_.Published<ev::ClearanceRevoked>();
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].clearance_id(), allowed.clearance_id());
  EXPECT_EQ(revoked[0].reason(), "policy");
}

// An event of the account may come before the walk of the new policy.
TEST_F(AccountHealth, TellsWhatAPolicyMovedApartFromTheEventThatCameFirst) {
  Falsify("health", "acme", records::HealthRecord(), [](records::HealthRecord& health) {
    health.set_policy_version(77);
    health.set_score(9000);
  });
  Opened("t1");
  const auto moves = Moves();
  EXPECT_EQ(moves[1].cause_type(), "policy");
  EXPECT_EQ(moves[1].from_score(), 9000);
  EXPECT_EQ(moves[1].to_score(), 10000);
  EXPECT_EQ(moves[0].cause_type(), "TicketOpened");
  EXPECT_EQ(moves[0].from_score(), 10000);
}

// ---- timeline, requesters, journey

TEST_F(AccountHealth, ShowsEverythingOnTheTimelineInOrder) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  ev::TicketQueued queued;
  queued.set_ticket_id("t1");
  queued.set_account_id("acme");
  queued.set_queue("l1");
  harness_.Deliver("triage", "t1", "acme", queued);
  harness_.DeliverAgain();
  Resolved("t1");
  const std::vector<std::string> types = TimelineTypes();
  const std::vector<std::string> expected = {
      "AccountRegistered", "HealthChanged",  "ContactChanged", "ContactChanged",  "TicketOpened",
      "HealthChanged",     "OutreachHeld",   "TicketTriaged",  "OutreachCleared", "OutreachHeld",
      "TicketQueued",      "TicketResolved", "HealthChanged",  "OutreachCleared"};
  EXPECT_EQ(types, expected);

  // Pages from the newest end.
  av::GetTimelineRequest request;
  request.set_account_id("acme");
  request.set_page_size(4);
  std::vector<std::string> backwards;
  int pages = 0;
  do {
    const auto page = Must<av::GetTimelineResponse>("AccountService/GetTimeline", request);
    for (const av::TimelineEntry& entry : page.entries()) backwards.push_back(entry.type());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && ++pages < 10);
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(backwards, expected);
}

TEST_F(AccountHealth, ShowsATicketsPastOnceItsAccountIsKnown) {
  Opened("t1", "", "", "t1");
  Triaged("t1", type::v1::SEVERITY_CRITICAL);
  Breached("t1", type::v1::SLA_METRIC_FIRST_RESPONSE);
  EXPECT_EQ(Health().score(), 10000);
  EXPECT_THAT(TimelineTypes(), SizeIs(4));
  Attributed("t1", "acme", "anna");
  EXPECT_EQ(Health().groups(0).measures(1).counted(), 1) << "the missed cycle counts now";
  const std::vector<std::string> types = TimelineTypes();
  ASSERT_THAT(types, SizeIs(10));
  EXPECT_THAT(std::vector<std::string>(types.begin() + 4, types.end()),
              ElementsAre("TicketOpened", "TicketTriaged", "SlaBreached", "TicketRequesterResolved",
                          "HealthChanged", "OutreachHeld"));
}

TEST_F(AccountHealth, ResolvesRequestersByAddressThenByDomain) {
  const auto resolve = [&](const std::string& address, const std::string& ticket) {
    av::ResolveRequesterRequest request;
    request.set_address(address);
    request.set_ticket_id(ticket);
    return Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", request);
  };
  EXPECT_EQ(resolve("Anna@ACME.com", "t1").contact_id(), "anna");
  const auto made = resolve("new@acme.com", "t2");
  EXPECT_EQ(made.account_id(), "acme");
  EXPECT_EQ(made.contact_level(), type::v1::CONTACT_LEVEL_MEMBER);
  EXPECT_EQ(made.stage(), type::v1::JOURNEY_STAGE_LOYALTY);
  EXPECT_EQ(resolve("new@acme.com", "t3").contact_id(), made.contact_id());
  const auto unknown = resolve("zoe@gmail.com", "t4");
  EXPECT_EQ(unknown.contact_id(), "");
  EXPECT_EQ(resolve("zoe@gmail.com", "t5").requester_id(), unknown.requester_id());

  av::ListUnresolvedRequestersRequest list;
  auto open =
      Must<av::ListUnresolvedRequestersResponse>("AccountService/ListUnresolvedRequesters", list);
  ASSERT_THAT(open.requesters(), SizeIs(1));
  EXPECT_EQ(open.requesters(0).address(), "zoe@gmail.com");
  EXPECT_THAT(open.requesters(0).ticket_ids(), ElementsAre("t4", "t5"));

  av::AssignRequesterRequest assign;
  assign.set_requester_id(unknown.requester_id());
  assign.set_account_id("acme");
  const auto assigned = Must<av::AssignRequesterResponse>("AccountService/AssignRequester", assign);
  const auto events = harness_.Published<ev::RequesterAssigned>();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].contact_id(), assigned.contact_id());
  EXPECT_THAT(events[0].ticket_ids(), ElementsAre("t4", "t5"));
  EXPECT_EQ(resolve("zoe@gmail.com", "t6").contact_id(), assigned.contact_id());
  EXPECT_THAT(
      Must<av::ListUnresolvedRequestersResponse>("AccountService/ListUnresolvedRequesters", list)
          .requesters(),
      IsEmpty());
  assign.clear_request_id();
  EXPECT_EQ(
      Try<av::AssignRequesterResponse>("AccountService/AssignRequester", assign).status().code(),
      absl::StatusCode::kFailedPrecondition);
}

TEST_F(AccountHealth, NeverPutsPersonalDataOnTheBus) {
  av::ResolveRequesterRequest request;
  request.set_address("canary@acme.com");
  Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", request);
  request.clear_request_id();
  request.set_address("canary@gmail.com");
  const auto unknown =
      Must<av::ResolveRequesterResponse>("AccountService/ResolveRequester", request);
  av::AssignRequesterRequest assign;
  assign.set_requester_id(unknown.requester_id());
  assign.set_account_id("acme");
  Must<av::AssignRequesterResponse>("AccountService/AssignRequester", assign);
  const std::vector<bus::Event> published = harness_.PublishedEvents();
  EXPECT_THAT(published, SizeIs(Gt(5u)));
  for (const bus::Event& event : published) {
    EXPECT_EQ(event.body.find("canary"), std::string::npos) << event.type;
    EXPECT_EQ(event.subject.find("canary"), std::string::npos) << event.type;
  }
}

TEST_F(AccountHealth, MovesThroughTheJourneyOnlyAsItMay) {
  av::AdvanceJourneyRequest request;
  request.set_account_id("acme");
  request.set_to_stage(type::v1::JOURNEY_STAGE_PROSPECT);
  EXPECT_EQ(
      Try<av::AdvanceJourneyResponse>("AccountService/AdvanceJourney", request).status().code(),
      absl::StatusCode::kFailedPrecondition);
  request.set_correction(true);
  EXPECT_EQ(
      Try<av::AdvanceJourneyResponse>("AccountService/AdvanceJourney", request).status().code(),
      absl::StatusCode::kInvalidArgument)
      << "a correction needs a reason";
  request.set_reason("typed wrong");
  harness_.Advance(absl::Hours(1));
  Must<av::AdvanceJourneyResponse>("AccountService/AdvanceJourney", request);
  const auto events = harness_.Published<ev::JourneyAdvanced>();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_TRUE(events[0].correction());
  av::GetAccountRequest get;
  get.set_account_id("acme");
  const auto account = Must<av::GetAccountResponse>("AccountService/GetAccount", get);
  EXPECT_THAT(account.journey(), SizeIs(2));
  EXPECT_EQ(account.times(1).stage(), type::v1::JOURNEY_STAGE_LOYALTY);
  EXPECT_EQ(account.times(1).seconds(), 3600);
}

// An address becomes the head of a letter: a line end in it would add lines of a stranger's.
TEST_F(AccountHealth, RefusesAContactWhoseFieldsDoNotFitOnALine) {
  av::PutContactRequest put;
  av::Contact& contact = *put.mutable_contact();
  contact.set_account_id("acme");
  contact.set_contact_id("eve");
  contact.add_addresses("eve@acme.com\r\nBcc: all@acme.com");
  contact.set_display_name("Eve\x1b[2J");
  contact.set_business_role("a\tb");
  contact.set_language("' or 1=1");
  auto& name = *contact.add_external_ids();
  name.set_system("crm");
  name.set_id("4\n2");
  const absl::Status refused =
      Try<av::PutContactResponse>("AccountService/PutContact", put).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  for (const char* field :
       {"contact.addresses[0]:", "contact.display_name: holds a control",
        "contact.business_role: holds a control", "contact.language: must be a BCP 47 tag",
        "contact.external_ids[0].id: holds a control"}) {
    EXPECT_THAT(std::string(refused.message()), HasSubstr(field));
  }
}

// A name of a zone becomes the path of a file for whoever opens it, and some files never answer.
TEST_F(AccountHealth, RefusesATimeZoneThatTzdataDoesNotName) {
  av::PutContactRequest put;
  put.mutable_contact()->set_account_id("acme");
  put.mutable_contact()->set_contact_id("anna");
  for (const char* zone : {"/dev/ptmx", "../../etc/passwd", "posixrules", "localtime", "Factory",
                           "europe/berlin", "Fixed/UTC+01:00:00"}) {
    put.mutable_contact()->set_time_zone(zone);
    const absl::Status refused =
        Try<av::PutContactResponse>("AccountService/PutContact", put).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << zone;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("contact.time_zone: ")) << zone;
  }
  put.mutable_contact()->set_time_zone("Europe/Berlin");
  Must<av::PutContactResponse>("AccountService/PutContact", put);
}

TEST_F(AccountHealth, RefusesWhatDoesNotFit) {
  av::PutAccountRequest put;
  put.mutable_account()->set_account_id("acme");
  put.mutable_account()->set_version(7);
  EXPECT_EQ(Try<av::PutAccountResponse>("AccountService/PutAccount", put).status().code(),
            absl::StatusCode::kAborted);
  put.clear_request_id();
  put.mutable_account()->set_version(0);
  put.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_CHURNED);
  EXPECT_EQ(Try<av::PutAccountResponse>("AccountService/PutAccount", put).status().code(),
            absl::StatusCode::kFailedPrecondition);
  av::CheckOutreachRequest check;
  check.set_account_id("nobody");
  check.set_topic(kRenewal);
  EXPECT_EQ(Try<av::CheckOutreachResponse>("OutreachService/CheckOutreach", check).status().code(),
            absl::StatusCode::kNotFound);
  av::GetTimelineRequest timeline;
  timeline.set_account_id("acme");
  timeline.set_page_token("!");
  EXPECT_EQ(Try<av::GetTimelineResponse>("AccountService/GetTimeline", timeline).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// A policy is applied and walks through the accounts by a timer: events between the two find counts
// of the former one.
TEST_F(AccountHealth, CountsAnewWhatAnotherPolicyCounted) {
  Opened("t1");
  Triaged("t1", type::v1::SEVERITY_NORMAL);
  Opened("t2", "bert");
  Triaged("t2", type::v1::SEVERITY_URGENT);
  Falsify("holds", "acme", records::HoldRecord(), [](records::HoldRecord& holds) {
    holds.set_policy_version(77);
    holds.mutable_account()->clear_issues();
    Count(*holds.mutable_account(), UnfreeTopics(), 5);
  });
  Falsify("contact_holds", "acme/anna", records::ContactHoldRecord(),
          [](records::ContactHoldRecord& holds) { holds.mutable_scope()->clear_issues(); });
  const int64_t version = HoldVersion();
  Opened("t3", "bert");
  EXPECT_GT(HoldVersion(), version);
  ExpectHoldsAsIssuesSay(harness_, DefaultPolicy().outreach());
  for (const char* ticket : {"t1", "t2", "t3"}) Resolved(ticket);
  ExpectHoldsAsIssuesSay(harness_, DefaultPolicy().outreach());
  EXPECT_FALSE(HoldsBetween(harness_.Now() - absl::Hours(1), harness_.Now())[kRenewal].is_held());
}

// ---- convergence

class Convergence : public ::testing::Test {
 protected:
  // What all interleavings have to agree on.
  struct Outcome {
    int score = 0;
    std::string holds;
    std::multiset<std::string> timeline;
    bool operator==(const Outcome&) const = default;
  };

  Outcome Run(unsigned seed) {
    std::mt19937 random(seed);
    ServiceHarness harness([] { return Make({.built_in_policy = SupportAlone()}); }, Quiet());
    av::PutAccountRequest put;
    put.set_request_id("put");
    put.mutable_account()->set_account_id("acme");
    put.mutable_account()->set_stage(type::v1::JOURNEY_STAGE_LOYALTY);
    EXPECT_TRUE(
        harness.Call<av::PutAccountResponse>("tandem.account.v1.AccountService/PutAccount", put)
            .ok());
    const absl::Time start = harness.Now();
    harness.Advance(absl::Hours(10));

    std::map<std::string, std::vector<std::function<void()>>> streams;
    const auto add = [&](const std::string& ticket, int minute, auto event, const char* source) {
      streams[ticket].push_back([&harness, ticket, minute, event, source, start] {
        harness.Deliver(source, ticket, ticket, event, start + absl::Minutes(minute));
      });
    };
    int offset = 0;
    for (const std::string ticket : {"t1", "t2", "t3"}) {
      ev::TicketOpened opened;
      opened.set_ticket_id(ticket);
      add(ticket, offset + 0, opened, "ticket_intake");
      ev::TicketTriaged triaged;
      triaged.set_ticket_id(ticket);
      triaged.set_severity(offset == 0 ? type::v1::SEVERITY_URGENT : type::v1::SEVERITY_NORMAL);
      add(ticket, offset + 5, triaged, "triage");
      ev::TicketRequesterResolved attributed;
      attributed.set_ticket_id(ticket);
      attributed.set_account_id("acme");
      // Two of the tickets are of one contact.
      attributed.set_contact_id(ticket == "t3" ? "c-t2" : "c-" + ticket);
      add(ticket, offset + 10, attributed, "ticket_intake");
      ev::SlaBreached breached;
      breached.mutable_clock()->set_ticket_id(ticket);
      breached.mutable_clock()->set_metric(type::v1::SLA_METRIC_RESOLUTION);
      breached.mutable_clock()->set_cycle(1);
      *breached.mutable_occurred_at() = time::Stamp(start + absl::Minutes(offset + 60));
      add(ticket, offset + 60, breached, "sla_timer");
      ev::TicketResolved resolved;
      resolved.set_ticket_id(ticket);
      resolved.set_account_id("acme");
      add(ticket, offset + 90, resolved, "ticket_intake");
      if (ticket != "t3") {
        ev::TicketReopened reopened;
        reopened.set_ticket_id(ticket);
        reopened.set_account_id("acme");
        add(ticket, offset + 120, reopened, "ticket_intake");
      }
      offset += 70;
    }
    std::map<std::string, size_t> next;
    while (!streams.empty()) {
      auto stream = streams.begin();
      std::advance(stream, static_cast<long>(random() % streams.size()));
      stream->second[next[stream->first]++]();
      if (random() % 3 == 0) harness.DeliverAgain();
      if (random() % 5 == 0) harness.Restart();
      ExpectHoldsAsIssuesSay(harness, DefaultPolicy().outreach());
      if (next[stream->first] == stream->second.size()) streams.erase(stream);
    }

    Outcome outcome;
    av::GetHealthRequest health;
    health.set_account_id("acme");
    outcome.score =
        harness.Call<av::GetHealthResponse>("tandem.account.v1.HealthService/GetHealth", health)
            ->score();
    av::ListHoldsRequest holds;
    holds.set_account_id("acme");
    *holds.mutable_from() = time::Stamp(start);
    *holds.mutable_to() = time::Stamp(harness.Now());
    const auto held =
        harness.Call<av::ListHoldsResponse>("tandem.account.v1.OutreachService/ListHolds", holds);
    for (const av::TopicHold& hold : held->holds()) {
      absl::StrAppend(&outcome.holds, hold.ShortDebugString(), "\n");
    }
    av::GetTimelineRequest timeline;
    timeline.set_account_id("acme");
    timeline.set_page_size(500);
    const auto page = harness.Call<av::GetTimelineResponse>(
        "tandem.account.v1.AccountService/GetTimeline", timeline);
    for (const av::TimelineEntry& entry : page->entries()) {
      if (entry.source() == "account_health") continue;  // what moved when depends on the order
      outcome.timeline.insert(absl::StrCat(entry.type(), " ", entry.subject_id(), " ",
                                           time::MicrosOf(entry.occurred_at())));
    }
    return outcome;
  }
};

TEST_F(Convergence, HoldsHealthAndTimelineComeOutTheSameInEveryInterleaving) {
  const Outcome first = Run(1);
  EXPECT_EQ(first.timeline.size(), 17u);
  EXPECT_NE(first.holds, "");
  for (unsigned seed = 2; seed <= 25; ++seed) {
    const Outcome other = Run(seed);
    EXPECT_EQ(other.score, first.score) << seed;
    EXPECT_EQ(other.holds, first.holds) << seed;
    EXPECT_EQ(other.timeline, first.timeline) << seed;
  }
}

}  // namespace
}  // namespace tandem::account_health
