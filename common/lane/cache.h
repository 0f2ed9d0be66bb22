// What is known of the database, kept in memory, the least recently used going first. A stale entry
// is harmless: what a decision relied on is checked at its commit by its version, which no other
// content of that key ever had (store::Rows), and a miss drops the entry.
#ifndef TANDEM_COMMON_LANE_CACHE_H_
#define TANDEM_COMMON_LANE_CACHE_H_

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "google/protobuf/message.h"

namespace tandem::lane {

// One thread at a time. `View` is how a key is asked for: made of a Key for nothing, and a Key of
// it.
template <typename Key, typename View, typename Value>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  const Value* Find(const View& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->second;
  }
  void Put(const View& key, Value value) {
    const auto it = entries_.find(key);
    if (it != entries_.end()) {
      it->second->second = std::move(value);
      order_.splice(order_.begin(), order_, it->second);
      return;
    }
    order_.emplace_front(Key(key), std::move(value));
    entries_.emplace(order_.front().first, order_.begin());
    if (entries_.size() > capacity_) {
      entries_.erase(order_.back().first);
      order_.pop_back();
    }
  }
  void Drop(const View& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return;
    const auto entry = it->second;
    entries_.erase(it);
    order_.erase(entry);
  }

 private:
  using Entry = std::pair<Key, Value>;
  const size_t capacity_;
  std::list<Entry> order_;
  absl::flat_hash_map<View, typename std::list<Entry>::iterator> entries_;  // views into order_
};

// A record's place: table and key.
using RecordKey = std::pair<std::string_view, std::string>;
using RecordPlace = std::pair<std::string_view, std::string_view>;

struct CachedRecord {
  int64_t version = 0;  // 0 = known to be absent
  std::shared_ptr<const google::protobuf::Message> body;
};

// Committed records, and the last sequence applied of a stream of events.
struct Cache {
  explicit Cache(size_t capacity) : records(capacity), sequences(capacity) {}
  LruCache<RecordKey, RecordPlace, CachedRecord> records;
  LruCache<std::string, std::string_view, int64_t> sequences;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_CACHE_H_
