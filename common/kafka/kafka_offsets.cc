#include "common/kafka/kafka_offsets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem::bus {
namespace {

// Of one partition; who asks waits for an answer before it asks again, so this many are a fault.
constexpr size_t kMaxWaiting = 10'000;

constexpr int kLeaderTries = 20;
constexpr absl::Duration kLeaderPause = absl::Milliseconds(25);

}  // namespace

// Owned by the thread too: an ask that outlasts the deadline of the end finds all that it uses.
struct KafkaOffsets::State {
  State(std::unique_ptr<KafkaClient> its_client, Settings its_settings)
      : settings(std::move(its_settings)),
        client(std::move(its_client)),
        waiting(static_cast<size_t>(settings.partitions)) {}

  struct Question {
    bool with_first = false;
    Answer answer;
  };

  bool IsUnreachable() const {
    const absl::MutexLock lock(&mutex);
    return health.unreachable_since.has_value();
  }

  const Settings settings;
  const std::unique_ptr<KafkaClient> client;
  Bell bell;

  mutable absl::Mutex mutex;
  bool is_ending ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::vector<Question>> waiting ABSL_GUARDED_BY(mutex);
  KafkaHealth health ABSL_GUARDED_BY(mutex);

  // Answers are given under it, so that none is given after the end.
  absl::Mutex answering;
  bool is_mute ABSL_GUARDED_BY(answering) = false;

  // Touched by the thread alone.
  absl::Time probe_at;
  bool has_told_change = false;
};

KafkaOffsets::KafkaOffsets(std::unique_ptr<KafkaClient> client, Settings settings)
    : state_(std::make_shared<State>(std::move(client), std::move(settings))) {
  worker_.Start("kafka-offsets", [state = state_] { Run(*state); });
}

KafkaOffsets::~KafkaOffsets() {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->is_ending = true;
  }
  {
    const absl::MutexLock lock(&state_->answering);
    state_->is_mute = true;
  }
  state_->bell.Ring();
  if (!worker_.End(state_->settings.ask_timeout * 2 + absl::Seconds(1))) state_->client->Mute();
}

void KafkaOffsets::Ask(int partition, bool with_first, Answer answer) {
  absl::Status refused;
  if (partition < 0 || partition >= state_->settings.partitions) {
    refused = absl::InvalidArgumentError(absl::StrCat("there is no partition ", partition));
  } else {
    const absl::MutexLock lock(&state_->mutex);
    std::vector<State::Question>& waiting = state_->waiting[static_cast<size_t>(partition)];
    if (waiting.size() < kMaxWaiting) {
      waiting.push_back({with_first, std::move(answer)});
      state_->bell.Ring();
      return;
    }
    refused = absl::ResourceExhaustedError(
        absl::StrCat("partition ", partition, ": ", kMaxWaiting, " questions for its end wait"));
  }
  answer(std::move(refused));
}

KafkaHealth KafkaOffsets::Health() const {
  KafkaHealth health;
  {
    const absl::MutexLock lock(&state_->mutex);
    health = state_->health;
  }
  health.refusals = state_->settings.access->At(state_->settings.clock->Now());
  return health;
}

void KafkaOffsets::Run(State& state) {
  state.probe_at = state.settings.clock->Now();
  while (true) {
    {
      const absl::MutexLock lock(&state.mutex);
      if (state.is_ending) return;
    }
    const bool has_asked = AskNow(state);
    const absl::Time now = state.settings.clock->Now();
    // Also if the clock was set back.
    if (now >= state.probe_at || state.probe_at - now > state.settings.probe_every) Probe(state);
    // Serves the errors of this handle.
    rd_kafka_poll(state.client->get(), 0);
    if (!has_asked) state.bell.Wait(state.settings.probe_every);
  }
}

// Whether there was a question.
bool KafkaOffsets::AskNow(State& state) {
  std::vector<int> partitions;
  std::vector<std::vector<State::Question>> asking;
  bool with_first = false;
  {
    const absl::MutexLock lock(&state.mutex);
    // Those that come from here on are asked next time: this answer may be older than they are.
    for (int p = 0; p < state.settings.partitions; ++p) {
      std::vector<State::Question>& waiting = state.waiting[static_cast<size_t>(p)];
      if (waiting.empty()) continue;
      partitions.push_back(p);
      for (const State::Question& question : waiting) with_first |= question.with_first;
      asking.push_back(std::exchange(waiting, {}));
    }
  }
  if (partitions.empty()) return false;
  using Ends = absl::StatusOr<std::vector<int64_t>>;
  const auto list = [&](const std::vector<int>& of, int64_t where) {
    Ends ends = ListKafkaOffsets(*state.client, state.settings.topic, of, where,
                                 state.settings.ask_timeout);
    Reached(state, ends.status());
    return ends;
  };
  const auto answer = [&](std::vector<State::Question>& questions,
                          const absl::StatusOr<Bounds>& bounds) {
    for (State::Question& question : questions) {
      const absl::MutexLock lock(&state.answering);
      if (!state.is_mute) question.answer(bounds);
    }
  };
  const auto answer_all = [&](const std::vector<int>& of, size_t at) {
    const Ends ends = list(of, RD_KAFKA_OFFSET_END);
    const Ends firsts = ends.ok() && with_first ? list(of, RD_KAFKA_OFFSET_BEGINNING)
                                                : Ends(std::vector<int64_t>(of.size(), 0));
    if (!ends.ok() || !firsts.ok()) return ends.ok() ? firsts.status() : ends.status();
    for (size_t i = 0; i < of.size(); ++i) {
      answer(asking[at + i], Bounds{.first = (*firsts)[i], .end = (*ends)[i]});
    }
    return absl::OkStatus();
  };
  const absl::Status together = answer_all(partitions, 0);
  if (together.ok()) return true;
  // One partition without a leader fails them all: each is asked alone, if there is any broker to
  // ask.
  if (partitions.size() > 1) Probe(state);
  const bool is_reachable = partitions.size() > 1 && !state.IsUnreachable();
  for (size_t i = 0; i < partitions.size(); ++i) {
    const absl::Status alone = is_reachable ? answer_all({partitions[i]}, i) : together;
    if (!alone.ok()) answer(asking[i], alone);
  }
  return true;
}

void KafkaOffsets::Probe(State& state) {
  state.probe_at = state.settings.clock->Now() + state.settings.probe_every;
  const TopicPtr topic(
      rd_kafka_topic_new(state.client->get(), state.settings.topic.c_str(), nullptr));
  if (topic == nullptr) return;
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t code = rd_kafka_metadata(state.client->get(), 0, topic.get(), &metadata,
                                                     Millis(state.settings.ask_timeout));
  Reached(state, KafkaError(code, "asking for the brokers"));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  if (metadata->topic_cnt == 1) {
    const rd_kafka_resp_err_t told = metadata->topics[0].err;
    const auto refused = RefusedRight(told, KafkaRight::kDescribe);
    if (refused.has_value()) {
      state.settings.access->Refused(*refused,
                                     KafkaError(told, absl::StrCat("topic ", state.settings.topic)),
                                     state.settings.clock->Now());
    } else if (told == RD_KAFKA_RESP_ERR_NO_ERROR) {
      state.settings.access->Allowed(KafkaRight::kDescribe);
    }
  }
  const int partitions =
      metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR
          ? metadata->topics[0].partition_cnt
          : state.settings.partitions;
  {
    const absl::MutexLock lock(&state.mutex);
    state.health.brokers = metadata->broker_cnt;
  }
  rd_kafka_metadata_destroy(metadata);
  if (partitions == state.settings.partitions || state.has_told_change) return;
  state.has_told_change = true;
  const absl::MutexLock lock(&state.answering);
  if (!state.is_mute && state.settings.changed) {
    state.settings.changed(absl::FailedPreconditionError(absl::StrCat(
        "topic ", state.settings.topic, " has ", partitions, " partitions now, it had ",
        state.settings.partitions,
        " at the start; keys are spread over them, so that events of one ",
        "key would stand in two partitions: restart with a topic of the stored number")));
  }
}

void KafkaOffsets::Reached(State& state, const absl::Status& status) {
  // Only for its words: whoever refuses this client now may take it again, as it did before.
  const absl::Status why = Explained(*state.client, status);
  const absl::MutexLock lock(&state.mutex);
  state.health.trouble = absl::Status(status.code(), why.message());
  // A broker that refuses has answered.
  if (!absl::IsUnavailable(status)) {
    state.health.unreachable_since.reset();
  } else if (!state.health.unreachable_since.has_value()) {
    state.health.unreachable_since = state.settings.clock->Now();
  }
}

absl::StatusOr<std::vector<int64_t>> ListKafkaOffsets(KafkaClient& client, const std::string& topic,
                                                      const std::vector<int>& partitions,
                                                      int64_t where, absl::Duration timeout) {
  PartitionListPtr list;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  Bell pause;  // that nobody rings
  for (int attempt = 0; attempt < kLeaderTries; ++attempt) {
    list.reset(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const int p : partitions) {
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = where;
    }
    // Not rd_kafka_query_watermark_offsets: it outlasts its timeout for as long as the leader, once
    // known, is gone. This one asks the same of the brokers: its "times" are sent as they are, and
    // -1 and -2 are the end and the begin.
    code = rd_kafka_offsets_for_times(client.get(), list.get(), Millis(timeout));
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      code = list->elems[i].err;
    }
    if (code != RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION &&
        code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
      break;
    }
    // A topic that was just made, or a leader that just moved: librdkafka asks who it is now.
    pause.Wait(kLeaderPause);
  }
  const std::string what = absl::StrCat("asking for offsets of topic ", topic);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaError(code, what);
  std::vector<int64_t> offsets;
  for (const int p : partitions) {
    const rd_kafka_topic_partition_t* told =
        rd_kafka_topic_partition_list_find(list.get(), topic.c_str(), p);
    if (told == nullptr || told->offset < 0) {
      return absl::UnavailableError(absl::StrCat("kafka: ", what, ": none for partition ", p));
    }
    offsets.push_back(told->offset);
  }
  return offsets;
}

absl::StatusOr<std::unique_ptr<KafkaClient>> NewAskingClient(
    std::shared_ptr<const KafkaConfig> config) {
  return KafkaClient::Make(
      RD_KAFKA_CONSUMER, std::move(config),
      // The end after the last durable record, also while a foreign transaction is open: a reader
      // does not get there, but what was acknowledged lies before it.
      {{"isolation.level", "read_uncommitted"}, {"allow.auto.create.topics", "false"}});
}

}  // namespace tandem::bus
