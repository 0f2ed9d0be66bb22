// The time zones that this process knows: those of its tzdata, by their IANA names.
//
// A name that a client sends is looked up here, in memory; it never becomes the name of a file.
// absl::LoadTimeZone, which opens what it is given, is called in zones.cc alone, with a name of the
// set.
#ifndef TANDEM_COMMON_TIME_ZONES_H_
#define TANDEM_COMMON_TIME_ZONES_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::time {

// Immutable; any thread.
class Zones {
 public:
  // Reads the version and the names from `folder`/tzdata.zi: zones and links, as IANA spells them.
  // A name whose file is not in `folder` is left out (some distributions package old names apart),
  // and so is Factory, which is no place. NOT_FOUND or INVALID_ARGUMENT that name the file.
  static absl::StatusOr<Zones> Read(const std::string& folder);

  // "2025b".
  const std::string& version() const { return version_; }
  const std::set<std::string, std::less<>>& names() const { return names_; }
  // Whether `name` is one of them, in its own case. Reads no file.
  bool Has(std::string_view name) const { return names_.find(name) != names_.end(); }
  // What is wrong with a name that Has refuses, for a message to whoever wrote it; it names the
  // right spelling where only the case is wrong.
  std::string WhyNot(std::string_view name) const;
  // The zone, for a name of the set. Its file is read the first time that a process asks for it.
  std::optional<absl::TimeZone> Find(std::string_view name) const;

 private:
  std::string version_;
  std::set<std::string, std::less<>> names_;
};

// This machine's, from $TZDIR or /usr/share/zoneinfo; read once, when it is first asked for.
const absl::StatusOr<Zones>& SystemZones();

// For the start of a program that is asked about zones later: reads the rules of every zone (about
// 0.1 s), so that no request touches a file and all are answered from one version of tzdata.
// FAILED_PRECONDITION that says what to install.
absl::Status LoadZones(const absl::StatusOr<Zones>& zones);
absl::Status LoadSystemZones();

// The version of SystemZones; "missing" without tzdata.
std::string TzdataVersion();

// For validators: what is wrong with `name` as the name of a zone; empty = nothing. Reads no file.
std::string ZoneProblem(std::string_view name);

// The zone of that name; nullopt where ZoneProblem has something to say.
std::optional<absl::TimeZone> FindZone(std::string_view name);

}  // namespace tandem::time

#endif  // TANDEM_COMMON_TIME_ZONES_H_
