#include "services/tandem/replay_names.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "common/address/address.h"
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

// A location's account is found by its domain, which is compared without letter case and may hold
// letters, digits and hyphens alone.
TEST(ReplayNames, MakeADomainOfItsOwnFromAnyLocation) {
  const std::string longest(48, '\xFF');
  const std::vector<std::string> locations = {
      "161",       "Paris",          "PARIS",       "paris", "Sao Paulo", "S\u00e3o Paulo",
      "Sao_Paulo", "Sao-Paulo",      "Sao-20Paulo", "-",     ".",         "a.b",
      longest,     longest.substr(1)};
  std::set<std::string> domains, addresses;
  for (const std::string& location : locations) {
    const std::string domain = Domain(location);
    EXPECT_EQ(domain.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-."), std::string::npos)
        << domain;
    const std::string label = domain.substr(0, domain.find('.'));
    EXPECT_EQ(domain, label + ".example");
    EXPECT_LE(label.size(), 63u) << domain;
    EXPECT_NE(label.back(), '-') << domain;
    domains.insert(absl::AsciiStrToLower(domain));
    for (const std::string& made : {Address(location, location), UnknownAddress(location)}) {
      EXPECT_TRUE(address::ParseMail(made).ok()) << made;
    }
    addresses.insert(absl::AsciiStrToLower(Address(location, location)));
  }
  EXPECT_EQ(domains.size(), locations.size());
  EXPECT_EQ(addresses.size(), locations.size());
  EXPECT_EQ(Domain("161"), "location-161.example");
  EXPECT_NE(absl::AsciiStrToLower(Address("1", "Bob")), absl::AsciiStrToLower(Address("1", "bob")));
}

}  // namespace
}  // namespace tandem::programs
