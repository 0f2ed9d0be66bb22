#include "services/tandem/replay_names.h"

#include <set>
#include <string>

#include "common/id/id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::programs {
namespace {

TEST(ReplayNames, AreWhatTheLogSays) {
  EXPECT_EQ(AccountId("161"), "location-161");
  EXPECT_EQ(ContactId("161", "4554"), "caller-4554:161");
  EXPECT_EQ(AgentId("17"), "agent-17");
  EXPECT_EQ(GroupStaffId("70"), "group-70");
  EXPECT_EQ(Address("161", "4554"), "caller-4554@location-161.example");
  EXPECT_EQ(CategoryKey("26"), "26");
  EXPECT_EQ(ResolutionCode("7"), "code-7");
}

TEST(ReplayNames, SayUnknownWhereTheLogSaysNothing) {
  EXPECT_EQ(ResolutionCode(""), "UNKNOWN");
  EXPECT_EQ(CategoryKey(""), "");
  EXPECT_NE(GroupStaffId(""), GroupStaffId("unknown"));
}

TEST(ReplayNames, AreWellFormedIdsWhateverTheLogHolds) {
  const std::string longest(48, '\x01');
  for (const std::string& value : {std::string("Location 161"), std::string("a:b@c"), longest}) {
    EXPECT_TRUE(id::IsWellFormed(AccountId(value))) << AccountId(value);
    EXPECT_TRUE(id::IsWellFormed(ContactId(value, value))) << ContactId(value, value);
    EXPECT_TRUE(id::IsWellFormed(GroupStaffId(value))) << GroupStaffId(value);
    EXPECT_LE(CategoryKey(value).size(), 64u);
    EXPECT_LE(ResolutionCode(value).size(), 64u);
  }
}

TEST(ReplayNames, TellTwoValuesApart) {
  const std::set<std::string> ids = {ContactId("1", "2-1"),   ContactId("1-2", "1"),
                                     ContactId("1", "2:1"),   ContactId("1 2", "1"),
                                     ContactId("1_202", "1"), ContactId("1", "1.2")};
  EXPECT_EQ(ids.size(), 6u);
}

}  // namespace
}  // namespace tandem::programs
