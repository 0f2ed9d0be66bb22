#include "common/host/liveness.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tandem::host {

// Given once, at the latest when it is dropped.
class Liveness::Sign {
 public:
  explicit Sign(std::shared_ptr<Part> part) : part_(std::move(part)) {}
  Sign(Sign&& other) noexcept : part_(std::exchange(other.part_, nullptr)) {}
  Sign& operator=(Sign&&) = delete;
  ~Sign() { Give(); }
  void Give() {
    const std::shared_ptr<Part> part = std::exchange(part_, nullptr);
    if (part == nullptr) return;
    absl::MutexLock lock(&part->mutex);
    part->is_asked = false;
    part->waited = 0;
  }

 private:
  std::shared_ptr<Part> part_;
};

void Liveness::Watch(std::string name, Ask ask) {
  auto part = std::make_shared<Part>();
  part->name = std::move(name);
  part->ask = std::move(ask);
  absl::MutexLock lock(&mutex_);
  parts_.push_back(std::move(part));
}

void Liveness::Tick() {
  absl::MutexLock asking(&asking_);
  std::vector<std::shared_ptr<Part>> parts;
  {
    absl::MutexLock lock(&mutex_);
    parts = parts_;
  }
  for (const std::shared_ptr<Part>& part : parts) {
    {
      absl::MutexLock lock(&part->mutex);
      if (part->is_asked) {
        ++part->waited;
        continue;
      }
      part->is_asked = true;
      part->waited = 0;
    }
    part->ask([sign = Sign(part)]() mutable { sign.Give(); });
  }
}

void Liveness::Clear() {
  absl::MutexLock asking(&asking_);
  absl::MutexLock lock(&mutex_);
  parts_.clear();
}

absl::Status Liveness::status() const {
  std::vector<std::string> silent;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::shared_ptr<Part>& part : parts_) {
      absl::MutexLock its_lock(&part->mutex);
      if (part->waited >= patience_) silent.push_back(part->name);
    }
  }
  if (silent.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("no sign of life from ", absl::StrJoin(silent, ", ")));
}

}  // namespace tandem::host
