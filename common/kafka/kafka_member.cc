#include "common/kafka/kafka_member.h"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/kafka/kafka_record.h"

namespace tandem::bus {
namespace {

// One delivery at most, so that a partition far behind does not hold up the others for long.
constexpr size_t kMaxDelivery = 1'024;
// librdkafka answers a seek from its own memory; this is for a thread of it that is held up.
constexpr int kSeekTimeoutMs = 500;
// While a partition that was opened is not fetched yet.
constexpr absl::Duration kSeekAgain = absl::Milliseconds(5);
// Nothing depends on it but max.poll.interval.ms: the queues ring.
constexpr absl::Duration kLookAnyway = absl::Milliseconds(200);
constexpr absl::Duration kCommitEvery = absl::Seconds(1);
constexpr absl::Duration kCheckAgain = absl::Milliseconds(500);
// Of a position that the log has and a broker refuses all the same.
constexpr int kMaxChecks = 10;

absl::Status Outside(int partition, int64_t offset, const Bounds& bounds) {
  return absl::OutOfRangeError(absl::StrCat("partition ", partition, ": offset ", offset,
                                            " is not in the log, which has ", bounds.first,
                                            " up to, not including, ", bounds.end));
}

}  // namespace

// Owned by the thread too, and by questions to `offsets` that are under way.
struct KafkaMember::State : std::enable_shared_from_this<State> {
  struct Cursor {
    enum class Phase {
      kIdle,     // not sought since it was assigned
      kSeeking,  // sought; librdkafka has not taken it yet
      kReading,
      kChecking,  // a broker says that `next` is not in the log, which is being asked
      kStopped,
    };
    bool assigned = false;
    Phase phase = Phase::kIdle;
    int64_t seeks = 0;  // tells what was overtaken by a Seek
    int64_t generation = 0;
    int64_t next = 0;
    std::deque<int> credits;  // one entry per More
    absl::Status stop;        // why it goes from kChecking to kStopped, once that is known
    std::optional<absl::Time> check_at;
    std::optional<int64_t> reported;
    std::optional<int64_t> end;
  };
  // Touched by the thread alone.
  struct Feed {
    QueuePtr queue;
    bool is_open = false;  // in librdkafka's assignment, which is not the group's
    // librdkafka stopped fetching: a seek is refused, the partition must be opened anew.
    bool is_dead = false;
    int checks = 0;  // in a row without a record between
    std::optional<int64_t> committed;
  };

  State(std::shared_ptr<const KafkaConfig> its_config, Settings its_settings,
        Listener* its_listener, std::weak_ptr<KafkaOffsets> its_offsets)
      : config(std::move(its_config)),
        settings(std::move(its_settings)),
        offsets(std::move(its_offsets)),
        cursors(static_cast<size_t>(settings.partitions)),
        feeds(static_cast<size_t>(settings.partitions)),
        listener(its_listener) {}

  // Null if this member does not have the partition.
  Cursor* CursorOf(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (partition < 0 || partition >= settings.partitions) return nullptr;
    Cursor& cursor = cursors[static_cast<size_t>(partition)];
    return cursor.assigned ? &cursor : nullptr;
  }
  Feed& FeedOf(int partition) { return feeds[static_cast<size_t>(partition)]; }
  bool IsEnding() const {
    const absl::MutexLock lock(&mutex);
    return is_ending;
  }
  template <typename Call>
  void Tell(const Call& call) {
    const absl::MutexLock lock(&telling);
    if (listener != nullptr) call(*listener);
  }
  PartitionListPtr NewList(const std::vector<int>& partitions, int64_t offset) const;

  // The thread.
  void Run();
  bool PollGroup();
  void Rebalanced(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions);
  void Assigned(rd_kafka_topic_partition_list_t* partitions);
  void Revoked(rd_kafka_topic_partition_list_t* partitions);
  bool ServeSeeks();
  bool Open(int partition, int64_t offset);
  bool Deliver(int partition);
  void Failed(int partition, int64_t seeks, const rd_kafka_message_t& message);
  void Check(int partition, int64_t seeks);
  void ServeChecks();
  void Stop(int partition, int64_t seeks, absl::Status why);
  void CommitPositions(bool is_last);
  void Leave();
  void TellFatal(absl::Status status);
  // Remembers it if a broker's access list is the reason.
  void Refused(rd_kafka_resp_err_t code, KafkaRight on_topic, const absl::Status& status) const {
    if (const auto right = RefusedRight(code, on_topic)) {
      settings.access->Refused(*right, status, settings.clock->Now());
    }
  }
  void Committed(rd_kafka_resp_err_t code) const {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) settings.access->Allowed(KafkaRight::kGroup);
    Refused(code, KafkaRight::kRead,
            KafkaError(code, absl::StrCat("group ", settings.group_id, ": committing positions")));
  }

  const std::shared_ptr<const KafkaConfig> config;
  const Settings settings;
  // Weak: an answer may be the last to hold this state, on the thread of the offsets.
  const std::weak_ptr<KafkaOffsets> offsets;
  Bell bell;

  mutable absl::Mutex mutex;
  bool is_ending ABSL_GUARDED_BY(mutex) = false;
  std::vector<Cursor> cursors ABSL_GUARDED_BY(mutex);
  int64_t unreadable ABSL_GUARDED_BY(mutex) = 0;

  std::unique_ptr<KafkaClient> client;
  QueuePtr group_queue;
  std::vector<Feed> feeds;  // end before the client
  absl::Time commit_at;
  bool has_been_assigned = false;  // anything, or expressly nothing
  bool has_told_fatal = false;

  // Held during a call of the listener or of `fatal`.
  absl::Mutex telling;
  Listener* listener ABSL_GUARDED_BY(telling);  // null after the end
};

absl::StatusOr<std::shared_ptr<KafkaMember>> KafkaMember::Join(
    std::shared_ptr<const KafkaConfig> config, Settings settings, Listener* listener,
    std::weak_ptr<KafkaOffsets> offsets) {
  auto state = std::make_shared<State>(config, std::move(settings), listener, std::move(offsets));
  const Settings& its = state->settings;
  const int64_t session_ms = absl::ToInt64Milliseconds(its.session_timeout);
  const size_t prefetch_kbytes = std::clamp<size_t>(its.prefetch_bytes >> 10, 1, 2'097'151);
  const KafkaClient::Settings client_settings = {
      {"group.id", its.group_id},
      {"session.timeout.ms", absl::StrCat(session_ms)},
      {"heartbeat.interval.ms", absl::StrCat(std::clamp<int64_t>(session_ms / 10, 1, 3'000))},
      // The thread polls whatever the service does; what fences a member that is stuck is the epoch
      // in the service's database.
      {"max.poll.interval.ms", absl::StrCat(std::max<int64_t>(session_ms, 300'000))},
      {"partition.assignment.strategy", "cooperative-sticky"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"auto.offset.reset", "error"},
      {"isolation.level", "read_committed"},
      {"check.crcs", "true"},
      {"allow.auto.create.topics", "false"},
      // A broker that neither answers nor hangs up.
      {"socket.timeout.ms", "10000"},
      // Answered at the first byte; a long poll ends early when there is something.
      {"fetch.wait.max.ms", "500"},
      {"fetch.error.backoff.ms", "100"},
      // Both bounds are a partition's, as each has a queue of its own. A full queue is filled again
      // up to a second later, so that it should hold a second's worth. Bytes are counted without
      // headers and librdkafka's own, which are most of a small event: a million of them behind a
      // service took 700 MiB when only bytes were a bound.
      {"queued.min.messages", "10000"},
      {"queued.max.messages.kbytes", absl::StrCat(prefetch_kbytes)},
      {"fetch.message.max.bytes", absl::StrCat(std::min<size_t>(prefetch_kbytes << 10, 1 << 20))},
  };
  auto made = KafkaClient::Make(
      RD_KAFKA_CONSUMER, std::move(config), client_settings,
      {.delivered = nullptr,
       .rebalanced =
           [s = state.get()](rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t* partitions) {
             s->Rebalanced(code, partitions);
           },
       .committed = [s = state.get()](rd_kafka_resp_err_t code) { s->Committed(code); }});
  if (!made.ok()) return made.status();
  state->client = *std::move(made);
  rd_kafka_t* handle = state->client->get();
  rd_kafka_poll_set_consumer(handle);
  state->group_queue.reset(rd_kafka_queue_get_consumer(handle));
  RingOn(state->group_queue.get(), &state->bell);
  const PartitionListPtr topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), its.topic.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto code = rd_kafka_subscribe(handle, topics.get());
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(code, absl::StrCat("joining group ", its.group_id));
  }
  return std::shared_ptr<KafkaMember>(new KafkaMember(std::move(state)));
}

KafkaMember::KafkaMember(std::shared_ptr<State> state) : state_(std::move(state)) {
  worker_.Start("kafka-member", [its_state = state_] { its_state->Run(); });
}

KafkaMember::~KafkaMember() { End(); }

void KafkaMember::End() {
  {
    const absl::MutexLock lock(&state_->telling);
    if (state_->listener == nullptr) return;
    state_->listener = nullptr;
  }
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->is_ending = true;
  }
  state_->bell.Ring();
  // Its own deadline is end_within; its threads are given as much again.
  if (!worker_.End(state_->settings.end_within * 2)) {
    state_->config->Log(
        KafkaLogLevel::kWarning,
        absl::StrCat("a member of group ", state_->settings.group_id, " does not end; it is left"));
  }
}

void KafkaMember::Seek(int partition, int64_t offset, int64_t generation) {
  {
    const absl::MutexLock lock(&state_->mutex);
    State::Cursor* cursor = state_->CursorOf(partition);
    if (cursor == nullptr) return;
    cursor->phase = State::Cursor::Phase::kSeeking;
    ++cursor->seeks;
    cursor->generation = generation;
    cursor->next = offset;
    cursor->credits.clear();
    cursor->check_at.reset();
    cursor->stop = absl::OkStatus();
  }
  state_->bell.Ring();
}

void KafkaMember::More(int partition, int max_records) {
  {
    const absl::MutexLock lock(&state_->mutex);
    State::Cursor* cursor = state_->CursorOf(partition);
    using Phase = State::Cursor::Phase;
    if (cursor == nullptr || max_records < 1 || cursor->phase == Phase::kIdle ||
        cursor->phase == Phase::kStopped) {
      return;
    }
    cursor->credits.push_back(max_records);
  }
  state_->bell.Ring();
}

void KafkaMember::ReportPosition(int partition, int64_t next_offset) {
  const absl::MutexLock lock(&state_->mutex);
  State::Cursor* cursor = state_->CursorOf(partition);
  if (cursor != nullptr) cursor->reported = next_offset;
}

std::vector<KafkaLag> KafkaMember::Lags() const {
  const absl::MutexLock lock(&state_->mutex);
  std::vector<KafkaLag> lags;
  for (int p = 0; p < state_->settings.partitions; ++p) {
    const State::Cursor* cursor = state_->CursorOf(p);
    if (cursor != nullptr) {
      lags.push_back({state_->settings.group, p, cursor->reported, cursor->end});
    }
  }
  return lags;
}

int64_t KafkaMember::unreadable() const {
  const absl::MutexLock lock(&state_->mutex);
  return state_->unreadable;
}

PartitionListPtr KafkaMember::State::NewList(const std::vector<int>& partitions,
                                             int64_t offset) const {
  PartitionListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const int p : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), settings.topic.c_str(), p)->offset = offset;
  }
  return list;
}

void KafkaMember::State::Run() {
  commit_at = settings.clock->Now();
  while (!IsEnding()) {
    bool is_busy = PollGroup();
    const bool is_seeking = ServeSeeks();
    for (int p = 0; p < settings.partitions; ++p) is_busy |= Deliver(p);
    ServeChecks();
    CommitPositions(/*is_last=*/false);
    if (!is_busy) bell.Wait(is_seeking ? kSeekAgain : kLookAnyway);
  }
  Leave();
}

bool KafkaMember::State::PollGroup() {
  bool is_busy = false;
  struct MessageDeleter {
    void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  };
  while (true) {
    const std::unique_ptr<rd_kafka_message_t, MessageDeleter> message(
        rd_kafka_consumer_poll(client->get(), 0));
    if (message == nullptr) return is_busy;
    is_busy = true;
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
      std::array<char, 256> reason = {};
      TellFatal(KafkaError(rd_kafka_fatal_error(client->get(), reason.data(), reason.size()),
                           absl::StrCat("group ", settings.group_id, ": ", reason.data())));
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      // librdkafka goes on trying; the log says why nothing comes.
      const absl::Status status = KafkaError(
          message->err,
          absl::StrCat("group ", settings.group_id, ": ", rd_kafka_message_errstr(message.get())));
      Refused(message->err, KafkaRight::kDescribe, status);
      config->Log(KafkaLogLevel::kWarning, std::string(status.message()));
    } else if (message->partition >= 0 && message->partition < settings.partitions) {
      // A record that went past the queue of its partition was not asked for: read it again.
      const absl::MutexLock lock(&mutex);
      Cursor* cursor = CursorOf(message->partition);
      if (cursor != nullptr && cursor->phase == Cursor::Phase::kReading) {
        cursor->phase = Cursor::Phase::kSeeking;
      }
    }
  }
}

void KafkaMember::State::Rebalanced(rd_kafka_resp_err_t code,
                                    rd_kafka_topic_partition_list_t* partitions) {
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    Assigned(partitions);
  } else if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    Revoked(partitions);
  } else {
    config->Log(KafkaLogLevel::kWarning,
                std::string(KafkaError(code, absl::StrCat("group ", settings.group_id)).message()));
    rd_kafka_assign(client->get(), nullptr);
  }
}

void KafkaMember::State::Assigned(rd_kafka_topic_partition_list_t* partitions) {
  std::vector<int> mine;
  for (int i = 0; i < partitions->cnt; ++i) {
    const rd_kafka_topic_partition_t& given = partitions->elems[i];
    // A partition that the topic has got meanwhile: KafkaOffsets tells that it should not be there.
    if (given.partition >= settings.partitions) continue;
    mine.push_back(given.partition);
    Feed& feed = FeedOf(given.partition);
    feed = Feed();
    feed.queue.reset(rd_kafka_queue_get_partition(client->get(), given.topic, given.partition));
    // Its records stay in it instead of going to the consumer's one queue.
    rd_kafka_queue_forward(feed.queue.get(), nullptr);
    RingOn(feed.queue.get(), &bell);
  }
  // None of them is opened before its first Seek says where. (Opened at a logical offset, a
  // partition that is sought while the brokers are asked for it jumps there half a second later:
  // librdkafka repeats the question. What lies between would be lost.) The group waits for the
  // answer in any case.
  const PartitionListPtr none = NewList({}, 0);
  const absl::Status status =
      KafkaError(rd_kafka_incremental_assign(client->get(), none.get()),
                 absl::StrCat("group ", settings.group_id, ": taking partitions"));
  if (!status.ok()) {
    config->Log(KafkaLogLevel::kError, std::string(status.message()));
    return TellFatal(status);
  }
  has_been_assigned = true;
  settings.access->Allowed(KafkaRight::kGroup);
  if (mine.empty()) return;
  {
    const absl::MutexLock lock(&mutex);
    for (const int p : mine) {
      Cursor& cursor = cursors[static_cast<size_t>(p)];
      const int64_t seeks = cursor.seeks + 1;
      cursor = Cursor();
      cursor.assigned = true;
      cursor.seeks = seeks;
    }
  }
  Tell([&](Listener& told) { told.Assigned(mine); });
}

void KafkaMember::State::Revoked(rd_kafka_topic_partition_list_t* partitions) {
  // After a lost session others may own them already; what is committed is only looked at.
  if (rd_kafka_assignment_lost(client->get()) == 0) CommitPositions(/*is_last=*/true);
  std::vector<int> lost;
  {
    const absl::MutexLock lock(&mutex);
    for (int i = 0; i < partitions->cnt; ++i) {
      Cursor* cursor = CursorOf(partitions->elems[i].partition);
      if (cursor == nullptr) continue;
      lost.push_back(partitions->elems[i].partition);
      const int64_t seeks = cursor->seeks + 1;
      *cursor = Cursor();
      cursor->seeks = seeks;
    }
  }
  if (!lost.empty()) {
    Tell([&](Listener& told) { told.Revoked(lost); });
  }
  const PartitionListPtr open = NewList({}, 0);
  for (const int p : lost) {
    if (FeedOf(p).is_open) {
      rd_kafka_topic_partition_list_add(open.get(), settings.topic.c_str(), p);
    }
    FeedOf(p) = Feed();
  }
  const absl::Status status =
      KafkaError(rd_kafka_incremental_unassign(client->get(), open.get()),
                 absl::StrCat("group ", settings.group_id, ": giving partitions back"));
  if (!status.ok()) {
    config->Log(KafkaLogLevel::kError, std::string(status.message()));
    TellFatal(status);
  }
}

// Whether one has to be tried again.
bool KafkaMember::State::ServeSeeks() {
  struct Sought {
    int partition;
    int64_t offset;
    int64_t seeks;
  };
  std::vector<Sought> all;
  {
    const absl::MutexLock lock(&mutex);
    for (int p = 0; p < settings.partitions; ++p) {
      const Cursor* cursor = CursorOf(p);
      if (cursor != nullptr && cursor->phase == Cursor::Phase::kSeeking) {
        all.push_back({p, cursor->next, cursor->seeks});
      }
    }
  }
  if (all.empty()) return false;
  const PartitionListPtr list = NewList({}, 0);
  std::vector<Sought> taken;
  for (const Sought& sought : all) {
    if (sought.offset < 0) {
      // librdkafka would take it for a word: -1 is the end, -2 the beginning.
      Stop(sought.partition, sought.seeks,
           absl::OutOfRangeError(absl::StrCat("partition ", sought.partition, ": offset ",
                                              sought.offset, " is not in any log")));
    } else if (!FeedOf(sought.partition).is_open || FeedOf(sought.partition).is_dead) {
      if (Open(sought.partition, sought.offset)) taken.push_back(sought);
    } else {
      rd_kafka_topic_partition_list_add(list.get(), settings.topic.c_str(), sought.partition)
          ->offset = sought.offset;
    }
  }
  if (list->cnt > 0) {
    // Waited for: a seek that was not taken would read on from elsewhere. What was fetched before
    // it is outdated for librdkafka from here on.
    const absl::Status status =
        KafkaError(rd_kafka_seek_partitions(client->get(), list.get(), kSeekTimeoutMs), "seeking");
    for (const Sought& sought : all) {
      const rd_kafka_topic_partition_t* told =
          rd_kafka_topic_partition_list_find(list.get(), settings.topic.c_str(), sought.partition);
      if (told != nullptr && told->err == RD_KAFKA_RESP_ERR_NO_ERROR) taken.push_back(sought);
    }
    if (!status.ok()) config->Log(KafkaLogLevel::kInfo, std::string(status.message()));
  }
  const absl::MutexLock lock(&mutex);
  for (const Sought& sought : taken) {
    Cursor* cursor = CursorOf(sought.partition);
    if (cursor != nullptr && cursor->seeks == sought.seeks &&
        cursor->phase == Cursor::Phase::kSeeking) {
      cursor->phase = Cursor::Phase::kReading;
    }
  }
  for (int p = 0; p < settings.partitions; ++p) {
    const Cursor* cursor = CursorOf(p);
    if (cursor != nullptr && cursor->phase == Cursor::Phase::kSeeking) return true;
  }
  return false;
}

// Opens it, or opens it again: librdkafka stops a partition whose offset a broker refused, and
// takes no seek for it any more.
bool KafkaMember::State::Open(int partition, int64_t offset) {
  Feed& feed = FeedOf(partition);
  const PartitionListPtr list = NewList({partition}, offset);
  const std::string what = absl::StrCat("opening partition ", partition);
  absl::Status status;
  if (feed.is_open) {
    status = KafkaError(rd_kafka_incremental_unassign(client->get(), list.get()), what);
    feed.is_open = !status.ok();
  }
  if (status.ok()) {
    status = KafkaError(rd_kafka_incremental_assign(client->get(), list.get()), what);
  }
  if (!status.ok()) {
    config->Log(KafkaLogLevel::kWarning, std::string(status.message()));
    return false;
  }
  feed.is_open = true;
  feed.is_dead = false;
  return true;
}

// Whether something was taken out of the partition's queue.
bool KafkaMember::State::Deliver(int partition) {
  Feed& feed = FeedOf(partition);
  int64_t seeks = 0;
  int64_t generation = 0;
  int64_t next = 0;
  size_t max_records = 0;
  {
    const absl::MutexLock lock(&mutex);
    const Cursor* cursor = CursorOf(partition);
    if (cursor == nullptr || cursor->phase != Cursor::Phase::kReading || cursor->credits.empty() ||
        feed.queue == nullptr) {
      return false;
    }
    seeks = cursor->seeks;
    generation = cursor->generation;
    next = cursor->next;
    max_records = std::min(static_cast<size_t>(cursor->credits.front()), kMaxDelivery);
  }
  std::array<rd_kafka_message_t*, kMaxDelivery> messages;
  const ssize_t taken =
      rd_kafka_consume_batch_queue(feed.queue.get(), 0, messages.data(), max_records);
  if (taken <= 0) return false;
  const rd_kafka_message_t* failed = nullptr;
  std::vector<RecordPtr> records;
  records.reserve(static_cast<size_t>(taken));
  int64_t bad = 0;
  for (ssize_t i = 0; i < taken && failed == nullptr; ++i) {
    const rd_kafka_message_t& message = *messages[static_cast<size_t>(i)];
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failed = &message;
    } else if (message.offset >= next) {
      ReadRecord read = ToRecord(message);
      if (!read.headers.ok()) {
        ++bad;
        config->Log(KafkaLogLevel::kWarning,
                    absl::StrCat("partition ", partition, ", offset ", message.offset, ": ",
                                 std::string(read.headers.message())));
      }
      records.push_back(std::move(read.record));
      next = message.offset + 1;
    }
  }
  bool is_current = false;
  {
    const absl::MutexLock lock(&mutex);
    Cursor* cursor = CursorOf(partition);
    is_current = cursor != nullptr && cursor->seeks == seeks;
    if (is_current && !records.empty()) {
      cursor->next = next;
      cursor->credits.pop_front();
      unreadable += bad;
    }
  }
  if (is_current && !records.empty()) {
    feed.checks = 0;
    Tell([&](Listener& told) { told.Records(partition, generation, std::move(records)); });
  }
  if (failed != nullptr) Failed(partition, seeks, *failed);
  for (ssize_t i = 0; i < taken; ++i) rd_kafka_message_destroy(messages[static_cast<size_t>(i)]);
  return true;
}

void KafkaMember::State::Failed(int partition, int64_t seeks, const rd_kafka_message_t& message) {
  const absl::Status status =
      KafkaError(message.err, absl::StrCat("partition ", partition, ", offset ", message.offset,
                                           ": ", rd_kafka_message_errstr(&message)));
  Refused(message.err, KafkaRight::kRead, status);
  config->Log(KafkaLogLevel::kWarning, std::string(status.message()));
  if (absl::IsOutOfRange(status)) {
    FeedOf(partition).is_dead = true;
    {
      const absl::MutexLock lock(&mutex);
      Cursor* cursor = CursorOf(partition);
      if (cursor == nullptr || cursor->seeks != seeks) return;  // a Seek follows, and revives it
      cursor->phase = Cursor::Phase::kChecking;
    }
    // It may speak of an offset before the latest Seek: the log itself is asked.
    if (++FeedOf(partition).checks > kMaxChecks) return Stop(partition, seeks, status);
    return Check(partition, seeks);
  }
  // librdkafka goes on behind a record that it cannot read; this service may not.
  if (absl::IsDataLoss(status)) return Stop(partition, seeks, status);
  // Whatever was taken out behind it is read again.
  const absl::MutexLock lock(&mutex);
  Cursor* cursor = CursorOf(partition);
  if (cursor != nullptr && cursor->seeks == seeks) cursor->phase = Cursor::Phase::kSeeking;
}

void KafkaMember::State::Check(int partition, int64_t seeks) {
  const std::shared_ptr<KafkaOffsets> asked = offsets.lock();
  if (asked == nullptr) return;  // the bus is ending
  // Weak: the question may outlive the member.
  asked->Ask(partition, /*with_first=*/true,
             [weak = weak_from_this(), partition, seeks](const absl::StatusOr<Bounds>& bounds) {
               const std::shared_ptr<State> state = weak.lock();
               if (state == nullptr) return;
               {
                 const absl::MutexLock lock(&state->mutex);
                 Cursor* cursor = state->CursorOf(partition);
                 if (cursor == nullptr || cursor->seeks != seeks ||
                     cursor->phase != Cursor::Phase::kChecking) {
                   return;
                 }
                 if (!bounds.ok()) {
                   cursor->check_at = state->settings.clock->Now() + kCheckAgain;
                 } else if (cursor->next < bounds->first || cursor->next > bounds->end) {
                   cursor->stop = Outside(partition, cursor->next, *bounds);
                 } else {
                   cursor->phase = Cursor::Phase::kSeeking;
                 }
               }
               state->bell.Ring();
             });
}

void KafkaMember::State::ServeChecks() {
  const absl::Time now = settings.clock->Now();
  for (int p = 0; p < settings.partitions; ++p) {
    absl::Status stop;
    int64_t seeks = 0;
    bool again = false;
    {
      const absl::MutexLock lock(&mutex);
      Cursor* cursor = CursorOf(p);
      if (cursor == nullptr || cursor->phase != Cursor::Phase::kChecking) continue;
      seeks = cursor->seeks;
      stop = cursor->stop;
      again = cursor->check_at.has_value() &&
              (now >= *cursor->check_at || *cursor->check_at - now > kCheckAgain);
      if (again) cursor->check_at.reset();
    }
    if (!stop.ok()) Stop(p, seeks, std::move(stop));
    if (again) Check(p, seeks);
  }
}

void KafkaMember::State::Stop(int partition, int64_t seeks, absl::Status why) {
  {
    const absl::MutexLock lock(&mutex);
    Cursor* cursor = CursorOf(partition);
    if (cursor == nullptr || cursor->seeks != seeks) return;
    cursor->phase = Cursor::Phase::kStopped;
    cursor->credits.clear();
    cursor->stop = absl::OkStatus();
  }
  Tell([&](Listener& told) { told.Stopped(partition, std::move(why)); });
}

void KafkaMember::State::CommitPositions(bool is_last) {
  const absl::Time now = settings.clock->Now();
  if (!is_last && now < commit_at && commit_at - now <= kCommitEvery) return;
  commit_at = now + kCommitEvery;
  const PartitionListPtr list = NewList({}, 0);
  {
    const absl::MutexLock lock(&mutex);
    for (int p = 0; p < settings.partitions; ++p) {
      Cursor* cursor = CursorOf(p);
      if (cursor == nullptr) continue;
      int64_t first = 0;
      int64_t end = 0;
      if (rd_kafka_get_watermark_offsets(client->get(), settings.topic.c_str(), p, &first, &end) ==
              RD_KAFKA_RESP_ERR_NO_ERROR &&
          end >= 0) {
        cursor->end = end;
      }
      Feed& feed = FeedOf(p);
      if (!cursor->reported.has_value() || cursor->reported == feed.committed) continue;
      feed.committed = cursor->reported;
      rd_kafka_topic_partition_list_add(list.get(), settings.topic.c_str(), p)->offset =
          *cursor->reported;
    }
  }
  // Nobody waits for it, and one that fails is followed by the next.
  if (list->cnt > 0) rd_kafka_commit(client->get(), list.get(), /*async=*/1);
}

void KafkaMember::State::Leave() {
  CommitPositions(/*is_last=*/true);
  const absl::Time deadline = settings.clock->Now() + settings.end_within;
  // Up to its release 2.1 librdkafka ends the program when a member is closed or destroyed that has
  // joined and was given nothing yet (its issue 4312). So the first answer of the group is waited
  // for, and a member that gets none is left to the group's session timeout.
  while (!has_been_assigned && settings.clock->Now() < deadline) {
    if (!PollGroup()) bell.Wait(kLookAnyway);
  }
  if (!has_been_assigned) {
    config->Log(KafkaLogLevel::kWarning,
                absl::StrCat("group ", settings.group_id,
                             " gave no answer to a member that leaves; it is left"));
    client->Mute();
    feeds.clear();
    group_queue.reset();
    static_cast<void>(client.release());
    return;
  }
  {
    const QueuePtr closing(rd_kafka_queue_new(client->get()));
    RingOn(closing.get(), &bell);
    const absl::Status status =
        KafkaError(rd_kafka_consumer_close_queue(client->get(), closing.get()),
                   absl::StrCat("group ", settings.group_id, ": leaving"));
    while (status.ok() && rd_kafka_consumer_closed(client->get()) == 0 &&
           settings.clock->Now() < deadline) {
      rd_kafka_queue_poll_callback(closing.get(), 10);
    }
    if (rd_kafka_consumer_closed(client->get()) == 0) client->SkipClose();
  }
  client->Mute();
  feeds.clear();
  group_queue.reset();
  client.reset();
}

void KafkaMember::State::TellFatal(absl::Status status) {
  if (has_told_fatal) return;
  has_told_fatal = true;
  config->Log(KafkaLogLevel::kError, std::string(status.message()));
  const absl::MutexLock lock(&telling);
  if (listener != nullptr && settings.fatal) settings.fatal(std::move(status));
}

}  // namespace tandem::bus
