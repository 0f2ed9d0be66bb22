#include "common/kafka/kafka_producer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/headers.h"
#include "common/kafka/kafka_record.h"

namespace tandem::bus {
namespace {

// As a broker with its own defaults takes it; the longest body and its headers fit.
constexpr size_t kMaxMessageBytes = 1'048'576;
// Of a client that is given up. Its purge answers at once; this is for one that does not.
constexpr int kPurgePolls = 50;
constexpr int kPurgePollMs = 100;
constexpr absl::Duration kEndWithin = absl::Seconds(5);
constexpr absl::Duration kFirstBackOff = absl::Milliseconds(50);
constexpr absl::Duration kLastBackOff = absl::Seconds(5);
// Nothing depends on it: the queue rings.
constexpr absl::Duration kPollAnyway = absl::Seconds(1);

}  // namespace

// Owned by the thread too.
struct KafkaProducer::State {
  // One Append under way.
  struct Batch {
    size_t events = 0;
    size_t bytes = 0;
    Done done;
    size_t unanswered = 0;  // deliveries; the thread's alone once the first event is in the queue
    std::list<Batch>::iterator here;
  };

  State(std::shared_ptr<const KafkaConfig> its_config, Settings its_settings)
      : config(std::move(its_config)), settings(std::move(its_settings)) {}

  absl::Status MakeClient();
  void Delivered(const rd_kafka_message_t& message);
  void Run();
  void Refused(rd_kafka_resp_err_t code, const absl::Status& status) const {
    if (const auto right = RefusedRight(code, KafkaRight::kWrite)) {
      settings.access->Refused(*right, status, settings.clock->Now());
    }
  }
  void Break(absl::Status why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Replace();
  absl::Status Enqueue(const Event& event, const std::vector<Header>& headers, Batch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // To be answered on the thread.
  void AnswerSoon(Done done, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Finish(std::list<Batch>::iterator batch, absl::Status status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const std::shared_ptr<const KafkaConfig> config;
  const Settings settings;
  Bell bell;

  // Held while an append puts its events into the client's queue, so that nothing comes between
  // them.
  mutable absl::Mutex mutex;
  bool is_ending ABSL_GUARDED_BY(mutex) = false;
  absl::Status broken ABSL_GUARDED_BY(mutex);  // why the client must go
  std::list<Batch> outstanding ABSL_GUARDED_BY(mutex);
  std::deque<std::pair<Done, absl::Status>> answers ABSL_GUARDED_BY(mutex);
  Gauges gauges ABSL_GUARDED_BY(mutex);

  // Answers are given under it, so that none is given after the end.
  absl::Mutex answering;
  bool is_mute ABSL_GUARDED_BY(answering) = false;

  // Made and ended by the thread, which leaves it alone while `broken` is OK; used by appends under
  // the mutex, which leave it alone while `broken` is not.
  std::unique_ptr<KafkaClient> client;
  QueuePtr ringing;  // the client's queue of deliveries; ends before the client
};

absl::StatusOr<std::unique_ptr<KafkaProducer>> KafkaProducer::Start(
    std::shared_ptr<const KafkaConfig> config, Settings settings) {
  auto state = std::make_shared<State>(std::move(config), std::move(settings));
  if (absl::Status status = state->MakeClient(); !status.ok()) return status;
  return std::unique_ptr<KafkaProducer>(new KafkaProducer(std::move(state)));
}

KafkaProducer::KafkaProducer(std::shared_ptr<State> state) : state_(std::move(state)) {
  worker_.Start("kafka-producer", [its_state = state_] { its_state->Run(); });
}

KafkaProducer::~KafkaProducer() {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->is_ending = true;
  }
  {
    const absl::MutexLock lock(&state_->answering);
    state_->is_mute = true;
  }
  state_->bell.Ring();
  worker_.End(kEndWithin);
}

void KafkaProducer::Append(std::vector<Event> events, Done done) {
  State& state = *state_;
  absl::Status refused;
  size_t bytes = 0;
  std::vector<std::vector<Header>> headers;
  headers.reserve(events.size());
  for (const Event& event : events) {
    if (refused = Validate(event); !refused.ok()) break;
    headers.push_back(ToHeaders(event));
    const size_t size = WireBytes(event, headers.back());
    if (size > kMaxMessageBytes) {
      refused = absl::InvalidArgumentError(absl::StrCat("event \"", event.id, "\": has ", size,
                                                        " bytes with its headers, more than ",
                                                        kMaxMessageBytes));
      break;
    }
    bytes += size;
  }
  {
    const absl::MutexLock lock(&state.mutex);
    const auto fits = [](int64_t waiting, size_t more, size_t limit) {
      return waiting == 0 || static_cast<size_t>(waiting) + more <= limit;
    };
    if (refused.ok() && !state.broken.ok()) {
      refused = absl::UnavailableError(
          absl::StrCat("the producer is being replaced: ", std::string(state.broken.message())));
    } else if (refused.ok() &&
               (!fits(state.gauges.waiting_events, events.size(),
                      state.settings.max_waiting_events) ||
                !fits(state.gauges.waiting_bytes, bytes, state.settings.max_waiting_bytes))) {
      refused = absl::ResourceExhaustedError(absl::StrCat(
          state.gauges.waiting_events, " events wait for the brokers to acknowledge them"));
    }
    if (!refused.ok() || events.empty()) {
      state.AnswerSoon(std::move(done), std::move(refused));
    } else {
      state.outstanding.push_back({events.size(), bytes, std::move(done), events.size(), {}});
      State::Batch& batch = state.outstanding.back();
      batch.here = std::prev(state.outstanding.end());
      state.gauges.waiting_events += static_cast<int64_t>(events.size());
      state.gauges.waiting_bytes += static_cast<int64_t>(bytes);
      for (size_t i = 0; i < events.size(); ++i) {
        absl::Status status = state.Enqueue(events[i], headers[i], &batch);
        if (status.ok()) continue;
        // Some of it is on its way and some is not: the replacement answers for all of it.
        state.Break(std::move(status));
        break;
      }
      if (state.broken.ok()) return;
    }
  }
  state.bell.Ring();
}

KafkaProducer::Gauges KafkaProducer::Now() const {
  const absl::MutexLock lock(&state_->mutex);
  return state_->gauges;
}

absl::Status KafkaProducer::State::MakeClient() {
  // One append is always taken, however large, on top of what waits.
  constexpr size_t kAmple = 4;
  const KafkaClient::Settings client_settings = {
      {"enable.idempotence", "true"},
      // A refused batch ends the client before its successors are written.
      {"enable.gapless.guarantee", "true"},
      {"acks", "all"},
      {"message.timeout.ms", "0"},
      {"linger.ms", absl::StrCat(absl::ToDoubleMilliseconds(settings.linger))},
      {"compression.codec", "lz4"},
      // Each event is given its partition; this is for who looks at the configuration.
      {"partitioner", "murmur2_random"},
      {"message.max.bytes", absl::StrCat(kMaxMessageBytes)},
      {"queue.buffering.max.messages",
       absl::StrCat(std::clamp<size_t>(settings.max_waiting_events * kAmple, 1, 10'000'000))},
      {"queue.buffering.max.kbytes",
       absl::StrCat(std::clamp<size_t>((settings.max_waiting_bytes >> 10) * kAmple, 1, 2'097'151))},
      // A broker that neither answers nor hangs up.
      {"request.timeout.ms", "10000"},
      {"socket.timeout.ms", "10000"},
  };
  absl::StatusOr<std::unique_ptr<KafkaClient>> made = KafkaClient::Make(
      RD_KAFKA_PRODUCER, config, client_settings,
      {.delivered = [this](const rd_kafka_message_t& message) { Delivered(message); },
       .rebalanced = nullptr,
       .committed = nullptr});
  if (!made.ok()) return made.status();
  client = *std::move(made);
  ringing.reset(rd_kafka_queue_get_main(client->get()));
  RingOn(ringing.get(), &bell);
  return absl::OkStatus();
}

absl::Status KafkaProducer::State::Enqueue(const Event& event, const std::vector<Header>& headers,
                                           Batch* batch) {
  const rd_kafka_resp_err_t code =
      Produce(client->get(), settings.topic, PartitionOf(event.key, settings.partitions), event,
              headers, batch);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return KafkaError(code, absl::StrCat("event \"", event.id, "\""));
}

void KafkaProducer::State::Delivered(const rd_kafka_message_t& message) {
  auto* batch = static_cast<Batch*>(message._private);
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const ReadRecord record = ToRecord(message);
    absl::Status status =
        KafkaError(message.err, absl::StrCat("event \"", record.record->event.id, "\""));
    Refused(message.err, status);
    const absl::MutexLock lock(&mutex);
    Break(status);
    // Of all that fails with it, the event that is at fault says most.
    if (absl::IsInvalidArgument(status) && !absl::IsInvalidArgument(broken)) {
      broken = std::move(status);
    }
    return;
  }
  if (--batch->unanswered > 0) return;
  settings.access->Allowed(KafkaRight::kWrite);
  settings.access->Allowed(KafkaRight::kIdempotent);
  const absl::MutexLock lock(&mutex);
  Finish(batch->here, absl::OkStatus());
}

void KafkaProducer::State::Break(absl::Status why) {
  if (!broken.ok()) return;
  config->Log(KafkaLogLevel::kError,
              absl::StrCat("the producer is given up: ", std::string(why.message())));
  broken = std::move(why);
}

void KafkaProducer::State::AnswerSoon(Done done, absl::Status status) {
  answers.emplace_back(std::move(done), std::move(status));
}

void KafkaProducer::State::Finish(std::list<Batch>::iterator batch, absl::Status status) {
  gauges.waiting_events -= static_cast<int64_t>(batch->events);
  gauges.waiting_bytes -= static_cast<int64_t>(batch->bytes);
  AnswerSoon(std::move(batch->done), std::move(status));
  outstanding.erase(batch);
}

void KafkaProducer::State::Run() {
  while (true) {
    while (rd_kafka_poll(client->get(), 0) > 0) {
    }
    std::deque<std::pair<Done, absl::Status>> ready;
    bool must_replace = false;
    {
      const absl::MutexLock lock(&mutex);
      std::array<char, 256> reason = {};
      if (const auto code = rd_kafka_fatal_error(client->get(), reason.data(), reason.size());
          code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const absl::Status status = KafkaError(code, reason.data());
        Refused(code, status);
        Break(status);
      }
      must_replace = !broken.ok();
      ready.swap(answers);
      if (is_ending) break;
    }
    for (auto& [done, status] : ready) {
      const absl::MutexLock lock(&answering);
      if (is_mute) break;
      done(std::move(status));
    }
    if (must_replace) {
      Replace();
      if (client == nullptr) return;  // ending
    } else if (ready.empty()) {
      bell.Wait(kPollAnyway);
    }
  }
  rd_kafka_purge(client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  client->Mute();
  ringing.reset();
  client.reset();
}

void KafkaProducer::State::Replace() {
  rd_kafka_purge(client->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  for (int i = 0; i < kPurgePolls && rd_kafka_outq_len(client->get()) > 0; ++i) {
    rd_kafka_poll(client->get(), kPurgePollMs);
  }
  ringing.reset();
  client.reset();
  absl::Duration back_off = kFirstBackOff;
  std::minstd_rand jitter{std::random_device{}()};
  for (absl::Status made = MakeClient(); !made.ok(); made = MakeClient()) {
    config->Log(KafkaLogLevel::kError,
                absl::StrCat("no new producer: ", std::string(made.message())));
    bell.Wait(back_off * std::uniform_real_distribution<>(0.5, 1.0)(jitter));
    back_off = std::min(back_off * 2, kLastBackOff);
    const absl::MutexLock lock(&mutex);
    if (is_ending) return;
  }
  const absl::MutexLock lock(&mutex);
  ++gauges.replacements;
  // The old client is gone and answers no more: what it had not acknowledged may be appended again.
  while (!outstanding.empty()) Finish(outstanding.begin(), broken);
  broken = absl::OkStatus();
}

}  // namespace tandem::bus
