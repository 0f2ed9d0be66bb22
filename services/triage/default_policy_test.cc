// The policy that is shipped, as the product promises it.
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "common/config/yaml_to_proto.h"
#include "gtest/gtest.h"
#include "services/triage/rules.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT

class ShippedTriagePolicy : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/triage.yaml";
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    v1::TriagePolicy policy;
    const absl::Status read = config::YamlToProto(text.str(), path, &policy);
    ASSERT_TRUE(read.ok()) << read;
    corridor::Violations violations;
    rules_ = Rules::Make(policy, violations);
    ASSERT_TRUE(violations.ok()) << violations.status();
  }
  std::string Escalation(v1::EscalationTrigger trigger, Severity severity, ContactLevel level) {
    const v1::EscalationPolicy* policy = rules_->EscalationFor(trigger, severity, level, "");
    return policy == nullptr ? "none" : policy->name();
  }
  std::shared_ptr<const Rules> rules_;
};

TEST_F(ShippedTriagePolicy, AsksForNoTexts) { EXPECT_FALSE(rules_->NeedsText()); }

TEST_F(ShippedTriagePolicy, RoutesCriticalAndUrgentTicketsToIncidents) {
  v1::TicketFacts facts;
  EXPECT_EQ(rules_->Classify(facts, {}, SEVERITY_UNSPECIFIED).queue, "support");
  facts.set_frustrated(true);
  const Classification raised = rules_->Classify(facts, {}, SEVERITY_UNSPECIFIED);
  EXPECT_EQ(raised.severity, SEVERITY_URGENT);
  EXPECT_EQ(raised.queue, "incidents");
}

TEST_F(ShippedTriagePolicy, EscalatesEveryCriticalTicketAndMeetsExecutivesByTheirCounterparts) {
  EXPECT_EQ(Escalation(v1::ESCALATION_TRIGGER_SEVERITY, SEVERITY_CRITICAL, CONTACT_LEVEL_MEMBER),
            "critical");
  EXPECT_EQ(Escalation(v1::ESCALATION_TRIGGER_SLA_BREACH, SEVERITY_URGENT, CONTACT_LEVEL_EXECUTIVE),
            "executive_alignment");
  EXPECT_EQ(Escalation(v1::ESCALATION_TRIGGER_SLA_BREACH, SEVERITY_URGENT, CONTACT_LEVEL_MEMBER),
            "urgent");
  EXPECT_EQ(Escalation(v1::ESCALATION_TRIGGER_SLA_BREACH, SEVERITY_NORMAL, CONTACT_LEVEL_MEMBER),
            "none");
}

}  // namespace
}  // namespace tandem::triage
