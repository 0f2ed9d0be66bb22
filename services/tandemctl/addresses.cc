#include "services/tandemctl/addresses.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/nearest_name.h"

namespace tandem::tandemctl {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 5> kServices = {{
    {"ticket_intake", "tandem.intake.v1"},
    {"triage", "tandem.triage.v1"},
    {"sla_timer", "tandem.sla.v1"},
    {"survey", "tandem.survey.v1"},
    {"account_health", "tandem.account.v1"},
}};

bool IsKnown(const std::string& service) {
  return std::find(ServiceNames().begin(), ServiceNames().end(), service) != ServiceNames().end();
}

std::string Unknown(const std::string& service) {
  const std::optional<std::string> meant = config::NearestName(service, ServiceNames());
  return absl::StrCat("no service is called '", service, "'",
                      meant.has_value() ? absl::StrCat("; did you mean '", *meant, "'?") : ";",
                      " there are ", absl::StrJoin(ServiceNames(), ", "));
}

}  // namespace

const std::vector<std::string>& ServiceNames() {
  static const std::vector<std::string>* const names = [] {
    auto* made = new std::vector<std::string>;
    for (const auto& [name, package] : kServices) made->emplace_back(name);
    return made;
  }();
  return *names;
}

std::string ServiceOfPackage(std::string_view package) {
  for (const auto& [name, its_package] : kServices) {
    if (package == its_package) return name;
  }
  return "";
}

absl::StatusOr<Addresses> Addresses::Parse(const std::vector<std::string>& texts) {
  Addresses addresses;
  for (const std::string& text : texts) {
    const size_t cut = text.find('=');
    const std::string name = cut == std::string::npos ? "" : text.substr(0, cut);
    const std::string address = cut == std::string::npos ? text : text.substr(cut + 1);
    const bool is_printable =
        std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (address.find(':') == std::string::npos || !is_printable) {
      return absl::InvalidArgumentError(
          absl::StrCat("--address: '", text, "' is neither HOST:PORT nor NAME=HOST:PORT"));
    }
    if (cut != std::string::npos && !IsKnown(name)) {
      return absl::InvalidArgumentError(absl::StrCat("--address: ", Unknown(name)));
    }
    std::string& place = name.empty() ? addresses.everybody_ : addresses.by_name_[name];
    if (!place.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--address: ", place, " and ", address, " are both given for ",
                       name.empty() ? "all services" : name,
                       name.empty() ? "; give NAME=HOST:PORT for each" : ""));
    }
    place = address;
  }
  if (addresses.everybody_.empty() && addresses.by_name_.empty()) {
    return absl::InvalidArgumentError("--address: give HOST:PORT, or NAME=HOST:PORT");
  }
  return addresses;
}

absl::StatusOr<std::string> Addresses::Of(const std::string& service) const {
  if (!IsKnown(service)) return absl::InvalidArgumentError(Unknown(service));
  if (const auto found = by_name_.find(service); found != by_name_.end()) return found->second;
  if (!everybody_.empty()) return everybody_;
  return absl::InvalidArgumentError(
      absl::StrCat("no address is given for ", service, "; add --address ", service, "=HOST:PORT"));
}

std::vector<Place> Addresses::All() const {
  std::vector<Place> places;
  for (const std::string& service : ServiceNames()) {
    const absl::StatusOr<std::string> address = Of(service);
    const bool is_new =
        address.ok() && std::none_of(places.begin(), places.end(),
                                     [&](const Place& place) { return place.address == *address; });
    if (is_new) places.push_back({service, *address});
  }
  return places;
}

}  // namespace tandem::tandemctl
