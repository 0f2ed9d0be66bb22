// survey, whole: commands, events, timers and letters against a database and a bus in memory.
#include "services/survey/service.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/views.h"
#include "common/testing/operator.h"
#include "common/testing/service_harness.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/survey/invitation.h"
#include "services/survey/letter.h"
#include "services/survey/records.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/survey/v1/policy_service.pb.h"
#include "tandem/survey/v1/survey_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"

namespace tandem::survey {

using config::Absl;

namespace {

using namespace type::v1;  // NOLINT: the product's own words
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
namespace av = account::v1;
namespace ev = events::v1;
namespace sv = survey::v1;
namespace tv = triage::v1;

constexpr char kService[] = "tandem.survey.v1.SurveyService/";
constexpr char kCheckOutreach[] = "tandem.account.v1.OutreachService/CheckOutreach";
constexpr char kGetStaff[] = "tandem.triage.v1.StaffService/GetStaff";
constexpr char kGetContact[] = "tandem.account.v1.AccountService/GetContact";
// The gate waits this long for facts on their way.
constexpr absl::Duration kSettle = absl::Seconds(2);

// A mailbox that a test can read, fill up and close.
class TestMailer : public Mailer {
 public:
  absl::Status Put(std::string_view name, std::string_view letter) override {
    ++puts;
    if (!answer.ok() && !answers_after_doing_it) return answer;
    letters[std::string(name)] = std::string(letter);
    return answer;
  }
  absl::Status Remove(std::string_view name) override {
    letters.erase(std::string(name));
    return absl::OkStatus();
  }

  std::map<std::string, std::string> letters;
  int puts = 0;
  absl::Status answer;
  bool answers_after_doing_it = false;
};

std::string TokenIn(const std::string& letter) {
  static constexpr char kHead[] = "X-Tandem-Token: ";
  size_t at = letter.find(kHead);
  if (at == std::string::npos) return "";
  at += sizeof(kHead) - 1;
  return letter.substr(at, letter.find('\n', at) - at);
}

std::shared_ptr<const TokenKeys> Keys() {
  return std::make_shared<const TokenKeys>(
      std::vector<std::string>{std::string(TokenKeys::kKeyBytes, 'k')});
}

bool Is(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  return status.code() == code && std::string(status.message()).find(text) != std::string::npos;
}

class Survey : public ::testing::Test {
 protected:
  Survey() : harness_([this] { return Make({.mailer = mailer_, .token_keys = Keys()}); }) {
    AnswerContact("ada@example.com");
    Allow();
    harness_.peer().On<tv::GetStaffRequest, tv::GetStaffResponse>(
        kGetStaff, [](const tv::GetStaffRequest& request) -> absl::StatusOr<tv::GetStaffResponse> {
          if (request.staff_id() == "nobody") return absl::NotFoundError("unknown");
          tv::GetStaffResponse response;
          response.mutable_staff()->set_staff_id(request.staff_id());
          response.mutable_staff()->set_active(request.staff_id() != "gone");
          return response;
        });
  }

  void AnswerContact(const std::string& address) {
    av::GetContactResponse response;
    response.mutable_contact()->set_contact_id("contact_1");
    response.mutable_contact()->set_account_id("account_1");
    if (!address.empty()) response.mutable_contact()->add_addresses(address);
    harness_.peer().Answer(kGetContact, response);
  }
  // Every question for clearance is answered by `make`, and its request kept.
  void OnCheck(std::function<absl::StatusOr<av::CheckOutreachResponse>()> make) {
    harness_.peer().On<av::CheckOutreachRequest, av::CheckOutreachResponse>(
        kCheckOutreach,
        [this, make = std::move(make)](
            const av::CheckOutreachRequest& request) -> absl::StatusOr<av::CheckOutreachResponse> {
          checks_.push_back(request);
          return make();
        });
  }
  void Allow() {
    OnCheck([this] {
      av::CheckOutreachResponse response;
      response.set_verdict(av::OUTREACH_VERDICT_ALLOW);
      response.set_clearance_id(absl::StrCat("clr_", checks_.size()));
      *response.mutable_expires_at() = time::Stamp(harness_.Now() + absl::Hours(4));
      return response;
    });
  }
  void Hold(const std::string& rule) {
    OnCheck([rule] {
      av::CheckOutreachResponse response;
      response.set_verdict(av::OUTREACH_VERDICT_HOLD);
      response.add_blocks()->set_rule(rule);
      return response;
    });
  }
  void NobodyAnswersChecks() {
    OnCheck([]() -> absl::StatusOr<av::CheckOutreachResponse> {
      return absl::DeadlineExceededError("slow");
    });
  }

  void Apply(const std::string& policy) {
    sv::ApplyPolicyRequest request;
    request.set_request_id(NextId());
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(policy, request.mutable_policy()));
    const auto applied = harness_.Call<sv::ApplyPolicyResponse>(
        "tandem.survey.v1.PolicyService/ApplyPolicy", request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  void SurveyAtResolution() {
    Apply(R"(rules { name: "r" trigger: SURVEY_TRIGGER_RESOLVED kind: SURVEY_KIND_CSAT
                     delay { seconds: 3600 } reminder_after { seconds: 86400 } })");
  }

  std::string NextId() { return absl::StrCat("request_", ++requests_); }

  // ---- what happens to a ticket
  template <typename E>
  void Happen(const std::string& source, const std::string& ticket_id, E fact) {
    fact.set_ticket_id(ticket_id);
    *fact.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver(source, ticket_id, "account_1", fact);
  }
  ev::TicketOpened Opening() {
    ev::TicketOpened opened;
    opened.set_account_id("account_1");
    opened.set_contact_id("contact_1");
    opened.set_segment(SEGMENT_MID);
    opened.set_channel(CHANNEL_EMAIL);
    opened.set_category("billing");
    return opened;
  }
  void Open(const std::string& ticket_id) { Open(ticket_id, Opening()); }
  void Open(const std::string& ticket_id, const ev::TicketOpened& opened,
            Severity severity = SEVERITY_NORMAL) {
    Happen("ticket_intake", ticket_id, opened);
    ev::TicketTriaged triaged;
    triaged.set_severity(severity);
    triaged.set_queue("desk");
    Happen("triage", ticket_id, triaged);
  }
  void Resolve(const std::string& ticket_id, int64_t resolution = 1,
               const std::string& assignee = "agent_1") {
    ev::TicketResolved resolved;
    resolved.set_account_id("account_1");
    resolved.set_contact_id("contact_1");
    resolved.set_resolution(resolution);
    resolved.set_assignee_id(assignee);
    Happen("ticket_intake", ticket_id, resolved);
  }
  void Close(const std::string& ticket_id, CloseReason reason = CLOSE_REASON_CONFIRMED,
             int64_t resolution = 1) {
    ev::TicketClosed closed;
    closed.set_account_id("account_1");
    closed.set_contact_id("contact_1");
    closed.set_reason(reason);
    closed.set_resolution(resolution);
    Happen("ticket_intake", ticket_id, closed);
  }
  void Reopen(const std::string& ticket_id) {
    Happen("ticket_intake", ticket_id, ev::TicketReopened());
  }
  // Opened, resolved, closed; the survey is planned.
  void RunToClosed(const std::string& ticket_id) {
    Open(ticket_id);
    Resolve(ticket_id);
    Close(ticket_id);
  }
  // And the invitation is out. Returns its token.
  std::string Invite(const std::string& ticket_id) {
    RunToClosed(ticket_id);
    harness_.Advance(absl::Hours(1) + kSettle);
    const std::string token = InvitationToken(ticket_id);
    EXPECT_THAT(Keys()->SurveyOf(token), ::testing::Optional(SurveyId(ticket_id, 1)));
    return token;
  }
  std::string InvitationToken(const std::string& ticket_id, int64_t resolution = 1) {
    return TokenIn(mailer_->letters[InvitationName(SurveyId(ticket_id, resolution))]);
  }
  std::string ReminderToken(const std::string& ticket_id, int64_t resolution = 1) {
    return TokenIn(mailer_->letters[ReminderName(SurveyId(ticket_id, resolution))]);
  }

  // ---- RPCs
  absl::StatusOr<sv::AnswerSurveyResponse> Answer(const std::string& token, int32_t score,
                                                  const std::string& text = "") {
    sv::AnswerSurveyRequest request;
    request.set_request_id(NextId());
    request.set_token(token);
    request.set_score(score);
    request.set_text(text);
    return harness_.Call<sv::AnswerSurveyResponse>(std::string(kService) + "AnswerSurvey", request);
  }
  absl::StatusOr<sv::GetInvitationResponse> Invitation(const std::string& token) {
    sv::GetInvitationRequest request;
    request.set_token(token);
    return harness_.Call<sv::GetInvitationResponse>(std::string(kService) + "GetInvitation",
                                                    request);
  }
  absl::StatusOr<sv::OptOutResponse> OptOut(const std::string& who) {
    sv::OptOutRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(who, &request));
    request.set_request_id(NextId());
    return harness_.Call<sv::OptOutResponse>(std::string(kService) + "OptOut", request);
  }
  absl::StatusOr<sv::CloseFollowUpResponse> CloseFollowUp(const std::string& follow_up_id,
                                                          const std::string& note = "",
                                                          const std::string& staff_id = "csm_1") {
    sv::CloseFollowUpRequest request;
    request.set_request_id(NextId());
    request.set_follow_up_id(follow_up_id);
    request.set_outcome(sv::FOLLOW_UP_OUTCOME_FIXED);
    request.set_staff_id(staff_id);
    request.set_note(note);
    return harness_.Call<sv::CloseFollowUpResponse>(std::string(kService) + "CloseFollowUp",
                                                    request);
  }
  template <typename Response, typename Request>
  absl::StatusOr<Response> Ask(const std::string& method, const std::string& text,
                               Request request) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    return harness_.Call<Response>(std::string(kService) + method, request);
  }
  sv::ListSurveysResponse Surveys(const std::string& filter = "") {
    const auto page = Ask<sv::ListSurveysResponse>("ListSurveys", filter, sv::ListSurveysRequest());
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *page : sv::ListSurveysResponse();
  }
  sv::Survey Of(const std::string& ticket_id, int64_t resolution = 1) {
    const sv::ListSurveysResponse page = Surveys(absl::StrCat("ticket_id: '", ticket_id, "'"));
    for (const sv::Survey& one : page.surveys()) {
      if (one.resolution() == resolution) return one;
    }
    return sv::Survey();
  }
  sv::ListAnswersResponse Answers(const std::string& filter) {
    const auto page = Ask<sv::ListAnswersResponse>("ListAnswers", filter, sv::ListAnswersRequest());
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *page : sv::ListAnswersResponse();
  }
  sv::GetScoresResponse Scores(const std::string& filter) {
    const auto scores = Ask<sv::GetScoresResponse>(
        "GetScores", absl::StrCat("kind: SURVEY_KIND_CSAT ", filter), sv::GetScoresRequest());
    EXPECT_TRUE(scores.ok()) << scores.status();
    return scores.ok() ? *scores : sv::GetScoresResponse();
  }
  sv::ListFollowUpsResponse FollowUps(const std::string& filter = "") {
    const auto page =
        Ask<sv::ListFollowUpsResponse>("ListFollowUps", filter, sv::ListFollowUpsRequest());
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *page : sv::ListFollowUpsResponse();
  }
  // The survey's events, without their package. One that a relay published again after a crash
  // counts once, as it does for its readers.
  std::vector<std::string> Story() {
    std::vector<std::string> types;
    std::set<std::string> seen;
    for (const bus::Event& event : harness_.PublishedEvents()) {
      if (!seen.insert(event.id).second) continue;
      const std::string type = event.type.substr(event.type.rfind('.') + 1);
      if (type != "PolicyApplied") types.push_back(type);
    }
    return types;
  }
  // Rows of survey's own tables in which the bytes stand.
  int RowsHolding(const std::string& bytes) {
    int rows = 0;
    for (const store::RecordTable* table : std::initializer_list<const store::RecordTable*>{
             &Tickets(), &survey::Surveys(), &Tokens(), &survey::Answers(), &survey::FollowUps(),
             &OptOuts()}) {
      const absl::Status status = harness_.store().reader().Query(
          table->SelectWhere("", {}), [&](const store::RowView& row) {
            if (absl::StrContains(absl::StrCat(Absl(row.Text(0)), " ", Absl(row.Text(2))), bytes)) {
              ++rows;
            }
          });
      EXPECT_TRUE(status.ok()) << status;
    }
    return rows;
  }
  // What the service has under way: timers (a letter that was not put is one), events, dead
  // letters.
  runtime::ServiceSample Sample() {
    absl::StatusOr<runtime::ServiceSample> sample = absl::UnknownError("no sample was taken");
    harness_.runtime().Sample(
        [&](absl::StatusOr<runtime::ServiceSample> taken) { sample = std::move(taken); });
    harness_.Settle();
    EXPECT_TRUE(sample.ok()) << sample.status();
    return sample.ok() ? *std::move(sample) : runtime::ServiceSample();
  }

  void Drop() { EXPECT_TRUE(testing::DropOldestLetter(harness_).ok()); }
  std::string PlanOf(size_t measure) {
    return testing::PlanOf(harness_, Measures()[measure]).value();
  }

  std::shared_ptr<TestMailer> mailer_ = std::make_shared<TestMailer>();
  std::vector<av::CheckOutreachRequest> checks_;
  testing::ServiceHarness harness_;
  int requests_ = 0;
};

// ---- inviting

TEST_F(Survey, InvitesTheRequesterOfAClosedTicketWithAClearance) {
  RunToClosed("tkt_1");
  const absl::Time closed_at = harness_.Now();
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_PLANNED);
  harness_.Advance(absl::Hours(1) - absl::Microseconds(1));
  EXPECT_THAT(Story(), IsEmpty());
  harness_.Advance(kSettle);

  const auto invited = harness_.Published<ev::SurveyInvited>();
  ASSERT_THAT(invited, SizeIs(1));
  EXPECT_EQ(invited[0].survey().survey_id(), SurveyId("tkt_1", 1));
  EXPECT_EQ(invited[0].survey().kind(), SURVEY_KIND_CSAT);
  EXPECT_EQ(invited[0].survey().account_id(), "account_1");
  EXPECT_EQ(invited[0].survey().contact_id(), "contact_1");
  EXPECT_EQ(invited[0].survey().ticket_id(), "tkt_1");
  EXPECT_EQ(invited[0].survey().resolution(), 1);
  EXPECT_EQ(invited[0].clearance_id(), "clr_1");
  EXPECT_GE(time::Instant(invited[0].occurred_at()), closed_at + absl::Hours(1));
  EXPECT_EQ(time::Instant(invited[0].expires_at()) - time::Instant(invited[0].occurred_at()),
            absl::Hours(14 * 24));
  EXPECT_EQ(harness_.PublishedEvents().back().key, "account_1");

  ASSERT_THAT(checks_, SizeIs(1));
  EXPECT_EQ(checks_[0].topic(), OUTREACH_TOPIC_SURVEY_TICKET);
  EXPECT_EQ(checks_[0].account_id(), "account_1");
  EXPECT_EQ(checks_[0].contact_id(), "contact_1");
  EXPECT_EQ(checks_[0].ticket_id(), "tkt_1");

  ASSERT_THAT(mailer_->letters, SizeIs(1));
  EXPECT_THAT(mailer_->letters.begin()->second, HasSubstr("To: ada@example.com\n"));
  const sv::Survey survey = Of("tkt_1");
  EXPECT_EQ(survey.state(), sv::SURVEY_STATE_INVITED);
  EXPECT_EQ(survey.severity(), SEVERITY_NORMAL);
  EXPECT_EQ(survey.category(), "billing");
  EXPECT_EQ(survey.segment(), SEGMENT_MID);
  EXPECT_EQ(survey.channel(), CHANNEL_EMAIL);
  EXPECT_EQ(survey.assignee_id(), "agent_1");
  EXPECT_EQ(survey.team(), "desk");
  EXPECT_EQ(survey.policy().rule(), "default");
  EXPECT_TRUE(survey.has_delivered_at());
}

TEST_F(Survey, InvitesOnceHoweverOftenTheTriggerComes) {
  RunToClosed("tkt_1");
  harness_.DeliverAgain();
  Close("tkt_1");
  harness_.Advance(absl::Hours(2));
  Close("tkt_1");
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  EXPECT_THAT(mailer_->letters, SizeIs(1));
}

TEST_F(Survey, AsksNobodyWhereNoRuleFits) {
  Apply(R"(rules { name: "never" categories: "billing" trigger: SURVEY_TRIGGER_NEVER }
           rules { name: "rest" trigger: SURVEY_TRIGGER_CLOSED kind: SURVEY_KIND_CES })");
  RunToClosed("tkt_1");
  ev::TicketOpened other = Opening();
  other.set_category("defect");
  Open("tkt_2", other);
  Resolve("tkt_2");
  Close("tkt_2");
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(Surveys().surveys(), SizeIs(1));
  EXPECT_EQ(Of("tkt_2").kind(), SURVEY_KIND_CES);
  EXPECT_EQ(Of("tkt_2").policy().version(), 1);
}

TEST_F(Survey, KeepsTheRuleThatPlannedIt) {
  RunToClosed("tkt_1");
  Apply(R"(rules { name: "r" trigger: SURVEY_TRIGGER_CLOSED kind: SURVEY_KIND_CES
                   bad_at_most: 6 })");
  harness_.Advance(absl::Hours(1) + kSettle);
  EXPECT_EQ(Of("tkt_1").kind(), SURVEY_KIND_CSAT);
  ASSERT_TRUE(Answer(InvitationToken("tkt_1"), 3).ok());
  EXPECT_FALSE(harness_.Published<ev::SurveyAnswered>()[0].bad());
}

TEST_F(Survey, DatesNoFactBeforeAnEarlierOneOfTheSameSurvey) {
  Invite("tkt_1");
  ASSERT_TRUE(Answer(InvitationToken("tkt_1"), 1).ok());
  absl::Time last = absl::InfinitePast();
  for (const bus::Event& event : harness_.PublishedEvents()) {
    EXPECT_GE(event.time, last);
    last = event.time;
  }
}

// ---- waiting, and giving up

TEST_F(Survey, IsSuppressedForGoodByFatigueAndByOptOut) {
  Hold("fatigue");
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(2));
  Hold("opt_out");
  RunToClosed("tkt_2");
  harness_.Advance(absl::Hours(2));
  Allow();
  harness_.Advance(absl::Hours(100));
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(2));
  EXPECT_EQ(suppressed[0].reason(), "fatigue");
  EXPECT_EQ(suppressed[1].reason(), "opt_out");
  EXPECT_THAT(checks_, SizeIs(2));
  EXPECT_THAT(mailer_->letters, IsEmpty());
  EXPECT_EQ(Of("tkt_1").suppressed_for(), "fatigue");
  EXPECT_EQ(Sample().timers, 0);
}

TEST_F(Survey, WaitsForAnOpenIssueUpToThreeDaysAndIsThenSuppressed) {
  Hold("critical_ticket");
  RunToClosed("tkt_1");
  const absl::Time closed_at = harness_.Now();
  harness_.Advance(absl::Hours(2));
  EXPECT_EQ(Of("tkt_1").waiting_for(), "critical_ticket");
  harness_.AdvanceTo(closed_at + absl::Hours(1 + 72) - absl::Seconds(1));
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_PLANNED);
  harness_.Advance(absl::Seconds(1) + kSettle);
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(1));
  EXPECT_EQ(suppressed[0].reason(), "held_too_long");
  EXPECT_GE(checks_.size(), 72u);
  const size_t tries = checks_.size();
  harness_.Advance(absl::Hours(100));
  EXPECT_EQ(checks_.size(), tries);
}

TEST_F(Survey, GoesOutOnceTheIssueIsOver) {
  Hold("critical_ticket");
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(10));
  Allow();
  harness_.Advance(absl::Hours(1) + kSettle);
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  // Each question that was answered with HOLD was followed by a new one.
  std::set<std::string> ids;
  for (const auto& check : checks_) EXPECT_TRUE(ids.insert(check.request_id()).second);
}

TEST_F(Survey, PutsTheSameQuestionAgainAfterALostAnswer) {
  NobodyAnswersChecks();
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(3) + kSettle);
  EXPECT_EQ(Of("tkt_1").waiting_for(), "unreachable");
  Allow();
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  ASSERT_GE(checks_.size(), 3u);
  std::set<std::string> ids;
  for (const auto& check : checks_) ids.insert(check.request_id());
  EXPECT_THAT(ids, SizeIs(1));
}

// The ticket moves to another contact while account_health is asked about the former one: what was
// answered then, an address and a clearance, is not the new one's.
TEST_F(Survey, AsksAboutTheContactThatTheTicketHasWhenItIsDecided) {
  harness_.peer().On<av::GetContactRequest, av::GetContactResponse>(
      kGetContact, [](const av::GetContactRequest& request) {
        av::GetContactResponse response;
        response.mutable_contact()->set_contact_id(request.contact_id());
        response.mutable_contact()->add_addresses(request.contact_id() + "@example.com");
        return response;
      });
  const auto move = [this](const std::string& to) {
    records::TicketRecord record;
    ASSERT_TRUE(harness_.store()
                    .reader()
                    .Query({"SELECT body FROM tickets", {}},
                           [&](const store::RowView& row) {
                             record.ParseFromString(std::string(row.Text(0)));
                           })
                    .ok());
    record.set_contact_id(to);
    const store::CommitResult result =
        harness_.store().Commit({{"tickets",
                                  "tkt_1",
                                  {"UPDATE tickets SET version = version + 1, body = $1",
                                   {store::Blob{record.SerializeAsString()}}},
                                  store::Expect::kOneRow}});
    ASSERT_EQ(result.kind, store::CommitResult::Kind::kCommitted) << result.status;
  };
  OnCheck([this, move] {
    if (checks_.size() == 1) move("contact_2");
    av::CheckOutreachResponse response;
    response.set_verdict(av::OUTREACH_VERDICT_ALLOW);
    response.set_clearance_id("clr_of_" + checks_.back().contact_id());
    *response.mutable_expires_at() = time::Stamp(harness_.Now() + absl::Hours(4));
    return response;
  });
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(2) + kSettle);
  const auto invited = harness_.Published<ev::SurveyInvited>();
  ASSERT_THAT(invited, SizeIs(1));
  EXPECT_EQ(invited[0].survey().contact_id(), "contact_2");
  EXPECT_EQ(invited[0].clearance_id(), "clr_of_contact_2");
  ASSERT_THAT(mailer_->letters, SizeIs(1));
  EXPECT_THAT(mailer_->letters.begin()->second, HasSubstr("To: contact_2@example.com\n"));
  ASSERT_THAT(checks_, SizeIs(2));
  EXPECT_NE(checks_[0].request_id(), checks_[1].request_id()) << "it is another question";
}

TEST_F(Survey, AsksAnewWhenTheClearanceOfTheLostAnswerIsOver) {
  NobodyAnswersChecks();
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(2));
  const absl::Time given_at = harness_.Now();
  const std::string first = checks_[0].request_id();
  OnCheck([this, given_at, first] {
    av::CheckOutreachResponse response;
    response.set_verdict(av::OUTREACH_VERDICT_ALLOW);
    const bool is_first = checks_.back().request_id() == first;
    response.set_clearance_id(is_first ? "clr_old" : "clr_new");
    *response.mutable_expires_at() =
        time::Stamp(is_first ? given_at : harness_.Now() + absl::Hours(4));
    return response;
  });
  harness_.Advance(absl::Hours(1));
  const auto invited = harness_.Published<ev::SurveyInvited>();
  ASSERT_THAT(invited, SizeIs(1));
  EXPECT_EQ(invited[0].clearance_id(), "clr_new");
}

TEST_F(Survey, WaitsForAnAccountHealthThatIsDownWithoutReservingAnything) {
  harness_.peer().Down(kGetContact);
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(5));
  EXPECT_THAT(checks_, IsEmpty());
  AnswerContact("ada@example.com");
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));

  harness_.peer().Down(kGetContact);
  RunToClosed("tkt_2");
  harness_.Advance(absl::Hours(1 + 72) + kSettle);
  EXPECT_EQ(Of("tkt_2").suppressed_for(), "held_too_long");
}

TEST_F(Survey, IsSuppressedWhereThereIsNobodyToWriteTo) {
  ev::TicketOpened unresolved = Opening();
  unresolved.clear_contact_id();
  unresolved.clear_account_id();
  Open("tkt_1", unresolved);
  Resolve("tkt_1");
  Close("tkt_1");
  AnswerContact("");
  RunToClosed("tkt_2");
  harness_.Advance(absl::Hours(2));
  harness_.peer().On<av::GetContactRequest, av::GetContactResponse>(
      kGetContact, [](const av::GetContactRequest&) -> absl::StatusOr<av::GetContactResponse> {
        return absl::NotFoundError("forgotten");
      });
  RunToClosed("tkt_3");
  harness_.Advance(absl::Hours(2));
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(3));
  for (const auto& one : suppressed) EXPECT_EQ(one.reason(), "no_contact");
  EXPECT_THAT(checks_, IsEmpty());
}

TEST_F(Survey, IsNeverAskedForInternalTicketsAndSpam) {
  ev::TicketOpened internal = Opening();
  internal.set_internal(true);
  Open("tkt_1", internal);
  Resolve("tkt_1");
  Close("tkt_1");
  Open("tkt_2");
  Close("tkt_2", CLOSE_REASON_SPAM, 0);
  Open("tkt_3");
  Resolve("tkt_3");
  Close("tkt_3", CLOSE_REASON_SPAM);
  harness_.Advance(absl::Hours(100));
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(1));
  EXPECT_EQ(suppressed[0].reason(), "internal");
  EXPECT_THAT(Surveys().surveys(), SizeIs(1));
  EXPECT_THAT(mailer_->letters, IsEmpty());
}

TEST_F(Survey, GoesToTheRequesterWhoWasFoundBeforeItWentOut) {
  ev::TicketOpened unresolved = Opening();
  unresolved.clear_contact_id();
  unresolved.clear_account_id();
  Open("tkt_1", unresolved);
  Resolve("tkt_1");
  Close("tkt_1");
  ev::TicketRequesterResolved found;
  found.set_account_id("account_7");
  found.set_contact_id("contact_7");
  found.set_segment(SEGMENT_ENTERPRISE);
  Happen("ticket_intake", "tkt_1", found);
  EXPECT_EQ(Of("tkt_1").account_id(), "account_7");
  harness_.Advance(absl::Hours(1) + kSettle);
  const auto invited = harness_.Published<ev::SurveyInvited>();
  ASSERT_THAT(invited, SizeIs(1));
  EXPECT_EQ(invited[0].survey().contact_id(), "contact_7");
  EXPECT_EQ(Of("tkt_1").segment(), SEGMENT_ENTERPRISE);
}

TEST_F(Survey, FollowsATicketThatMovesToAnotherAccountUntilItIsAnswered) {
  Invite("tkt_1");
  const std::string answered = Invite("tkt_2");
  ASSERT_TRUE(Answer(answered, 5).ok());
  ev::TicketUpdated moved;
  moved.set_account_id("account_9");
  moved.set_previous_account_id("account_1");
  moved.set_contact_id("contact_9");
  moved.set_category("billing");
  Happen("ticket_intake", "tkt_1", moved);
  Happen("ticket_intake", "tkt_2", moved);
  EXPECT_EQ(Of("tkt_1").account_id(), "account_9");
  EXPECT_EQ(Of("tkt_1").contact_id(), "contact_1");  // who was asked
  EXPECT_EQ(Of("tkt_2").account_id(), "account_1");
}

// ---- reminding and expiring

TEST_F(Survey, RemindsOnceWithAFreshTokenAndBothAnswer) {
  const std::string first = Invite("tkt_1");
  Hold("fatigue");  // the invitation itself took the units; a reminder is free
  harness_.Advance(absl::Hours(3 * 24));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyReminded"));
  const std::string second = ReminderToken("tkt_1");
  ASSERT_THAT(Keys()->SurveyOf(second), ::testing::Optional(SurveyId("tkt_1", 1)));
  EXPECT_NE(second, first);
  EXPECT_THAT(mailer_->letters, SizeIs(2));
  ASSERT_THAT(checks_, SizeIs(2));
  EXPECT_FALSE(checks_[0].preview());
  EXPECT_TRUE(checks_[1].preview());  // it reserves nothing
  EXPECT_TRUE(Answer(second, 4).ok());
  EXPECT_TRUE(Answer(first, 5).ok());
  harness_.Advance(absl::Hours(8 * 24));
  EXPECT_THAT(harness_.Published<ev::SurveyReminded>(), SizeIs(1));
}

TEST_F(Survey, AsksBeforeItRemindsAndDropsAReminderThatIsHeld) {
  Invite("tkt_1");
  Hold("opt_out");
  harness_.Advance(absl::Hours(3 * 24));
  EXPECT_THAT(checks_, SizeIs(2));
  Allow();
  harness_.Advance(absl::Hours(5 * 24));
  EXPECT_THAT(harness_.Published<ev::SurveyReminded>(), IsEmpty());
  EXPECT_EQ(Of("tkt_1").reminder_dropped(), "opt_out");
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_INVITED);
}

TEST_F(Survey, RemindsLaterWhenAccountHealthIsDown) {
  Invite("tkt_1");
  harness_.peer().Down(kGetContact);
  harness_.Advance(absl::Hours(3 * 24 + 5));
  EXPECT_THAT(harness_.Published<ev::SurveyReminded>(), IsEmpty());
  AnswerContact("ada@example.com");
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(harness_.Published<ev::SurveyReminded>(), SizeIs(1));
}

TEST_F(Survey, RemindsNobodyWhoAnswered) {
  ASSERT_TRUE(Answer(Invite("tkt_1"), 5).ok());
  harness_.Advance(absl::Hours(20 * 24));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyAnswered"));
  EXPECT_THAT(mailer_->letters, SizeIs(1));
}

TEST_F(Survey, ExpiresWhenNobodyAnswersAndThenTakesNoAnswer) {
  const std::string token = Invite("tkt_1");
  const absl::Time expires_at = time::Instant(Of("tkt_1").expires_at());
  harness_.AdvanceTo(expires_at - absl::Microseconds(1));
  EXPECT_TRUE(Invitation(token).ok());
  harness_.AdvanceTo(expires_at);
  // Its timer still waits for facts on their way, but the token's time is over.
  EXPECT_TRUE(Is(Answer(token, 5).status(), absl::StatusCode::kFailedPrecondition, "expired"));
  harness_.Advance(kSettle);
  const auto expired = harness_.Published<ev::SurveyExpired>();
  ASSERT_THAT(expired, SizeIs(1));
  EXPECT_EQ(time::Instant(expired[0].occurred_at()), expires_at);
  EXPECT_TRUE(Is(Answer(token, 5).status(), absl::StatusCode::kFailedPrecondition, "expired"));
  EXPECT_TRUE(Is(Answer(ReminderToken("tkt_1"), 5).status(), absl::StatusCode::kFailedPrecondition,
                 "expired"));
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_EXPIRED);
}

// ---- reopening

TEST_F(Survey, IsWithdrawnByAReopeningBeforeItWentOut) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  Reopen("tkt_1");
  harness_.Advance(absl::Hours(100));
  const auto withdrawn = harness_.Published<ev::SurveyWithdrawn>();
  ASSERT_THAT(withdrawn, SizeIs(1));
  EXPECT_EQ(withdrawn[0].clearance_id(), "");
  EXPECT_THAT(checks_, IsEmpty());
  EXPECT_THAT(mailer_->letters, IsEmpty());
}

TEST_F(Survey, IsNotSentWhenTheReopeningIsReadAtTheLastMoment) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(1));
  Reopen("tkt_1");  // the timer is due, and waits for the facts up to its instant
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Story(), ElementsAre("SurveyWithdrawn"));
  EXPECT_THAT(checks_, IsEmpty());
}

TEST_F(Survey, IsNotRemindedOfWhenTheReopeningIsReadAtTheLastMoment) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(2));
  harness_.AdvanceTo(time::Instant(Of("tkt_1").invited_at()) + absl::Hours(24));
  Reopen("tkt_1");
  harness_.Advance(absl::Hours(1));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyWithdrawn"));
}

TEST_F(Survey, EndsByWhatHappenedFirstWhateverWasReadFirst) {
  SurveyAtResolution();
  struct Case {
    const char* ticket;
    absl::Duration reopened_after_expiry;
    sv::SurveyState state;
  };
  for (const Case& one : {Case{"tkt_1", -absl::Microseconds(1), sv::SURVEY_STATE_WITHDRAWN},
                          Case{"tkt_2", absl::ZeroDuration(), sv::SURVEY_STATE_EXPIRED},
                          Case{"tkt_3", absl::Milliseconds(1), sv::SURVEY_STATE_EXPIRED}}) {
    Open(one.ticket);
    Resolve(one.ticket);
    harness_.Advance(absl::Hours(2));
    const absl::Time expires_at = time::Instant(Of(one.ticket).expires_at());
    // The expiry's timer is due, and waits for the facts up to its instant.
    harness_.AdvanceTo(expires_at + absl::Milliseconds(2));
    ev::TicketReopened reopened;
    reopened.set_ticket_id(one.ticket);
    harness_.Deliver("ticket_intake", one.ticket, "account_1", reopened,
                     expires_at + one.reopened_after_expiry);
    harness_.Advance(kSettle);
    EXPECT_EQ(Of(one.ticket).state(), one.state) << one.ticket;
  }
}

TEST_F(Survey, IsWithdrawnWithItsLettersAndItsClearanceByAReopeningBeforeAnAnswer) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(30));
  const std::string token = InvitationToken("tkt_1");
  ASSERT_THAT(mailer_->letters, SizeIs(2));
  Reopen("tkt_1");
  harness_.Advance(kSettle);
  const auto withdrawn = harness_.Published<ev::SurveyWithdrawn>();
  ASSERT_THAT(withdrawn, SizeIs(1));
  EXPECT_EQ(withdrawn[0].clearance_id(), "clr_1");
  EXPECT_THAT(mailer_->letters, IsEmpty());
  EXPECT_TRUE(Is(Answer(token, 5).status(), absl::StatusCode::kFailedPrecondition, "withdrawn"));
  EXPECT_TRUE(Is(Invitation(token).status(), absl::StatusCode::kFailedPrecondition, "withdrawn"));
  EXPECT_EQ(Scores("").total().delivered(), 0);
  EXPECT_EQ(Sample().timers, 0);

  // The next resolution has a survey of its own.
  Resolve("tkt_1", 2, "agent_2");
  harness_.Advance(absl::Hours(2));
  EXPECT_EQ(Of("tkt_1", 2).state(), sv::SURVEY_STATE_INVITED);
  EXPECT_EQ(Of("tkt_1", 2).assignee_id(), "agent_2");
  EXPECT_EQ(Of("tkt_1", 1).state(), sv::SURVEY_STATE_WITHDRAWN);
}

TEST_F(Survey, KeepsAnAnswerWithItsResolutionWhateverHappensToTheTicket) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(2));
  const std::string token = InvitationToken("tkt_1");
  ASSERT_TRUE(Answer(token, 5).ok());
  Reopen("tkt_1");
  Resolve("tkt_1", 2, "agent_2");
  EXPECT_THAT(harness_.Published<ev::SurveyWithdrawn>(), IsEmpty());
  ASSERT_TRUE(Answer(token, 4).ok());
  const auto answers = harness_.Published<ev::SurveyAnswered>();
  EXPECT_EQ(answers.back().survey().resolution(), 1);
  EXPECT_EQ(answers.back().assignee_id(), "agent_1");
}

TEST_F(Survey, IsWithdrawnWhenTheTicketTurnsOutToBeSpam) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(2));
  Close("tkt_1", CLOSE_REASON_SPAM);
  harness_.Advance(kSettle);
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyWithdrawn"));
  EXPECT_THAT(mailer_->letters, IsEmpty());
}

TEST_F(Survey, IsWithdrawnWhenTheTicketBecomesInternal) {
  SurveyAtResolution();
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(2));
  ev::TicketUpdated updated;
  updated.set_account_id("account_1");
  updated.set_contact_id("contact_1");
  updated.set_internal(true);
  Happen("ticket_intake", "tkt_1", updated);
  harness_.Advance(kSettle);
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyWithdrawn"));
  EXPECT_THAT(mailer_->letters, IsEmpty());
  // Nor for what is resolved from then on.
  Reopen("tkt_1");
  Resolve("tkt_1", 2);
  harness_.Advance(absl::Hours(2));
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(1));
  EXPECT_EQ(suppressed[0].reason(), "internal");
}

TEST_F(Survey, AsksNobodyWhoseTicketWaitsForAReviewAsSpam) {
  SurveyAtResolution();
  ev::TicketOpened suspected = Opening();
  suspected.set_suspected_spam(true);
  Open("tkt_1", suspected);
  Resolve("tkt_1");
  Open("tkt_2", suspected);
  ev::TicketUpdated found_none;
  found_none.set_account_id("account_1");
  found_none.set_contact_id("contact_1");
  Happen("ticket_intake", "tkt_2", found_none);
  Resolve("tkt_2");
  harness_.Advance(absl::Hours(2));
  const auto suppressed = harness_.Published<ev::SurveySuppressed>();
  ASSERT_THAT(suppressed, SizeIs(1));
  EXPECT_EQ(suppressed[0].survey().ticket_id(), "tkt_1");
  EXPECT_EQ(suppressed[0].reason(), "suspected_spam");
  const auto invited = harness_.Published<ev::SurveyInvited>();
  ASSERT_THAT(invited, SizeIs(1));
  EXPECT_EQ(invited[0].survey().ticket_id(), "tkt_2");
}

TEST_F(Survey, TakesFactsAboutTicketsThatItNeverSaw) {
  Reopen("tkt_1");
  Close("tkt_2", CLOSE_REASON_SPAM, 0);
  ev::SeverityChanged changed;
  changed.set_to_severity(SEVERITY_URGENT);
  Happen("triage", "tkt_3", changed);
  Close("tkt_3");
  harness_.Advance(absl::Hours(2));
  EXPECT_EQ(Sample().dead_letters, 0);
  EXPECT_EQ(Of("tkt_3").suppressed_for(), "no_contact");
}

// ---- letters

TEST_F(Survey, PutsALetterUntilTheMailboxTakesIt) {
  mailer_->answer = absl::UnavailableError("disk full");
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(2));
  EXPECT_GT(mailer_->puts, 10);
  EXPECT_THAT(mailer_->letters, IsEmpty());
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  EXPECT_FALSE(Of("tkt_1").has_delivered_at());
  EXPECT_EQ(Scores("").total().delivered(), 0);
  mailer_->answer = absl::OkStatus();
  harness_.Advance(absl::Minutes(1));
  EXPECT_THAT(mailer_->letters, SizeIs(1));
  EXPECT_EQ(Scores("").total().delivered(), 1);
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  EXPECT_TRUE(Answer(InvitationToken("tkt_1"), 5).ok());
}

TEST_F(Survey, PutsTheSameLetterAfterACrashInBetween) {
  mailer_->answer = absl::UnavailableError("killed before it was known");
  mailer_->answers_after_doing_it = true;
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(1) + kSettle);
  ASSERT_THAT(mailer_->letters, SizeIs(1));
  const std::string letter = mailer_->letters.begin()->second;
  mailer_->answer = absl::OkStatus();
  harness_.Restart();
  harness_.Advance(absl::Minutes(1));
  ASSERT_THAT(mailer_->letters, SizeIs(1));
  EXPECT_EQ(mailer_->letters.begin()->second, letter);
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited"));
  EXPECT_TRUE(Answer(TokenIn(letter), 5).ok());
}

TEST_F(Survey, DeliversNoLetterOfAWithdrawnInvitation) {
  SurveyAtResolution();
  mailer_->answer = absl::UnavailableError("disk full");
  Open("tkt_1");
  Resolve("tkt_1");
  harness_.Advance(absl::Hours(2));
  Reopen("tkt_1");
  mailer_->answer = absl::OkStatus();
  harness_.Advance(absl::Hours(2));
  EXPECT_THAT(mailer_->letters, IsEmpty());
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyWithdrawn"));
}

TEST_F(Survey, GivesTheBudgetBackWhenTheMailboxRefusesALetterForGood) {
  mailer_->answer = absl::InvalidArgumentError("no such mailbox");
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(1) + kSettle);
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_BOUNCED);
  const auto withdrawn = harness_.Published<ev::SurveyWithdrawn>();
  ASSERT_THAT(withdrawn, SizeIs(1));
  EXPECT_EQ(withdrawn[0].clearance_id(), "clr_1");
  harness_.Advance(absl::Hours(30 * 24));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyWithdrawn"));
}

TEST_F(Survey, WritesLettersIntoAFolder) {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "tandem_survey_XXXXXX").string();
  const fs::path root = ::mkdtemp(pattern.data());
  {
    auto opened = FileMailbox::Open((root / "mailbox").string(), FileMailbox::Durability::kFull);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const std::shared_ptr<Mailer> folder = *std::move(opened);
    testing::ServiceHarness harness([&] { return Make({.mailer = folder, .token_keys = Keys()}); });
    av::GetContactResponse contact;
    contact.mutable_contact()->add_addresses("ada@example.com");
    harness.peer().Answer(kGetContact, contact);
    av::CheckOutreachResponse allow;
    allow.set_verdict(av::OUTREACH_VERDICT_ALLOW);
    harness.peer().Answer(kCheckOutreach, allow);
    ev::TicketOpened opened_fact = Opening();
    opened_fact.set_ticket_id("tkt_1");
    harness.Deliver("ticket_intake", "tkt_1", "account_1", opened_fact);
    ev::TicketClosed closed;
    closed.set_ticket_id("tkt_1");
    closed.set_resolution(1);
    harness.Deliver("ticket_intake", "tkt_1", "account_1", closed);
    harness.Advance(absl::Hours(1) + kSettle);
    std::ifstream in(root / "mailbox" / InvitationName(SurveyId("tkt_1", 1)));
    std::stringstream letter;
    letter << in.rdbuf();
    EXPECT_THAT(letter.str(), HasSubstr("To: ada@example.com"));
    sv::AnswerSurveyRequest request;
    request.set_request_id("r");
    request.set_token(TokenIn(letter.str()));
    request.set_score(5);
    EXPECT_TRUE(
        harness.Call<sv::AnswerSurveyResponse>(std::string(kService) + "AnswerSurvey", request)
            .ok());
  }
  fs::remove_all(root);
}

// ---- answering

TEST_F(Survey, TellsTheHolderOfATokenWhatIsAsked) {
  const std::string token = Invite("tkt_1");
  auto invitation = Invitation(token);
  ASSERT_TRUE(invitation.ok()) << invitation.status();
  EXPECT_EQ(invitation->kind(), SURVEY_KIND_CSAT);
  EXPECT_EQ(invitation->lowest_score(), 1);
  EXPECT_EQ(invitation->highest_score(), 5);
  EXPECT_EQ(invitation->ticket_id(), "tkt_1");
  EXPECT_FALSE(invitation->has_score());
  ASSERT_TRUE(Answer(token, 4, "Well done.").ok());
  invitation = Invitation(token);
  ASSERT_TRUE(invitation.ok()) << invitation.status();
  EXPECT_EQ(invitation->score(), 4);
  EXPECT_EQ(invitation->text(), "Well done.");
}

TEST_F(Survey, StoresAnAnswerWithItsReasonsAndCreditsTheAssigneeAtResolution) {
  const std::string token = Invite("tkt_1");
  sv::AnswerSurveyRequest request;
  request.set_request_id("r1");
  request.set_token(token);
  request.set_score(4);
  request.add_reasons(SURVEY_REASON_SPEED);
  request.add_reasons(SURVEY_REASON_DIAGNOSIS);
  request.set_text("Quick.");
  const std::string method = std::string(kService) + "AnswerSurvey";
  const auto first = harness_.Call<sv::AnswerSurveyResponse>(method, request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->revision(), 1);
  // The same request again, before and after a crash, is the same answer.
  ASSERT_TRUE(harness_.Call<sv::AnswerSurveyResponse>(method, request).ok());
  harness_.Restart();
  ASSERT_TRUE(harness_.Call<sv::AnswerSurveyResponse>(method, request).ok());

  const auto answered = harness_.Published<ev::SurveyAnswered>();
  ASSERT_THAT(answered, SizeIs(1));
  EXPECT_EQ(answered[0].score(), 4);
  EXPECT_THAT(answered[0].reasons(), ElementsAre(SURVEY_REASON_SPEED, SURVEY_REASON_DIAGNOSIS));
  EXPECT_EQ(answered[0].revision(), 1);
  EXPECT_EQ(answered[0].assignee_id(), "agent_1");
  EXPECT_FALSE(answered[0].bad());
  const auto answers = Answers("ticket_id: 'tkt_1'");
  ASSERT_THAT(answers.answers(), SizeIs(1));
  EXPECT_EQ(answers.answers(0).text(), "Quick.");
  EXPECT_EQ(answers.answers(0).contact_id(), "contact_1");
}

TEST_F(Survey, MayBeAnsweredAnewUntilItExpiresAndTheLastAnswerCounts) {
  const std::string token = Invite("tkt_1");
  const absl::Time expires_at = time::Instant(Of("tkt_1").expires_at());
  ASSERT_TRUE(Answer(token, 5, "fine").ok());
  harness_.Advance(absl::Hours(24));
  const auto again = Answer(token, 3, "less fine");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->revision(), 2);
  // Saying the same again changes nothing.
  const auto same = Answer(token, 3, "less fine");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->revision(), 2);
  EXPECT_THAT(harness_.Published<ev::SurveyAnswered>(), SizeIs(2));
  EXPECT_EQ(harness_.Published<ev::SurveyAnswered>()[1].revision(), 2);

  const auto counting = Answers("account_id: 'account_1'");
  ASSERT_THAT(counting.answers(), SizeIs(1));
  EXPECT_EQ(counting.answers(0).score(), 3);
  const auto history = Answers("account_id: 'account_1' include_history: true");
  ASSERT_THAT(history.answers(), SizeIs(2));
  EXPECT_EQ(history.answers(1).score(), 5);
  EXPECT_EQ(history.answers(1).text(), "fine");
  EXPECT_FALSE(history.answers(1).counts());
  EXPECT_EQ(Scores("").total().answered(), 1);
  EXPECT_EQ(Scores("").total().share(), 0);

  harness_.AdvanceTo(expires_at);
  EXPECT_TRUE(Is(Answer(token, 5).status(), absl::StatusCode::kFailedPrecondition, "expired"));
  harness_.Advance(absl::Hours(24));
  EXPECT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_ANSWERED);
  EXPECT_THAT(harness_.Published<ev::SurveyExpired>(), IsEmpty());
}

TEST_F(Survey, CannotBeAnsweredWithoutEnd) {
  const std::string token = Invite("tkt_1");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Answer(token, 3 + i % 2).ok()) << i;
  EXPECT_TRUE(Is(Answer(token, 5).status(), absl::StatusCode::kFailedPrecondition, "100"));
}

TEST_F(Survey, GivesEveryWrongTokenTheSameAnswer) {
  const std::string token = Invite("tkt_1");
  std::set<std::string> said;
  for (const std::string& hostile :
       {std::string(), std::string("x"), std::string(1 << 19, 'x'), token.substr(1), token + "x",
        std::string("' OR 1=1 --"), std::string("../../etc/passwd"), SurveyId("tkt_1", 1),
        std::string(43, 'A')}) {
    const absl::Status answer = Answer(hostile, 5).status();
    EXPECT_EQ(answer.code(), absl::StatusCode::kNotFound);
    said.insert(std::string(answer.message()));
    const absl::Status invitation = Invitation(hostile).status();
    EXPECT_EQ(invitation.code(), absl::StatusCode::kNotFound);
    said.insert(std::string(invitation.message()));
    sv::OptOutRequest opt_out;
    opt_out.set_request_id(NextId());
    opt_out.set_token(hostile);
    const absl::Status out =
        harness_.Call<sv::OptOutResponse>(std::string(kService) + "OptOut", opt_out).status();
    EXPECT_EQ(out.code(), absl::StatusCode::kNotFound);
    said.insert(std::string(out.message()));
  }
  EXPECT_THAT(said, SizeIs(1));
  // Not even a wrong score tells that a token is right or wrong.
  EXPECT_EQ(Answer("x", 0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Survey, RefusesAnAnswerThatIsNone) {
  const std::string token = Invite("tkt_1");
  for (const int32_t score : {0, 6, 10}) {
    EXPECT_TRUE(Is(Answer(token, score).status(), absl::StatusCode::kInvalidArgument, "score"));
  }
  EXPECT_TRUE(Is(Answer(token, -1).status(), absl::StatusCode::kInvalidArgument, "score"));
  EXPECT_TRUE(Is(Answer(token, 5, std::string(4097, 'x')).status(),
                 absl::StatusCode::kInvalidArgument, "text"));
  EXPECT_TRUE(
      Is(Answer(token, 5, "\xff\xfe").status(), absl::StatusCode::kInvalidArgument, "text"));
  sv::AnswerSurveyRequest request;
  request.set_request_id(NextId());
  request.set_token(token);
  request.set_score(5);
  request.add_reasons(SURVEY_REASON_SPEED);
  request.add_reasons(SURVEY_REASON_SPEED);
  EXPECT_TRUE(
      Is(harness_.Call<sv::AnswerSurveyResponse>(std::string(kService) + "AnswerSurvey", request)
             .status(),
         absl::StatusCode::kInvalidArgument, "reasons"));
  EXPECT_THAT(harness_.Published<ev::SurveyAnswered>(), IsEmpty());
}

// ---- following up

TEST_F(Survey, AsksForAFollowUpOfABadAnswerUntilItIsClosedWithAnOutcome) {
  ASSERT_TRUE(Answer(Invite("tkt_1"), 2).ok());
  ASSERT_TRUE(Answer(Invite("tkt_2"), 3).ok());
  EXPECT_TRUE(harness_.Published<ev::SurveyAnswered>()[0].bad());
  const auto requested = harness_.Published<ev::SurveyFollowUpRequested>();
  ASSERT_THAT(requested, SizeIs(1));
  EXPECT_EQ(requested[0].score(), 2);
  EXPECT_EQ(requested[0].survey().ticket_id(), "tkt_1");
  const std::string id = requested[0].follow_up_id();
  ASSERT_THAT(FollowUps("open_only: true account_id: 'account_1'").follow_ups(), SizeIs(1));
  EXPECT_EQ(FollowUps("assignee_id: 'agent_1'").follow_ups(0).follow_up_id(), id);

  const auto closed = CloseFollowUp(id, "Called and apologised.");
  ASSERT_TRUE(closed.ok()) << closed.status();
  const auto facts = harness_.Published<ev::SurveyFollowUpClosed>();
  ASSERT_THAT(facts, SizeIs(1));
  EXPECT_EQ(facts[0].outcome(), "fixed");
  EXPECT_EQ(facts[0].follow_up_id(), id);
  EXPECT_THAT(FollowUps("open_only: true").follow_ups(), IsEmpty());
  EXPECT_EQ(FollowUps("").follow_ups(0).note(), "Called and apologised.");
  EXPECT_TRUE(
      Is(CloseFollowUp(id).status(), absl::StatusCode::kFailedPrecondition, "closed already"));
  EXPECT_EQ(CloseFollowUp("fup_none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Survey, LetsNobodyCloseAFollowUpWhoDoesNotWorkHere) {
  ASSERT_TRUE(Answer(Invite("tkt_1"), 2).ok());
  const std::string id = harness_.Published<ev::SurveyFollowUpRequested>()[0].follow_up_id();
  EXPECT_TRUE(Is(CloseFollowUp(id, "", "nobody").status(), absl::StatusCode::kNotFound,
                 "staff nobody does not exist"));
  EXPECT_TRUE(Is(CloseFollowUp(id, "", "gone").status(), absl::StatusCode::kFailedPrecondition,
                 "staff gone does not work here any more"));
  harness_.peer().Down(kGetStaff);
  EXPECT_TRUE(Is(CloseFollowUp(id).status(), absl::StatusCode::kUnavailable, "triage"));
  EXPECT_THAT(harness_.Published<ev::SurveyFollowUpClosed>(), IsEmpty());
}

TEST_F(Survey, EndsTheFollowUpWhenTheCustomerTakesTheComplaintBack) {
  const std::string token = Invite("tkt_1");
  ASSERT_TRUE(Answer(token, 1).ok());
  ASSERT_TRUE(Answer(token, 2).ok());
  ASSERT_TRUE(Answer(token, 4).ok());
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyAnswered", "SurveyFollowUpRequested",
                                   "SurveyAnswered", "SurveyAnswered", "SurveyFollowUpClosed"));
  EXPECT_EQ(harness_.Published<ev::SurveyFollowUpClosed>()[0].outcome(), "withdrawn");
  ASSERT_TRUE(Answer(token, 1).ok());
  EXPECT_THAT(harness_.Published<ev::SurveyFollowUpRequested>(), SizeIs(2));
  EXPECT_THAT(FollowUps("open_only: true").follow_ups(), SizeIs(1));
}

// ---- opting out

TEST_F(Survey, IsNotSentToAContactWhoOptedOut) {
  const std::string token = Invite("tkt_1");
  const auto out = OptOut(absl::StrCat("token: '", token, "'"));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_TRUE(out->opted_out());
  RunToClosed("tkt_2");
  harness_.Advance(absl::Hours(4 * 24));
  EXPECT_EQ(Of("tkt_2").suppressed_for(), "opt_out");
  EXPECT_EQ(Of("tkt_1").reminder_dropped(), "opt_out");
  EXPECT_THAT(checks_, SizeIs(1));
  // What was asked may still be answered.
  EXPECT_TRUE(Answer(token, 5).ok());

  const auto again = OptOut("contact_id: 'contact_1'");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(time::Instant(again->since()), time::Instant(out->since()));
  ASSERT_TRUE(OptOut("contact_id: 'contact_1' take_back: true").ok());
  RunToClosed("tkt_3");
  harness_.Advance(absl::Hours(2));
  EXPECT_EQ(Of("tkt_3").state(), sv::SURVEY_STATE_INVITED);
}

TEST_F(Survey, TellsEveryServiceOfAnOptOutOnceAndOfItsEnd) {
  const std::string token = Invite("tkt_1");
  const auto out = OptOut(absl::StrCat("token: '", token, "'"));
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_TRUE(OptOut("contact_id: 'contact_1'").ok());
  ASSERT_TRUE(OptOut("contact_id: 'contact_1' take_back: true").ok());
  ASSERT_TRUE(OptOut("contact_id: 'contact_1' take_back: true").ok());
  const auto published = harness_.Published<ev::SurveyOptedOut>();
  ASSERT_THAT(published, SizeIs(2));
  EXPECT_EQ(published[0].contact_id(), "contact_1");
  EXPECT_EQ(published[0].account_id(), "account_1");
  EXPECT_EQ(time::Instant(published[0].occurred_at()), time::Instant(out->since()));
  EXPECT_TRUE(published[0].opted_out());
  EXPECT_FALSE(published[1].opted_out());
  for (const bus::Event& event : harness_.PublishedEvents()) {
    if (event.type == ev::SurveyOptedOut::descriptor()->full_name()) {
      EXPECT_EQ(event.subject, "contact_1");
      EXPECT_EQ(event.key, "account_1");
    }
  }
}

TEST_F(Survey, TakesNoOptOutOfAContactWhomNobodyKnowsOrCanAskAbout) {
  harness_.peer().On<av::GetContactRequest, av::GetContactResponse>(
      kGetContact, [](const av::GetContactRequest&) -> absl::StatusOr<av::GetContactResponse> {
        return absl::NotFoundError("unknown");
      });
  EXPECT_TRUE(Is(OptOut("contact_id: 'contact_9'").status(), absl::StatusCode::kNotFound,
                 "contact contact_9"));
  harness_.peer().Down(kGetContact);
  EXPECT_TRUE(Is(OptOut("contact_id: 'contact_1'").status(), absl::StatusCode::kUnavailable,
                 "account_health"));
  EXPECT_THAT(harness_.Published<ev::SurveyOptedOut>(), IsEmpty());
}

TEST_F(Survey, KeepsNoTokenAnywhereNotEvenWhileItsLetterWaits) {
  mailer_->answer = absl::UnavailableError("disk full");
  RunToClosed("tkt_1");
  harness_.Advance(absl::Hours(2));
  ASSERT_EQ(Of("tkt_1").state(), sv::SURVEY_STATE_INVITED);
  const std::string token = Keys()->Make(SurveyId("tkt_1", 1), 1);
  const std::string mac = token.substr(token.rfind('.') + 1);
  int rows = 0;
  const absl::Status status = harness_.store().reader().Query(
      {"SELECT payload FROM timers", {}}, [&](const store::RowView& row) {
        ++rows;
        EXPECT_FALSE(absl::StrContains(Absl(row.Text(0)), mac));
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GT(rows, 0);
  EXPECT_EQ(RowsHolding(mac), 0);
  mailer_->answer = absl::OkStatus();
  harness_.Advance(absl::Hours(1));
  EXPECT_EQ(TokenIn(mailer_->letters[InvitationName(SurveyId("tkt_1", 1))]), token);
}

TEST_F(Survey, RefusesAnOptOutOfNobody) {
  EXPECT_TRUE(Is(OptOut("").status(), absl::StatusCode::kInvalidArgument, "who"));
  EXPECT_TRUE(Is(OptOut("contact_id: 'two words'").status(), absl::StatusCode::kInvalidArgument,
                 "contact_id"));
  EXPECT_TRUE(Is(OptOut("token: 'x' take_back: true").status(), absl::StatusCode::kInvalidArgument,
                 "take_back"));
}

// ---- scores

TEST_F(Survey, ScoresWhatWasDeliveredByEachOfItsFacts) {
  struct Case {
    const char* ticket;
    Severity severity;
    const char* category;
    Channel channel;
    const char* assignee;
    int score;  // 0 = no answer
  };
  for (const Case& one : {Case{"tkt_1", SEVERITY_URGENT, "billing", CHANNEL_EMAIL, "agent_1", 5},
                          Case{"tkt_2", SEVERITY_URGENT, "billing", CHANNEL_CHAT, "agent_1", 2},
                          Case{"tkt_3", SEVERITY_NORMAL, "defect", CHANNEL_CHAT, "agent_2", 4},
                          Case{"tkt_4", SEVERITY_NORMAL, "defect", CHANNEL_CHAT, "agent_2", 0}}) {
    ev::TicketOpened opened = Opening();
    opened.set_category(one.category);
    opened.set_channel(one.channel);
    Open(one.ticket, opened, one.severity);
    Resolve(one.ticket, 1, one.assignee);
    Close(one.ticket);
    harness_.Advance(absl::Hours(1) + kSettle);
    if (one.score > 0) {
      ASSERT_TRUE(Answer(InvitationToken(one.ticket), one.score).ok());
    }
    harness_.Advance(absl::Hours(5 * 24));  // the last two fall into December
  }
  const sv::Score total = Scores("").total();
  EXPECT_EQ(total.delivered(), 4);
  EXPECT_EQ(total.answered(), 3);
  EXPECT_EQ(total.good(), 2);
  EXPECT_DOUBLE_EQ(total.share(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(total.mean(), 11.0 / 3);
  EXPECT_DOUBLE_EQ(total.response_rate(), 0.75);
  EXPECT_TRUE(total.few_answers());

  const auto by = [&](const std::string& grouping) {
    std::vector<std::string> lines;
    const auto scores = Scores(absl::StrCat("group_by: SCORE_GROUPING_", grouping));
    for (const auto& group : scores.groups()) {
      lines.push_back(absl::StrCat(group.group(), " ", group.score().delivered(), "/",
                                   group.score().answered(), "/", group.score().good()));
    }
    return lines;
  };
  EXPECT_THAT(by("SEVERITY"), ElementsAre("SEVERITY_URGENT 2/2/1", "SEVERITY_NORMAL 2/1/1"));
  EXPECT_THAT(by("CATEGORY"), ElementsAre("billing 2/2/1", "defect 2/1/1"));
  EXPECT_THAT(by("CHANNEL"), ElementsAre("CHANNEL_EMAIL 1/1/1", "CHANNEL_CHAT 3/2/1"));
  EXPECT_THAT(by("ASSIGNEE"), ElementsAre("agent_1 2/2/1", "agent_2 2/1/1"));
  EXPECT_THAT(by("ACCOUNT"), ElementsAre("account_1 4/3/2"));
  EXPECT_THAT(by("SEGMENT"), ElementsAre("SEGMENT_MID 4/3/2"));
  EXPECT_THAT(by("TEAM"), ElementsAre("desk 4/3/2"));
  EXPECT_THAT(by("MONTH"), ElementsAre("2026-11 2/2/1", "2026-12 2/1/1"));
  EXPECT_THAT(by("DAY"), SizeIs(4));

  EXPECT_EQ(Scores("assignee_id: 'agent_1'").total().answered(), 2);
  EXPECT_EQ(Scores("severity: SEVERITY_NORMAL channel: CHANNEL_CHAT").total().delivered(), 2);
  EXPECT_EQ(Scores("account_id: 'account_2'").total().delivered(), 0);
  EXPECT_FALSE(Scores("account_id: 'account_2'").total().has_share());
  EXPECT_EQ(Scores("category: 'defect' segment: SEGMENT_MID team: 'desk'").total().good(), 1);
  // By the day of delivery, whenever it was answered.
  const int64_t middle = absl::ToUnixSeconds(harness_.Now() - absl::Hours(11 * 24));
  EXPECT_EQ(Scores(absl::StrCat("to { seconds: ", middle, " }")).total().delivered(), 2);
  EXPECT_EQ(Scores(absl::StrCat("from { seconds: ", middle, " }")).total().delivered(), 2);
  const auto effort =
      Ask<sv::GetScoresResponse>("GetScores", "kind: SURVEY_KIND_CES", sv::GetScoresRequest());
  ASSERT_TRUE(effort.ok());
  EXPECT_EQ(effort->total().delivered(), 0);
}

TEST_F(Survey, PagesGroupsOfScores) {
  for (int i = 0; i < 5; ++i) {
    const std::string ticket = absl::StrCat("tkt_", i);
    Open(ticket);
    Resolve(ticket, 1, absl::StrCat("agent_", i));
    Close(ticket);
  }
  harness_.Advance(absl::Hours(1) + kSettle);
  std::vector<std::string> groups;
  std::string token;
  do {
    const auto page = Scores(
        absl::StrCat("group_by: SCORE_GROUPING_ASSIGNEE page_size: 2 page_token: '", token, "'"));
    EXPECT_EQ(page.total().delivered(), 5);
    for (const auto& group : page.groups()) groups.push_back(group.group());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(groups, ElementsAre("agent_0", "agent_1", "agent_2", "agent_3", "agent_4"));
}

// ---- lists

TEST_F(Survey, ListsSurveysByWhatTheyBelongToStablyWhileOthersArePlanned) {
  for (int i = 0; i < 5; ++i) RunToClosed(absl::StrCat("tkt_", i));
  EXPECT_THAT(Surveys("account_id: 'account_1'").surveys(), SizeIs(5));
  EXPECT_THAT(Surveys("contact_id: 'contact_1' states: SURVEY_STATE_PLANNED").surveys(), SizeIs(5));
  EXPECT_THAT(Surveys("contact_id: 'contact_2'").surveys(), IsEmpty());
  EXPECT_THAT(Surveys("states: SURVEY_STATE_INVITED states: SURVEY_STATE_EXPIRED").surveys(),
              IsEmpty());
  std::set<std::string> seen;
  std::string token;
  int more = 100;
  do {
    const auto page = Surveys(absl::StrCat("page_size: 2 page_token: '", token, "'"));
    for (const auto& one : page.surveys()) EXPECT_TRUE(seen.insert(one.ticket_id()).second);
    token = page.next_page_token();
    harness_.Advance(absl::Seconds(1));
    RunToClosed(absl::StrCat("tkt_", more++));
  } while (!token.empty());
  EXPECT_THAT(seen, SizeIs(5));
}

TEST_F(Survey, RefusesHostileQuestionsAndNamesTheField) {
  struct Case {
    const char* method;
    const char* request;
    const char* field;
  };
  for (const Case& one : {Case{"ListSurveys", "account_id: 'a b'", "account_id"},
                          Case{"ListSurveys", "states: SURVEY_STATE_UNSPECIFIED", "states"},
                          Case{"ListSurveys", "page_size: 501", "page_size"},
                          Case{"ListSurveys", "page_size: -1", "page_size"},
                          Case{"ListSurveys", "page_token: 'bm9uc2Vuc2U'", "page_token"}}) {
    EXPECT_TRUE(
        Is(Ask<sv::ListSurveysResponse>(one.method, one.request, sv::ListSurveysRequest()).status(),
           absl::StatusCode::kInvalidArgument, one.field))
        << one.request;
  }
  for (const Case& one : {Case{"ListAnswers", "survey_id: '\\n'", "survey_id"},
                          Case{"ListAnswers", "contact_id: \"';--\"", "contact_id"},
                          Case{"ListAnswers", "page_token: '%'", "page_token"}}) {
    EXPECT_TRUE(
        Is(Ask<sv::ListAnswersResponse>(one.method, one.request, sv::ListAnswersRequest()).status(),
           absl::StatusCode::kInvalidArgument, one.field))
        << one.request;
  }
  for (const Case& one :
       {Case{"GetScores", "", "kind"}, Case{"GetScores", "kind: SURVEY_KIND_NPS", "kind"},
        Case{"GetScores", "kind: SURVEY_KIND_CSAT category: 'A B'", "category"},
        Case{"GetScores", "kind: SURVEY_KIND_CSAT page_token: 'x'", "page_token"}}) {
    EXPECT_TRUE(
        Is(Ask<sv::GetScoresResponse>(one.method, one.request, sv::GetScoresRequest()).status(),
           absl::StatusCode::kInvalidArgument, one.field))
        << one.request;
  }
  sv::CloseFollowUpRequest close;
  close.set_request_id("r");
  const absl::Status status =
      harness_.Call<sv::CloseFollowUpResponse>(std::string(kService) + "CloseFollowUp", close)
          .status();
  for (const char* field : {"follow_up_id", "staff_id", "outcome"}) {
    EXPECT_TRUE(Is(status, absl::StatusCode::kInvalidArgument, field)) << field;
  }
  // A page of one question is none of another.
  for (int i = 0; i < 3; ++i) RunToClosed(absl::StrCat("tkt_", i));
  const std::string token = Surveys("page_size: 1").next_page_token();
  ASSERT_FALSE(token.empty());
  EXPECT_TRUE(
      Is(Ask<sv::ListSurveysResponse>(
             "ListSurveys", absl::StrCat("account_id: 'account_1' page_token: '", token, "'"),
             sv::ListSurveysRequest())
             .status(),
         absl::StatusCode::kInvalidArgument, "page_token"));
}

// ---- crashes

TEST_F(Survey, LosesNothingAndDoublesNothingWhenItIsKilledAtEveryStep) {
  Open("tkt_1");
  harness_.Restart();
  Resolve("tkt_1");
  Close("tkt_1");
  harness_.Restart();
  harness_.Advance(absl::Hours(1));
  harness_.Restart();
  harness_.Advance(kSettle);
  harness_.Restart();
  harness_.Advance(absl::Hours(3 * 24));
  harness_.Restart();
  ASSERT_TRUE(Answer(ReminderToken("tkt_1"), 1).ok());
  harness_.Restart();
  harness_.Advance(absl::Hours(20 * 24));
  EXPECT_THAT(Story(), ElementsAre("SurveyInvited", "SurveyReminded", "SurveyAnswered",
                                   "SurveyFollowUpRequested"));
  EXPECT_THAT(mailer_->letters, SizeIs(2));
  EXPECT_EQ(Sample().timers, 0);
  EXPECT_EQ(Sample().dead_letters, 0);
}

// ---- personal data

TEST_F(Survey, TellsNothingPersonalAndKeepsNoTokenAndNoAddress) {
  av::GetContactResponse contact;
  contact.mutable_contact()->set_display_name("CANARY-NAME");
  contact.mutable_contact()->add_addresses("canary-address@example.com");
  harness_.peer().Answer(kGetContact, contact);
  const std::string token = Invite("tkt_1");
  harness_.Advance(absl::Hours(3 * 24));
  const std::string second = ReminderToken("tkt_1");
  ASSERT_TRUE(Answer(token, 1, "CANARY-TEXT").ok());
  const auto requested = harness_.Published<ev::SurveyFollowUpRequested>();
  ASSERT_THAT(requested, SizeIs(1));
  ASSERT_TRUE(CloseFollowUp(requested[0].follow_up_id(), "CANARY-NOTE").ok());

  std::string bus;
  for (const bus::Event& event : harness_.PublishedEvents()) {
    absl::StrAppend(&bus, event.id, event.subject, event.key, event.cause, event.body, "\n");
  }
  for (const std::string& canary : {std::string("CANARY"), std::string("canary"), token, second}) {
    EXPECT_THAT(bus, Not(HasSubstr(canary)));
  }
  EXPECT_THAT(harness_.PublishedEvents(), SizeIs(5));
  for (const std::string& canary :
       {std::string("CANARY-NAME"), std::string("canary-address"), token, second}) {
    EXPECT_EQ(RowsHolding(canary), 0) << canary;
  }
  // A delivery's row went with its letter, an event's with its publication.
  harness_.Advance(absl::Seconds(1));
  EXPECT_EQ(Sample().timers, 0);
  EXPECT_EQ(Sample().outbox_events, 0);
  EXPECT_EQ(Sample().dead_letters, 0);
  // The search finds what is there: the text, in the answer alone.
  EXPECT_EQ(RowsHolding("CANARY-TEXT"), 1);
  EXPECT_EQ(RowsHolding("CANARY-NOTE"), 1);
}

TEST_F(Survey, AsksNobodyWhileTheTicketsFactsAreParked) {
  RunToClosed("tkt_1");
  harness_.DeliverBroken("ticket_intake", "tkt_1", "account_1", "tandem.events.v1.TicketReopened");
  harness_.Advance(absl::Hours(5));
  EXPECT_THAT(Story(), IsEmpty());
  const auto listed =
      Ask<sv::ListSurveysResponse>("ListSurveys", "ticket_id: 'tkt_1'", sv::ListSurveysRequest());
  EXPECT_TRUE(Is(listed.status(), absl::StatusCode::kFailedPrecondition, "dead-letter"));
  EXPECT_THAT(Surveys("account_id: 'account_1'").surveys(), SizeIs(1));
  Drop();
  harness_.Advance(absl::Minutes(1));
  EXPECT_THAT(harness_.Published<ev::SurveyInvited>(), SizeIs(1));
}

TEST_F(Survey, AnswersWhoeverHoldsATokenThoughTheTicketsFactsAreParked) {
  const std::string token = Invite("tkt_1");
  harness_.DeliverBroken("ticket_intake", "tkt_1", "account_1", "tandem.events.v1.TicketReopened");
  EXPECT_TRUE(Answer(token, 5).ok());
}

TEST_F(Survey, CountsWhatIsUnderWayAndWhatCameOfIt) {
  RunToClosed("tkt_0");
  std::string text = harness_.Metrics();
  const std::string under_way = "tandem_surveys_under_way{service=\"survey\",state=";
  EXPECT_THAT(text, HasSubstr(under_way + "\"waiting\"} 1"));
  const std::string bad = Invite("tkt_1");  // both are invited
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(under_way + "\"waiting\"} 0"));
  EXPECT_THAT(text, HasSubstr(under_way + "\"invited\"} 2"));
  ASSERT_TRUE(Answer(bad, 1).ok());
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(under_way + "\"invited\"} 1"));
  const auto results = [](const std::string& result) {
    return "tandem_survey_results_30d{kind=\"csat\",result=\"" + result + "\",service=\"survey\"} ";
  };
  EXPECT_THAT(text, HasSubstr(results("not_good") + "1"));
  EXPECT_THAT(text, HasSubstr(results("unanswered") + "1"));
  EXPECT_THAT(text, HasSubstr("tandem_survey_follow_ups_due{service=\"survey\"} 1"));
  EXPECT_THAT(PlanOf(0), HasSubstr("INDEX surveys_under_way"));
  EXPECT_THAT(PlanOf(1), HasSubstr("COVERING INDEX surveys_by_delivery"));
  EXPECT_THAT(PlanOf(2), HasSubstr("INDEX follow_ups_open"));
  harness_.Advance(absl::Hours(31 * 24));
  text = harness_.Metrics();
  EXPECT_THAT(text, HasSubstr(results("not_good") + "0")) << "longer than 30 days ago";
  EXPECT_THAT(text, HasSubstr(under_way + "\"invited\"} 0")) << "expired";
}

}  // namespace
}  // namespace tandem::survey
