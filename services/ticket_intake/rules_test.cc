#include "services/ticket_intake/rules.h"

#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace tandem::ticket_intake {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

intake::v1::IntakePolicy Policy(const std::string& text) {
  intake::v1::IntakePolicy policy;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &policy)) << text;
  return policy;
}

std::shared_ptr<const Rules> Make(const std::string& text) {
  corridor::Violations violations;
  auto rules = Rules::Make(Policy(text), violations);
  EXPECT_TRUE(violations.ok()) << violations.status();
  return rules;
}

intake::v1::Ticket Ticket(const std::string& text) {
  intake::v1::Ticket ticket;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &ticket)) << text;
  return ticket;
}

constexpr char kPatterns[] = R"pb(
  frustration { name: "third_time" pattern: "(?i)third time" }
  frustration { name: "escalate" pattern: "(?i)your (boss|manager)" }
  thank_you { name: "thanks" pattern: "(?i)(many )?thank(s| you)( a lot)?" }
  thank_you { name: "works" pattern: "(?i)it works" }
  courtesies { name: "greeting" pattern: "(?i)(hi|hello)( anna)?" }
  courtesies { name: "sign_off" pattern: "(?i)regards(,?\\s+carl)?" }
)pb";

TEST(Frustration, NamesTheFirstPatternThatMatches) {
  const auto rules = Make(kPatterns);
  EXPECT_EQ(rules->FrustrationIn("This is the THIRD TIME. I want your manager."), "third_time");
  EXPECT_EQ(rules->FrustrationIn("Give me your boss"), "escalate");
  EXPECT_EQ(rules->FrustrationIn("It works."), "");
}

TEST(ThankYou, IsShortAndNothingElse) {
  const auto rules = Make(kPatterns);
  for (const char* text :
       {"Thanks a lot!", "many thanks", "Thanks! It works.",
        "Hi Anna,\n\nthanks a lot!\n\nRegards,\nCarl",
        "  \xC2\xA0Thanks \xE2\x80\x94 it works \xE2\x80\xA6", "thanks, thank you"}) {
    EXPECT_TRUE(rules->IsThankYou(text)) << text;
  }
  for (const char* text :
       {"It is still broken.", "Thanks, but it is still broken.", "Broken. Thanks.", "Thanks?",
        "Hi Anna", "Regards, Carl", "", " ", "thanksit works", "Thanks :("}) {
    EXPECT_FALSE(rules->IsThankYou(text)) << text;
  }
  std::string long_thanks = "Thanks";
  while (long_thanks.size() <= 400) long_thanks += ". Thanks";
  EXPECT_FALSE(rules->IsThankYou(long_thanks));
}

TEST(ThankYou, IsNothingWithoutAPattern) {
  EXPECT_FALSE(Make("")->IsThankYou("Thanks"));
  EXPECT_FALSE(Make("")->IsThankYou(""));
  EXPECT_FALSE(Make(R"(courtesies { name: "a" pattern: "hi" })")->IsThankYou("hi"));
  EXPECT_TRUE(Make(R"(thank_you { name: "a" pattern: "thanks|ta" })")->IsThankYou("ta, thanks\n"));
}

TEST(OwnWords, AreWithoutQuotationsAndSignature) {
  EXPECT_EQ(OwnWords("Thanks!\r\n\r\nOn Monday, Anna wrote:\r\n> It is\r\n> broken.\r\n"),
            "Thanks!");
  EXPECT_EQ(OwnWords("Thanks!\n-- \nCarl\nHead of IT"), "Thanks!");
  EXPECT_EQ(OwnWords("> Is it broken?\nYes.\n> And this?\nNo."), "Yes.\nNo.");
  EXPECT_EQ(OwnWords("It says:\nError 5"), "It says:\nError 5");
  EXPECT_EQ(OwnWords("> only\n> quoted"), "");
}

TEST(Suspicion, NeedsEnoughClosuresInTheWindowAndNoResolvedTicket) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto closed = [&](std::initializer_list<int> days_ago) {
    google::protobuf::RepeatedPtrField<google::protobuf::Timestamp> closures;
    for (const int days : days_ago) *closures.Add() = time::Stamp(now - absl::Hours(24 * days));
    return closures;
  };
  const auto rules = Make("");
  EXPECT_TRUE(rules->IsSuspected(closed({1, 29}), 0, now));
  EXPECT_FALSE(rules->IsSuspected(closed({1}), 0, now));
  EXPECT_FALSE(rules->IsSuspected(closed({1, 30}), 0, now));
  EXPECT_FALSE(rules->IsSuspected(closed({1, 2, 3}), 1, now));
  const auto strict = Make("spam_closures: 1 spam_window { seconds: 86400 }");
  EXPECT_TRUE(strict->IsSuspected(closed({0}), 0, now));
  EXPECT_FALSE(strict->IsSuspected(closed({1}), 0, now));
  EXPECT_FALSE(Make("spam_closures: -1")->IsSuspected(closed({0, 0, 0}), 0, now));
}

TEST(RequiredContext, IsAskedByCategory) {
  const auto rules = Make(R"(
    required_context { category: "defect" fields: "steps" fields: "product" fields: "impact" }
    required_context { category: "*" fields: "business_goal" }
  )");
  EXPECT_THAT(rules->MissingFields(Ticket(R"(category: "defect")")),
              ElementsAre("impact", "product", "steps"));
  EXPECT_THAT(rules->MissingFields(Ticket(
                  R"(category: "defect" product: "p" impact: IMPACT_LOW context { steps: "1" })")),
              IsEmpty());
  EXPECT_THAT(rules->MissingFields(Ticket(R"(category: "other")")), ElementsAre("business_goal"));
  EXPECT_THAT(rules->MissingFields(Ticket("")), ElementsAre("business_goal"));
}

TEST(RequiredContext, IsNothingWithoutAPolicyForTheCategory) {
  EXPECT_THAT(Make("")->MissingFields(Ticket(R"(category: "defect")")), IsEmpty());
}

TEST(IntakePolicy, HasTheProductsDefaults) {
  const auto rules = Make("");
  EXPECT_EQ(rules->auto_close_after(), absl::Hours(120));
  EXPECT_EQ(rules->requester_valid_for(), absl::Minutes(10));
  EXPECT_EQ(rules->message_bytes(), 65536u);
  EXPECT_EQ(rules->messages_per_ticket(), 10000);
  EXPECT_EQ(rules->watchers(), 200u);
}

TEST(IntakePolicy, NeverClosesByItselfWithZero) {
  EXPECT_EQ(Make("auto_close_after {}")->auto_close_after(), absl::InfiniteDuration());
}

TEST(IntakePolicy, DrawsTighterLimits) {
  const auto rules = Make("limits { message_bytes: 100 attachments: 1 }");
  EXPECT_EQ(rules->message_bytes(), 100u);
  EXPECT_EQ(rules->attachments(), 1u);
}

TEST(IntakePolicy, AsksAgainLessAndLessOften) {
  const auto rules = Make("");
  EXPECT_EQ(rules->RequesterRetryAfter(1), absl::Seconds(30));
  EXPECT_EQ(rules->RequesterRetryAfter(2), absl::Seconds(60));
  EXPECT_EQ(rules->RequesterRetryAfter(100), absl::Minutes(10));
}

TEST(IntakePolicy, NamesEveryProblem) {
  corridor::Violations violations;
  EXPECT_EQ(Rules::Make(Policy(R"(
    required_context { category: "Defect" fields: "colour" }
    required_context { category: "x" }
    required_context { category: "x" fields: "steps" }
    frustration { name: "a" pattern: "(" }
    frustration { name: "a" pattern: "b" }
    thank_you_max_bytes: -1
    courtesies { name: "Hi" pattern: "[" }
    spam_closures: 1001
    spam_window { seconds: 60 }
    requester_retry_after { seconds: 3600 }
    limits { message_bytes: 65537 }
  )"),
                        violations),
            nullptr);
  const std::string problems(violations.status().message());
  for (const char* problem :
       {"required_context[0].category: must be", "required_context[0].fields: 'colour' is none of",
        "required_context[1].fields: is empty",
        "required_context[2].category: 'x' stands there twice", "frustration[0].pattern: missing",
        "frustration[1].name: 'a' stands there twice", "thank_you_max_bytes: must be 0 to 4096",
        "courtesies[0].name: must be", "courtesies[0].pattern: missing",
        "spam_closures: must be -1 to 1000", "spam_window: must be 1h to 8784h",
        "requester_retry_after: must be 1s to 10m", "limits.message_bytes: must be 0 to 65536"}) {
    EXPECT_THAT(problems, HasSubstr(problem));
  }
}

TEST(IntakePolicy, RefusesASpanThatNoClockCanCount) {
  corridor::Violations violations;
  Rules::Make(Policy("auto_close_after { seconds: 9223372036854775807 }"), violations);
  EXPECT_THAT(std::string(violations.status().message()), HasSubstr("auto_close_after"));
}

}  // namespace
}  // namespace tandem::ticket_intake
