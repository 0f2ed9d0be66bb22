// The steps of one owner, ended with it: a step that is still waiting when the scope closes does
// nothing. With it an object may post steps that capture `this`.
#ifndef TANDEM_COMMON_EXECUTOR_SCOPE_H_
#define TANDEM_COMMON_EXECUTOR_SCOPE_H_

#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/executor/executor.h"

namespace tandem::executor {

// Callable from any thread; Close and Quiesce not from inside a step of the same scope, which they
// would wait for. Declare it as the last member, so that it ends before what its steps use.
class Scope {
 public:
  explicit Scope(Executor* executor);
  ~Scope() { Close(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  void Post(Task task);
  void PostAt(absl::Time instant, Task task);
  // A function to give away: whoever calls it, from any thread and whenever, `run` is posted as a
  // step with the arguments; after the scope has closed nothing happens, even if the executor is
  // gone.
  template <typename... Args, typename Run>
  absl::AnyInvocable<void(Args...)> Callback(Run run) {
    return [state = state_, run = std::move(run)](Args... args) mutable {
      Give(state, [run = std::move(run), ... given = std::move(args)]() mutable {
        run(std::move(given)...);
      });
    };
  }
  // Waits for the step under way; afterwards no step of this scope starts, what is posted is
  // dropped, and the executor may end.
  void Close();
  // Waits for the step under way, if there is one.
  void Quiesce();

 private:
  struct State {
    absl::Mutex running;  // held during a step
    bool closed ABSL_GUARDED_BY(running) = false;
    absl::Mutex giving;                                    // held while a callback posts
    Executor* executor ABSL_GUARDED_BY(giving) = nullptr;  // null after the close
  };
  // Posts `task` unless the scope has closed.
  static void Give(const std::shared_ptr<State>& state, Task task);
  static Task Guarded(std::shared_ptr<State> state, Task task);

  const std::shared_ptr<State> state_;
};

}  // namespace tandem::executor

#endif  // TANDEM_COMMON_EXECUTOR_SCOPE_H_
