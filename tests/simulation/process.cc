#include "tests/simulation/process.h"

#include <algorithm>

namespace tandem::simulation {

void Process::SetSkew(absl::Duration skew) {
  skew_ = skew;
  for (ProcessExecutor* executor : executors_) executor->Arm();
}

void Process::Resume() {
  is_paused_ = false;
  for (ProcessExecutor* executor : executors_) {
    executor->inner_->Post([executor] { executor->GoOn(); });
  }
}

void Process::Doom(int64_t steps) {
  if (steps_to_live_ < 0 || steps < steps_to_live_) steps_to_live_ = steps;
}

std::unique_ptr<executor::Executor> Process::NewExecutor(
    std::unique_ptr<executor::Executor> inner) {
  auto executor = std::make_unique<ProcessExecutor>(this, std::move(inner));
  executors_.push_back(executor.get());
  return executor;
}

ProcessExecutor::~ProcessExecutor() { std::erase(process_->executors_, this); }

void ProcessExecutor::Post(executor::Task task) {
  inner_->Post([this, task = std::move(task)]() mutable { Run(std::move(task)); });
}

void ProcessExecutor::PostAt(absl::Time instant, executor::Task task) {
  if (instant <= process_->Now()) return Post(std::move(task));
  timed_.emplace(instant, std::move(task));
  Arm();
}

bool ProcessExecutor::StandsStill() const {
  return process_->is_paused_ || still_until_ > process_->truth_->Now();
}

void ProcessExecutor::StandStillUntil(absl::Time truth) {
  still_until_ = std::max(still_until_, truth);
  inner_->PostAt(truth, [this] { GoOn(); });
}

void ProcessExecutor::Run(executor::Task task) {
  if (process_->is_doomed()) return;
  // Nothing overtakes what was held.
  if (StandsStill() || !held_.empty()) {
    held_.push_back(std::move(task));
    return;
  }
  if (process_->steps_to_live_ > 0) --process_->steps_to_live_;
  task();
}

void ProcessExecutor::GoOn() {
  // One a step, so that others take their turns in between.
  if (StandsStill() || held_.empty() || process_->is_doomed()) return;
  executor::Task task = std::move(held_.front());
  held_.pop_front();
  if (!held_.empty()) inner_->Post([this] { GoOn(); });
  if (process_->steps_to_live_ > 0) --process_->steps_to_live_;
  task();
}

void ProcessExecutor::Arm() {
  if (timed_.empty()) return;
  const absl::Time truth = process_->Truth(timed_.begin()->first);
  if (truth >= armed_ && armed_ > process_->truth_->Now()) return;
  armed_ = truth;
  inner_->PostAt(truth, [this] { Wake(); });
}

void ProcessExecutor::Wake() {
  armed_ = absl::InfiniteFuture();
  while (!timed_.empty() && timed_.begin()->first <= process_->Now()) {
    executor::Task task = std::move(timed_.begin()->second);
    timed_.erase(timed_.begin());
    Run(std::move(task));
  }
  Arm();
}

}  // namespace tandem::simulation
