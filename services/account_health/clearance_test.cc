#include "services/account_health/clearance.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/time/micros.h"
#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {
namespace {

using account::v1::Clearance;
using records::HoldRecord;
using records::Issue;
using records::StandingClearance;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const account::v1::OutreachPolicy& Policy() { return DefaultPolicy().outreach(); }

absl::Time At(double seconds) { return time::FromMicros(static_cast<int64_t>(seconds * 1e6)); }

Issue Ticket(type::v1::Severity severity, uint32_t flags = 0) {
  Issue issue;
  issue.set_subject_id("t");
  issue.set_severity(severity);
  issue.set_contact_id("anna");
  issue.set_flags(flags);
  return issue;
}

void AddClearance(HoldRecord& holds, std::string id, std::string contact,
                  type::v1::OutreachTopic topic, absl::Time as_of, absl::Time expires,
                  std::string exception = "") {
  StandingClearance& one = *holds.add_clearances();
  one.set_clearance_id(std::move(id));
  one.set_contact_id(std::move(contact));
  one.set_topic(topic);
  one.set_as_of_us(time::ToMicros(as_of));
  one.set_expires_us(time::ToMicros(expires));
  one.set_exception_id(std::move(exception));
}

std::vector<std::string> Ids(const std::vector<StandingClearance>& clearances) {
  std::vector<std::string> ids;
  for (const StandingClearance& one : clearances) ids.push_back(one.clearance_id());
  return ids;
}

struct SkewCase {
  const char* name;
  double opened_before_as_of_s;
  IssueFact fact;
  bool is_revoked;
};

class Skew : public testing::TestWithParam<SkewCase> {};

TEST_P(Skew, DecidesWhetherIntakesAnswerHadSeenTheTicket) {
  HoldRecord holds;
  AddClearance(holds, "c", "", type::v1::OUTREACH_TOPIC_RENEWAL, At(100), At(1000));
  const auto revoked = FindRevoked(holds, Ticket(type::v1::SEVERITY_UNSPECIFIED), GetParam().fact,
                                   At(100 - GetParam().opened_before_as_of_s), At(101), Policy());
  EXPECT_EQ(!revoked.empty(), GetParam().is_revoked);
}

INSTANTIATE_TEST_SUITE_P(
    Clearance, Skew,
    testing::Values(SkewCase{"opened_after", -1, IssueFact::kAppeared, true},
                    SkewCase{"opened_at", 0, IssueFact::kAppeared, true},
                    SkewCase{"opened_within_the_skew", 5, IssueFact::kAppeared, true},
                    SkewCase{"opened_well_before", 5.000001, IssueFact::kAppeared, false},
                    SkewCase{"reopened_well_before", 60, IssueFact::kWorsened, true}),
    [](const auto& one) { return one.param.name; });

TEST(Revocation, TakesOnlyWhatTheIssueBlocks) {
  HoldRecord holds;
  AddClearance(holds, "renewal_all", "", type::v1::OUTREACH_TOPIC_RENEWAL, At(0), At(1000));
  AddClearance(holds, "renewal_anna", "anna", type::v1::OUTREACH_TOPIC_RENEWAL, At(0), At(1000));
  AddClearance(holds, "renewal_bert", "bert", type::v1::OUTREACH_TOPIC_RENEWAL, At(0), At(1000));
  AddClearance(holds, "training_anna", "anna", type::v1::OUTREACH_TOPIC_TRAINING, At(0), At(1000));
  const auto revoked_by = [&](const Issue& issue) {
    return Ids(FindRevoked(holds, issue, IssueFact::kWorsened, At(10), At(10), Policy()));
  };
  EXPECT_THAT(revoked_by(Ticket(type::v1::SEVERITY_NORMAL)),
              ElementsAre("renewal_all", "renewal_anna"));
  EXPECT_THAT(revoked_by(Ticket(type::v1::SEVERITY_URGENT)),
              ElementsAre("renewal_all", "renewal_anna", "renewal_bert"));
}

TEST(Revocation, SparesWhatIsOverAndWhatRestsOnAnException) {
  HoldRecord holds;
  AddClearance(holds, "over", "", type::v1::OUTREACH_TOPIC_RENEWAL, At(0), At(10));
  AddClearance(holds, "excepted", "", type::v1::OUTREACH_TOPIC_RENEWAL, At(0), At(1000), "ex");
  EXPECT_THAT(FindRevoked(holds, Ticket(type::v1::SEVERITY_CRITICAL), IssueFact::kWorsened, At(10),
                          At(10), Policy()),
              IsEmpty());
}

TEST(HoldsMore, IsTrueForMoreTopicsOrMorePeopleOnly) {
  const Issue untriaged = Ticket(type::v1::SEVERITY_UNSPECIFIED);
  const Issue normal = Ticket(type::v1::SEVERITY_NORMAL);
  EXPECT_TRUE(HoldsMore(nullptr, untriaged, Policy()));
  EXPECT_FALSE(HoldsMore(&untriaged, normal, Policy())) << "triage took the account-wide hold away";
  EXPECT_FALSE(HoldsMore(&untriaged, Ticket(type::v1::SEVERITY_CRITICAL), Policy()));
  EXPECT_TRUE(HoldsMore(&normal, Ticket(type::v1::SEVERITY_URGENT), Policy()));
  EXPECT_TRUE(HoldsMore(&normal, Ticket(type::v1::SEVERITY_NORMAL, kFrustrated), Policy()));
  Issue watched = normal;
  watched.add_watcher_contact_ids("wanda");
  EXPECT_TRUE(HoldsMore(&normal, watched, Policy()));
  EXPECT_FALSE(HoldsMore(&watched, normal, Policy()));
  Issue of_bert = normal;
  of_bert.set_contact_id("bert");
  EXPECT_TRUE(HoldsMore(&normal, of_bert, Policy())) << "another requester";
}

Clearance Given(absl::Time at, absl::Time expires) {
  Clearance clearance;
  clearance.set_topic(type::v1::OUTREACH_TOPIC_RENEWAL);
  clearance.set_contact_id("anna");
  clearance.set_state(account::v1::CLEARANCE_STATE_STANDING);
  *clearance.mutable_given_at() = time::Stamp(at);
  *clearance.mutable_expires_at() = time::Stamp(expires);
  return clearance;
}

TEST(AClearance, StandsFromItsCommitToItsExpiry) {
  const Clearance clearance = Given(At(10), At(20));
  EXPECT_FALSE(StoodAt(clearance, At(9.999999)));
  EXPECT_TRUE(StoodAt(clearance, At(10)));
  EXPECT_TRUE(StoodAt(clearance, At(19.999999)));
  EXPECT_FALSE(StoodAt(clearance, At(20)));
  EXPECT_EQ(StateAt(clearance, At(15)), account::v1::CLEARANCE_STATE_STANDING);
  EXPECT_EQ(StateAt(clearance, At(20)), account::v1::CLEARANCE_STATE_EXPIRED);
}

TEST(AClearance, StoodUntilItsRevocationAndNotAfter) {
  Clearance clearance = Given(At(10), At(20));
  clearance.set_state(account::v1::CLEARANCE_STATE_REVOKED);
  *clearance.mutable_revoked_at() = time::Stamp(At(15));
  EXPECT_TRUE(StoodAt(clearance, At(14.9)));
  EXPECT_FALSE(StoodAt(clearance, At(15)));
  EXPECT_EQ(StateAt(clearance, At(30)), account::v1::CLEARANCE_STATE_REVOKED);
}

TEST(AClearance, ForOneContactCoversNoOther) {
  Clearance clearance = Given(At(10), At(20));
  EXPECT_TRUE(Covers(clearance, "anna", type::v1::OUTREACH_TOPIC_RENEWAL));
  EXPECT_FALSE(Covers(clearance, "bert", type::v1::OUTREACH_TOPIC_RENEWAL));
  EXPECT_FALSE(Covers(clearance, "", type::v1::OUTREACH_TOPIC_RENEWAL));
  EXPECT_FALSE(Covers(clearance, "anna", type::v1::OUTREACH_TOPIC_UPSELL));
  clearance.clear_contact_id();
  EXPECT_TRUE(Covers(clearance, "bert", type::v1::OUTREACH_TOPIC_RENEWAL));
}

TEST(AClearance, IsUsedOnceWithEachContactAndOnceWithAllTogether) {
  records::ClearanceRecord record;
  *record.mutable_clearance() = Given(At(10), At(20));
  record.mutable_clearance()->clear_contact_id();
  record.add_reserved_contact_ids("anna");
  record.add_reserved_contact_ids("bert");
  EXPECT_TRUE(IsUnusedFor(record, ""));
  UseClearance(record, "anna", At(11));
  EXPECT_FALSE(IsUnusedFor(record, "anna"));
  EXPECT_TRUE(IsUnusedFor(record, "bert"));
  EXPECT_FALSE(IsUnusedFor(record, "")) << "not with all any more";
  UseClearance(record, "", At(12));
  EXPECT_FALSE(IsUnusedFor(record, "bert"));
  EXPECT_EQ(time::Instant(record.clearance().used_at()), At(11)) << "when it was first used";
}

TEST(AClearance, OfAVersionThatNotedNoContactsIsUsedUpByItsFirstUse) {
  records::ClearanceRecord record;
  *record.mutable_clearance() = Given(At(10), At(20));
  EXPECT_TRUE(IsUnusedFor(record, "anna"));
  *record.mutable_clearance()->mutable_used_at() = time::Stamp(At(11));
  EXPECT_FALSE(IsUnusedFor(record, "anna"));
}

TEST(ATouch, NeedsAClearanceUnlessTheCustomerStartedIt) {
  const Clearance clearance = Given(At(10), At(20));
  Clearance excepted = clearance;
  excepted.set_exception_id("ex");
  const auto renewal = type::v1::OUTREACH_TOPIC_RENEWAL;
  EXPECT_EQ(JudgeTouch(false, renewal, nullptr), account::v1::TOUCH_VERDICT_VIOLATION);
  EXPECT_EQ(JudgeTouch(true, renewal, nullptr), account::v1::TOUCH_VERDICT_FREE);
  EXPECT_EQ(JudgeTouch(false, renewal, &clearance), account::v1::TOUCH_VERDICT_CLEARED);
  EXPECT_EQ(JudgeTouch(false, renewal, &excepted), account::v1::TOUCH_VERDICT_EXCEPTION);
  EXPECT_EQ(JudgeTouch(false, type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP, nullptr),
            account::v1::TOUCH_VERDICT_FREE);
}

TEST(AnException, StandsForItsTopicUntilItsEnd) {
  HoldRecord holds;
  auto& one = *holds.add_exceptions();
  one.set_exception_id("ex");
  one.set_topic(type::v1::OUTREACH_TOPIC_RENEWAL);
  one.set_until_us(time::ToMicros(At(10)));
  EXPECT_NE(FindException(holds, type::v1::OUTREACH_TOPIC_RENEWAL, At(9)), nullptr);
  EXPECT_EQ(FindException(holds, type::v1::OUTREACH_TOPIC_RENEWAL, At(10)), nullptr);
  EXPECT_EQ(FindException(holds, type::v1::OUTREACH_TOPIC_UPSELL, At(9)), nullptr);
  DropExpired(holds, At(10));
  EXPECT_THAT(holds.exceptions(), IsEmpty());
}

}  // namespace
}  // namespace tandem::account_health
