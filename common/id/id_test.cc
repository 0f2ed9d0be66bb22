#include "common/id/id.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace tandem::id {
namespace {

TEST(Hash, IsSha256OverLengthPrefixedParts) {
  // From an independent implementation: sha256("1:a2:bc").
  EXPECT_EQ(absl::BytesToHexString(Hash({"a", "bc"})),
            "5310a58788781ab25d5ad7c3f85035824b4eb7bdfa394e0ac2186271472b5492");
}

TEST(Hash, KnowsWhereAPartEnds) {
  EXPECT_NE(Hash({"a", "bc"}), Hash({"ab", "c"}));
  EXPECT_NE(Hash({"a"}), Hash({"a", ""}));
  EXPECT_NE(Hash({"1:a"}), Hash({"a"}));
}

TEST(Ids, ComeOutTheSameForTheSameCause) {
  Ids ids("ticket_intake", "cause");
  // Stored rows hold such ids: a change here orphans them.
  EXPECT_EQ(ids.Next("tkt"), "tkt_oyluekmpwa3c4q4t2qvsjzoxx4");
  EXPECT_EQ(ids.Next("tkt"), "tkt_yjx45swwy2lpo4v3p2jdzdb55s");
  Ids again("ticket_intake", "cause");
  EXPECT_EQ(again.Next("tkt"), "tkt_oyluekmpwa3c4q4t2qvsjzoxx4");
}

TEST(Ids, DifferByServiceAndCause) {
  const std::string id = Ids("triage", "cause").Next("x");
  EXPECT_NE(id, Ids("survey", "cause").Next("x"));
  EXPECT_NE(id, Ids("triage", "other").Next("x"));
}

TEST(Ids, AreWellFormed) { EXPECT_TRUE(IsWellFormed(Ids("a", "b").Next("tkt"))); }

TEST(WellFormed, IsWhatACallerMayName) {
  EXPECT_TRUE(IsWellFormed("A"));
  EXPECT_TRUE(IsWellFormed("INC-0001:a.b_c"));
  EXPECT_TRUE(IsWellFormed(std::string(128, 'x')));
}

TEST(WellFormed, IsNotWhatWouldBreakALogOrAPath) {
  EXPECT_FALSE(IsWellFormed(""));
  EXPECT_FALSE(IsWellFormed(std::string(129, 'x')));
  EXPECT_FALSE(IsWellFormed("a b"));
  EXPECT_FALSE(IsWellFormed("a/b"));
  EXPECT_FALSE(IsWellFormed("a\nb"));
  EXPECT_FALSE(IsWellFormed(std::string_view("a\0b", 3)));
  EXPECT_FALSE(IsWellFormed("\xc3\xa9"));
}

}  // namespace
}  // namespace tandem::id
