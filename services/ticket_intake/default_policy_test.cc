// The policy that is shipped, as the product promises it.
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

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

// One text of a customer and how it has to be read.
struct Line {
  int number = 0;
  std::string answer;  // "thanks", "-" or the name of a frustration pattern
  std::string text;
};

std::vector<Line> CustomerTexts() {
  std::ifstream file(std::string(TANDEM_SOURCE_DIR) +
                     "/services/ticket_intake/testdata/customer_texts.txt");
  std::vector<Line> lines;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t bar = line.find(" | ");
    if (bar == std::string::npos) {
      ADD_FAILURE() << "line " << number << " has no answer";
      continue;
    }
    std::string text = line.substr(bar + 3);
    for (size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at) {
      text.replace(at, 2, "\n");
    }
    lines.push_back({number, line.substr(0, bar), std::move(text)});
  }
  return lines;
}

TEST_F(ShippedIntakePolicy, ReadsEveryTextOfTheTableAsAPersonWould) {
  const std::vector<Line> lines = CustomerTexts();
  ASSERT_GE(lines.size(), 150u);
  for (const Line& line : lines) {
    EXPECT_EQ(rules_->IsThankYou(line.text), line.answer == "thanks")
        << "line " << line.number << ": " << line.text;
    const bool is_frustrated = line.answer != "thanks" && line.answer != "-";
    EXPECT_EQ(rules_->FrustrationIn(line.text), is_frustrated ? line.answer : "")
        << "line " << line.number << ": " << line.text;
  }
}

// Whatever is thanked for, what follows decides.
TEST_F(ShippedIntakePolicy, TakesNoTextForAThankYouOnceSomethingElseIsAdded) {
  for (const Line& line : CustomerTexts()) {
    if (line.answer != "thanks") continue;
    for (const char* more :
         {" But it is still broken.", " Leider geht es nicht.", "\nStill no luck", " ok?"}) {
      // Below a signature or a quotation nobody writes on.
      if (line.text.find("\n-- \n") != std::string::npos ||
          line.text.find("\n>") != std::string::npos)
        continue;
      EXPECT_FALSE(rules_->IsThankYou(line.text + more))
          << "line " << line.number << ": " << line.text << more;
    }
  }
}

TEST_F(ShippedIntakePolicy, SuspectsAnAddressAfterTwoSpamClosuresInThirtyDays) {
  EXPECT_EQ(rules_->spam_closures(), 2);
  EXPECT_EQ(rules_->spam_window(), absl::Hours(24 * 30));
  EXPECT_FALSE(rules_->third_party_reopens());
}

TEST_F(ShippedIntakePolicy, ClosesAfterFiveDays) {
  EXPECT_EQ(rules_->auto_close_after(), absl::Hours(120));
}

}  // namespace
}  // namespace tandem::ticket_intake
