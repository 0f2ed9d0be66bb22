#include "common/program/addresses.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::program {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TEST(Store, IsAFolderOrADatabase) {
  EXPECT_EQ(ParseStore("sqlite:/var/lib/tandem")->place, "/var/lib/tandem");
  EXPECT_FALSE(ParseStore("sqlite:/var/lib/tandem")->is_postgres);
  EXPECT_TRUE(ParseStore("postgresql://a@b/c")->is_postgres);
  EXPECT_EQ(ParseStore("postgres://a@b/c")->place, "postgres://a@b/c");
}

TEST(Store, ThatIsNoneIsNotQuoted) {
  for (const char* text : {"mysql://u:hush@h/d", "sqlite:", "", "/var/lib/hush"}) {
    const absl::Status status = ParseStore(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hush")));
  }
}

TEST(Bus, IsKafkaAndSaysWhyNotLocal) {
  EXPECT_EQ(*ParseBus("kafka:a:9092,b:9092"), "a:9092,b:9092");
  EXPECT_THAT(std::string(ParseBus("local:").status().message()), HasSubstr("tandem serve"));
  EXPECT_FALSE(ParseBus("kafka:").ok());
  EXPECT_FALSE(ParseBus("a:9092").ok());
}

TEST(Peers, AreExactlyThoseThatAreAsked) {
  const std::vector<KnownPeer> known = {{"triage", "tandem.triage.v1"}};
  EXPECT_THAT(*TargetsOf({{"triage", "h:1"}}, known), ElementsAre(Pair("tandem.triage.v1", "h:1")));
  EXPECT_THAT(std::string(TargetsOf({}, known).status().message()),
              HasSubstr("--peer triage=HOST:PORT"));
  EXPECT_THAT(
      std::string(TargetsOf({{"triage", "h:1"}, {"survey", "h:2"}}, known).status().message()),
      HasSubstr("survey"));
  EXPECT_THAT(std::string(TargetsOf({{"triage", "h:1"}}, {}).status().message()),
              HasSubstr("asks nobody"));
}

}  // namespace
}  // namespace tandem::program
