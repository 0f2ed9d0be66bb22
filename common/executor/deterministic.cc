#include "common/executor/deterministic.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::executor {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// The first whole microsecond that is not before `instant`: a task never runs early.
int64_t RoundUp(absl::Time instant) {
  const int64_t micros = absl::ToUnixMicros(instant);
  return absl::FromUnixMicros(micros) < instant && micros != kNever ? micros + 1 : micros;
}

}  // namespace

struct DeterministicScheduler::Lane {
  std::string name;
  bool ended = false;
  Ring<Task> tasks;
  size_t drawable_at = 0;  // where it stands in drawable_ while it has tasks
  int64_t steps_in_run = 0;
  int64_t run = 0;  // which run the count above belongs to
  int64_t steps_at_instant = 0;
  int64_t instant = 0;  // likewise
};

class DeterministicScheduler::Handle : public Executor {
 public:
  Handle(DeterministicScheduler* scheduler, Lane* lane) : scheduler_(scheduler), lane_(lane) {}
  ~Handle() override { scheduler_->End(lane_); }
  void Post(Task task) override { scheduler_->Post(lane_, std::move(task)); }
  void PostAt(absl::Time instant, Task task) override {
    scheduler_->PostAt(lane_, instant, std::move(task));
  }

 private:
  DeterministicScheduler* const scheduler_;
  Lane* const lane_;
};

DeterministicScheduler::DeterministicScheduler(const Options& options)
    : options_(options), dice_(options.shuffle_seed.value_or(0)) {
  clock_.micros_ = RoundUp(options.start);
}

DeterministicScheduler::~DeterministicScheduler() {
  // While everything still stands: what a waiting task owns may post or end an executor as it ends.
  for (const auto& lane : lanes_) End(lane.get());
}

std::unique_ptr<Executor> DeterministicScheduler::NewExecutor(std::string name) {
  lanes_.push_back(std::make_unique<Lane>());
  lanes_.back()->name = std::move(name);
  return std::make_unique<Handle>(this, lanes_.back().get());
}

bool DeterministicScheduler::Later(const Timed& a, const Timed& b) {
  return a.instant != b.instant ? a.instant > b.instant : a.order > b.order;
}

void DeterministicScheduler::Post(Lane* lane, Task task) {
  if (lane->ended) return;
  lane->tasks.Push(std::move(task));
  ++runnable_count_;
  if (!options_.shuffle_seed.has_value()) {
    order_.Push(lane);
  } else if (lane->tasks.size() == 1) {
    lane->drawable_at = drawable_.size();
    drawable_.push_back(lane);
  }
}

void DeterministicScheduler::PostAt(Lane* lane, absl::Time instant, Task task) {
  if (lane->ended) return;
  const int64_t micros = RoundUp(instant);
  if (micros <= clock_.micros_) return Post(lane, std::move(task));
  uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].task = std::move(task);
  slots_[slot].lane = lane;
  heap_.push_back({micros, next_order_++, slot});
  std::push_heap(heap_.begin(), heap_.end(), Later);
}

void DeterministicScheduler::End(Lane* lane) {
  lane->ended = true;
  // Taken out before they end: what a dropped task owned may end another executor or post.
  Ring<Task> dropped = std::exchange(lane->tasks, {});
  runnable_count_ -= static_cast<int64_t>(dropped.size());
  if (options_.shuffle_seed.has_value() && !dropped.empty()) {
    drawable_[lane->drawable_at] = drawable_.back();
    drawable_[lane->drawable_at]->drawable_at = lane->drawable_at;
    drawable_.pop_back();
  }
  std::vector<Task> dropped_timed;
  const auto kept = std::remove_if(heap_.begin(), heap_.end(), [&](const Timed& timed) {
    Slot& slot = slots_[timed.slot];
    if (slot.lane != lane) return false;
    dropped_timed.push_back(std::exchange(slot.task, nullptr));
    free_slots_.push_back(timed.slot);
    return true;
  });
  if (kept == heap_.end()) return;
  heap_.erase(kept, heap_.end());
  std::make_heap(heap_.begin(), heap_.end(), Later);
}

DeterministicScheduler::Lane* DeterministicScheduler::PopRunnable() {
  if (!options_.shuffle_seed.has_value()) {
    // A lane that ended still stands in the order for each of its dropped tasks.
    while (true) {
      Lane* lane = order_.Pop();
      if (!lane->ended) return lane;
    }
  }
  // The remainder's bias is far below what a simulation could notice; std::uniform_int_distribution
  // would draw differently with another standard library.
  return drawable_[dice_() % drawable_.size()];
}

bool DeterministicScheduler::Advance(int64_t limit) {
  if (heap_.empty() || heap_.front().instant > limit || heap_.front().instant == kNever) {
    return false;
  }
  clock_.micros_ = heap_.front().instant;
  ++instants_;
  steps_at_instant_ = 0;
  while (!heap_.empty() && heap_.front().instant <= clock_.micros_) {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Slot& slot = slots_[heap_.back().slot];
    Post(slot.lane, std::move(slot.task));
    slot.task = nullptr;
    free_slots_.push_back(heap_.back().slot);
    heap_.pop_back();
  }
  return true;
}

void DeterministicScheduler::RunNext() {
  Lane* lane = PopRunnable();
  Task task = lane->tasks.Pop();
  --runnable_count_;
  if (options_.shuffle_seed.has_value() && lane->tasks.empty()) {
    drawable_[lane->drawable_at] = drawable_.back();
    drawable_[lane->drawable_at]->drawable_at = lane->drawable_at;
    drawable_.pop_back();
  }
  ++steps_;
  ++steps_at_instant_;
  if (std::exchange(lane->run, runs_) != runs_) lane->steps_in_run = 0;
  if (std::exchange(lane->instant, instants_) != instants_) lane->steps_at_instant = 0;
  ++lane->steps_in_run;
  ++lane->steps_at_instant;
  task();
}

bool DeterministicScheduler::Step() {
  if (!AnyRunnable() && !Advance(kNever)) return false;
  RunNext();
  return true;
}

absl::Status DeterministicScheduler::Run(int64_t limit) {
  ++runs_;
  const int64_t first_step = steps_;
  steps_at_instant_ = 0;
  ++instants_;
  while (AnyRunnable() || Advance(limit)) {
    if (steps_at_instant_ >= options_.max_steps_per_instant) {
      return Livelock("no end of steps while time stands still", steps_at_instant_, true);
    }
    if (steps_ - first_step >= options_.max_steps_per_run) {
      return Livelock("no end of steps in one run", steps_ - first_step, false);
    }
    RunNext();
  }
  return absl::OkStatus();
}

absl::Status DeterministicScheduler::RunUntilIdle() { return Run(kNever); }

absl::Status DeterministicScheduler::RunUntil(absl::Time instant) {
  // Rounded down, unlike a task's instant: nothing after `instant` runs.
  const int64_t limit = std::max(clock_.micros_, absl::ToUnixMicros(instant));
  if (absl::Status status = Run(limit); !status.ok()) return status;
  if (limit != kNever) clock_.micros_ = limit;
  return absl::OkStatus();
}

absl::Status DeterministicScheduler::RunFor(absl::Duration duration) {
  return RunUntil(clock_.Now() + duration);
}

absl::Time DeterministicScheduler::NextInstant() const {
  if (AnyRunnable()) return clock_.Now();
  if (heap_.empty() || heap_.front().instant == kNever) return absl::InfiniteFuture();
  return absl::FromUnixMicros(heap_.front().instant);
}

absl::Status DeterministicScheduler::Livelock(const char* what, int64_t steps,
                                              bool this_instant) const {
  const auto taken = [&](const Lane& lane) {
    if (this_instant) return lane.instant == instants_ ? lane.steps_at_instant : 0;
    return lane.run == runs_ ? lane.steps_in_run : 0;
  };
  const auto busiest =
      std::max_element(lanes_.begin(), lanes_.end(),
                       [&](const auto& a, const auto& b) { return taken(*a) < taken(*b); });
  return absl::ResourceExhaustedError(absl::StrCat(
      what, ": ", steps, " steps at ", absl::FormatTime(clock_.Now(), absl::UTCTimeZone()), ", ",
      taken(**busiest), " of them by executor \"", (*busiest)->name, "\""));
}

}  // namespace tandem::executor
