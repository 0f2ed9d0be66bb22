// The policy that is shipped, as the product promises it.
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "common/config/yaml_to_proto.h"
#include "gtest/gtest.h"
#include "services/ticket_intake/rules.h"

namespace tandem::ticket_intake {
namespace {

class ShippedIntakePolicy : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = std::string(TANDEM_SOURCE_DIR) + "/deploy/policies/intake.yaml";
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    intake::v1::IntakePolicy policy;
    const absl::Status read = config::YamlToProto(text.str(), path, &policy);
    ASSERT_TRUE(read.ok()) << read;
    corridor::Violations violations;
    rules_ = Rules::Make(policy, violations);
    ASSERT_TRUE(violations.ok()) << violations.status();
  }
  std::shared_ptr<const Rules> rules_;
};

TEST_F(ShippedIntakePolicy, KnowsAThankYouFromAQuestion) {
  for (const char* text : {"Thanks!", "Thank you very much, all good.", "Hi Anna, thanks a lot",
                           "Great, thank you", "It works now.", "Yes, everything works again!"}) {
    EXPECT_TRUE(rules_->IsThankYou(text)) << text;
  }
  for (const char* text : {"It still burns.", "Thanks, but how do I log in?", "It works not.",
                           "I did what you said. It works for me but not for Bob."}) {
    EXPECT_FALSE(rules_->IsThankYou(text)) << text;
  }
}

TEST_F(ShippedIntakePolicy, FlagsFrustration) {
  EXPECT_EQ(rules_->FrustrationIn("This is the third time I write."), "repeated_contact");
  EXPECT_EQ(rules_->FrustrationIn("We are fed up."), "unacceptable");
  EXPECT_EQ(rules_->FrustrationIn("Let me talk to your manager"), "asks_for_manager");
  EXPECT_EQ(rules_->FrustrationIn("We are cancelling our contract"), "threatens_to_leave");
  EXPECT_EQ(rules_->FrustrationIn("Still no answer from you"), "still_no_answer");
  EXPECT_EQ(rules_->FrustrationIn("The report is empty since Monday."), "");
}

TEST_F(ShippedIntakePolicy, ClosesAfterFiveDays) {
  EXPECT_EQ(rules_->auto_close_after(), absl::Hours(120));
}

}  // namespace
}  // namespace tandem::ticket_intake
