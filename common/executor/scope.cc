#include "common/executor/scope.h"

namespace tandem::executor {

Scope::Scope(Executor* executor) : state_(std::make_shared<State>()) {
  const absl::MutexLock lock(&state_->giving);
  state_->executor = executor;
}

void Scope::Give(const std::shared_ptr<State>& state, Task task) {
  const absl::MutexLock lock(&state->giving);
  if (state->executor != nullptr) state->executor->Post(Guarded(state, std::move(task)));
}

Task Scope::Guarded(std::shared_ptr<State> state, Task task) {
  return [state = std::move(state), task = std::move(task)]() mutable {
    const absl::MutexLock lock(&state->running);
    if (!state->closed) task();
  };
}

void Scope::Post(Task task) { Give(state_, std::move(task)); }

void Scope::PostAt(absl::Time instant, Task task) {
  const absl::MutexLock lock(&state_->giving);
  if (state_->executor != nullptr) {
    state_->executor->PostAt(instant, Guarded(state_, std::move(task)));
  }
}

void Scope::Close() {
  {
    const absl::MutexLock lock(&state_->giving);
    state_->executor = nullptr;
  }
  const absl::MutexLock lock(&state_->running);
  state_->closed = true;
}

void Scope::Quiesce() { const absl::MutexLock lock(&state_->running); }

}  // namespace tandem::executor
