// The overlay of one batch: what its decisions loaded and decided so far, and the conditional lines
// that commit it. Every row appears once, whatever number of members touched it: the version that
// was loaded is the condition, the last decision the content, and a miss names all members that
// relied on the row.
#ifndef TANDEM_COMMON_LANE_BATCH_H_
#define TANDEM_COMMON_LANE_BATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/definition.h"
#include "common/corridor/view.h"
#include "common/lane/cache.h"
#include "common/store/store.h"

namespace tandem::lane {

// A mark of an answered request.
struct RequestMark {
  std::string body_hash;
  std::string reply;             // serialised
  std::optional<size_t> member;  // of this batch; none = it was in the database
};

// One thread; lives for one attempt. An insert does not look whether its id exists: the commit
// tells. A batch after such a miss looks first, so that the answer can name the id.
class Batch {
 public:
  Batch(const corridor::ServiceDefinition* definition, store::Reader* reader, Cache* cache,
        int partitions, bool looks_before_inserting);
  ~Batch();

  // The view of the member being decided. Begin forgets what an undecided member loaded.
  corridor::View& Begin();
  // Whether the member read a range while others stand before it in the batch: its result is void,
  // and it has to be the first of a batch.
  bool NeedsFreshBatch() const;
  bool empty() const { return applied_ == 0; }

  // Where others write to the same database: whether the records that the undecided member loaded,
  // from memory or one after another from the database, are still as they are there. What is not is
  // forgotten; a decision that leaves nothing to commit, and so nothing to check, has to be made
  // again then.
  absl::StatusOr<bool> StillCurrent();

  // Adds a decision of `member`: its rows, its events with their ids, its timers, and a
  // check for each row that it loaded and did not save. ALREADY_EXISTS names an id that an insert
  // met within the batch; INTERNAL a rule that saves what it did not load, erases a row of a table
  // whose rows stay, or sets a timer of an unknown kind.
  struct Origin {
    std::string_view cause;
    std::string_view traceparent;
    absl::Time now;
  };
  absl::Status Apply(size_t member, const corridor::Decision& decision, const Origin& origin);

  // Marks.
  absl::StatusOr<std::optional<RequestMark>> FindRequest(const std::string& scope);
  void MarkRequest(size_t member, const std::string& scope, RequestMark mark, absl::Time now);
  absl::StatusOr<int64_t> LastSequence(const std::string& stream);
  void MarkEvent(size_t member, const std::string& stream, int64_t sequence);

  // The firing's own row; a miss means that it is gone, or somebody else's to fire.
  void DeleteTimer(size_t member, const std::string& id, absl::Time due, std::string claim);
  // Whether an earlier member of this batch fired, moved or cancelled that row.
  bool TimerTouched(const std::string& id) const { return timers_.contains(id); }
  void MovePosition(size_t member, int partition, int64_t from, int64_t to, int64_t epoch);
  void AddLine(std::optional<size_t> member, store::Write line);

  // The lines, once; then the members that a missed line names (empty = nobody in particular).
  std::vector<store::Write> TakeLines();
  const std::vector<size_t>& MembersOf(size_t line) const { return line_members_[line]; }
  // After the commit: the new versions go into the cache. After a miss: what was loaded leaves it.
  void Remember();
  void Forget();

  size_t events() const { return outbox_.size(); }
  absl::Time earliest_timer() const { return earliest_timer_; }

 private:
  class LaneView;
  struct Row {
    const store::RecordTable* table = nullptr;
    std::string_view key;  // of rows_
    int64_t base = 0;      // version in the database when first loaded
    int64_t version = 0;   // now, 0 = absent
    int64_t saves = 0;
    std::shared_ptr<const google::protobuf::Message> before;  // of the base version
    std::shared_ptr<const google::protobuf::Message> body;
    bool checked = false;  // some member relied on it
    bool cached = false;   // the base version is in the cache
    bool blind = false;    // inserted without loading
    std::vector<size_t> members;
  };
  struct Counter {
    int64_t base = 0;
    int64_t now = 0;
    bool touched = false;
    std::vector<size_t> members;
  };
  struct TimerRow {
    std::optional<corridor::Decision::TimerSet> set;
    std::string traceparent;
    struct Fired {
      int64_t due;  // of the row
      std::string claim;
      size_t member;
    };
    std::optional<Fired> fired;
    std::optional<size_t> member;
  };
  struct MarkRow {
    std::string scope;
    RequestMark mark;
    int64_t decided_at;
    size_t member;
  };
  struct OutboxRow {
    bus::Event event;
    int64_t created_at;
    size_t member;
  };

  // By table and key; a row is asked for by views of them.
  struct ByPlace {
    using is_transparent = void;
    bool operator()(const RecordPlace& a, const RecordPlace& b) const { return a < b; }
  };
  // The row of that place, and whether it was made now.
  std::pair<Row*, bool> RowAt(const store::RecordTable& table, std::string_view key);
  // Null = no member has touched it.
  Row* FindTouched(const store::RecordTable& table, std::string_view key);
  absl::StatusOr<Row*> Find(const store::RecordTable& table, std::string_view key);
  void Emit(std::vector<store::Write>& lines, store::Write line, std::vector<size_t> members);

  const corridor::ServiceDefinition* const definition_;
  store::Reader* const reader_;
  Cache* const cache_;
  const int partitions_;
  const bool looks_before_inserting_;

  std::unique_ptr<LaneView> view_;
  std::map<RecordKey, Row, ByPlace> rows_;  // ordered: no output depends on hash order
  absl::flat_hash_map<std::string, size_t> marks_by_scope_;
  std::vector<MarkRow> marks_;
  std::map<std::string, Counter> event_marks_;  // by stream
  std::map<std::string, TimerRow> timers_;
  std::vector<OutboxRow> outbox_;
  std::vector<std::pair<store::Write, std::vector<size_t>>> extra_;
  std::vector<std::vector<size_t>> line_members_;
  absl::Time earliest_timer_ = absl::InfiniteFuture();
  size_t applied_ = 0;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_BATCH_H_
