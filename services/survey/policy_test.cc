#include "services/survey/policy.h"

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "common/config/yaml_to_proto.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using survey::v1::SurveyPolicy;
using ::testing::HasSubstr;
using namespace type::v1;  // NOLINT: the product's own words

SurveyPolicy Parse(const std::string& text) {
  SurveyPolicy policy;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &policy)) << text;
  return policy;
}

std::shared_ptr<const Rules> Made(const SurveyPolicy& policy) {
  corridor::Violations violations;
  auto rules = Rules::Make(policy, violations);
  EXPECT_TRUE(violations.ok()) << violations.status();
  return rules;
}

TEST(DefaultPolicy, AsksForSatisfactionAfterATicketIsClosed) {
  const auto rules = Made(DefaultPolicy());
  const Rule* rule = rules->Find({});
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->trigger, survey::v1::SURVEY_TRIGGER_CLOSED);
  EXPECT_EQ(rule->kind, SURVEY_KIND_CSAT);
  EXPECT_EQ(rules->retry_for(), absl::Hours(72));
  EXPECT_TRUE(rule->IsBad(2));
  EXPECT_FALSE(rule->IsBad(3));
}

TEST(DefaultPolicy, IsWhatTheDeployedFileSays) {
  const std::string path = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/survey.yaml";
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  SurveyPolicy policy;
  const absl::Status read = config::YamlToProto(text.str(), "survey.yaml", &policy);
  ASSERT_TRUE(read.ok()) << read;
  google::protobuf::util::MessageDifferencer differencer;
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(policy, DefaultPolicy())) << difference;
}

TEST(Rules, TakeTheFirstThatFitsTheTicket) {
  const auto rules = Made(Parse(R"(
    rules { name: "no-spam-desk" categories: "newsletter" trigger: SURVEY_TRIGGER_NEVER }
    rules { name: "big" segments: SEGMENT_ENTERPRISE severities: SEVERITY_CRITICAL
            severities: SEVERITY_URGENT trigger: SURVEY_TRIGGER_RESOLVED kind: SURVEY_KIND_CES }
    rules { name: "billing" categories: "billing" categories: "invoice"
            trigger: SURVEY_TRIGGER_CLOSED kind: SURVEY_KIND_CES })"));
  struct Case {
    TicketFacts ticket;
    const char* rule;
  };
  for (const Case& one : {
           Case{{SEGMENT_ENTERPRISE, "newsletter", SEVERITY_CRITICAL}, "no-spam-desk"},
           Case{{SEGMENT_ENTERPRISE, "billing", SEVERITY_CRITICAL}, "big"},
           Case{{SEGMENT_ENTERPRISE, "billing", SEVERITY_NORMAL}, "billing"},
           Case{{SEGMENT_MID, "invoice", SEVERITY_CRITICAL}, "billing"},
           Case{{SEGMENT_MID, "", SEVERITY_CRITICAL}, ""},
           Case{{SEGMENT_UNSPECIFIED, "bill", SEVERITY_UNSPECIFIED}, ""},
       }) {
    const Rule* rule = rules->Find(one.ticket);
    EXPECT_EQ(rule == nullptr ? "" : rule->name, one.rule) << one.ticket.category;
  }
  ASSERT_NE(rules->Named("big"), nullptr);
  EXPECT_EQ(rules->Named("big")->kind, SURVEY_KIND_CES);
  EXPECT_EQ(rules->Named("small"), nullptr);
}

TEST(Rules, FillInWhatIsLeftOut) {
  const auto rules =
      Made(Parse(R"(rules { name: "a" trigger: SURVEY_TRIGGER_CLOSED kind: SURVEY_KIND_CES })"));
  const Rule& rule = *rules->Find({});
  EXPECT_EQ(rule.delay, absl::ZeroDuration());
  EXPECT_EQ(rule.reminder_after, absl::ZeroDuration());
  EXPECT_EQ(rule.expires_after, absl::Hours(14 * 24));
  EXPECT_EQ(rule.bad_at_most, 3);
  EXPECT_TRUE(rule.follow_up);
  EXPECT_EQ(rules->retry_for(), absl::Hours(72));
  EXPECT_EQ(rules->retry_every(), absl::Hours(1));
  EXPECT_EQ(rules->few_answers_below(), 10);
}

TEST(Rules, WithoutAnyAskNobody) { EXPECT_EQ(Made(SurveyPolicy())->Find({}), nullptr); }

TEST(Rules, CallNoScoreBadWhereTheThresholdIsZero) {
  const auto rules = Made(Parse(
      R"(rules { name: "a" trigger: SURVEY_TRIGGER_CLOSED kind: SURVEY_KIND_CSAT bad_at_most: 0
                 follow_up: false })"));
  EXPECT_FALSE(rules->Find({})->IsBad(1));
  EXPECT_FALSE(rules->Find({})->follow_up);
}

struct BrokenCase {
  const char* name;
  std::function<void(SurveyPolicy&)> spoil;
  const char* says;
};

class BrokenPolicy : public testing::TestWithParam<BrokenCase> {};

TEST_P(BrokenPolicy, IsRefusedByTheNameOfItsField) {
  SurveyPolicy policy = DefaultPolicy();
  GetParam().spoil(policy);
  corridor::Violations violations;
  EXPECT_EQ(Rules::Make(policy, violations), nullptr);
  EXPECT_EQ(violations.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(violations.status().message()), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Each, BrokenPolicy,
    testing::Values(
        BrokenCase{"NoName", [](SurveyPolicy& p) { p.mutable_rules(0)->clear_name(); },
                   "rules[0].name"},
        BrokenCase{"SameName", [](SurveyPolicy& p) { *p.add_rules() = SurveyPolicy(p).rules(0); },
                   "rules[1].name"},
        BrokenCase{"NoTrigger", [](SurveyPolicy& p) { p.mutable_rules(0)->clear_trigger(); },
                   "rules[0].trigger"},
        BrokenCase{"NoKind", [](SurveyPolicy& p) { p.mutable_rules(0)->clear_kind(); },
                   "rules[0].kind"},
        BrokenCase{"Nps", [](SurveyPolicy& p) { p.mutable_rules(0)->set_kind(SURVEY_KIND_NPS); },
                   "rules[0].kind"},
        BrokenCase{"NegativeDelay",
                   [](SurveyPolicy& p) { p.mutable_rules(0)->mutable_delay()->set_seconds(-1); },
                   "rules[0].delay"},
        BrokenCase{"LateReminder",
                   [](SurveyPolicy& p) {
                     p.mutable_rules(0)->mutable_reminder_after()->set_seconds(14 * 86400);
                   },
                   "rules[0].reminder_after"},
        BrokenCase{
            "NoTimeToAnswer",
            [](SurveyPolicy& p) { p.mutable_rules(0)->mutable_expires_after()->set_seconds(60); },
            "rules[0].expires_after"},
        BrokenCase{"EverythingBad", [](SurveyPolicy& p) { p.mutable_rules(0)->set_bad_at_most(5); },
                   "rules[0].bad_at_most"},
        BrokenCase{
            "UnknownSegment",
            [](SurveyPolicy& p) { p.mutable_rules(0)->add_segments(static_cast<Segment>(99)); },
            "rules[0].segments"},
        BrokenCase{"SeverityTwice",
                   [](SurveyPolicy& p) {
                     p.mutable_rules(0)->add_severities(SEVERITY_URGENT);
                     p.mutable_rules(0)->add_severities(SEVERITY_URGENT);
                   },
                   "rules[0].severities"},
        BrokenCase{"BadCategory",
                   [](SurveyPolicy& p) { p.mutable_rules(0)->add_categories("Two Words"); },
                   "rules[0].categories[0]"},
        BrokenCase{"LongRetry",
                   [](SurveyPolicy& p) { p.mutable_retry_for()->set_seconds(73 * 3600); },
                   "retry_for"},
        BrokenCase{"BusyRetry", [](SurveyPolicy& p) { p.mutable_retry_every()->set_seconds(1); },
                   "retry_every"},
        BrokenCase{"FewIsMany", [](SurveyPolicy& p) { p.set_few_answers_below(1001); },
                   "few_answers_below"}),
    [](const auto& one) { return one.param.name; });

TEST(Rules, NameEveryProblemAtOnce) {
  SurveyPolicy policy = DefaultPolicy();
  policy.mutable_rules(0)->clear_name();
  policy.mutable_rules(0)->clear_kind();
  policy.set_few_answers_below(-1);
  corridor::Violations violations;
  EXPECT_EQ(Rules::Make(policy, violations), nullptr);
  const std::string said(violations.status().message());
  EXPECT_THAT(said, HasSubstr("rules[0].name"));
  EXPECT_THAT(said, HasSubstr("rules[0].kind"));
  EXPECT_THAT(said, HasSubstr("few_answers_below"));
}

}  // namespace
}  // namespace tandem::survey
