// What is known of the database, kept in memory, the least recently used going first. A stale entry
// is harmless: what a decision relied on is checked at its commit by its version, which no other
// content of that key ever had (store::Rows), and a miss drops the entry.
#ifndef TANDEM_COMMON_LANE_CACHE_H_
#define TANDEM_COMMON_LANE_CACHE_H_

#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "google/protobuf/message.h"

namespace tandem::lane {

// One thread at a time.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  const Value* Find(const Key& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->second;
  }
  void Put(const Key& key, Value value) {
    const auto it = entries_.find(key);
    if (it != entries_.end()) {
      it->second->second = std::move(value);
      order_.splice(order_.begin(), order_, it->second);
      return;
    }
    order_.emplace_front(key, std::move(value));
    entries_.emplace(key, order_.begin());
    if (entries_.size() > capacity_) {
      entries_.erase(order_.back().first);
      order_.pop_back();
    }
  }
  void Drop(const Key& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return;
    order_.erase(it->second);
    entries_.erase(it);
  }

 private:
  using Entry = std::pair<Key, Value>;
  const size_t capacity_;
  std::list<Entry> order_;
  absl::flat_hash_map<Key, typename std::list<Entry>::iterator> entries_;
};

// A record's place: table and key.
using RecordKey = std::pair<std::string_view, std::string>;

struct CachedRecord {
  int64_t version = 0;  // 0 = known to be absent
  std::shared_ptr<const google::protobuf::Message> body;
};

// Committed records, and the last sequence applied of a stream of events.
struct Cache {
  explicit Cache(size_t capacity) : records(capacity), sequences(capacity) {}
  LruCache<RecordKey, CachedRecord> records;
  LruCache<std::string, int64_t> sequences;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_CACHE_H_
