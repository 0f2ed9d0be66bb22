#include "common/program/addresses.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/kafka/kafka_flags.h"

namespace tandem::program {
namespace {

std::string Joined(const std::vector<KnownPeer>& known) {
  return absl::StrJoin(
      known, ", ", [](std::string* out, const KnownPeer& one) { absl::StrAppend(out, one.name); });
}

}  // namespace

absl::StatusOr<StoreAddress> ParseStore(std::string_view text) {
  const std::string whole(text);
  if (absl::StartsWith(whole, "postgresql://") || absl::StartsWith(whole, "postgres://")) {
    return StoreAddress{true, whole};
  }
  if (absl::StartsWith(whole, "sqlite:") && whole.size() > 7) {
    return StoreAddress{false, whole.substr(7)};
  }
  return absl::InvalidArgumentError(
      "--store: is neither sqlite:FOLDER nor postgresql://USER@HOST:PORT/DATABASE");
}

absl::StatusOr<std::string> ParseBus(std::string_view text) {
  const std::string whole(text);
  if (absl::StartsWith(whole, "local:")) {
    return absl::InvalidArgumentError(
        "--bus: a local log belongs to one process, so a service alone has nobody to share it "
        "with; use kafka:HOST:PORT, or run all five by `tandem serve`");
  }
  return bus::ParseKafkaBus(whole);
}

absl::StatusOr<std::map<std::string, std::string, std::less<>>> TargetsOf(
    const std::map<std::string, std::string>& pairs, const std::vector<KnownPeer>& known) {
  std::map<std::string, std::string, std::less<>> targets;
  for (const KnownPeer& peer : known) {
    const auto found = pairs.find(peer.name);
    if (found == pairs.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--peer: ", peer.name, " is missing; give --peer ", peer.name,
                       "=HOST:PORT (this service asks ", Joined(known), ")"));
    }
    targets[peer.package] = found->second;
  }
  for (const auto& [name, target] : pairs) {
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const KnownPeer& one) { return one.name == name; });
    if (!is_known) {
      return absl::InvalidArgumentError(
          absl::StrCat("--peer: nobody is asked by the name ", name,
                       known.empty() ? "; this service asks nobody"
                                     : absl::StrCat("; this service asks ", Joined(known))));
    }
  }
  return targets;
}

}  // namespace tandem::program
