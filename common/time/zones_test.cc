#include "common/time/zones.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::time {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A folder with a tzdata.zi of that text, and an empty file for each name.
std::string Folder(const std::string& name, const std::string& zi,
                   const std::vector<std::string>& files) {
  const std::string folder = ::testing::TempDir() + "/zones_" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/Europe");
  std::ofstream(folder + "/tzdata.zi") << zi;
  for (const std::string& file : files) std::ofstream(folder + "/" + file) << "";
  return folder;
}

TEST(Zones, AreTheZonesAndLinksOfTzdata) {
  const auto zones =
      Zones::Read(Folder("names",
                         "# version 2025b\nR A 1 2 - 3 4 5 6 -\nZ Europe/London 0 G\n"
                         "1:00 - BST\nL Europe/London GB\nZ Factory 0 - -00\n",
                         {"Europe/London", "GB", "Factory", "localtime"}));
  ASSERT_TRUE(zones.ok()) << zones.status();
  EXPECT_EQ(zones->version(), "2025b");
  EXPECT_THAT(zones->names(), ElementsAre("Europe/London", "GB"));
}

TEST(Zones, LeaveOutANameWhoseFileIsNotThere) {
  const auto zones = Zones::Read(Folder(
      "files", "# version 2025b\nZ Europe/London 0 G\nL Europe/London GB\n", {"Europe/London"}));
  ASSERT_TRUE(zones.ok()) << zones.status();
  EXPECT_THAT(zones->names(), ElementsAre("Europe/London"));
}

TEST(Zones, SayWhichFileIsMissingOrNotTzdata) {
  const auto missing = Zones::Read("/nowhere");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nowhere/tzdata.zi"));
  const std::string unmarked = Folder("unmarked", "Z GB 0 G\n", {"GB"});
  EXPECT_THAT(std::string(Zones::Read(unmarked).status().message()), HasSubstr("version"));
  const std::string empty = Folder("empty", "# version 2025b\n", {});
  EXPECT_THAT(std::string(Zones::Read(empty).status().message()), HasSubstr("names no zone"));
}

TEST(Zones, AreAllLoadedAtTheStartOrTheStartSaysWhatToInstall) {
  EXPECT_TRUE(LoadSystemZones().ok());
  const absl::Status missing = LoadZones(Zones::Read("/nowhere"));
  EXPECT_TRUE(absl::IsFailedPrecondition(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("install the package tzdata"));
}

TEST(Zones, KnowEveryNameThatPeopleUse) {
  for (const char* name : {"UTC", "Europe/London", "America/New_York", "Asia/Kathmandu", "GB",
                           "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Australia/Lord_Howe"}) {
    EXPECT_EQ(ZoneProblem(name), "") << name;
    EXPECT_TRUE(FindZone(name).has_value()) << name;
  }
}

// Each of these is a file, or a zone, or both, to whoever opens it.
TEST(Zones, TakeNoPathForAName) {
  for (const char* name :
       {"", "/dev/ptmx", "../../etc/passwd", "../zoneinfo/UTC", "/etc/localtime", "posixrules",
        "localtime", "Factory", "right/UTC", "posix/UTC", "tzdata.zi", "Europe", "Europe/",
        "file:UTC", "Fixed/UTC+01:00:00", "libc:localtime", "UTC ", " UTC", "Europe//London"}) {
    EXPECT_NE(ZoneProblem(name), "") << name;
    EXPECT_FALSE(FindZone(name).has_value()) << name;
  }
  EXPECT_NE(ZoneProblem(std::string_view("UTC\0x", 5)), "");
}

TEST(Zones, TellTheRightCaseOfAName) {
  EXPECT_THAT(ZoneProblem("europe/london"), HasSubstr("is spelt Europe/London"));
  EXPECT_THAT(ZoneProblem("utc"), HasSubstr("is spelt UTC"));
  EXPECT_FALSE(FindZone("europe/london").has_value());
}

}  // namespace
}  // namespace tandem::time
