#include "services/survey/letter.h"

#include "common/time/stamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::survey {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

records::Delivery Sample() {
  records::Delivery delivery;
  delivery.set_survey_id("svy_1");
  delivery.set_name(InvitationName("svy_1"));
  delivery.set_address("ada@example.com");
  delivery.set_kind(type::v1::SURVEY_KIND_CSAT);
  delivery.set_ticket_id("tkt_1");
  *delivery.mutable_sent_at() = time::Stamp(absl::FromUnixSeconds(1'790'000'000));
  *delivery.mutable_expires_at() = time::Stamp(absl::FromUnixSeconds(1'791'209'600));
  return delivery;
}

TEST(Letter, SaysWhatIsAskedAndWithWhichTokenItIsAnswered) {
  const std::string letter = WriteLetter(Sample(), "TOKEN");
  EXPECT_THAT(letter, StartsWith("To: ada@example.com\nSubject: How did we do?\n"));
  EXPECT_THAT(letter, HasSubstr("Date: Mon, 21 Sep 2026 14:13:20 +0000\n"));
  EXPECT_THAT(letter, HasSubstr("Your token: TOKEN\n"));
  EXPECT_THAT(letter, HasSubstr("from 1 to 5"));
  EXPECT_THAT(letter, HasSubstr("until 2026-10-05T14:13:20Z"));
  EXPECT_THAT(letter, Not(HasSubstr("\r")));
}

TEST(Letter, IsTheSameForTheSameDelivery) {
  EXPECT_EQ(WriteLetter(Sample(), "TOKEN"), WriteLetter(Sample(), "TOKEN"));
}

TEST(Letter, AsksForEffortOnItsOwnScale) {
  records::Delivery delivery = Sample();
  delivery.set_kind(type::v1::SURVEY_KIND_CES);
  delivery.set_reminder(true);
  const std::string letter = WriteLetter(delivery, "TOKEN");
  EXPECT_THAT(letter, HasSubstr("Subject: Reminder: how did we do?"));
  EXPECT_THAT(letter, HasSubstr("How easy"));
  EXPECT_THAT(letter, HasSubstr("from 1 to 7"));
}

}  // namespace
}  // namespace tandem::survey
