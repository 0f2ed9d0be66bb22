#include "common/rpc/peer_health.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::rpc {

PeerHealth::PeerHealth(std::map<std::string, std::string, std::less<>> names,
                       absl::Duration patience)
    : names_(std::move(names)), patience_(patience) {}

void PeerHealth::Answered(std::string_view target, const absl::Status& status, absl::Time now) {
  const auto name = names_.find(target);
  if (name == names_.end()) return;
  const absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    troubles_.erase(name->second);
    return;
  }
  Trouble& trouble = troubles_.try_emplace(name->second, Trouble{now, status}).first->second;
  trouble.why = status;
}

std::vector<std::string> PeerHealth::Silent(absl::Time now) const {
  const absl::MutexLock lock(&mutex_);
  std::vector<std::string> silent;
  for (const auto& [name, trouble] : troubles_) {
    if (now - trouble.since < patience_) continue;
    silent.push_back(
        absl::StrCat(name, " has not answered since ",
                     absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", trouble.since, absl::UTCTimeZone()),
                     ": ", std::string(trouble.why.message())));
  }
  return silent;
}

}  // namespace tandem::rpc
