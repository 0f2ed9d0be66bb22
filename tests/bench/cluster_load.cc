// What cluster_bench has at its hands: one measurement a call, against servers that it has started.
//
//   cluster_load serve-echo                       a raw gRPC echo; says its PORT
//   cluster_load serve-requester                  account_health's stand-in for intake alone; PORT
//   cluster_load accounts ADDRESS COUNT           the customers of OpenTicket
//   cluster_load echo ADDRESS OUTSTANDING SECONDS
//   cluster_load open ADDRESS OUTSTANDING SECONDS NAME
//   cluster_load way INTAKE HEALTH BROKERS SECONDS ACCOUNTS NAME
//   cluster_load timers SLA BROKERS COUNT DUE
//   cluster_load fill BROKERS COUNT
//   cluster_load raw-consume BROKERS COUNT
//   cluster_load raw-latency BROKERS SECONDS
//
// Each prints lines of a word and numbers. The two servers end when their standard input does.
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/bus/headers.h"
#include "common/executor/threaded.h"
#include "common/kafka/kafka_bus.h"
#include "common/kafka/kafka_log_writer.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/rpc/channel.h"
#include "common/rpc/echo.pb.h"
#include "common/rpc/server.h"
#include "common/time/system_clock.h"
#include "tandem/events/v1/sla.pb.h"
#include "tandem/sla/v1/policy_service.pb.h"
#include "tests/bench/load.h"
#include "tests/bench/raw_echo.h"
#include "tests/bench/tickets.h"
#include "tests/integration/kafka_broker.h"

namespace tandem::bench {
namespace {

constexpr char kEcho[] = "tandem.rpc.testing.EchoService/Echo";
constexpr int kPartitions = 12;  // what a topic is made with by default
constexpr int kWayRate = 100;    // tickets a second
constexpr int kRawRate = 1'000;  // records a second
constexpr int kCredit = 1'000;   // events a partition that the watcher asks for at a time
constexpr absl::Duration kPatience = absl::Minutes(3);

const time::SystemClock kClock;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "cluster_load: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) Fail(value.status().ToString());
  return *std::move(value);
}

// Lets the others work for a moment; a benchmark paces its load by the clock.
void Pause(absl::Duration moment) {
  absl::Notification never;
  never.WaitForNotificationWithTimeout(moment);
}

void AwaitEnd() {
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
}

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::string Millis(const Histogram& latencies) {
  return absl::StrFormat("%.2f %.2f %.2f", absl::ToDoubleMilliseconds(latencies.At(0.5)),
                         absl::ToDoubleMilliseconds(latencies.At(0.99)),
                         absl::ToDoubleMilliseconds(latencies.max()));
}

int64_t Number(const std::string& word) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(word, &number) || number < 0) Fail(word + " is no number");
  return number;
}

int ServeEcho() {
  const RawEcho echo(kEcho);
  Say(absl::StrCat("PORT ", echo.port()));
  AwaitEnd();
  return 0;
}

int ServeRequester() {
  KnownRequester known;
  log::Logger logger({"bench", log::Level::kError, [] { return kClock.Now(); }, 1},
                     log::StderrSink());
  metrics::Registry registry("bench");
  rpc::ServerOptions options;
  options.address = "127.0.0.1:0";
  const auto server = Must(rpc::Server::Start(options, {&known}, &logger, &registry));
  server->SetServing(true);
  Say(absl::StrCat("PORT ", server->port()));
  AwaitEnd();
  server->Drain(kClock.Now() + absl::Seconds(5));
  return 0;
}

// Asks one question after another and waits for each answer.
class Client {
 public:
  explicit Client(const std::string& address) : executor_("client", &kClock) {
    rpc::ChannelOptions options;
    options.caller = "bench";
    for (const char* package : {"tandem.account.v1", "tandem.sla.v1"}) {
      options.targets[package] = address;
    }
    options.deadline = absl::Seconds(10);
    peer_ = Must(rpc::ChannelPeer::Create(options, &executor_, &kClock));
  }

  template <typename Reply, typename Request>
  Reply Ask(const std::string& method, const Request& request) {
    absl::Notification answered;
    absl::StatusOr<corridor::MessagePtr> answer;
    corridor::CallContext context;
    context.caller = "bench";
    context.deadline = kClock.Now() + absl::Seconds(10);
    peer_->Ask(context, method, std::make_shared<const Request>(request),
               [&](absl::StatusOr<corridor::MessagePtr> reply) {
                 answer = std::move(reply);
                 answered.Notify();
               });
    answered.WaitForNotification();
    return static_cast<const Reply&>(*Must(std::move(answer)));
  }

 private:
  executor::ThreadedExecutor executor_;
  std::unique_ptr<rpc::ChannelPeer> peer_;
};

int PutAccounts(const std::string& address, int64_t count) {
  Client client(address);
  for (int i = 0; i < count; ++i) {
    client.Ask<account::v1::PutAccountResponse>(kPutAccount, PutAccount(i));
    client.Ask<account::v1::PutContactResponse>(kPutContact, PutContact(i));
  }
  return 0;
}

int Load(const std::string& address, const char* method, int64_t outstanding, int64_t seconds,
         std::function<std::string(int64_t)> request) {
  LoadOptions options;
  options.target = address;
  options.method = method;
  options.caller = "bench";
  options.outstanding = static_cast<int>(outstanding);
  options.measured = absl::Seconds(seconds);
  options.request = std::move(request);
  const LoadReport report = RunLoad(options);
  int64_t errors = 0;
  for (const auto& [code, count] : report.errors) errors += count;
  if (errors > 0) std::fprintf(stderr, "cluster_load: %s\n", report.ToString().c_str());
  Say(absl::StrFormat("RATE %.0f %s %d", report.rate, Millis(report.latencies), errors));
  return 0;
}

bus::KafkaOptions BusOptions(const std::string& brokers) {
  bus::KafkaOptions options;
  options.client.brokers = brokers;
  options.topic.replication_factor = 1;
  options.topic.min_insync_replicas = 1;
  options.topic.allow_unsafe = true;
  options.group_prefix = bus::NewName("bench") + ".";
  options.clock = &kClock;
  options.fatal = [](absl::Status why) { Fail(why.ToString()); };
  return options;
}

// Hears every event of the topic, from its beginning, as one more group.
class Watcher : public bus::Listener {
 public:
  using Heard = std::function<void(const bus::Event&, absl::Time at)>;
  Watcher(bus::Bus& bus, Heard heard) : heard_(std::move(heard)) {
    auto joined = Must(bus.Join("watcher", this));
    const absl::MutexLock lock(&mutex_);
    member_ = std::move(joined);
    for (const int partition : assigned_) Begin(partition);
  }
  ~Watcher() override {
    std::unique_ptr<bus::Consumer> member;  // ends outside of the lock
    const absl::MutexLock lock(&mutex_);
    member = std::move(member_);
  }
  void AwaitAll() {
    const absl::MutexLock lock(&mutex_);
    const auto has_all = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return static_cast<int>(assigned_.size()) == kPartitions;
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&has_all), absl::Seconds(60))) {
      Fail("the watcher is given no partitions");
    }
  }
  void Assigned(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    assigned_.insert(assigned_.end(), partitions.begin(), partitions.end());
    if (member_ == nullptr) return;
    for (const int partition : partitions) Begin(partition);
  }
  void Revoked(std::vector<int>) override {}
  void Records(int partition, int64_t, std::vector<bus::RecordPtr> records) override {
    const absl::Time now = absl::Now();
    for (const bus::RecordPtr& record : records) heard_(record->event, now);
    const absl::MutexLock lock(&mutex_);
    if (member_ != nullptr) member_->More(partition, kCredit);
  }
  void Stopped(int, absl::Status why) override { Fail(why.ToString()); }

 private:
  void Begin(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    member_->Seek(partition, 0, 1);
    member_->More(partition, kCredit);
  }
  const Heard heard_;
  absl::Mutex mutex_;
  std::vector<int> assigned_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<bus::Consumer> member_ ABSL_GUARDED_BY(mutex_);
};

// The two ends of tickets' ways, whichever is heard of first.
class Ways {
 public:
  void Began(const std::string& ticket, absl::Time at) {
    const absl::MutexLock lock(&mutex_);
    Note(ticket).began = at;
    Count(ticket);
  }
  void Ended(const std::string& ticket, absl::Time at) {
    const absl::MutexLock lock(&mutex_);
    // The first of several: it is repeated when its relay was cut off.
    std::optional<absl::Time>& ended = Note(ticket).ended;
    if (ended.has_value()) return;
    ended = at;
    Count(ticket);
  }
  // All that began, or how many did not end in time.
  int64_t Await(int64_t count, absl::Duration within) {
    const absl::MutexLock lock(&mutex_);
    const auto all = [&]()
                         ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return taken_.count() >= count; };
    mutex_.AwaitWithTimeout(absl::Condition(&all), within);
    return count - taken_.count();
  }
  Histogram taken() const {
    const absl::MutexLock lock(&mutex_);
    return taken_;
  }

 private:
  struct Way {
    std::optional<absl::Time> began, ended;
  };
  Way& Note(const std::string& ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ways_[ticket];
  }
  void Count(const std::string& ticket) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Way& way = ways_[ticket];
    if (way.began.has_value() && way.ended.has_value()) taken_.Add(*way.ended - *way.began);
  }
  mutable absl::Mutex mutex_;
  std::map<std::string, Way> ways_ ABSL_GUARDED_BY(mutex_);
  Histogram taken_ ABSL_GUARDED_BY(mutex_);
};

// A ticket's whole way at 100 tickets a second: from the instant that its command was due to the
// last of its events (classified, queued, clocks armed) read from the topic; and, where they are of
// one customer, to account_health's commit of it, which puts it on the timeline.
int WholeWay(const std::string& intake, const std::string& health, const std::string& brokers,
             int64_t seconds, int64_t accounts, const std::string& name) {
  const auto bus = Must(bus::OpenKafka(BusOptions(brokers)));
  Ways to_clock;
  Watcher watcher(*bus, [&](const bus::Event& event, absl::Time now) {
    events::v1::SlaClockStarted body;
    if (event.type != body.GetDescriptor()->full_name() || !body.ParseFromString(event.body))
      return;
    // The clock that the classification armed.
    if (body.clock().metric() != type::v1::SLA_METRIC_RESOLUTION || !body.retargeted()) return;
    to_clock.Ended(body.clock().ticket_id(), now);
  });
  watcher.AwaitAll();

  absl::Mutex mutex;
  std::map<std::string, absl::Time> followed;  // to the timeline: since when they are due
  bool is_over = false;
  Histogram to_timeline;
  std::jthread follower([&] {
    Client client(health);
    account::v1::GetTimelineRequest timeline;
    timeline.set_account_id(AccountOf(0));
    timeline.set_order(account::v1::TIMELINE_ORDER_NEWEST_FIRST);
    timeline.set_page_size(200);
    const auto has_work = [&] { return !followed.empty() || is_over; };
    while (true) {
      {
        const absl::MutexLock lock(&mutex);
        mutex.Await(absl::Condition(&has_work));
        if (followed.empty()) return;
        if (absl::Now() > followed.begin()->second + kPatience) Fail("not on the timeline");
      }
      const auto page = client.Ask<account::v1::GetTimelineResponse>(kGetTimeline, timeline);
      const absl::Time now = absl::Now();
      {
        const absl::MutexLock lock(&mutex);
        for (const auto& entry : page.entries()) {
          if (entry.type() != "SlaClockStarted") continue;
          const auto found = followed.find(entry.subject_id());
          if (found == followed.end()) continue;
          to_timeline.Add(now - found->second);
          followed.erase(found);
        }
      }
      Pause(absl::Milliseconds(1));
    }
  });

  LoadOptions options;
  options.target = intake;
  options.method = kOpenTicket;
  options.caller = "bench";
  options.rate = kWayRate;
  options.outstanding = 64 * kWayRate / 10;
  options.warm_up = absl::ZeroDuration();
  options.measured = absl::Seconds(seconds);
  options.timeout = absl::Seconds(20);
  options.request = [&](int64_t index) {
    return OpenTicket(absl::StrCat(name, index), static_cast<int>(index % accounts))
        .SerializeAsString();
  };
  options.answered = [&](int64_t index, absl::Duration latency, const std::string& reply) {
    intake::v1::OpenTicketResponse opened;
    if (!opened.ParseFromString(reply)) Fail("an answer that is none");
    const absl::Time due = absl::Now() - latency;
    to_clock.Began(opened.ticket_id(), due);
    // Every tenth, by asking for the timeline of the first customer.
    if (accounts > 1 || index % 10 != 0) return;
    const absl::MutexLock lock(&mutex);
    followed[opened.ticket_id()] = due;
  };
  const LoadReport report = RunLoad(options);
  const int64_t missing = to_clock.Await(report.answered, absl::Seconds(30));
  {
    const absl::MutexLock lock(&mutex);
    is_over = true;
  }
  follower.join();
  int64_t errors = 0;
  for (const auto& [code, count] : report.errors) errors += count;
  if (errors > 0) std::fprintf(stderr, "cluster_load: %s\n", report.ToString().c_str());
  Say(absl::StrCat("WAY ", report.answered, " ", errors, " ", missing, " ",
                   Millis(to_clock.taken()), " ", Millis(to_timeline)));
  return 0;
}

// Tickets whose first response, and nothing else, is due in the same second: they are put into the
// topic, then their breaches are waited for. FIRED: how many, when the first and the last breach
// was read, seconds after the due instant, and their lateness.
int Timers(const std::string& sla_timer, const std::string& brokers, int64_t count,
           absl::Time due) {
  const auto bus = Must(bus::OpenKafka(BusOptions(brokers)));
  absl::Mutex mutex;
  Histogram lateness;
  std::set<std::string> breached, started;  // each once, though a relay that is cut off repeats
  int64_t repeated = 0;
  absl::Time first, last;
  Watcher watcher(*bus, [&](const bus::Event& event, absl::Time now) {
    events::v1::SlaClockStarted clock;
    const absl::MutexLock lock(&mutex);
    if (event.type == clock.GetDescriptor()->full_name() && clock.ParseFromString(event.body) &&
        clock.clock().metric() == type::v1::SLA_METRIC_FIRST_RESPONSE) {
      started.insert(event.subject);
    }
    if (event.type != events::v1::SlaBreached::descriptor()->full_name()) return;
    if (!breached.insert(event.subject).second) {
      ++repeated;
      return;
    }
    if (breached.size() == 1) first = now;
    lateness.Add(now - due);
    last = now;
  });
  watcher.AwaitAll();
  const auto await = [&](const std::set<std::string>& what, absl::Time deadline) {
    const absl::MutexLock lock(&mutex);
    const auto all = [&] { return static_cast<int64_t>(what.size()) >= count; };
    mutex.AwaitWithDeadline(absl::Condition(&all), deadline);
    return what.size();
  };
  const absl::Time begun = absl::Now();
  // A ticket has the policy that was in force when it was opened.
  const absl::Time opened_at = begun + absl::Seconds(1);
  Client(sla_timer).Ask<sla::v1::ApplyPolicyResponse>(kApplySlaPolicy,
                                                      OneDeadline(due - opened_at));
  for (int64_t from = 0; from < count; from += 500) {
    std::vector<bus::Event> events;
    for (int64_t i = from; i < std::min(count, from + 500); ++i) {
      events.push_back(Opened(i, opened_at));
    }
    absl::Notification appended;
    bus->Append(std::move(events), [&](absl::Status status) {
      if (!status.ok()) Fail(status.ToString());
      appended.Notify();
    });
    appended.WaitForNotification();
  }
  const size_t armed = await(started, due - absl::Seconds(1));
  Say(absl::StrFormat("ARMED %d %.2f", armed, absl::ToDoubleSeconds(absl::Now() - begun)));
  await(breached, std::max(absl::Now(), due) + kPatience);
  const absl::MutexLock lock(&mutex);
  Say(absl::StrFormat("FIRED %d %d %.2f %.2f %.2f %.2f", breached.size(), repeated,
                      absl::ToDoubleSeconds(first - due), absl::ToDoubleSeconds(last - due),
                      absl::ToDoubleSeconds(lateness.At(0.5)),
                      absl::ToDoubleSeconds(lateness.At(0.99))));
  return 0;
}

// A backlog: tickets' whole lives.
int FillTopic(const std::string& brokers, int64_t count) {
  bus::KafkaLogWriterOptions options;
  options.client.brokers = brokers;
  options.topic = BusOptions(brokers).topic;
  options.topic.create = true;
  options.topic.partitions = kPartitions;
  options.clock = &kClock;
  const auto writer = Must(bus::OpenKafkaLogWriter(options));
  const absl::Time begun = absl::Now();
  for (int64_t i = 0; i < count; ++i) {
    const bus::Event event = OfALife(i, begun - absl::Minutes(10));
    const absl::Status appended =
        writer->Append(bus::PartitionOf(event.key, writer->partitions()), event);
    if (!appended.ok()) Fail(appended.ToString());
  }
  const absl::Status flushed = writer->Flush();
  if (!flushed.ok()) Fail(flushed.ToString());
  Say(absl::StrFormat("FILLED %d %.2f", count, absl::ToDoubleSeconds(absl::Now() - begun)));
  return 0;
}

// A consumer of librdkafka, from the beginning of every partition; nothing is done with records.
class RawConsumer {
 public:
  RawConsumer(const std::string& brokers, const std::string& topic)
      : client_(RD_KAFKA_CONSUMER, brokers,
                {{"group.id", bus::NewName("raw")}, {"enable.auto.commit", "false"}}) {
    rd_kafka_poll_set_consumer(client_.get());
    rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(kPartitions);
    for (int p = 0; p < kPartitions; ++p) {
      rd_kafka_topic_partition_list_add(all, topic.c_str(), p)->offset = 0;
    }
    if (rd_kafka_assign(client_.get(), all) != RD_KAFKA_RESP_ERR_NO_ERROR) Fail("assign");
    rd_kafka_topic_partition_list_destroy(all);
  }
  ~RawConsumer() { rd_kafka_consumer_close(client_.get()); }

  // Until `count` records were taken.
  void Take(int64_t count, const std::function<void(const rd_kafka_message_t&)>& take) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (count > 0) {
      if (absl::Now() > deadline) Fail("the topic holds less than it should");
      rd_kafka_message_t* message = rd_kafka_consumer_poll(client_.get(), 100);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take(*message);
        --count;
      }
      rd_kafka_message_destroy(message);
    }
  }

 private:
  bus::ForeignClient client_;
};

int RawConsume(const std::string& brokers, int64_t count) {
  RawConsumer consumer(brokers, bus::KafkaTopicOptions().name);
  const absl::Time begun = absl::Now();
  consumer.Take(count, [](const rd_kafka_message_t&) {});
  Say(absl::StrFormat("CONSUMED %d %.2f", count, absl::ToDoubleSeconds(absl::Now() - begun)));
  return 0;
}

// From the instant that a record was due to be produced to its arrival at a consumer, at 1,000 a
// second, with the services' own settings of what a record waits for.
int RawLatency(const std::string& brokers, int64_t seconds) {
  const std::string topic = bus::NewName("raw");
  bus::ForeignClient producer(RD_KAFKA_PRODUCER, brokers,
                              {{"enable.idempotence", "true"},
                               {"acks", "all"},
                               {"linger.ms", "1"},
                               {"compression.codec", "lz4"},
                               {"socket.nagle.disable", "true"}});
  producer.CreateTopic(topic, kPartitions);
  const int64_t count = (seconds + 1) * kRawRate;  // the first second warms up
  Histogram latencies;
  std::jthread consuming([&] {
    RawConsumer consumer(brokers, topic);
    int64_t taken = 0;
    consumer.Take(count, [&](const rd_kafka_message_t& message) {
      const std::string due(static_cast<const char*>(message.payload), 16);
      if (++taken > kRawRate) latencies.Add(absl::Now() - absl::FromUnixMicros(Number(due)));
    });
  });
  const absl::Time begin = absl::Now() + absl::Milliseconds(500);
  for (int64_t i = 0; i < count; ++i) {
    const absl::Time due = begin + absl::Seconds(1) * i / kRawRate;
    for (absl::Time now = absl::Now(); now < due; now = absl::Now()) Pause(due - now);
    std::string body = absl::StrFormat("%016d", absl::ToUnixMicros(due));
    body.resize(200, 'x');
    if (rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                          RD_KAFKA_V_PARTITION(static_cast<int32_t>(i % kPartitions)),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(body.data(), body.size()),
                          RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      Fail("produce");
    }
    rd_kafka_poll(producer.get(), 0);
  }
  rd_kafka_flush(producer.get(), 30'000);
  consuming.join();
  Say(absl::StrCat("LATENCY ", Millis(latencies)));
  return 0;
}

int Main(const std::vector<std::string>& words) {
  const auto is = [&](const char* role, size_t arguments) {
    return words.size() == arguments + 1 && words[0] == role;
  };
  if (is("serve-echo", 0)) return ServeEcho();
  if (is("serve-requester", 0)) return ServeRequester();
  if (is("accounts", 2)) return PutAccounts(words[1], Number(words[2]));
  if (is("echo", 3)) {
    rpc::testing::EchoRequest request;
    request.set_text(std::string(200, 'x'));
    return Load(words[1], kEcho, Number(words[2]), Number(words[3]),
                [bytes = request.SerializeAsString()](int64_t) { return bytes; });
  }
  if (is("open", 4)) {
    return Load(words[1], kOpenTicket, Number(words[2]), Number(words[3]), [&](int64_t index) {
      return OpenTicket(absl::StrCat(words[4], index)).SerializeAsString();
    });
  }
  if (is("way", 6)) {
    return WholeWay(words[1], words[2], words[3], Number(words[4]), Number(words[5]), words[6]);
  }
  if (is("timers", 4)) {
    return Timers(words[1], words[2], Number(words[3]), absl::FromUnixSeconds(Number(words[4])));
  }
  if (is("fill", 2)) return FillTopic(words[1], Number(words[2]));
  if (is("raw-consume", 2)) return RawConsume(words[1], Number(words[2]));
  if (is("raw-latency", 2)) return RawLatency(words[1], Number(words[2]));
  Fail("usage: see the head of tests/bench/cluster_load.cc");
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tandem::bench::Main({argv + 1, argv + argc});
}
