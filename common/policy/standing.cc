#include "common/policy/standing.h"

#include "absl/strings/str_cat.h"
#include "common/policy/policy.h"
#include "common/policy/policy.pb.h"

namespace tandem::policy {

Standing::Standing(const metrics::Scope& scope) {
  const metrics::GaugeFamily not_in_force = scope.Gauges(
      "tandem_policy_not_in_force",
      "1 while the policy that a folder declares is not in force: refused, or different from what "
      "was applied last.",
      {{"reason", {"refused", "differs"}}});
  refused_ = not_in_force.At({"refused"});
  differs_ = not_in_force.At({"differs"});
  absl::MutexLock lock(&mutex_);
  Show();
}

void Standing::Show() {
  refused_.Set(started_.refused.ok() ? 0 : 1);
  differs_.Set(started_.differs.ok() ? 0 : 1);
}

void Standing::Began(const StartedPolicy& started, log::Logger& logger) {
  {
    absl::MutexLock lock(&mutex_);
    started_ = started;
    Show();
  }
  const log::Field kind = log::Field::Id("kind", started.kind);
  const log::Field version = log::Field::Count("version", started.version);
  if (started.is_new) logger.Log(log::Level::kInfo, "policy applied", {kind, version});
  if (started.is_declared) {
    logger.Log(log::Level::kInfo, "policy is declared by a folder, nobody else applies one",
               {kind, version});
  }
  for (const absl::Status* trouble : {&started.refused, &started.differs}) {
    if (trouble->ok()) continue;
    logger.LogInternal("declared policy is not in force, the last one applied stays", *trouble,
                       {kind, version});
  }
  for (const type::v1::PolicyEffect& effect : started.effects) {
    logger.Log(started.is_new ? log::Level::kInfo : log::Level::kWarning, "what the policy changes",
               {kind, log::Field::Id("effect", effect.code()),
                log::Field::Id("subject", effect.subject().empty() ? "-" : effect.subject()),
                log::Field::Count("count", effect.count())});
  }
}

void Standing::Look(store::Reader& reader) {
  StoredPolicy current;
  bool is_there = false;
  const absl::Status read =
      reader.Query(Stored().SelectByKey("current"), [&](const store::RowView& row) {
        const std::string_view body = row.Text(1);
        is_there = current.ParseFromArray(body.data(), static_cast<int>(body.size()));
      });
  if (!read.ok() || !is_there) return;
  absl::MutexLock lock(&mutex_);
  started_.version = current.version();
  if (started_.declared_hash.empty()) return;
  if (current.content_hash() == started_.declared_hash) {
    started_.refused = started_.differs = absl::OkStatus();
  } else if (started_.refused.ok()) {
    started_.differs = absl::FailedPreconditionError(
        absl::StrCat("policy ", started_.kind, ": version ", current.version(),
                     " is in force, which is not what this process's folder declares"));
  }
  Show();
}

bool Standing::is_declared() const {
  absl::MutexLock lock(&mutex_);
  return started_.is_declared;
}

absl::Status Standing::status() const {
  absl::MutexLock lock(&mutex_);
  if (!started_.refused.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the declared ", started_.kind, " policy was refused; version ", started_.version,
        " stays in force: ", std::string(started_.refused.message())));
  }
  return started_.differs;
}

}  // namespace tandem::policy
