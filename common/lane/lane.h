// A lane decides one thing after another and commits what it decided together: one durable flush
// for many requests. Work queues up; a step takes what is there, decides each over an overlay (the
// second command on a record sees the first's decision), and commits everything in one conditional
// batch. A decision that fails leaves nothing behind and does not fail its neighbours. Nobody is
// answered before the commit.
#ifndef TANDEM_COMMON_LANE_LANE_H_
#define TANDEM_COMMON_LANE_LANE_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/corridor/definition.h"
#include "common/executor/executor.h"
#include "common/executor/scope.h"
#include "common/id/entropy.h"
#include "common/lane/batch.h"
#include "common/lane/gatherer.h"
#include "common/lane/work.h"
#include "common/store/store.h"
#include "common/time/clock.h"

namespace tandem::lane {

struct LaneOptions {
  size_t max_batch = 256;          // decisions in one commit
  size_t max_waiting = 4096;       // commands waiting; more are refused
  size_t cached_records = 20'000;  // committed records, and as many sequences, in memory
  int attempts_together = 3;       // after that many missed commits, one by one
  int attempts_alone = 10;         // after that many more, ABORTED
  absl::Duration answers_stay_fresh = absl::Seconds(2);
  absl::Duration lazy_writes_wait = absl::Milliseconds(50);
  // A firing with less of its claim left is not begun: its commit might come after the end.
  absl::Duration claim_left = absl::Seconds(2);
  int parked_subjects_per_minute = 100;
};

// An event or a timer that could not be applied, for the log.
struct SetAside {
  std::string subject;   // whose later events wait behind it; "timer:ID" for a timer
  std::string type;      // of the event; a timer's kind
  std::string event_id;  // a timer's cause
  absl::Status why;      // "behind" for one that waits behind another
};

// Told after each commit, also one that came to nothing, on the lane's thread.
struct Committed {
  size_t members = 0;                                  // decisions in the batch
  size_t lines = 0;                                    // lines written
  size_t events = 0;                                   // outbox rows added
  std::vector<SetAside> dead_letters;                  // events and timers set aside
  bool has_unparked = false;                           // a subject's timers are held no more
  absl::Time earliest_timer = absl::InfiniteFuture();  // the earliest timer set
  absl::Duration waited;                               // in the lane, the first of the batch
  absl::Duration took;                                 // the commit alone
  // What became of it. Unless it was committed, only `members`, `waited` and `took` say something
  // else than nothing; where it is unknown there may be events and timers that nobody was told of.
  store::CommitResult::Kind outcome = store::CommitResult::Kind::kCommitted;
  absl::Status status;  // why it failed, in the store's own words: not for callers
};

// Submit… may be called from any thread; everything else happens in steps of the executor given.
// The executor, store and the rest outlive the lane.
class Lane {
 public:
  struct Ports {
    const time::Clock* clock = nullptr;
    executor::Executor* executor = nullptr;
    store::Store* store = nullptr;
    id::Entropy* entropy = nullptr;
    Gatherer* gatherer = nullptr;
    int partitions = 0;  // of the bus
  };
  using Observer = std::function<void(const Committed&)>;

  Lane(const corridor::ServiceDefinition* definition, Ports ports, LaneOptions options,
       Observer observer);
  ~Lane();
  // No step starts after it; the executor may end. Not from inside a step.
  void Close() { scope_.Close(); }

  // False when the lane is full: nothing was done, and `command` is left as it was.
  bool Submit(std::unique_ptr<Command>& command);
  void Submit(std::unique_ptr<TimerFiring> timer);
  void Submit(std::unique_ptr<Run> run);
  void Submit(std::unique_ptr<Retry> retry);
  // Writes of the mechanism itself, in the next batch.
  void Submit(Writes writes);
  // The same, but they may wait a little for a batch to ride along with.
  void SubmitLazily(std::vector<store::Write> lines);

  // Work waiting, commands and all.
  size_t depth() const { return depth_.load(std::memory_order_relaxed); }
  bool Idle() const;

 private:
  // Command, timer, run or retry, with what its attempts have taught.
  struct Work {
    std::variant<std::unique_ptr<Command>, std::unique_ptr<TimerFiring>, std::unique_ptr<Run>,
                 std::unique_ptr<Retry>, Writes>
        what;
    absl::Time arrived = absl::InfinitePast();  // in the lane
    int attempts = 0;
  };
  // A piece of work that has been decided in the batch under way, and what happens after the
  // commit.
  struct Member;

  void Enqueue(Work work);
  void Step();
  // Decides as much as fits, in order, and commits it. `alone`: only the first piece.
  void RunBatch(std::deque<Work> works, bool alone);

  // Each decides one piece into the batch as its member number `index`; the result says what
  // becomes of it. Abandoned: it was answered, and with it goes the batch, of which it was the
  // first.
  enum class Next { kJoined, kAnswered, kNeedsFreshBatch, kAbandoned };
  Next Decide(Work& work, Batch& batch, std::vector<Member>& members);
  Next DecideCommand(std::unique_ptr<Command>& command, size_t index, Batch& batch, Member& member,
                     std::vector<Member>& members);
  // A request that has its mark: the remembered reply, or what the method makes of it now.
  Next AnswerRepeated(Command& command, const std::string& remembered, size_t index, Batch& batch,
                      Member& member);
  Next DecideTimer(std::unique_ptr<TimerFiring>& timer, bool has_missed, size_t index, Batch& batch,
                   Member& member);
  Next DecideRun(Run& run, size_t index, Batch& batch, Member& member);
  Next DecideRetry(std::unique_ptr<Retry>& retry, size_t index, Batch& batch, Member& member);

  // One event; kApplied also when it was a duplicate or was parked.
  struct EventVerdict {
    enum class Kind { kApplied, kAsks, kRetry, kNeedsFreshBatch, kStopped } kind;
    std::vector<corridor::Question> questions;
    absl::Status why;
  };
  EventVerdict DecideEvent(RunEvent& event, size_t index, Batch& batch, bool retrying,
                           Member& member);
  EventVerdict Park(const RunEvent& event, const absl::Status& why, size_t index, Batch& batch,
                    Member& member);
  absl::Status DecideParking(const bus::Event& event, bool parked, size_t index, Batch& batch);
  struct Letter {
    int64_t id;
    RunEvent event;
  };
  absl::StatusOr<std::vector<Letter>> ReadLetters(const std::string& subject);
  static absl::Status MarkDropped(const std::vector<Letter>& letters, const bus::Event& dropped,
                                  size_t index, Batch& batch);
  absl::Status LeaveParked(const bus::Event& last, bool is_empty, size_t index, Batch& batch,
                           Member& member);
  store::Write DeadTimer(const TimerFiring& timer, const std::string& cause,
                         const absl::Status& status, absl::Time now) const;

  // After the commit, after its failure, and for a repeated request whose first decision missed.
  void Finish(Member& member);
  static void AnswerEarly(std::vector<Member>& members);
  void Fail(Work& work, const absl::Status& status);
  void Rejoin(Member& member, size_t joined, std::deque<Work>& again);

  void GatherForCommand(std::unique_ptr<Command> command,
                        std::vector<corridor::Question> questions);
  void GatherForTimer(std::unique_ptr<TimerFiring> timer,
                      std::vector<corridor::Question> questions);
  void GatherForRetry(std::unique_ptr<Retry> retry, std::vector<corridor::Question> questions);
  // Drops answers that are too old for another attempt.
  void Refresh(Gathered& gathered) const;
  absl::Status LoadParked();
  void ForgetParked();
  // Whether a decision that commits nothing was made on what others have changed meanwhile.
  // The database's own status when it cannot be asked: then nobody may be refused, nothing set
  // aside.
  absl::StatusOr<bool> IsStale(Batch& batch) const;
  bool MayPark();

  const corridor::ServiceDefinition* const definition_;
  const Ports ports_;
  const LaneOptions options_;
  const Observer observer_;

  mutable absl::Mutex mutex_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t commands_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<store::Write> lazy_ ABSL_GUARDED_BY(mutex_);
  bool lazy_step_set_ ABSL_GUARDED_BY(mutex_) = false;
  bool step_posted_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<size_t> depth_{0};

  // Steps only.
  Cache cache_;
  absl::flat_hash_map<std::string, int64_t> parked_;  // parked subjects and their versions
  bool parked_loaded_ = false;
  std::deque<absl::Time> parked_at_;  // of the last minute
  int parking_ = 0;                   // subjects that the batch under way parks

  executor::Scope scope_;
};

}  // namespace tandem::lane

#endif  // TANDEM_COMMON_LANE_LANE_H_
