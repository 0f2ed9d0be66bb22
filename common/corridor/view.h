// How a rule's caller loads state. In a lane the view shows what earlier decisions of the same
// batch decided, and remembers every version that was read: what a decision relied on is checked
// when it is committed. For a query it is a plain reader.
#ifndef TANDEM_COMMON_CORRIDOR_VIEW_H_
#define TANDEM_COMMON_CORRIDOR_VIEW_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/store/record.h"
#include "common/store/store.h"

namespace tandem::corridor {

// A loaded record; false when there is none (version 0).
template <typename M>
struct Loaded {
  std::string key;
  int64_t version = 0;
  std::shared_ptr<const M> body;
  explicit operator bool() const { return body != nullptr; }
  const M& operator*() const { return *body; }
  const M* operator->() const { return body.get(); }
};

// One thread at a time; valid during one call of a rule.
class View {
 public:
  virtual ~View() = default;

  // The record under `key`, or an empty Loaded.
  template <typename M>
  absl::StatusOr<Loaded<M>> Load(const store::Table<M>& table, std::string_view key) {
    auto raw = LoadRaw(table, key);
    if (!raw.ok()) return raw.status();
    return Typed<M>(*std::move(raw));
  }

  // The records that `tail` ("WHERE … ORDER BY … LIMIT …") finds. In a lane a range is read before
  // anything else of the batch: the lane commits what came before and calls the rule again, so
  // return the status as it is.
  template <typename M>
  absl::StatusOr<std::vector<Loaded<M>>> Select(const store::Table<M>& table, std::string_view tail,
                                                std::vector<store::Value> params) {
    auto raws = SelectRaw(table, tail, std::move(params));
    if (!raws.ok()) return raws.status();
    std::vector<Loaded<M>> typed;
    typed.reserve(raws->size());
    for (Raw& raw : *raws) typed.push_back(Typed<M>(std::move(raw)));
    return typed;
  }

  // Any other question in SQL (counts, sums); same rule about ranges. What it finds is not checked
  // at commit: a rule across records owns a record that each such decision saves.
  virtual absl::Status Query(const store::Statement& statement,
                             absl::FunctionRef<void(const store::RowView&)> on_row) = 0;

 protected:
  struct Raw {
    std::string key;
    int64_t version = 0;
    std::shared_ptr<const google::protobuf::Message> body;
  };
  virtual absl::StatusOr<Raw> LoadRaw(const store::RecordTable& table, std::string_view key) = 0;
  virtual absl::StatusOr<std::vector<Raw>> SelectRaw(const store::RecordTable& table,
                                                     std::string_view tail,
                                                     std::vector<store::Value> params) = 0;

 private:
  template <typename M>
  static Loaded<M> Typed(Raw raw) {
    return {std::move(raw.key), raw.version,
            std::static_pointer_cast<const M>(std::move(raw.body))};
  }
};

}  // namespace tandem::corridor

#endif  // TANDEM_COMMON_CORRIDOR_VIEW_H_
