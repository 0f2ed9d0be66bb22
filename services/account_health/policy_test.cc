#include "services/account_health/policy.h"

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "common/config/yaml_to_proto.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace tandem::account_health {
namespace {

using account::v1::AccountPolicy;
using ::testing::HasSubstr;

absl::Status Validated(const AccountPolicy& policy) {
  corridor::Violations violations;
  CheckPolicy(policy, violations);
  return violations.status();
}

TEST(DefaultPolicy, IsSound) {
  EXPECT_TRUE(Validated(DefaultPolicy()).ok()) << Validated(DefaultPolicy());
}

TEST(DefaultPolicy, IsWhatTheDeployedFileSays) {
  const std::string path = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/account.yaml";
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  AccountPolicy policy;
  const absl::Status read = config::YamlToProto(text.str(), "account.yaml", &policy);
  ASSERT_TRUE(read.ok()) << read;
  google::protobuf::util::MessageDifferencer differencer;
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(policy, DefaultPolicy())) << difference;
}

struct BrokenCase {
  const char* name;
  std::function<void(AccountPolicy&)> spoil;
  const char* says;
};

class BrokenPolicy : public testing::TestWithParam<BrokenCase> {};

TEST_P(BrokenPolicy, IsRefusedByTheNameOfItsField) {
  AccountPolicy policy = DefaultPolicy();
  GetParam().spoil(policy);
  const absl::Status status = Validated(policy);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Policy, BrokenPolicy,
    testing::Values(
        BrokenCase{"empty", [](AccountPolicy& p) { p.Clear(); }, "health"},
        BrokenCase{"no_profile", [](AccountPolicy& p) { p.mutable_health()->clear_profiles(); },
                   "health.profiles"},
        BrokenCase{"last_profile_is_special",
                   [](AccountPolicy& p) {
                     p.mutable_health()->mutable_profiles(0)->add_segments(type::v1::SEGMENT_SMALL);
                   },
                   "health.profiles[0]"},
        BrokenCase{"borders_crossed",
                   [](AccountPolicy& p) { p.mutable_health()->set_green_from(5000); },
                   "health.green_from"},
        BrokenCase{"weight_zero",
                   [](AccountPolicy& p) {
                     p.mutable_health()->mutable_profiles(0)->mutable_groups(0)->set_weight(0);
                   },
                   "health.profiles[0].groups[0].weight"},
        BrokenCase{"no_half",
                   [](AccountPolicy& p) {
                     p.mutable_health()
                         ->mutable_profiles(0)
                         ->mutable_groups(0)
                         ->mutable_measures(1)
                         ->clear_half_at();
                   },
                   "health.profiles[0].groups[0].measures[1].half_at"},
        BrokenCase{"measure_twice",
                   [](AccountPolicy& p) {
                     auto& group = *p.mutable_health()->mutable_profiles(0)->mutable_groups(0);
                     *group.add_measures() = group.measures(1);
                   },
                   "stands twice"},
        BrokenCase{"follow_up_held",
                   [](AccountPolicy& p) {
                     p.mutable_outreach()->mutable_rules(0)->add_topics(
                         type::v1::OUTREACH_TOPIC_RESOLUTION_FOLLOW_UP);
                   },
                   "outreach.rules[0].topics[0]"},
        BrokenCase{"no_scope",
                   [](AccountPolicy& p) { p.mutable_outreach()->mutable_rules(0)->clear_scope(); },
                   "outreach.rules[0].scope"},
        BrokenCase{"endless_clearance",
                   [](AccountPolicy& p) {
                     p.mutable_outreach()->mutable_clearance_expiry()->set_seconds(31 * 86400);
                   },
                   "outreach.clearance_expiry"},
        BrokenCase{"negative_units",
                   [](AccountPolicy& p) { p.mutable_contact_budget()->set_units(-1); },
                   "contact_budget.units"},
        BrokenCase{"capital_domain",
                   [](AccountPolicy& p) { p.add_public_mail_domains("Gmail.com"); },
                   "public_mail_domains"},
        BrokenCase{"role_twice",
                   [](AccountPolicy& p) {
                     p.mutable_counterparts(2)->add_roles(type::v1::STAFF_ROLE_SUPPORT_AGENT);
                   },
                   "counterparts[2].roles[1]"},
        BrokenCase{
            "staff_missing",
            [](AccountPolicy& p) { p.add_team_defaults()->set_role(type::v1::STAFF_ROLE_CSM); },
            "team_defaults[0].staff_id"}),
    [](const auto& one) { return one.param.name; });

TEST(Team, FillsEmptyPlacesFromThePolicy) {
  AccountPolicy policy = DefaultPolicy();
  auto& one = *policy.add_team_defaults();
  one.set_role(type::v1::STAFF_ROLE_SUPPORT_LEAD);
  one.set_staff_id("lead-default");
  records::TeamRecord team;
  auto& member = *team.add_members();
  member.set_role(type::v1::STAFF_ROLE_ACCOUNT_PM);
  member.set_staff_id("pm");
  const auto counterparts =
      CounterpartsOf(type::v1::CONTACT_LEVEL_OWNER, FillTeam(team, {}, policy), policy);
  ASSERT_EQ(counterparts.size(), 4u);
  EXPECT_EQ(counterparts[0].role(), type::v1::STAFF_ROLE_PRE_SALES_LEAD);
  EXPECT_EQ(counterparts[0].staff_id(), "");
  EXPECT_EQ(counterparts[2].staff_id(), "pm");
  EXPECT_FALSE(counterparts[2].is_default());
  EXPECT_EQ(counterparts[3].staff_id(), "lead-default");
  EXPECT_TRUE(counterparts[3].is_default());
}

TEST(Team, TakesAnUnsaidLevelForMember) {
  const auto counterparts = CounterpartsOf(type::v1::CONTACT_LEVEL_UNSPECIFIED,
                                           FillTeam({}, {}, DefaultPolicy()), DefaultPolicy());
  ASSERT_EQ(counterparts.size(), 1u);
  EXPECT_EQ(counterparts[0].role(), type::v1::STAFF_ROLE_SUPPORT_AGENT);
}

}  // namespace
}  // namespace tandem::account_health
