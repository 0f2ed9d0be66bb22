// The policy that is shipped, as the product promises it.
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/yaml_to_proto.h"
#include "gtest/gtest.h"
#include "services/triage/rules.h"

namespace tandem::triage {
namespace {

using namespace type::v1;  // NOLINT

std::string Shipped() {
  std::ifstream file(std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/triage.yaml");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The policy with the rule that it shows in a comment.
std::string WithTheExample() {
  std::string made;
  bool is_example = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(Shipped(), '\n'))) {
    if (line == "  # - name: outage_words") is_example = true;
    const bool is_comment = absl::StartsWith(line, "  # ");
    if (!is_comment) is_example = false;
    absl::StrAppend(&made, is_example ? "  " + line.substr(4) : line, "\n");
  }
  return made;
}

std::shared_ptr<const Rules> Read(const std::string& text) {
  v1::TriagePolicy policy;
  const absl::Status read = config::YamlToProto(text, "triage.yaml", &policy);
  EXPECT_TRUE(read.ok()) << read;
  corridor::Violations violations;
  auto rules = Rules::Make(policy, violations);
  EXPECT_TRUE(violations.ok()) << violations.status();
  return rules;
}

class ShippedTriagePolicy : public ::testing::Test {
 protected:
  void SetUp() override {
    rules_ = Read(Shipped());
    ASSERT_NE(rules_, nullptr);
  }
  std::string Escalation(v1::EscalationTrigger trigger, Severity severity, ContactLevel level) {
    const v1::EscalationPolicy* policy = rules_->EscalationFor(trigger, severity, level);
    return policy == nullptr ? "none" : policy->name();
  }
  std::shared_ptr<const Rules> rules_;
};

TEST_F(ShippedTriagePolicy, AsksForNoTexts) { EXPECT_FALSE(rules_->NeedsText()); }

TEST(SeverityPatternsInTheShippedPolicy, MeanAnOutageAndNothingElse) {
  const auto rules = Read(WithTheExample());
  ASSERT_NE(rules, nullptr);
  const std::vector<std::string> outage = {"outage_words"};
  for (const char* text : {
           "Everything is down.",
           "EVERYTHING IS DOWN since noon!",
           "Help! Everything is down",
           "Urgent: our whole site is down for all users.",
           "Login\nThe entire platform is down again since 14:05.",
           "We did the update. Now look: all our systems are completely down",
           "Nobody can log in.",
           "No one can sign in any more!",
           "Hello, none of our users can log in since this morning.",
           "Alles steht still.",
           "Dringend: unser ganzes System ist ausgefallen!",
           "Die gesamte Plattform ist komplett down seit 9 Uhr",
           "Nichts geht mehr.",
           "Hallo, niemand kann sich anmelden.",
           "Keiner von uns kann sich mehr einloggen!",
       }) {
    EXPECT_EQ(rules->TextMatches(text), outage) << text;
  }
  for (const char* text : {
           "It is still not working. Please reply when you have news.",
           "Everything is down to one setting, how do I change it?",
           "Everything is downloaded, thank you.",
           "Not everything is down.",
           "Luckily nothing is down.",
           "If everything is down, whom do we call?",
           "Everything is down?",
           "Everything was down yesterday, it works again.",
           "Everything is down in the test system only.",
           "Nobody can log in except administrators, as we want it.",
           "What happens when nobody can log in?",
           "Yesterday nobody could sign in, today all is well.",
           "Please write everything down.",
           "Es geht immer noch nicht. Bitte melden Sie sich, wenn es etwas Neues gibt.",
           "Alles steht in der Anleitung.",
           "Alles ist gut.",
           "Es ist nicht alles ausgefallen.",
           "Wenn alles ausgefallen ist, wen rufen wir an?",
           "Nichts geht mehr kaputt, seit wir Ihr Programm haben.",
           "Niemand kann sich das Passwort merken.",
           "Niemand kann sich anmelden, der kein Konto hat.",
       }) {
    EXPECT_TRUE(rules->TextMatches(text).empty()) << text;
  }
}

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
