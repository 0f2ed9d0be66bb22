#include "services/tandem/replay_mapping.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/tandem/replay_testing.h"

namespace tandem::programs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Shipped() { return FileText(SourceFile("deploy/replay/servicenow.yaml")); }

// What is said of the shipped mapping with `from` replaced by `to`.
std::string Fault(const std::string& from, const std::string& to) {
  const std::string changed = absl::StrReplaceAll(Shipped(), {{from, to}});
  EXPECT_NE(changed, Shipped()) << from;
  return std::string(ParseMapping(changed, "map.yaml").status().message());
}

TEST(ReplayMapping, OfTheShippedFileIsSound) {
  const absl::StatusOr<Mapping> mapping = ParseMapping(Shipped(), "map.yaml");
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ(mapping->values.states().at("-100"), LOG_STATE_NO_CHANGE);
  EXPECT_EQ(mapping->values.columns().subcategory(), "category#2");
  EXPECT_THAT(mapping->values.source().licence(), HasSubstr("CC BY 4.0"));
}

TEST(ReplayMapping, NamesTheLineOfAnUnknownKeyAndTheNearest) {
  EXPECT_THAT(Fault("time_zone:", "timezone:"), HasSubstr("map.yaml:"));
  EXPECT_THAT(Fault("time_zone:", "timezone:"), HasSubstr("did you mean 'time_zone'"));
}

TEST(ReplayMapping, NamesTheLineOfAStateThatIsNone) {
  EXPECT_THAT(Fault("Active: open", "Active: opened"), HasSubstr("map.yaml:"));
  EXPECT_THAT(Fault("Active: open", "Active: opened"), HasSubstr("opened"));
}

TEST(ReplayMapping, RefusesAZoneThatThisMachineDoesNotKnow) {
  EXPECT_THAT(Fault("America/Sao_Paulo", "America/Sao_Paolo"),
              HasSubstr("time_zone \"America/Sao_Paolo\" is not an IANA time zone"));
  EXPECT_THAT(Fault("America/Sao_Paulo", "/dev/ptmx"),
              HasSubstr("time_zone \"/dev/ptmx\" is not an IANA time zone"));
  EXPECT_THAT(Fault("America/Sao_Paulo", "america/sao_paulo"),
              HasSubstr("is spelt America/Sao_Paulo"));
}

TEST(ReplayMapping, RefusesADateFormatWithoutAMonth) {
  EXPECT_THAT(Fault("%d/%m/%Y %H:%M", "%d/%Y %H:%M"), HasSubstr("date_format must name"));
  EXPECT_THAT(Fault("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%Q"), HasSubstr("date_format must name"));
}

TEST(ReplayMapping, NamesEveryColumnThatIsMissing) {
  const std::string fault = Fault("  caller: caller_id\n  location: location\n", "");
  EXPECT_THAT(fault, HasSubstr("columns.caller is missing"));
  EXPECT_THAT(fault, HasSubstr("columns.location is missing"));
  EXPECT_THAT(fault, Not(HasSubstr("columns.state")));
}

TEST(ReplayMapping, DoesNotNeedTheColumnsThatAreOnlyCounted) {
  const std::string text = absl::StrReplaceAll(
      Shipped(), {{"  verdict: made_sla\n", ""}, {"  priority: priority\n", ""}});
  EXPECT_TRUE(ParseMapping(text, "map.yaml").ok());
}

TEST(ReplayMapping, RefusesVerdictsThatCannotBeToldApart) {
  EXPECT_THAT(Fault("verdict_missed: \"false\"", "verdict_missed: \"true\""),
              HasSubstr("verdict_missed is the same as verdict_met"));
}

TEST(ReplayMapping, BoundsTheTimeAfterTheLastRow) {
  EXPECT_THAT(Fault("run_on: 30d", "run_on: 367d"), HasSubstr("run_on must be 0s to 366d"));
  EXPECT_THAT(Fault("run_on: 30d", "run_on: -1h"), HasSubstr("run_on must be 0s to 366d"));
}

TEST(ReplayMapping, NamesAFileThatIsNotThere) {
  const absl::Status status = ReadMapping("/nowhere/map.yaml").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/map.yaml"));
}

}  // namespace
}  // namespace tandem::programs
