#include "services/account_health/holds.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/time/micros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/account_health/policy.h"

namespace tandem::account_health {
namespace {

using account::v1::OutreachPolicy;
using records::HoldRecord;
using records::Issue;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const OutreachPolicy& Policy() { return DefaultPolicy().outreach(); }

Issue Ticket(std::string id, type::v1::Severity severity, std::string contact = "anna",
             uint32_t flags = 0) {
  Issue issue;
  issue.set_subject_id(std::move(id));
  issue.set_severity(severity);
  issue.set_contact_id(std::move(contact));
  issue.set_flags(flags);
  return issue;
}

absl::Time At(int minute) { return time::FromMicros(int64_t{minute} * 60'000'000); }

struct RuleCase {
  const char* name;
  type::v1::Severity severity;
  uint32_t flags;
  const char* for_requester;  // the rule that holds RENEWAL for her; "" = none
  const char* for_stranger;   // … for another contact of the account
};

class HoldRules : public testing::TestWithParam<RuleCase> {};

TEST_P(HoldRules, HoldCommercialTopicsAsTheProductSays) {
  const RuleCase& c = GetParam();
  const Issue issue = Ticket("t", c.severity, "anna", c.flags);
  const auto rule_for = [&](std::string_view contact) {
    return FindRule(issue, type::v1::OUTREACH_TOPIC_RENEWAL, contact, Policy());
  };
  EXPECT_EQ(rule_for("anna"), c.for_requester);
  EXPECT_EQ(rule_for("bert"), c.for_stranger);
}

INSTANTIATE_TEST_SUITE_P(
    Product, HoldRules,
    testing::Values(
        RuleCase{"untriaged", type::v1::SEVERITY_UNSPECIFIED, 0, "untriaged_ticket",
                 "untriaged_ticket"},
        RuleCase{"critical", type::v1::SEVERITY_CRITICAL, 0, "critical_ticket", "critical_ticket"},
        RuleCase{"urgent", type::v1::SEVERITY_URGENT, 0, "urgent_ticket", "urgent_ticket"},
        RuleCase{"normal", type::v1::SEVERITY_NORMAL, 0, "normal_ticket_requester", ""},
        RuleCase{"breached", type::v1::SEVERITY_NORMAL, kBreached, "normal_ticket_breached",
                 "normal_ticket_breached"},
        RuleCase{"reopened", type::v1::SEVERITY_NORMAL, kReopened, "normal_ticket_reopened",
                 "normal_ticket_reopened"},
        RuleCase{"frustrated", type::v1::SEVERITY_NORMAL, kFrustrated, "normal_ticket_frustrated",
                 "normal_ticket_frustrated"},
        RuleCase{"general", type::v1::SEVERITY_GENERAL, 0, "general_ticket_requester", ""},
        RuleCase{"general_breached", type::v1::SEVERITY_GENERAL, kBreached,
                 "general_ticket_requester", ""},
        RuleCase{"bad_survey", type::v1::SEVERITY_UNSPECIFIED, kFollowUp, "bad_survey",
                 "bad_survey"}),
    [](const auto& one) { return one.param.name; });

TEST(Holds, HoldEveryCommercialTopicAndNoOther) {
  const HeldBy held = TopicsHeldBy(Ticket("t", type::v1::SEVERITY_CRITICAL), Policy());
  EXPECT_EQ(held, (HeldBy{CommercialTopics(), 0}));
  for (const auto topic :
       {type::v1::OUTREACH_TOPIC_TRAINING, type::v1::OUTREACH_TOPIC_CHECK_IN,
        type::v1::OUTREACH_TOPIC_SURVEY_TICKET, type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP}) {
    EXPECT_FALSE(Holds(HoldableTopics(Policy()), topic)) << topic;
  }
}

TEST(Holds, ConcernAWatcherLikeTheRequester) {
  Issue issue = Ticket("t", type::v1::SEVERITY_NORMAL);
  issue.add_watcher_contact_ids("wanda");
  EXPECT_NE(FindRule(issue, type::v1::OUTREACH_TOPIC_UPSELL, "wanda", Policy()), "");
  EXPECT_EQ(FindRule(issue, type::v1::OUTREACH_TOPIC_UPSELL, "bert", Policy()), "");
}

TEST(Holds, OfOneContactHoldOutreachToAllContacts) {
  EXPECT_NE(FindRule(Ticket("t", type::v1::SEVERITY_GENERAL), type::v1::OUTREACH_TOPIC_UPSELL, "",
                     Policy()),
            "");
}

TEST(Holds, OfATopicThatNoRuleHoldsAreAdvice) {
  const Findings findings = Judge({Ticket("t", type::v1::SEVERITY_CRITICAL)},
                                  type::v1::OUTREACH_TOPIC_TRAINING, "anna", Policy());
  EXPECT_THAT(findings.blocks, IsEmpty());
  ASSERT_THAT(findings.advice, SizeIs(1));
  EXPECT_EQ(findings.advice[0].rule(), "critical_ticket");
  EXPECT_EQ(findings.advice[0].subject_id(), "t");
}

TEST(Holds, FollowThePolicyThatNamesTopics) {
  OutreachPolicy policy;
  auto& rule = *policy.add_rules();
  rule.set_condition(account::v1::HOLD_CONDITION_CRITICAL_TICKET);
  rule.set_scope(account::v1::HOLD_SCOPE_ACCOUNT);
  rule.add_topics(type::v1::OUTREACH_TOPIC_SURVEY_TICKET);
  rule.add_topics(type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP);
  EXPECT_EQ(HoldableTopics(policy), SetOf(type::v1::OUTREACH_TOPIC_SURVEY_TICKET));
}

// An account's scopes with the issues that they count, in small.
class Scopes {
 public:
  HoldChanges Put(const Issue& issue, int minute) {
    std::set<std::string> concerned = Uncount(issue.subject_id());
    issues_[issue.subject_id()] = issue;
    concerned.merge(CountIn(issue, 1));
    return SettleAll(concerned, {issue}, minute);
  }
  HoldChanges Drop(const std::string& subject_id, int minute) {
    const std::set<std::string> concerned = Uncount(subject_id);
    issues_.erase(subject_id);
    return SettleAll(concerned, {}, minute);
  }
  HoldChanges Park(bool parked, int minute) {
    is_parked_ = parked;
    return SettleAll({}, {}, minute);
  }
  const records::HeldScope& account() const { return account_; }
  std::string Bytes() const {
    std::string bytes = account_.SerializeAsString();
    for (const auto& [contact_id, scope] : contacts_)
      bytes += contact_id + scope.SerializeAsString();
    return bytes;
  }

 private:
  std::set<std::string> CountIn(const Issue& issue, int by) {
    const HeldBy held = TopicsHeldBy(issue, Policy());
    Count(account_, held.account, by);
    std::set<std::string> concerned;
    for (const std::string& contact_id : ContactsOf(issue)) {
      Count(contacts_[contact_id], held.contact, by);
      concerned.insert(contact_id);
    }
    return concerned;
  }
  std::set<std::string> Uncount(const std::string& subject_id) {
    const auto known = issues_.find(subject_id);
    return known == issues_.end() ? std::set<std::string>{} : CountIn(known->second, -1);
  }
  HoldChanges SettleAll(const std::set<std::string>& concerned, const std::vector<Issue>& issues,
                        int minute) {
    const int64_t at_us = time::ToMicros(At(minute));
    HoldChanges changes;
    Settle(account_, {"", issues, is_parked_}, Policy(), at_us, changes);
    EXPECT_TRUE(IsSettled(account_, is_parked_));
    for (const std::string& contact_id : concerned) {
      Settle(contacts_[contact_id], {contact_id, issues}, Policy(), at_us, changes);
    }
    return changes;
  }

  records::HeldScope account_;
  std::map<std::string, records::HeldScope> contacts_;
  std::map<std::string, Issue> issues_;
  bool is_parked_ = false;
};

TEST(HoldChanges, TellOneEventForAllTopicsThatChangedTogether) {
  Scopes scopes;
  const HoldChanges begun = scopes.Put(Ticket("t1", type::v1::SEVERITY_CRITICAL), 1);
  ASSERT_THAT(begun.held, SizeIs(1));
  EXPECT_THAT(begun.held[0].topics(), SizeIs(6));
  EXPECT_EQ(begun.held[0].topic(), type::v1::OUTREACH_TOPIC_UNSPECIFIED);
  EXPECT_EQ(begun.held[0].contact_id(), "");
  EXPECT_THAT(begun.held[0].rules(), ElementsAre("critical_ticket"));
  EXPECT_THAT(begun.held[0].ticket_ids(), ElementsAre("t1"));

  const HoldChanges further = scopes.Put(Ticket("t2", type::v1::SEVERITY_URGENT), 2);
  EXPECT_THAT(further.held, IsEmpty()) << "it is held already";

  EXPECT_THAT(scopes.Drop("t1", 3).cleared, IsEmpty()) << "t2 still holds it";
  const HoldChanges ended = scopes.Drop("t2", 4);
  ASSERT_THAT(ended.cleared, SizeIs(1));
  EXPECT_THAT(ended.cleared[0].topics(), SizeIs(6));
  EXPECT_EQ(ended.cleared[0].held_since().seconds(), 60);
  EXPECT_EQ(ended.cleared[0].occurred_at().seconds(), 240);
  EXPECT_THAT(scopes.account().held(), IsEmpty());
}

TEST(HoldChanges, KeepAccountAndContactApart) {
  Scopes scopes;
  const HoldChanges begun = scopes.Put(Ticket("t1", type::v1::SEVERITY_NORMAL, "anna"), 1);
  ASSERT_THAT(begun.held, SizeIs(1));
  EXPECT_EQ(begun.held[0].contact_id(), "anna");
  const HoldChanges grown =
      scopes.Put(Ticket("t1", type::v1::SEVERITY_NORMAL, "anna", kBreached), 2);
  ASSERT_THAT(grown.held, SizeIs(1));
  EXPECT_EQ(grown.held[0].contact_id(), "");
  EXPECT_THAT(grown.cleared, IsEmpty()) << "it still concerns anna";
}

TEST(HoldChanges, CountAContactOnceThatAsksAndWatches) {
  Scopes scopes;
  Issue issue = Ticket("t1", type::v1::SEVERITY_NORMAL, "anna");
  issue.add_watcher_contact_ids("anna");
  issue.add_watcher_contact_ids("wanda");
  EXPECT_THAT(scopes.Put(issue, 1).held, SizeIs(2));
  EXPECT_THAT(scopes.Drop("t1", 2).cleared, SizeIs(2));
}

TEST(HoldChanges, FollowAnIssueThatConcernsOthersNow) {
  Scopes scopes;
  scopes.Put(Ticket("t1", type::v1::SEVERITY_NORMAL, "anna"), 1);
  const HoldChanges moved = scopes.Put(Ticket("t1", type::v1::SEVERITY_NORMAL, "bert"), 2);
  ASSERT_THAT(moved.cleared, SizeIs(1));
  EXPECT_EQ(moved.cleared[0].contact_id(), "anna");
  ASSERT_THAT(moved.held, SizeIs(1));
  EXPECT_EQ(moved.held[0].contact_id(), "bert");
}

TEST(HoldChanges, AreTheSameStateInWhateverOrderIssuesCome) {
  const std::vector<Issue> issues = {Ticket("a", type::v1::SEVERITY_NORMAL, "anna"),
                                     Ticket("b", type::v1::SEVERITY_URGENT, "bert"),
                                     Ticket("c", type::v1::SEVERITY_GENERAL, "carl"),
                                     Ticket("d", type::v1::SEVERITY_NORMAL, "anna")};
  Scopes forward, backward;
  for (size_t i = 0; i < issues.size(); ++i) {
    forward.Put(issues[i], 1);
    backward.Put(issues[issues.size() - 1 - i], 1);
  }
  EXPECT_EQ(forward.Bytes(), backward.Bytes());
}

TEST(Parked, HoldsEveryTopicButTheFreeOneForEverybodyWhateverThePolicySays) {
  Issue parked;
  parked.set_subject_id("t1");
  parked.set_flags(kParked);
  const OutreachPolicy without_rules;
  for (const OutreachPolicy& policy : {Policy(), without_rules}) {
    EXPECT_EQ(TopicsHeldBy(parked, policy), (HeldBy{UnfreeTopics(), 0}));
    for (const char* contact : {"", "anna"}) {
      EXPECT_EQ(FindRule(parked, type::v1::OUTREACH_TOPIC_TRAINING, contact, policy),
                "account_parked");
      EXPECT_EQ(FindRule(parked, type::v1::OUTREACH_TOPIC_RENEWAL, contact, policy),
                "account_parked");
      EXPECT_EQ(FindRule(parked, type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP, contact, policy),
                "");
    }
  }
}

TEST(Parked, IsToldBesideWhatTicketsHoldAndClearedOnItsOwn) {
  Scopes scopes;
  scopes.Put(Ticket("t1", type::v1::SEVERITY_CRITICAL), 1);
  const HoldChanges begun = scopes.Park(true, 2);
  ASSERT_THAT(begun.held, SizeIs(1));
  EXPECT_THAT(begun.held[0].topics(),
              ElementsAre(type::v1::OUTREACH_TOPIC_TRAINING, type::v1::OUTREACH_TOPIC_CHECK_IN,
                          type::v1::OUTREACH_TOPIC_SURVEY_TICKET));
  EXPECT_THAT(begun.held[0].rules(), ElementsAre("account_parked"));
  EXPECT_THAT(begun.held[0].ticket_ids(), IsEmpty());
  EXPECT_THAT(scopes.Drop("t1", 5).cleared, IsEmpty()) << "who knows what else is open";
  const HoldChanges ended = scopes.Park(false, 6);
  ASSERT_THAT(ended.cleared, SizeIs(2)) << "what was held since the ticket, and since the parking";
  EXPECT_THAT(scopes.account().held(), IsEmpty());
}

TEST(Parked, LastsFromTheFirstSubjectToTheLast) {
  HoldRecord holds;
  PutParked(holds, "t1", 7, At(2));
  PutParked(holds, "t1", 8, At(3));
  PutParked(holds, "s1", 9, At(4));
  EXPECT_THAT(holds.parked(), SizeIs(2));
  EXPECT_EQ(FindParked(holds, "t1")->known_sequence(), 7);
  DropParked(holds, "t1", At(5));
  DropParked(holds, "s1", At(6));
  EXPECT_THAT(holds.parked(), IsEmpty());
  ASSERT_THAT(holds.parked_spans(), SizeIs(1));
  EXPECT_EQ(holds.parked_spans(0).from_us(), time::ToMicros(At(2)));
  EXPECT_EQ(holds.parked_spans(0).to_us(), time::ToMicros(At(6)));
}

TEST(HoursHeld, AreTheUnionOfTheStretchesWhateverTheirOrder) {
  const std::vector<Stretch> stretches = {{10, 20}, {15, 30}, {40, 50}, {42, 45}, {90, 200}};
  std::vector<Stretch> reversed(stretches.rbegin(), stretches.rend());
  EXPECT_EQ(LengthOfUnion(stretches, 0, 100), 20 + 10 + 10);
  EXPECT_EQ(LengthOfUnion(reversed, 0, 100), 40);
  EXPECT_EQ(LengthOfUnion(stretches, 18, 43), 12 + 3);
  EXPECT_EQ(LengthOfUnion({}, 0, 100), 0);
}

}  // namespace
}  // namespace tandem::account_health
