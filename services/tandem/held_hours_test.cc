#include "services/tandem/held_hours.h"

#include "gtest/gtest.h"

namespace tandem::programs {
namespace {

using type::v1::OUTREACH_TOPIC_RENEWAL;
using type::v1::OUTREACH_TOPIC_UPSELL;

TEST(HeldHours, KeepWholeAccountsAndContactsApart) {
  HeldHours hours;
  hours.Add("a", "", OUTREACH_TOPIC_RENEWAL, absl::Hours(10));
  hours.Add("a", "ann", OUTREACH_TOPIC_RENEWAL, absl::Hours(3));
  hours.Add("a", "bob", OUTREACH_TOPIC_RENEWAL, absl::Minutes(90));
  HeldOutreach outreach;
  hours.Report(&outreach);
  ASSERT_EQ(outreach.topics_size(), 1);
  EXPECT_EQ(outreach.topics(0).account_hours(), 10);
  EXPECT_EQ(outreach.topics(0).accounts(), 1);
  EXPECT_EQ(outreach.topics(0).contact_hours(), 4.5);
  EXPECT_EQ(outreach.topics(0).contacts(), 2);
}

TEST(HeldHours, ListTheAccountHeldLongestFirst) {
  HeldHours hours;
  hours.Add("a", "", OUTREACH_TOPIC_UPSELL, absl::Hours(1));
  hours.Add("b", "", OUTREACH_TOPIC_RENEWAL, absl::Hours(9));
  hours.Add("c", "", OUTREACH_TOPIC_RENEWAL, absl::Hours(9));
  hours.Add("d", "dan", OUTREACH_TOPIC_RENEWAL, absl::Hours(99));
  HeldOutreach outreach;
  hours.Report(&outreach);
  ASSERT_EQ(outreach.accounts_size(), 4);
  EXPECT_EQ(outreach.accounts(0).account_id(), "b");
  EXPECT_EQ(outreach.accounts(1).account_id(), "c");
  EXPECT_EQ(outreach.accounts(2).account_id(), "a");
  EXPECT_EQ(outreach.accounts(3).account_id(), "d");
}

TEST(HeldHours, HaveTwoDecimals) {
  EXPECT_EQ(RoundedHours(absl::Minutes(20)), 0.33);
  EXPECT_EQ(RoundedHours(absl::Hours(8760)), 8760);
}

}  // namespace
}  // namespace tandem::programs
