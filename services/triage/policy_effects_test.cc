// What a new policy may not drop while it is in use, and what it is warned of.
#include "services/triage/policy_effects.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/service_harness.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/triage/service.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/events/v1/triage.pb.h"
#include "tandem/triage/v1/policy_service.pb.h"
#include "tandem/triage/v1/staff_service.pb.h"
#include "tandem/triage/v1/triage_service.pb.h"

namespace tandem::triage {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kPolicies[] = "tandem.triage.v1.PolicyService/";
constexpr char kStaff[] = "tandem.triage.v1.StaffService/";
constexpr char kTriage[] = "tandem.triage.v1.TriageService/";

class TriagePolicyEffects : public ::testing::Test {
 protected:
  TriagePolicyEffects() : harness_([] { return Make({}); }) {
    policy_ = Parse<v1::TriagePolicy>(R"pb(
      queues { name: "desk" }
      queues { name: "billing" }
      routing {
        name: "money"
        when { categories: "billing" }
        queue: "billing"
      }
      product_skills { product: "db" skills: "sql" }
      calendars { name: "days" zone: "UTC" always_open: true }
      escalations {
        name: "critical"
        triggers: ESCALATION_TRIGGER_SEVERITY
        levels {
          targets { queue: "desk" }
          acknowledge_within { seconds: 600 }
        }
      })pb");
    EXPECT_TRUE(Apply(policy_).ok());
    Put(R"(staff_id: "ann" queues: "desk" skills: "sql")");
  }

  template <typename Message>
  static Message Parse(const std::string& text) {
    Message message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
    return message;
  }
  absl::StatusOr<v1::ApplyPolicyResponse> Apply(const v1::TriagePolicy& policy,
                                                bool validate_only = false) {
    v1::ApplyPolicyRequest request;
    request.set_request_id(absl::StrCat("request_", ++requests_));
    *request.mutable_policy() = policy;
    request.set_validate_only(validate_only);
    auto applied =
        harness_.Call<v1::ApplyPolicyResponse>(absl::StrCat(kPolicies, "ApplyPolicy"), request);
    harness_.Settle();
    return applied;
  }
  // "code subject count" of each effect that the policy would have.
  std::vector<std::string> Effects(const v1::TriagePolicy& policy) {
    std::vector<std::string> effects;
    const auto looked = Apply(policy, /*validate_only=*/true);
    EXPECT_TRUE(looked.ok()) << looked.status();
    if (!looked.ok()) return effects;
    for (const type::v1::PolicyEffect& effect : looked->effects()) {
      effects.push_back(absl::StrCat(effect.code(), " ", effect.subject(), " ", effect.count()));
    }
    return effects;
  }
  void Put(const std::string& text) {
    v1::PutStaffRequest request;
    request.set_request_id(absl::StrCat("request_", ++requests_));
    *request.mutable_staff() = Parse<v1::Staff>(text);
    request.mutable_staff()->set_function(type::v1::STAFF_FUNCTION_SUPPORT);
    if (text.find("active") == std::string::npos) request.mutable_staff()->set_active(true);
    const auto put = harness_.Call<v1::PutStaffResponse>(absl::StrCat(kStaff, "PutStaff"), request);
    ASSERT_TRUE(put.ok()) << put.status();
  }
  template <typename Fact>
  void Deliver(Fact fact) {
    *fact.mutable_occurred_at() = time::Stamp(harness_.Now());
    harness_.Deliver("ticket_intake", fact.ticket_id(), "account_1", fact);
  }
  void Open(const std::string& ticket_id, const std::string& facts = "") {
    auto opened = Parse<events::v1::TicketOpened>(facts);
    opened.set_ticket_id(ticket_id);
    opened.set_account_id("account_1");
    opened.set_version(1);
    Deliver(opened);
  }
  void Resolve(const std::string& ticket_id) {
    events::v1::TicketResolved resolved;
    resolved.set_ticket_id(ticket_id);
    Deliver(resolved);
  }
  bool IsOnDuty(const std::string& staff_id) {
    v1::ClaimNextRequest request;
    request.set_request_id(absl::StrCat("request_", ++requests_));
    request.set_staff_id(staff_id);
    const auto claimed =
        harness_.Call<v1::ClaimNextResponse>(absl::StrCat(kTriage, "ClaimNext"), request);
    return !absl::IsFailedPrecondition(claimed.status());
  }

  v1::TriagePolicy policy_;
  testing::ServiceHarness harness_;
  int requests_ = 0;
};

TEST_F(TriagePolicyEffects, RefusesToDropAShiftThatSomebodyWorksAndNamesHim) {
  Put(R"(staff_id: "bob" queues: "desk" shift_calendar: "days")");
  policy_.clear_calendars();
  const auto refused = Apply(policy_);
  ASSERT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("calendar days is gone and is used by the shifts of staff bob"));
  EXPECT_THAT(Effects(policy_), Contains("calendar_in_use days 1"));
  // The way out that it names.
  Put(R"(staff_id: "bob" queues: "desk")");
  EXPECT_TRUE(Apply(policy_).ok());
}

TEST_F(TriagePolicyEffects, LetsAShiftGoThatOnlySomebodyHadWhoLeft) {
  Put(R"(staff_id: "bob" queues: "desk" shift_calendar: "days" active: false)");
  policy_.clear_calendars();
  EXPECT_TRUE(Apply(policy_).ok());
}

TEST_F(TriagePolicyEffects, RefusesToDropAQueueWithTicketsOrPeople) {
  Open("t1", R"(category: "billing")");
  v1::TriagePolicy without = policy_;
  without.mutable_queues()->RemoveLast();
  without.clear_routing();
  EXPECT_THAT(Effects(without), Contains("queue_in_use billing 1"));
  EXPECT_THAT(std::string(Apply(without).status().message()),
              HasSubstr("queue billing is gone and is used by 1 open ticket"));
  Resolve("t1");
  Put(R"(staff_id: "cy" queues: "billing")");
  EXPECT_THAT(std::string(Apply(without).status().message()),
              HasSubstr("queue billing is gone and is used by staff cy"));
  Put(R"(staff_id: "cy" queues: "desk")");
  EXPECT_TRUE(Apply(without).ok());
}

TEST_F(TriagePolicyEffects, RefusesToDropAnEscalationPolicyThatRings) {
  Open("t1", "impact: IMPACT_HIGH urgency: URGENCY_HIGH");
  v1::TriagePolicy without = policy_;
  without.mutable_escalations(0)->set_name("other");
  EXPECT_THAT(Effects(without), Contains("escalation_policy_in_use critical 1"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Apply(without).status()));
  // Nobody is rung by an exhausted one any more.
  harness_.Advance(absl::Minutes(11));
  EXPECT_TRUE(Apply(without).ok());
}

TEST_F(TriagePolicyEffects, RefusesToDropTheCalendarThatALiveEscalationGoesBy) {
  policy_.mutable_escalations(0)->set_calendar("days");
  ASSERT_TRUE(Apply(policy_).ok());
  Open("t1", "impact: IMPACT_HIGH urgency: URGENCY_HIGH");
  policy_.clear_calendars();
  policy_.mutable_escalations(0)->clear_calendar();
  EXPECT_THAT(Effects(policy_), Contains("calendar_in_use days 1"));
  const absl::Status refused = Apply(policy_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the live escalations "));
  Resolve("t1");
  EXPECT_TRUE(Apply(policy_).ok());
}

TEST_F(TriagePolicyEffects, LooksAtEverybodyHoweverManyWorkHere) {
  for (int i = 0; i < 500; ++i) Put(absl::StrCat("staff_id: \"a", i, "\""));
  Put(R"(staff_id: "zoe" queues: "billing" shift_calendar: "days")");
  policy_.clear_calendars();
  EXPECT_THAT(Effects(policy_), Contains("calendar_in_use days 1"));
}

TEST_F(TriagePolicyEffects, RefusesToForgetTheSkillsThatOpenTicketsNeed) {
  Open("t1", R"(product: "db")");
  v1::TriagePolicy silent = policy_;
  silent.clear_product_skills();
  EXPECT_THAT(Effects(silent), Contains("product_skills_in_use db 1"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Apply(silent).status()));
  v1::TriagePolicy said = policy_;
  said.mutable_product_skills(0)->clear_skills();
  EXPECT_TRUE(Apply(said).ok());
}

TEST_F(TriagePolicyEffects, TellsEverythingThatIsInUseAtOnce) {
  Put(R"(staff_id: "bob" queues: "billing" shift_calendar: "days")");
  Open("t1", R"(product: "db" impact: IMPACT_HIGH urgency: URGENCY_HIGH)");
  const absl::Status refused =
      Apply(Parse<v1::TriagePolicy>(R"pb(queues { name: "desk" })pb")).status();
  for (const char* what : {"queue billing", "calendar days", "escalation policy critical",
                           "the skills of product db"}) {
    EXPECT_THAT(std::string(refused.message()), HasSubstr(what));
  }
}

TEST_F(TriagePolicyEffects, WarnsOfQueuesThatNobodyServesAndSkillsThatNobodyHas) {
  Open("t1", R"(product: "net")");
  v1::TriagePolicy policy = policy_;
  policy.add_queues()->set_name("night");
  *policy.add_product_skills() = Parse<v1::ProductSkills>(R"(product: "net" skills: "bgp")");
  policy.mutable_escalations(0)->mutable_levels(0)->add_targets()->set_staff_id("nobody");
  EXPECT_THAT(Effects(policy), ElementsAre("queue_unserved billing 0", "queue_unserved night 0",
                                           "skills_missing net 1", "staff_missing nobody 1"));
  const auto applied = Apply(policy);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->effects_size(), 4);
  // The policy in force changes nothing.
  EXPECT_THAT(Effects(policy), IsEmpty());
}

TEST_F(TriagePolicyEffects, AShiftThatNobodyKnowsPutsNobodyOnDuty) {
  Put(R"(staff_id: "bob" queues: "desk" shift_calendar: "days")");
  Open("t1");
  EXPECT_TRUE(IsOnDuty("bob"));
  corridor::Violations violations;
  const auto rules =
      Rules::Make(Parse<v1::TriagePolicy>(R"pb(queues { name: "desk" })pb"), violations);
  ASSERT_TRUE(violations.ok());
  EXPECT_TRUE(rules->IsOpen("", harness_.Now()));
  EXPECT_FALSE(rules->IsOpen("days", harness_.Now()));
}

}  // namespace
}  // namespace tandem::triage
