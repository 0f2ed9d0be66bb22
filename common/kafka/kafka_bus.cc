#include "common/kafka/kafka_bus.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/bus/joined.h"
#include "common/kafka/kafka_producer.h"

namespace tandem::bus {
namespace {

class OpenedBus : public KafkaBus {
 public:
  OpenedBus(KafkaOptions options, std::shared_ptr<const KafkaConfig> config, int partitions,
            std::shared_ptr<KafkaAccess> access, std::shared_ptr<KafkaOffsets> offsets,
            std::unique_ptr<KafkaProducer> producer)
      : options_(std::move(options)),
        config_(std::move(config)),
        partitions_(partitions),
        access_(std::move(access)),
        offsets_(std::move(offsets)),
        producer_(std::move(producer)) {}

  ~OpenedBus() override {
    for (const std::shared_ptr<KafkaMember>& member : Members()) member->End();
    producer_.reset();
    offsets_.reset();
    config_->Mute();
  }

  int partitions() const override { return partitions_; }

  void Append(std::vector<Event> events, absl::AnyInvocable<void(absl::Status)> done) override {
    producer_->Append(std::move(events), std::move(done));
  }

  void EndOffset(int partition, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) override {
    offsets_->Ask(partition, /*with_first=*/false,
                  [done = std::move(done)](absl::StatusOr<Bounds> bounds) mutable {
                    if (bounds.ok()) {
                      done(bounds->end);
                    } else {
                      done(bounds.status());
                    }
                  });
  }

  absl::StatusOr<std::unique_ptr<Consumer>> Join(std::string group, Listener* listener) override {
    if (group.empty()) return absl::InvalidArgumentError("a consumer group needs a name");
    KafkaMember::Settings settings;
    settings.topic = options_.topic.name;
    settings.partitions = partitions_;
    settings.group_id = absl::StrCat(options_.group_prefix, group);
    settings.group = std::move(group);
    settings.session_timeout = options_.session_timeout;
    settings.end_within = options_.end_within;
    settings.prefetch_bytes = options_.prefetch_bytes;
    settings.clock = options_.clock;
    settings.fatal = options_.fatal;
    settings.access = access_;
    absl::StatusOr<std::shared_ptr<KafkaMember>> member =
        KafkaMember::Join(config_, std::move(settings), listener, offsets_);
    if (!member.ok()) return member.status();
    const absl::MutexLock lock(&mutex_);
    std::erase_if(members_, [](const auto& known) { return known.expired(); });
    members_.push_back(*member);
    return std::make_unique<Joined<KafkaMember>>(*std::move(member));
  }

  KafkaHealth Health() const override { return offsets_->Health(); }

  KafkaGauges Gauges() const override {
    const KafkaProducer::Gauges producer = producer_->Now();
    KafkaGauges gauges;
    gauges.waiting_events = producer.waiting_events;
    gauges.waiting_bytes = producer.waiting_bytes;
    gauges.producers_given_up = producer.replacements;
    for (const std::shared_ptr<KafkaMember>& member : Members()) {
      gauges.unreadable_records += member->unreadable();
      for (KafkaLag& lag : member->Lags()) gauges.lags.push_back(std::move(lag));
    }
    return gauges;
  }

 private:
  std::vector<std::shared_ptr<KafkaMember>> Members() const {
    const absl::MutexLock lock(&mutex_);
    std::vector<std::shared_ptr<KafkaMember>> members;
    for (const std::weak_ptr<KafkaMember>& known : members_) {
      if (std::shared_ptr<KafkaMember> member = known.lock()) members.push_back(std::move(member));
    }
    return members;
  }

  const KafkaOptions options_;
  const std::shared_ptr<const KafkaConfig> config_;
  const int partitions_;
  const std::shared_ptr<KafkaAccess> access_;
  mutable absl::Mutex mutex_;
  std::vector<std::weak_ptr<KafkaMember>> members_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<KafkaOffsets> offsets_;    // not changed before the end
  std::unique_ptr<KafkaProducer> producer_;  // the same
};

absl::Status CheckOptions(const KafkaOptions& options) {
  const auto refuse = [](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("kafka: ", what));
  };
  if (options.clock == nullptr) return refuse("there is no clock");
  if (options.topic.name.empty()) return refuse("the topic has no name");
  if (options.topic.create && (options.topic.partitions < 1 || options.topic.partitions > 10'000)) {
    return refuse(absl::StrCat(options.topic.partitions, " partitions; give 1 to 10000"));
  }
  if (options.topic.create &&
      (options.topic.replication_factor < 1 || options.topic.min_insync_replicas < 1)) {
    return refuse("the replication factor and min.insync.replicas are 1 or more");
  }
  if (options.session_timeout < absl::Seconds(1) || options.session_timeout > absl::Minutes(30)) {
    return refuse("the session timeout is 1 s to 30 min");
  }
  if (options.linger < absl::ZeroDuration() || options.linger > absl::Seconds(1)) {
    return refuse("the linger is 0 to 1 s");
  }
  if (options.max_waiting_events < 1 || options.max_waiting_bytes < 1 ||
      options.prefetch_bytes < 64 << 10) {
    return refuse("the bounds of what waits are 1 or more, and 64 KiB or more are fetched ahead");
  }
  for (const absl::Duration duration :
       {options.open_within, options.ask_timeout, options.probe_every, options.end_within}) {
    if (duration <= absl::ZeroDuration() || duration > absl::Hours(1)) {
      return refuse("open_within, ask_timeout, probe_every and end_within are above 0, to 1 h");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKafkaOptions(const KafkaOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const KafkaConfig>> config = ReadKafkaConfig(options.client);
  if (!config.ok()) return config.status();
  // librdkafka reads certificates and mechanisms when a client is made.
  return NewAskingClient(*config).status();
}

absl::StatusOr<std::unique_ptr<KafkaBus>> OpenKafka(const KafkaOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const KafkaConfig>> config = ReadKafkaConfig(options.client);
  if (!config.ok()) return config.status();
  absl::StatusOr<std::unique_ptr<KafkaClient>> asking = NewAskingClient(*config);
  if (!asking.ok()) return asking.status();
  const absl::StatusOr<KafkaTopicSettings> topic =
      OpenKafkaTopic(**asking, options.topic, *options.clock, options.open_within);
  if (!topic.ok()) return topic.status();

  const auto access = std::make_shared<KafkaAccess>();
  KafkaOffsets::Settings asked;
  asked.topic = options.topic.name;
  asked.partitions = topic->partitions;
  asked.ask_timeout = options.ask_timeout;
  asked.probe_every = options.probe_every;
  asked.clock = options.clock;
  asked.changed = options.fatal;
  asked.access = access;
  KafkaProducer::Settings appended;
  appended.topic = options.topic.name;
  appended.partitions = topic->partitions;
  appended.linger = options.linger;
  appended.max_waiting_events = options.max_waiting_events;
  appended.max_waiting_bytes = options.max_waiting_bytes;
  appended.clock = options.clock;
  appended.access = access;
  absl::StatusOr<std::unique_ptr<KafkaProducer>> producer =
      KafkaProducer::Start(*config, std::move(appended));
  if (!producer.ok()) return producer.status();
  return std::make_unique<OpenedBus>(
      options, *config, topic->partitions, access,
      std::make_shared<KafkaOffsets>(*std::move(asking), std::move(asked)), *std::move(producer));
}

}  // namespace tandem::bus
