#include "common/policy/policy.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "common/id/id.h"
#include "tandem/events/v1/policy.pb.h"

namespace tandem::policy {

const store::Table<StoredPolicy>& Stored() {
  static const store::Table<StoredPolicy>* const table =
      new store::Table<StoredPolicy>("policies", {});
  return *table;
}

std::string VersionKey(int64_t version) { return absl::StrFormat("v%012d", version); }

std::string ContentHash(const std::string& canonical_bytes) {
  return absl::BytesToHexString(id::Hash({canonical_bytes}));
}

void PublishApplied(const std::string& kind, const StoredPolicy& stored, absl::Time now,
                    corridor::Decision& decision) {
  events::v1::PolicyApplied applied;
  applied.set_kind(kind);
  applied.set_version(stored.version());
  applied.set_applied_by(stored.applied_by());
  applied.set_content_hash(stored.content_hash());
  applied.mutable_occurred_at()->set_seconds(stored.applied_at_us() / 1'000'000);
  applied.mutable_occurred_at()->set_nanos(
      static_cast<int32_t>(stored.applied_at_us() % 1'000'000 * 1000));
  const std::string subject = absl::StrCat("policy:", kind);
  decision.Publish(subject, subject, now, std::move(applied));
}

absl::StatusOr<std::vector<StoredPolicy>> ListVersions(corridor::View& view, int64_t before,
                                                       int limit) {
  const std::string below = before == 0 ? std::string("w") : VersionKey(before);
  auto rows = view.Select(Stored(), "WHERE key >= 'v' AND key < $1 ORDER BY key DESC LIMIT $2",
                          {below, int64_t{limit}});
  if (!rows.ok()) return rows.status();
  std::vector<StoredPolicy> versions;
  versions.reserve(rows->size());
  for (const auto& row : *rows) versions.push_back(*row);
  return versions;
}

}  // namespace tandem::policy
