// Whether the policy that a folder declares is the one in force: for health, metrics and the log.
#ifndef TANDEM_COMMON_POLICY_STANDING_H_
#define TANDEM_COMMON_POLICY_STANDING_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/policy/policy_file.h"
#include "common/store/store.h"

namespace tandem::policy {

// One of a service. Any thread.
class Standing {
 public:
  // Its gauge is tandem_policy_not_in_force, by reason: "refused", "differs".
  explicit Standing(const metrics::Scope& scope);

  // What became of the policy at the start; it is logged.
  void Began(const StartedPolicy& started, log::Logger& logger);
  // Looks again at what is in force, as others may have changed it. Cheap: one row by its key.
  void Look(store::Reader& reader);
  bool is_declared() const;
  // OK, or FAILED_PRECONDITION with why what is declared is not in force.
  absl::Status status() const;

 private:
  void Show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  StartedPolicy started_ ABSL_GUARDED_BY(mutex_);
  metrics::Gauge refused_, differs_;
};

}  // namespace tandem::policy

#endif  // TANDEM_COMMON_POLICY_STANDING_H_
