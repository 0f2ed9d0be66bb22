#include "common/time/zones.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tandem::time {
namespace {

constexpr char kVersionLine[] = "# version ";

// Where absl::LoadTimeZone reads as well.
std::string SystemFolder() {
  const char* const folder = std::getenv("TZDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/usr/share/zoneinfo";
}

}  // namespace

absl::StatusOr<Zones> Zones::Read(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/tzdata.zi");
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  Zones zones;
  // A line of zic's compact form begins with what it is: "Z NAME …" a zone, "L TARGET NAME" a link.
  for (std::string line; std::getline(file, line);) {
    if (zones.version_.empty() && absl::StartsWith(line, kVersionLine)) {
      zones.version_ = line.substr(sizeof(kVersionLine) - 1);
      continue;
    }
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 3 || (words[0] != "Z" && words[0] != "L")) continue;
    const std::string& name = words[0] == "Z" ? words[1] : words[2];
    std::error_code error;
    if (name == "Factory" ||
        !std::filesystem::is_regular_file(absl::StrCat(folder, "/", name), error)) {
      continue;
    }
    zones.names_.insert(name);
  }
  if (zones.version_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " does not say its version in a line \"", kVersionLine, "…\""));
  }
  if (zones.names_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " names no zone that is in ", folder));
  }
  return zones;
}

std::string Zones::WhyNot(std::string_view name) const {
  const std::string given(name.substr(0, 64));
  for (const std::string& known : names_) {
    if (absl::EqualsIgnoreCase(known, given)) {
      return absl::StrCat("\"", given, "\" is spelt ", known);
    }
  }
  return absl::StrCat("\"", absl::CHexEscape(given),
                      "\" is not an IANA time zone known to this machine");
}

std::optional<absl::TimeZone> Zones::Find(std::string_view name) const {
  absl::TimeZone zone;
  if (!Has(name) || !absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

const absl::StatusOr<Zones>& SystemZones() {
  static const absl::StatusOr<Zones> zones = Zones::Read(SystemFolder());
  return zones;
}

absl::Status LoadZones(const absl::StatusOr<Zones>& zones) {
  if (!zones.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no time zones: ", std::string(zones.status().message()),
                     "; install the package tzdata, or set TZDIR to a folder that has it"));
  }
  for (const std::string& name : zones->names()) {
    if (!zones->Find(name)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the time zone ", name, " of tzdata ", zones->version(),
                       " cannot be read; install the package tzdata anew"));
    }
  }
  return absl::OkStatus();
}

absl::Status LoadSystemZones() { return LoadZones(SystemZones()); }

std::string TzdataVersion() {
  const absl::StatusOr<Zones>& zones = SystemZones();
  return zones.ok() ? zones->version() : "missing";
}

std::string ZoneProblem(std::string_view name) {
  const absl::StatusOr<Zones>& zones = SystemZones();
  if (!zones.ok()) return "cannot be looked up: this machine has no tzdata";
  return zones->Has(name) ? "" : zones->WhyNot(name);
}

std::optional<absl::TimeZone> FindZone(std::string_view name) {
  const absl::StatusOr<Zones>& zones = SystemZones();
  return zones.ok() ? zones->Find(name) : std::nullopt;
}

}  // namespace tandem::time
