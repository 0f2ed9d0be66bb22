// Whether this process still does anything: what /livez says. Each of its parts that never waits
// for a database, a broker, a disk or another process is asked again and again for a sign of life;
// one that gives none for too long is cured by nothing but a restart.
#ifndef TANDEM_COMMON_HOST_LIVENESS_H_
#define TANDEM_COMMON_HOST_LIVENESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace tandem::host {

// Callable from any thread; Tick from one at a time.
class Liveness {
 public:
  // Asks a part for a sign of life. It may be given on any thread, also before the asking returns;
  // dropping it is a sign too: who ends its work does not hang.
  using Ask = std::function<void(absl::AnyInvocable<void()> answered)>;

  // Patience is counted in ticks, not by a clock: a process that was frozen, or whose clock was
  // set, is not found dead when it goes on.
  explicit Liveness(int patience_ticks) : patience_(patience_ticks) {}

  void Watch(std::string name, Ask ask);
  // Asks each part that owes no answer, and counts for those that do.
  void Tick();
  // UNAVAILABLE names the parts that gave no answer for `patience_ticks` ticks.
  absl::Status status() const;
  // Watches nothing any more; an asking under way is waited for.
  void Clear();

 private:
  struct Part {
    std::string name;
    Ask ask;
    absl::Mutex mutex;
    bool is_asked ABSL_GUARDED_BY(mutex) = false;
    int waited ABSL_GUARDED_BY(mutex) = 0;  // ticks since it was asked
  };
  class Sign;

  const int patience_;
  absl::Mutex asking_;  // held during a Tick
  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<Part>> parts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tandem::host

#endif  // TANDEM_COMMON_HOST_LIVENESS_H_
