// A store that fails as told, in front of a real one: for tests of what a lane does about it.
#ifndef TANDEM_COMMON_TESTING_FAULTY_STORE_H_
#define TANDEM_COMMON_TESTING_FAULTY_STORE_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/store/store.h"
#include "common/store/writable.h"

namespace tandem::testing {

// What the next commit does instead of what it should. An empty list of faults lets all through.
struct Fault {
  enum class Kind {
    kMiss,            // nothing applied; the lines of `table` and `key` (empty = any) missed
    kConflict,        // nothing applied; nobody named
    kUnknownApplied,  // applied, and the answer lost
    kUnknownLost,     // not applied, and the answer lost
    kFailed,          // nothing applied, with `status`
  };
  Kind kind = Kind::kConflict;
  std::string table, key;
  absl::Status status;
  std::function<void()> meanwhile = nullptr;  // happens while the commit is under way
};

// As the store behind it. Faults are taken in order, one a commit that has a line of `only_table`.
class FaultyStore : public store::Store, public store::Writable {
 public:
  FaultyStore(std::unique_ptr<store::Store> behind, std::string only_table)
      : behind_(std::move(behind)), only_table_(std::move(only_table)) {}

  absl::Status CheckWritable() const override {
    return unwritable_.ok() ? store::CheckWritable(*behind_) : unwritable_;
  }
  void SetUnwritable(absl::Status why) { unwritable_ = std::move(why); }

  void Next(Fault fault) { faults_.push_back(std::move(fault)); }
  int commits() const { return commits_; }

  store::CommitResult Commit(const std::vector<store::Write>& batch) override {
    bool concerned = false;
    for (const store::Write& line : batch) concerned = concerned || line.table == only_table_;
    if (!concerned || faults_.empty()) return behind_->Commit(batch);
    ++commits_;
    const Fault fault = faults_.front();
    faults_.pop_front();
    if (fault.meanwhile) fault.meanwhile();
    store::CommitResult result;
    switch (fault.kind) {
      case Fault::Kind::kMiss:
        result.kind = store::CommitResult::Kind::kMissed;
        for (size_t i = 0; i < batch.size(); ++i) {
          if (batch[i].table == fault.table && (fault.key.empty() || batch[i].key == fault.key)) {
            result.missed.push_back(i);
          }
        }
        break;
      case Fault::Kind::kConflict:
        result.kind = store::CommitResult::Kind::kConflict;
        break;
      case Fault::Kind::kUnknownApplied:
        result = behind_->Commit(batch);
        result.kind = store::CommitResult::Kind::kUnknown;
        break;
      case Fault::Kind::kUnknownLost:
        result.kind = store::CommitResult::Kind::kUnknown;
        break;
      case Fault::Kind::kFailed:
        result.kind = store::CommitResult::Kind::kFailed;
        result.status = fault.status;
        break;
    }
    return result;
  }
  store::Reader& reader() override { return behind_->reader(); }
  bool is_shared() const override { return behind_->is_shared(); }
  std::string_view SkipLocked() const override { return behind_->SkipLocked(); }
  absl::StatusOr<std::unique_ptr<store::Reader>> OpenReader() override {
    return behind_->OpenReader();
  }

 private:
  const std::unique_ptr<store::Store> behind_;
  const std::string only_table_;
  std::deque<Fault> faults_;
  absl::Status unwritable_;
  int commits_ = 0;
};

}  // namespace tandem::testing

#endif  // TANDEM_COMMON_TESTING_FAULTY_STORE_H_
