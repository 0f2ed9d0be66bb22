// What the bus costs over Kafka: the time from an append to its delivery at 1,000 events a second,
// and the most events a second in appends of 512, beside a producer of librdkafka alone with the
// same main settings. The broker is one node on this machine (tests/integration/kafka).
//
// usage: kafka_bench [SECONDS]   of each measurement; default 10
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/bus/headers.h"
#include "common/kafka/kafka_bus.h"
#include "common/time/system_clock.h"
#include "tests/integration/kafka_broker.h"

namespace tandem::bus {
namespace {

constexpr int kPartitions = 8;
constexpr int kEventsPerAppend = 512;
// One append is under way and the next is made meanwhile, as by two services; more do not help.
constexpr int kAppendsUnderWay = 2;
constexpr int kRate = 1'000;

const time::SystemClock kClock;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "kafka_bench: %s\n", why.c_str());
  std::exit(1);
}

Event MakeEvent(int64_t number) {
  Event event;
  event.id = absl::StrFormat("ev_%024d", number);
  event.source = "triage";
  event.type = "tandem.events.v1.TicketTriaged";
  event.subject = absl::StrFormat("t_%024d", number % 1'000);
  event.key = absl::StrFormat("a_%024d", number % 1'000);
  event.time = absl::UnixEpoch() + absl::Milliseconds(number);
  event.sequence = number + 1;
  event.cause = event.id;
  event.body = std::string(120, static_cast<char>('a' + number % 26));
  return event;
}

KafkaOptions Options(const std::string& topic) {
  KafkaOptions options;
  options.client.brokers = KafkaBroker::Shared()->brokers();
  options.topic.name = topic;
  options.topic.create = true;
  options.topic.partitions = kPartitions;
  options.topic.replication_factor = 1;
  options.topic.min_insync_replicas = 1;
  options.topic.allow_unsafe = true;
  options.group_prefix = topic + ".";
  options.clock = &kClock;
  return options;
}

std::unique_ptr<KafkaBus> MustOpen(const KafkaOptions& options) {
  auto bus = OpenKafka(options);
  if (!bus.ok()) Fail(std::string(bus.status().message()));
  return *std::move(bus);
}

// Reads all partitions from their begin, and notes how long each event was under way: its cause is
// the instant of its append.
class Taker : public Listener {
 public:
  void Join(Bus& bus) {
    auto joined = bus.Join("bench", this);
    if (!joined.ok()) Fail(std::string(joined.status().message()));
    const absl::MutexLock lock(&mutex_);
    consumer_ = *std::move(joined);
    for (const int p : held_) Start(p);
  }
  void Assigned(std::vector<int> partitions) override {
    const absl::MutexLock lock(&mutex_);
    held_.insert(held_.end(), partitions.begin(), partitions.end());
    if (consumer_ == nullptr) return;
    for (const int p : partitions) Start(p);
  }
  void Revoked(std::vector<int>) override {}
  void Records(int partition, int64_t, std::vector<RecordPtr> records) override {
    const absl::Time now = absl::Now();
    const absl::MutexLock lock(&mutex_);
    taken_ += records.size();
    for (const RecordPtr& record : records) {
      if (const int64_t sent = std::atoll(record->event.cause.c_str()); sent > 0) {
        micros_.push_back(absl::ToUnixMicros(now) - sent);
      }
    }
    consumer_->More(partition, 512);
  }
  void Stopped(int, absl::Status why) override { Fail(std::string(why.message())); }
  bool HasAll(int partitions) {
    const absl::MutexLock lock(&mutex_);
    return static_cast<int>(held_.size()) == partitions && consumer_ != nullptr;
  }
  size_t taken() {
    const absl::MutexLock lock(&mutex_);
    return taken_;
  }
  std::vector<int64_t> micros() {
    const absl::MutexLock lock(&mutex_);
    return micros_;
  }
  void End() {
    std::unique_ptr<Consumer> ending;
    {
      const absl::MutexLock lock(&mutex_);
      ending = std::move(consumer_);
    }
  }

 private:
  void Start(int partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    consumer_->Seek(partition, 0, 1);
    consumer_->More(partition, 512);
  }
  absl::Mutex mutex_;
  std::unique_ptr<Consumer> consumer_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> micros_ ABSL_GUARDED_BY(mutex_);
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
};

template <typename Reached>
void Until(const Reached& reached) {
  Bell bell;
  for (const absl::Time deadline = absl::Now() + absl::Seconds(60); !reached();) {
    if (absl::Now() > deadline) Fail("nothing happens for a minute");
    bell.Wait(absl::Milliseconds(1));
  }
}

double Percentile(std::vector<int64_t> micros, double share) {
  std::sort(micros.begin(), micros.end());
  const auto at = static_cast<size_t>(share * static_cast<double>(micros.size()));
  return static_cast<double>(micros[std::min(at, micros.size() - 1)]) / 1e3;
}

void MeasureLatency(absl::Duration length) {
  const auto bus = MustOpen(Options(NewName("latency")));
  Taker taker;
  taker.Join(*bus);
  Until([&] { return taker.HasAll(kPartitions); });
  const auto count = static_cast<int64_t>(absl::ToDoubleSeconds(length) * kRate);
  // The first second warms up, and is not counted.
  const absl::Time begin = absl::Now();
  Bell bell;
  for (int64_t i = 0; i < count + kRate; ++i) {
    const absl::Time due = begin + absl::Seconds(1) * i / kRate;
    for (absl::Time now = absl::Now(); now < due; now = absl::Now()) bell.Wait(due - now);
    Event event = MakeEvent(i);
    // From the instant that it was due: one that is sent late counts its wait.
    event.cause = i < kRate ? "warm-up" : absl::StrCat(absl::ToUnixMicros(due));
    bus->Append({std::move(event)}, [](absl::Status status) {
      if (!status.ok()) Fail(std::string(status.message()));
    });
  }
  Until([&] { return taker.taken() >= static_cast<size_t>(count + kRate); });
  const std::vector<int64_t> micros = taker.micros();
  taker.End();
  std::printf("append to delivery, %d/s       p50 %.2f ms   p99 %.2f ms\n", kRate,
              Percentile(micros, 0.5), Percentile(micros, 0.99));
}

double MeasureBus(absl::Duration length) {
  const auto bus = MustOpen(Options(NewName("bus")));
  absl::Mutex mutex;
  int64_t acknowledged = 0;
  int under_way = 0;
  Bell bell;
  int64_t made = 0;
  const absl::Time begin = absl::Now();
  const absl::Time end = begin + length;
  while (absl::Now() < end) {
    std::vector<Event> events;
    for (int i = 0; i < kEventsPerAppend; ++i) events.push_back(MakeEvent(made++));
    {
      const absl::MutexLock lock(&mutex);
      ++under_way;
    }
    bus->Append(std::move(events), [&](absl::Status status) {
      if (!status.ok()) Fail(std::string(status.message()));
      {
        const absl::MutexLock lock(&mutex);
        acknowledged += kEventsPerAppend;
        --under_way;
      }
      bell.Ring();
    });
    const auto is_full = [&] {
      const absl::MutexLock lock(&mutex);
      return under_way >= kAppendsUnderWay;
    };
    while (is_full()) bell.Wait(absl::Seconds(1));
  }
  Until([&] {
    const absl::MutexLock lock(&mutex);
    return under_way == 0;
  });
  return static_cast<double>(acknowledged) / absl::ToDoubleSeconds(absl::Now() - begin);
}

// The same records with the same main settings, the same number under way, and nothing around it.
double MeasureRaw(absl::Duration length) {
  const std::string topic = NewName("raw");
  const std::string& brokers = KafkaBroker::Shared()->brokers();
  ForeignClient(RD_KAFKA_PRODUCER, brokers).CreateTopic(topic, kPartitions);
  static int64_t acknowledged;
  acknowledged = 0;
  char error[256];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, std::string>>{{"bootstrap.servers", brokers},
                                                        {"enable.idempotence", "true"},
                                                        {"acks", "all"},
                                                        {"linger.ms", "1"},
                                                        {"compression.codec", "lz4"},
                                                        {"socket.nagle.disable", "true"},
                                                        {"message.timeout.ms", "0"}}) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof(error)) != RD_KAFKA_CONF_OK) {
      Fail(error);
    }
  }
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) Fail(rd_kafka_err2str(message->err));
    ++acknowledged;
  });
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
  if (producer == nullptr) Fail(error);
  int64_t made = 0;
  const absl::Time begin = absl::Now();
  const absl::Time end = begin + length;
  while (absl::Now() < end) {
    for (int i = 0; i < kEventsPerAppend; ++i) {
      const Event event = MakeEvent(made++);
      const std::vector<Header> headers = ToHeaders(event);
      rd_kafka_headers_t* raw = rd_kafka_headers_new(headers.size());
      for (const Header& header : headers) {
        rd_kafka_header_add(raw, header.name.data(), static_cast<ssize_t>(header.name.size()),
                            header.value.data(), static_cast<ssize_t>(header.value.size()));
      }
      if (rd_kafka_producev(
              producer, RD_KAFKA_V_TOPIC(topic.c_str()),
              RD_KAFKA_V_PARTITION(PartitionOf(event.key, kPartitions)),
              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
              RD_KAFKA_V_KEY(const_cast<char*>(event.key.data()), event.key.size()),
              RD_KAFKA_V_VALUE(const_cast<char*>(event.body.data()), event.body.size()),
              RD_KAFKA_V_HEADERS(raw), RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        Fail("produce");
      }
    }
    while (made - acknowledged > (kAppendsUnderWay - 1) * kEventsPerAppend) {
      rd_kafka_poll(producer, 100);
    }
  }
  rd_kafka_flush(producer, 60'000);
  const double rate =
      static_cast<double>(acknowledged) / absl::ToDoubleSeconds(absl::Now() - begin);
  rd_kafka_destroy(producer);
  return rate;
}

// How long a question for the end takes, one at a time.
void MeasureEndOffset() {
  const auto bus = MustOpen(Options(NewName("ends")));
  std::vector<int64_t> micros;
  for (int i = 0; i < 500; ++i) {
    const absl::Time begin = absl::Now();
    Bell bell;
    bus->EndOffset(i % kPartitions, [&](const absl::StatusOr<int64_t>& end) {
      if (!end.ok()) Fail(std::string(end.status().message()));
      bell.Ring();
    });
    bell.Wait(absl::Seconds(10));
    micros.push_back(absl::ToInt64Microseconds(absl::Now() - begin));
  }
  std::printf("EndOffset                        p50 %.2f ms   p99 %.2f ms\n",
              Percentile(micros, 0.5), Percentile(micros, 0.99));
}

}  // namespace
}  // namespace tandem::bus

int main(int argc, char** argv) {
  using namespace tandem::bus;  // NOLINT: this file's own names
  if (KafkaBroker::Shared() == nullptr) return 77;
  const absl::Duration length = absl::Seconds(argc > 1 ? std::max(1, std::atoi(argv[1])) : 10);
  MeasureRaw(length / 2);  // a broker that has just started compiles itself first
  MeasureLatency(length);
  MeasureEndOffset();
  // In turns, so that neither has the quieter moments of the machine.
  double raw = 0;
  double bus = 0;
  for (int round = 0; round < 3; ++round) {
    raw += MeasureRaw(length / 3) / 3;
    bus += MeasureBus(length / 3) / 3;
  }
  std::printf(
      "appends of %d, %d under way     bus %.0f events/s   librdkafka alone %.0f   ratio %.2f\n",
      kEventsPerAppend, kAppendsUnderWay, bus, raw, bus / raw);
  return 0;
}
