// Where steps run. Lane, relay, gate and consumer are state machines whose steps are posted to an
// executor; between steps they hold plain values. One executor runs one step at a time, in the
// order of posting, so what only its steps touch needs no lock.
#ifndef TANDEM_COMMON_EXECUTOR_EXECUTOR_H_
#define TANDEM_COMMON_EXECUTOR_EXECUTOR_H_

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace tandem::executor {

using Task = absl::AnyInvocable<void()>;

// Callable from any thread. Tasks that are still waiting when the executor ends are dropped.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` soon, after everything posted before it.
  virtual void Post(Task task) = 0;
  // Runs `task` at or after `instant` by the executor's clock; tasks of one instant run in the
  // order of posting. There is no cancel: a task that is no longer wanted finds that out by itself.
  virtual void PostAt(absl::Time instant, Task task) = 0;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_EXECUTOR_H_
