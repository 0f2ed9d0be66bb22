// The bus over a real Kafka: what every bus promises, and what only several processes and a broker
// that dies can show.
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/kafka_bus.h"
#include "common/kafka/kafka_log_reader.h"
#include "common/kafka/kafka_record.h"
#include "common/time/system_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/bus_contract.h"
#include "tests/integration/kafka_broker.h"

namespace tandem::bus {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kPartitions = 4;
constexpr absl::Duration kPatience = absl::Seconds(30);
// So long nothing must happen where nothing may.
constexpr absl::Duration kQuiet = absl::Milliseconds(250);

const time::SystemClock kClock;

// For tests: quick to notice a silent member, content with one broker.
KafkaOptions OptionsFor(const std::string& brokers, const std::string& topic) {
  KafkaOptions options;
  options.client.brokers = brokers;
  if (getenv("TANDEM_KAFKA_LOG") != nullptr) {
    options.client.log = [](KafkaLogLevel, const std::string& line) {
      std::fprintf(stderr, "%s\n", line.c_str());
    };
  }
  options.topic.name = topic;
  options.topic.create = true;
  options.topic.partitions = kPartitions;
  options.topic.replication_factor = 1;
  options.topic.min_insync_replicas = 1;
  options.topic.allow_unsafe = true;
  options.clock = &kClock;
  options.group_prefix = absl::StrCat(topic, ".");
  options.session_timeout = absl::Seconds(2);
  options.ask_timeout = absl::Seconds(1);
  options.probe_every = absl::Milliseconds(200);
  return options;
}

std::unique_ptr<KafkaBus> MustOpen(const KafkaOptions& options) {
  auto bus = OpenKafka(options);
  if (!bus.ok()) {
    ADD_FAILURE() << bus.status();
    std::abort();
  }
  return *std::move(bus);
}

// Waits for what threads of a bus bring about: rung at each thing that the bus tells.
class Watch {
 public:
  void Ring() { bell_.Ring(); }
  bool Until(const std::function<bool()>& reached, absl::Duration within = kPatience) {
    const absl::Time deadline = absl::Now() + within;
    while (!reached()) {
      if (absl::Now() > deadline) return false;
      // Also without a ring: some conditions are of counters that nobody tells.
      bell_.Wait(absl::Milliseconds(20));
    }
    return true;
  }
  // Until nothing was told for a while.
  void UntilQuiet() {
    const absl::Time deadline = absl::Now() + kPatience;
    absl::Time quiet_since = absl::Now();
    while (absl::Now() - quiet_since < kQuiet && absl::Now() < deadline) {
      const absl::Time before = absl::Now();
      bell_.Wait(kQuiet);
      if (absl::Now() - before < kQuiet) quiet_since = absl::Now();
    }
  }

 private:
  Bell bell_;
};

// The bus behind it, with a ring at each answer and each call of a listener.
class WatchedBus : public Bus {
 public:
  WatchedBus(Bus* behind, Watch* watch) : behind_(behind), watch_(watch) {}
  int partitions() const override { return behind_->partitions(); }
  void Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) override {
    behind_->Append(std::move(events),
                    [watch = watch_, done = std::move(done)](absl::Status status) mutable {
                      done(std::move(status));
                      watch->Ring();
                    });
  }
  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    behind_->EndOffset(
        partition, [watch = watch_, done = std::move(done)](absl::StatusOr<int64_t> end) mutable {
          done(std::move(end));
          watch->Ring();
        });
  }
  absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string group, Listener* listener) override {
    auto member = std::make_unique<Member>(listener, watch_);
    auto joined = behind_->Join(std::move(group), member.get());
    if (!joined.ok()) return joined.status();
    member->behind = *std::move(joined);
    return member;
  }

 private:
  struct Member : public Consumer, public Listener {
    Member(Listener* its_listener, Watch* its_watch) : listener(its_listener), watch(its_watch) {}
    ~Member() override { behind.reset(); }
    void Assigned(std::vector<int> partitions) override {
      listener->Assigned(std::move(partitions));
      watch->Ring();
    }
    void Revoked(std::vector<int> partitions) override {
      listener->Revoked(std::move(partitions));
      watch->Ring();
    }
    void Records(int partition, int64_t generation, std::vector<RecordPtr> records) override {
      listener->Records(partition, generation, std::move(records));
      watch->Ring();
    }
    void Stopped(int partition, absl::Status why) override {
      listener->Stopped(partition, std::move(why));
      watch->Ring();
    }
    void Seek(int partition, int64_t offset, int64_t generation) override {
      behind->Seek(partition, offset, generation);
    }
    void More(int partition, int max_records) override { behind->More(partition, max_records); }
    void ReportPosition(int partition, int64_t next_offset) override {
      behind->ReportPosition(partition, next_offset);
    }
    Listener* const listener;
    Watch* const watch;
    std::unique_ptr<Consumer> behind;
  };
  Bus* const behind_;
  Watch* const watch_;
};

// A topic of its own on the broker that all tests share.
class KafkaWorld : public BusWorld {
 public:
  KafkaWorld() { Open(); }
  ~KafkaWorld() override { Close(); }
  Bus& bus() override { return *watched_; }
  bool RunUntil(std::function<bool()> reached) override { return watch_.Until(reached); }
  void Settle() override {
    // Whatever a broker has to say meanwhile comes before this answer, or soon after.
    for (int p = 0; p < kPartitions; ++p) {
      const auto asked = std::make_shared<Answer>();
      bus().EndOffset(p, [asked](const absl::StatusOr<int64_t>& end) {
        const absl::MutexLock lock(&asked->mutex);
        asked->is_there = end.ok();
      });
      ASSERT_TRUE(watch_.Until([&] {
        const absl::MutexLock lock(&asked->mutex);
        return asked->is_there;
      }));
    }
    watch_.UntilQuiet();
  }
  void SkipOffset(int partition) override {
    if (holes_ == nullptr) {
      holes_ =
          std::make_unique<ForeignClient>(RD_KAFKA_PRODUCER, KafkaBroker::Shared()->brokers(),
                                          ForeignClient::Settings{{"transactional.id", topic_},
                                                                  {"message.max.bytes", "2000000"},
                                                                  {"compression.codec", "none"}});
      ASSERT_EQ(rd_kafka_init_transactions(holes_->get(), 20'000), nullptr);
    }
    holes_->LeaveHole(topic_, partition);
  }
  bool KeepsAppendsWhole() const override { return false; }
  void Restart() override {
    Close();
    Open();
  }
  pid_t Fork(const std::function<void()>& go) override {
    Close();  // with its threads, which a child would lack
    EXPECT_EQ(rd_kafka_wait_destroyed(10'000), 0);
    const pid_t child = fork();
    if (child != 0) return child;
    Open();
    go();
    _exit(3);
  }

 private:
  struct Answer {
    absl::Mutex mutex;
    bool is_there = false;
  };
  void Open() {
    bus_ = MustOpen(OptionsFor(KafkaBroker::Shared()->brokers(), topic_));
    watched_ = std::make_unique<WatchedBus>(bus_.get(), &watch_);
  }
  void Close() {
    holes_.reset();
    watched_.reset();
    bus_.reset();
  }

  const std::string topic_ = NewName("contract");
  Watch watch_;
  std::unique_ptr<KafkaBus> bus_;
  std::unique_ptr<WatchedBus> watched_;
  std::unique_ptr<ForeignClient> holes_;
};

const BusEngine kKafka = {"Kafka", [] { return std::make_unique<KafkaWorld>(); }};

INSTANTIATE_TEST_SUITE_P(, BusContract, testing::Values(kKafka), BusEngineName);
INSTANTIATE_TEST_SUITE_P(, SharedGroupContract, testing::Values(kKafka), BusEngineName);
INSTANTIATE_TEST_SUITE_P(, HoleyBusContract, testing::Values(kKafka), BusEngineName);
INSTANTIATE_TEST_SUITE_P(, DurableBusContract, testing::Values(kKafka), BusEngineName);

// ---- What only Kafka shows.

class KafkaTest : public testing::Test {
 protected:
  static const std::string& brokers() { return KafkaBroker::Shared()->brokers(); }

  // Appends and waits.
  absl::Status Append(Bus& bus, std::vector<Event> events) {
    struct Answer {
      absl::Mutex mutex;
      std::optional<absl::Status> status;
    };
    const auto answer = std::make_shared<Answer>();
    WatchedBus(&bus, &watch_).Append(std::move(events), [answer](absl::Status status) {
      const absl::MutexLock lock(&answer->mutex);
      answer->status = std::move(status);
    });
    const auto is_there = [&] {
      const absl::MutexLock lock(&answer->mutex);
      return answer->status.has_value();
    };
    if (!watch_.Until(is_there)) return absl::DeadlineExceededError("not answered");
    const absl::MutexLock lock(&answer->mutex);
    return *answer->status;
  }
  absl::StatusOr<int64_t> End(Bus& bus, int partition) {
    struct Answer {
      absl::Mutex mutex;
      std::optional<absl::StatusOr<int64_t>> end;
    };
    const auto answer = std::make_shared<Answer>();
    WatchedBus(&bus, &watch_).EndOffset(partition, [answer](absl::StatusOr<int64_t> end) {
      const absl::MutexLock lock(&answer->mutex);
      answer->end = std::move(end);
    });
    const auto is_there = [&] {
      const absl::MutexLock lock(&answer->mutex);
      return answer->end.has_value();
    };
    if (!watch_.Until(is_there)) return absl::DeadlineExceededError("not answered");
    const absl::MutexLock lock(&answer->mutex);
    return *answer->end;
  }
  // A member with all partitions, and what it was told.
  struct Reader {
    Notes notes;
    std::unique_ptr<WatchedBus> watched;
    std::unique_ptr<Consumer> consumer;
  };
  std::unique_ptr<Reader> Join(Bus& bus, const std::string& group) {
    auto reader = std::make_unique<Reader>();
    reader->watched = std::make_unique<WatchedBus>(&bus, &watch_);
    auto joined = reader->watched->Join(group, &reader->notes);
    EXPECT_TRUE(joined.ok()) << joined.status();
    reader->consumer = *std::move(joined);
    const auto all = static_cast<size_t>(bus.partitions());
    EXPECT_TRUE(watch_.Until([&] { return reader->notes.assigned().size() == all; }));
    return reader;
  }
  bool ReadUntil(Reader& reader, int partition, size_t count) {
    while (reader.notes.Ids(partition).size() < count) {
      const size_t before = reader.notes.deliveries().size();
      reader.consumer->More(partition, 1000);
      if (!watch_.Until([&] {
            return reader.notes.deliveries().size() > before ||
                   reader.notes.Ids(partition).size() >= count;
          })) {
        return false;
      }
    }
    return true;
  }
  static std::string KeyIn(int partition, int partitions = kPartitions) {
    for (int i = 0;; ++i) {
      std::string key = absl::StrCat("key-", i);
      if (PartitionOf(key, partitions) == partition) return key;
    }
  }

  Watch watch_;
  const std::string topic_ = NewName("topic");
};

TEST_F(KafkaTest, RefusesToMakeAnUnsafeTopic) {
  KafkaOptions options = OptionsFor(brokers(), topic_);
  options.topic.allow_unsafe = false;
  const absl::Status status = OpenKafka(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the replication factor is 1 and should be 3 or more"),
                    HasSubstr("min.insync.replicas is 1"), HasSubstr("--allow-unsafe-topic")));
  options.topic.create = false;
  EXPECT_EQ(OpenKafka(options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(KafkaTest, RefusesAnUnsafeTopicThatIsThere) {
  ForeignClient(RD_KAFKA_PRODUCER, brokers())
      .CreateTopic(topic_, 3,
                   {{"cleanup.policy", "compact"},
                    {"retention.ms", "1000"},
                    {"unclean.leader.election.enable", "true"}});
  KafkaOptions options = OptionsFor(brokers(), topic_);
  options.topic.allow_unsafe = false;
  const absl::Status status = OpenKafka(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(topic_), HasSubstr("cleanup.policy is compact and should be delete"),
                    HasSubstr("retention.ms is 1000"),
                    HasSubstr("unclean.leader.election.enable is true")));
}

TEST_F(KafkaTest, HasTheTopicsNumberOfPartitionsAndTellsWhenItChanges) {
  ForeignClient admin(RD_KAFKA_PRODUCER, brokers());
  admin.CreateTopic(topic_, 3);
  KafkaOptions options = OptionsFor(brokers(), topic_);
  absl::Mutex mutex;
  std::vector<absl::Status> told;
  options.fatal = [&](absl::Status why) {
    {
      const absl::MutexLock lock(&mutex);
      told.push_back(std::move(why));
    }
    watch_.Ring();
  };
  const auto bus = MustOpen(options);
  EXPECT_EQ(bus->partitions(), 3);
  admin.GrowTopic(topic_, 5);
  ASSERT_TRUE(watch_.Until([&] {
    const absl::MutexLock lock(&mutex);
    return !told.empty();
  }));
  const absl::MutexLock lock(&mutex);
  EXPECT_EQ(told.front().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(told.front().message()), HasSubstr("has 5 partitions now, it had 3"));
}

TEST_F(KafkaTest, SaysThatNoBrokerIsThere) {
  KafkaOptions options = OptionsFor("127.0.0.1:1", topic_);
  options.open_within = absl::Milliseconds(500);
  const absl::Status status = OpenKafka(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
}

TEST_F(KafkaTest, PutsKeysWhereOtherClientsPutThem) {
  const auto bus = MustOpen(OptionsFor(brokers(), topic_));
  ForeignClient other(RD_KAFKA_PRODUCER, brokers(), {{"partitioner", "murmur2_random"}});
  for (int i = 0; i < 20; ++i) {
    const std::string key = absl::StrCat("some key ", i);
    EXPECT_EQ(other.Produce(topic_, RD_KAFKA_PARTITION_UA, key, "x"),
              PartitionOf(key, kPartitions));
  }
}

TEST_F(KafkaTest, DeliversARecordOfAnotherClientInItsPlaceAsOneThatCannotBeRead) {
  const auto bus = MustOpen(OptionsFor(brokers(), topic_));
  ASSERT_EQ(Append(*bus, {ContractEvent("before", KeyIn(1))}), absl::OkStatus());
  ForeignClient other(RD_KAFKA_PRODUCER, brokers());
  other.Produce(topic_, 1, "k", "no headers at all");
  other.Produce(topic_, 1, "k", "some headers", {{"ce_type", "a.Type"}, {"ce_subject", "s"}});
  ASSERT_EQ(Append(*bus, {ContractEvent("after", KeyIn(1))}), absl::OkStatus());
  const auto reader = Join(*bus, "g");
  reader->consumer->Seek(1, 0, 1);
  ASSERT_TRUE(ReadUntil(*reader, 1, 4));
  EXPECT_EQ(reader->notes.Ids(1),
            (std::vector<std::string>{"before", "kafka/1/1", "kafka/1/2", "after"}));
  std::vector<RecordPtr> records;
  for (const Notes::Delivery& delivery : reader->notes.deliveries()) {
    records.insert(records.end(), delivery.records.begin(), delivery.records.end());
  }
  EXPECT_EQ(records[1]->event.type, "");
  EXPECT_EQ(records[1]->event.body, std::string(1, kUnreadable) + "no headers at all");
  EXPECT_EQ(records[2]->event.type, "a.Type");
  EXPECT_EQ(records[2]->event.subject, "s");
  EXPECT_EQ(records[2]->event.body[0], kUnreadable);
  EXPECT_EQ(bus->Gauges().unreadable_records, 2);
}

TEST_F(KafkaTest, StopsAtAnOffsetThatRetentionTookAndReadsOnFromWhereItIsToldTo) {
  const auto bus = MustOpen(OptionsFor(brokers(), topic_));
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Append(*bus, {ContractEvent(absl::StrCat("e", i), KeyIn(0))}), absl::OkStatus());
  }
  ForeignClient(RD_KAFKA_PRODUCER, brokers()).DeleteBefore(topic_, 0, 3);
  const auto reader = Join(*bus, "g");
  reader->consumer->Seek(0, 1, 1);
  reader->consumer->More(0, 10);
  ASSERT_TRUE(watch_.Until([&] { return !reader->notes.stops().empty(); }));
  const absl::Status why = reader->notes.stops().front().second;
  EXPECT_EQ(why.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(why.message()),
              HasSubstr("partition 0: offset 1 is not in the log, which has 3 up to, not "
                        "including, 5"));
  reader->consumer->Seek(0, 3, 2);
  ASSERT_TRUE(ReadUntil(*reader, 0, 2));
  EXPECT_EQ(reader->notes.Ids(0, 2), (std::vector<std::string>{"e3", "e4"}));
}

TEST_F(KafkaTest, AnswersARefusedEventByNameAndAppendsOnWithANewProducer) {
  ForeignClient(RD_KAFKA_PRODUCER, brokers())
      .CreateTopic(topic_, kPartitions, {{"max.message.bytes", "10000"}});
  const auto bus = MustOpen(OptionsFor(brokers(), topic_));
  Event large = ContractEvent("large", KeyIn(0));
  // Noise: compressed it is too long still.
  std::minstd_rand noise(1);
  for (int i = 0; i < 100'000; ++i) large.body.push_back(static_cast<char>(noise() >> 8));
  const absl::Status refused = Append(*bus, {large});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("event \"large\""));
  EXPECT_EQ(bus->Gauges().producers_given_up, 1);
  EXPECT_EQ(bus->Gauges().waiting_events, 0);
  ASSERT_EQ(Append(*bus, {ContractEvent("small", KeyIn(0))}), absl::OkStatus());
  EXPECT_EQ(End(*bus, 0).value(), 1);
  // One that no topic takes is refused before anything is written.
  Event longest = ContractEvent("longest", KeyIn(0));
  longest.subject = std::string(1 << 20, 's');
  EXPECT_EQ(Append(*bus, {ContractEvent("with it", KeyIn(0)), longest}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(End(*bus, 0).value(), 1);
}

TEST_F(KafkaTest, ShowsLagAndCommitsPositionsForOthersToSee) {
  const KafkaOptions options = OptionsFor(brokers(), topic_);
  const auto bus = MustOpen(options);
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(Append(*bus, {ContractEvent(absl::StrCat("e", i), KeyIn(2))}), absl::OkStatus());
  }
  auto reader = Join(*bus, "g");
  reader->consumer->Seek(2, 0, 1);
  ASSERT_TRUE(ReadUntil(*reader, 2, 4));
  reader->consumer->ReportPosition(2, 3);
  const auto lag = [&]() -> std::optional<int64_t> {
    for (const KafkaLag& of : bus->Gauges().lags) {
      if (of.partition == 2 && of.group == "g" && of.position && of.end) {
        return *of.end - *of.position;
      }
    }
    return std::nullopt;
  };
  EXPECT_TRUE(watch_.Until([&] { return lag() == 1; }));
  // The last position is committed on leaving, whatever the second that it fell in.
  reader->consumer->ReportPosition(2, 4);
  reader.reset();
  ForeignClient looker(RD_KAFKA_CONSUMER, brokers(), {{"group.id", options.group_prefix + "g"}});
  EXPECT_TRUE(watch_.Until([&] { return looker.Committed(topic_, 2) == 4; }));
}

TEST_F(KafkaTest, LooksIntoTheLogWithoutAGroup) {
  const auto bus = MustOpen(OptionsFor(brokers(), topic_));
  std::vector<Event> events;
  for (int i = 0; i < 30; ++i) events.push_back(ContractEvent(absl::StrCat("e", i), KeyIn(1)));
  ASSERT_EQ(Append(*bus, events), absl::OkStatus());
  KafkaLogReaderOptions options;
  options.client.brokers = brokers();
  options.topic = topic_;
  options.clock = &kClock;
  const auto log = OpenKafkaLogReader(options);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ((*log)->partitions(), kPartitions);
  EXPECT_EQ((*log)->BoundsOf(1).first, 0);
  EXPECT_EQ((*log)->BoundsOf(1).end, 30);
  EXPECT_EQ((*log)->BoundsOf(0).end, 0);
  const auto some = (*log)->ReadRange(1, 10, 5);
  ASSERT_TRUE(some.ok()) << some.status();
  ASSERT_EQ(some->size(), 5U);
  EXPECT_EQ((*some)[0]->offset, 10);
  EXPECT_EQ((*some)[0]->event, events[10]);
  const auto rest = (*log)->ReadRange(1, 25, 1000);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(rest->size(), 5U);
  EXPECT_TRUE((*log)->ReadRange(1, 30, 1)->empty());
  EXPECT_EQ((*log)->ReadRange(1, 31, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ((*log)->ReadRange(9, 0, 1).status().code(), absl::StatusCode::kInvalidArgument);
  options.topic = NewName("missing");
  EXPECT_EQ(OpenKafkaLogReader(options).status().code(), absl::StatusCode::kNotFound);
}

// Another process of the group: says on its pipe how many partitions it has, whenever that changes.
class OtherMember {
 public:
  // Forks: no client may be alive in this process.
  OtherMember(const KafkaOptions& options, const std::string& group) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(rd_kafka_wait_destroyed(10'000), 0);
    child_ = fork();
    if (child_ == 0) {
      close(ends[0]);
      struct Speaker : public Listener {
        explicit Speaker(int its_out) : out(its_out) {}
        void Say() {
          const std::string line = absl::StrCat(held.size(), "\n");
          if (write(out, line.data(), line.size()) < 0) _exit(1);
        }
        void Assigned(std::vector<int> partitions) override {
          held.insert(partitions.begin(), partitions.end());
          Say();
        }
        void Revoked(std::vector<int> partitions) override {
          for (const int p : partitions) held.erase(p);
          Say();
        }
        void Records(int, int64_t, std::vector<RecordPtr>) override {}
        void Stopped(int, absl::Status) override {}
        const int out;
        std::set<int> held;
      };
      Speaker speaker(ends[1]);
      const auto bus = MustOpen(options);
      const auto consumer = bus->Join(group, &speaker);
      if (!consumer.ok()) _exit(1);
      // Until the parent ends, which closes nothing that this end could see: it kills.
      pollfd none{-1, 0, 0};
      poll(&none, 1, 60'000);
      _exit(2);
    }
    close(ends[1]);
    in_ = ends[0];
  }
  ~OtherMember() {
    Signal(SIGCONT);
    Signal(SIGKILL);
    waitpid(child_, nullptr, 0);
    close(in_);
  }
  void Signal(int signal) const { kill(child_, signal); }
  // Whether it says `count` before a deadline.
  bool Says(int count) {
    while (true) {
      const size_t end = text_.find('\n');
      if (end != std::string::npos) {
        int said = -1;
        const bool is_number = absl::SimpleAtoi(text_.substr(0, end), &said);
        text_.erase(0, end + 1);
        if (is_number && said == count) return true;
        continue;
      }
      pollfd waiting{in_, POLLIN, 0};
      if (poll(&waiting, 1, 30'000) <= 0) return false;
      char buffer[256];
      const ssize_t got = read(in_, buffer, sizeof(buffer));
      if (got <= 0) return false;
      text_.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  pid_t child_ = -1;
  int in_ = -1;
  std::string text_;
};

TEST_F(KafkaTest, AMemberThatFallsSilentLosesItsPartitionsAndComesBackWithoutThem) {
  const KafkaOptions options = OptionsFor(brokers(), topic_);
  { const auto made = MustOpen(options); }
  OtherMember other(options, "g");
  ASSERT_TRUE(other.Says(kPartitions));
  const auto bus = MustOpen(options);
  Notes notes;
  WatchedBus watched(bus.get(), &watch_);
  const auto joined = watched.Join("g", &notes);
  ASSERT_TRUE(joined.ok());
  ASSERT_TRUE(watch_.Until([&] { return notes.assigned().size() == kPartitions / 2; }));
  ASSERT_TRUE(other.Says(kPartitions / 2));
  other.Signal(SIGSTOP);
  ASSERT_TRUE(watch_.Until([&] { return notes.assigned().size() == kPartitions; }));
  other.Signal(SIGCONT);
  // It finds out that it has none any more, and joins anew.
  EXPECT_TRUE(other.Says(0));
  EXPECT_TRUE(other.Says(kPartitions / 2));
  EXPECT_TRUE(watch_.Until([&] { return notes.assigned().size() == kPartitions / 2; }));
}

// What the inbox does: reads on from its own position whenever it gets a partition.
class Follower : public Listener {
 public:
  void Follow(Bus& bus, const std::string& group) {
    auto joined = bus.Join(group, this);
    ASSERT_TRUE(joined.ok()) << joined.status();
    const absl::MutexLock lock(&mutex_);
    consumer_ = *std::move(joined);
    for (const int p : held_) Start(p);
  }
  void End() {
    std::unique_ptr<Consumer> ending;
    {
      const absl::MutexLock lock(&mutex_);
      ending = std::move(consumer_);
    }
  }
  void Assigned(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    for (const int p : partitions) {
      held_.insert(p);
      if (consumer_ != nullptr) Start(p);
    }
  }
  void Revoked(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    for (const int p : partitions) held_.erase(p);
  }
  void Records(int partition, int64_t generation, std::vector<RecordPtr> records) override {
    const absl::MutexLock lock(&mutex_);
    if (generation != generations_[partition]) return;
    for (const RecordPtr& record : records) {
      EXPECT_GE(record->offset, next_[partition]);
      next_[partition] = record->offset + 1;
      ids_[partition].push_back(record->event.id);
    }
    if (consumer_ != nullptr) consumer_->More(partition, 100);
  }
  void Stopped(int partition, absl::Status why) override {
    ADD_FAILURE() << "partition " << partition << ": " << why;
  }
  int64_t next(int partition) {
    const absl::MutexLock lock(&mutex_);
    return next_[partition];
  }
  std::vector<std::string> ids(int partition) {
    const absl::MutexLock lock(&mutex_);
    return ids_[partition];
  }

 private:
  void Start(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    consumer_->Seek(partition, next_[partition], ++generations_[partition]);
    consumer_->More(partition, 100);
  }
  absl::Mutex mutex_;
  std::unique_ptr<Consumer> consumer_ ABSL_GUARDED_BY(mutex_);
  std::set<int> held_ ABSL_GUARDED_BY(mutex_);
  std::map<int, int64_t> generations_ ABSL_GUARDED_BY(mutex_);
  std::map<int, int64_t> next_ ABSL_GUARDED_BY(mutex_);
  std::map<int, std::vector<std::string>> ids_ ABSL_GUARDED_BY(mutex_);
};

// What a relay does: one append under way, the same events again after an error.
class Appender {
 public:
  Appender(Bus* bus, Watch* watch, std::string key)
      : bus_(bus), watch_(watch), key_(std::move(key)) {}
  void Go() {
    std::vector<Event> events;
    {
      const absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      for (int i = 0; i < kEvents; ++i) {
        Event event = ContractEvent(absl::StrCat(key_, "/", acknowledged_ + i), key_);
        event.sequence = acknowledged_ + i + 1;
        events.push_back(std::move(event));
      }
    }
    bus_->Append(std::move(events), [this](absl::Status status) {
      {
        const absl::MutexLock lock(&mutex_);
        if (status.ok()) acknowledged_ += kEvents;
      }
      watch_->Ring();
      Go();
    });
  }
  void Stop() {
    const absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  int64_t acknowledged() const {
    const absl::MutexLock lock(&mutex_);
    return acknowledged_;
  }

 private:
  static constexpr int kEvents = 5;
  Bus* const bus_;
  Watch* const watch_;
  const std::string key_;
  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(KafkaTest, GoesOnByItselfWhenTheBrokerDiesInTheMiddleOfAppendsAndComesBack) {
  const auto broker = KafkaBroker::Start();
  KafkaOptions options = OptionsFor(broker->brokers(), topic_);
  options.max_waiting_events = 50;
  Appender* appenders[kPartitions] = {};
  std::vector<std::unique_ptr<Appender>> owned;
  auto bus = MustOpen(options);
  Follower follower;
  follower.Follow(*bus, "g");
  for (int p = 0; p < kPartitions; ++p) {
    owned.push_back(std::make_unique<Appender>(bus.get(), &watch_, KeyIn(p)));
    appenders[p] = owned.back().get();
  }
  const auto all_beyond = [&](int64_t count) {
    for (const Appender* appender : appenders) {
      if (appender->acknowledged() < count) return false;
    }
    return true;
  };
  for (Appender* appender : appenders) appender->Go();
  ASSERT_TRUE(watch_.Until([&] { return all_beyond(500); }));
  broker->Kill();
  ASSERT_TRUE(watch_.Until([&] { return bus->Health().unreachable_since.has_value(); }));
  EXPECT_FALSE(bus->Health().trouble.ok());
  EXPECT_EQ(End(*bus, 0).status().code(), absl::StatusCode::kUnavailable);
  // Twenty events wait; ever more do not.
  std::vector<Event> many;
  for (int i = 0; i < 31; ++i) many.push_back(ContractEvent(absl::StrCat("x", i), KeyIn(0)));
  EXPECT_EQ(Append(*bus, many).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(bus->Gauges().waiting_events, 20);
  const int64_t before = appenders[0]->acknowledged();
  broker->Restart();
  ASSERT_TRUE(watch_.Until([&] { return all_beyond(before + 1000); }));
  ASSERT_TRUE(watch_.Until([&] { return !bus->Health().unreachable_since.has_value(); }));
  for (Appender* appender : appenders) appender->Stop();
  ASSERT_TRUE(watch_.Until([&] { return bus->Gauges().waiting_events == 0; }));
  // The member from before the death reads it all: nothing acknowledged is lost, nothing is behind
  // its successor, and what an appender repeats was not acknowledged before.
  for (int p = 0; p < kPartitions; ++p) {
    const auto end = End(*bus, p);
    ASSERT_TRUE(end.ok()) << end.status();
    ASSERT_TRUE(watch_.Until([&] { return follower.next(p) >= *end; }));
    int64_t next = 0;
    for (const std::string& id : follower.ids(p)) {
      int64_t number = -1;
      ASSERT_TRUE(absl::SimpleAtoi(id.substr(id.find('/') + 1), &number));
      ASSERT_LE(number, next) << "a record is missing before " << id;
      if (number == next) ++next;
    }
    EXPECT_GE(next, appenders[p]->acknowledged());
  }
  follower.End();
}

TEST_F(KafkaTest, NoticesABrokerThatHoldsItsConnectionsAndSaysNothing) {
  const auto broker = KafkaBroker::Start();
  auto bus = MustOpen(OptionsFor(broker->brokers(), topic_));
  Follower follower;
  follower.Follow(*bus, "g");
  EXPECT_FALSE(bus->Health().unreachable_since.has_value());
  broker->Pause();
  ASSERT_TRUE(watch_.Until([&] { return bus->Health().unreachable_since.has_value(); }));
  EXPECT_EQ(End(*bus, 0).status().code(), absl::StatusCode::kUnavailable);
  broker->Resume();
  ASSERT_TRUE(watch_.Until([&] { return !bus->Health().unreachable_since.has_value(); }));
  ASSERT_EQ(Append(*bus, {ContractEvent("e", KeyIn(0))}), absl::OkStatus());
  EXPECT_TRUE(watch_.Until([&] { return follower.next(0) == 1; }));
  // Ending is bounded, also with nobody there to say goodbye to.
  broker->Pause();
  const absl::Time begun = absl::Now();
  follower.End();
  bus.reset();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(20));
  broker->Resume();
}

}  // namespace
}  // namespace tandem::bus
