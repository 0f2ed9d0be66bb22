// The records of one decision: each is loaded once, changed in place by whatever rule touches it,
// and saved once at the end. One thread; lives as long as the call of the rule.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_DRAFTS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_DRAFTS_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/store/record.h"

namespace tandem::account_health {

class Drafts {
 public:
  class AnyDraft {
   public:
    virtual ~AnyDraft() = default;
    virtual void SaveTo(corridor::Decision& decision) = 0;
  };

  // A record, present or absent (then empty). It is copied only when it is changed.
  template <typename M>
  class Draft : public AnyDraft {
   public:
    Draft(const store::Table<M>& table, corridor::Loaded<M> loaded, std::string key)
        : table_(&table), key_(std::move(key)), loaded_(std::move(loaded.body)) {}

    // Whether it exists, or will after this decision.
    bool exists() const { return changed_.has_value() || (loaded_ != nullptr && !is_erased_); }
    const M& operator*() const {
      if (changed_.has_value()) return *changed_;
      return loaded_ == nullptr || is_erased_ ? M::default_instance() : *loaded_;
    }
    const M* operator->() const { return &**this; }
    M& Change() {
      if (!changed_.has_value()) changed_ = **this;
      is_erased_ = false;
      return *changed_;
    }
    void Erase() {
      changed_.reset();
      is_erased_ = true;
    }
    void SaveTo(corridor::Decision& decision) override {
      if (changed_.has_value()) {
        decision.Save(*table_, key_, *std::move(changed_));
      } else if (is_erased_ && loaded_ != nullptr) {
        decision.Erase(*table_, key_);
      }
    }

   private:
    const store::Table<M>* table_;
    std::string key_;
    std::shared_ptr<const M> loaded_;
    std::optional<M> changed_;
    bool is_erased_ = false;
  };

  explicit Drafts(corridor::View& view) : view_(&view) {}

  // The draft of one record; the same one when asked again.
  template <typename M>
  absl::StatusOr<Draft<M>*> Open(const store::Table<M>& table, std::string_view key) {
    std::pair<std::string, std::string> place(table.name(), std::string(key));
    const auto found = drafts_.find(place);
    if (found != drafts_.end()) return static_cast<Draft<M>*>(found->second.get());
    absl::StatusOr<corridor::Loaded<M>> loaded = view_->Load(table, key);
    if (!loaded.ok()) return loaded.status();
    auto draft = std::make_unique<Draft<M>>(table, *std::move(loaded), std::string(key));
    Draft<M>* opened = draft.get();
    drafts_.emplace(std::move(place), std::move(draft));
    return opened;
  }

  // Once, at the end: saves what was changed.
  void SaveTo(corridor::Decision& decision) {
    for (auto& [place, draft] : drafts_) draft->SaveTo(decision);
  }
  corridor::View& view() { return *view_; }

 private:
  corridor::View* view_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<AnyDraft>> drafts_;
};

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_RECORDS_DRAFTS_H_
