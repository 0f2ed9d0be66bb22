#include "common/kafka/kafka_topic.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bus/headers.h"

namespace tandem::bus {
namespace {

constexpr int64_t kMinRetentionMs = int64_t{7} * 24 * 60 * 60 * 1000;
// Kafka's own default: the longest body and its headers.
constexpr int64_t kMinMessageBytes = 1'048'588;
static_assert(kMinMessageBytes > static_cast<int64_t>(kMaxBodyBytes));

struct AdminOptionsDeleter {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};
using AdminOptionsPtr = std::unique_ptr<rd_kafka_AdminOptions_t, AdminOptionsDeleter>;
struct EventDeleter {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using EventPtr = std::unique_ptr<rd_kafka_event_t, EventDeleter>;

// A try that a broker in the middle of its start may leave unanswered.
constexpr absl::Duration kOneTry = absl::Seconds(5);
constexpr absl::Duration kTryAgain = absl::Milliseconds(50);

class Deadline {
 public:
  Deadline(const time::Clock& clock, absl::Duration timeout)
      : clock_(clock), end_(clock.Now() + timeout) {}
  absl::Duration Try() const { return std::min(end_ - clock_.Now(), kOneTry); }
  bool IsOver() const { return clock_.Now() >= end_; }
  // Before the next try.
  void Pause() const { bell_.Wait(kTryAgain); }

 private:
  const time::Clock& clock_;
  const absl::Time end_;
  mutable Bell bell_;  // that nobody rings
};

AdminOptionsPtr NewAdminOptions(KafkaClient& client, rd_kafka_admin_op_t operation,
                                absl::Duration timeout) {
  AdminOptionsPtr options(rd_kafka_AdminOptions_new(client.get(), operation));
  std::array<char, 256> error = {};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), Millis(timeout), error.data(),
                                            error.size());
  if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS) {
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), Millis(timeout), error.data(),
                                                error.size());
  }
  return options;
}

absl::Status NoTopic(const KafkaClient& client, const std::string& name) {
  return absl::NotFoundError(absl::StrCat("kafka: topic ", name, " is not at ",
                                          client.config().brokers,
                                          "; make it, or start with --create-topic"));
}

absl::Status NoLeader(const std::string& name) {
  return absl::UnavailableError(
      absl::StrCat("kafka: a partition of topic ", name, " has no leader"));
}

// What the metadata says: nothing if the topic is not there, partitions = 0 while one of them has
// no leader yet.
absl::StatusOr<std::optional<KafkaTopicSettings>> AskMetadata(KafkaClient& client,
                                                              const std::string& name,
                                                              absl::Duration timeout) {
  const TopicPtr topic(rd_kafka_topic_new(client.get(), name.c_str(), nullptr));
  if (topic == nullptr) return KafkaError(rd_kafka_last_error(), absl::StrCat("topic ", name));
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t code =
      rd_kafka_metadata(client.get(), 0, topic.get(), &metadata, Millis(timeout));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Explained(client, KafkaError(code, absl::StrCat("asking ", client.config().brokers,
                                                           " about topic ", name)));
  }
  struct MetadataDeleter {
    void operator()(const rd_kafka_metadata_t* given) const { rd_kafka_metadata_destroy(given); }
  };
  const std::unique_ptr<const rd_kafka_metadata_t, MetadataDeleter> owned(metadata);
  if (metadata->topic_cnt != 1) return KafkaTopicSettings{};
  const rd_kafka_metadata_topic_t& told = metadata->topics[0];
  if (told.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
      told.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
    return std::nullopt;
  }
  if (told.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) return KafkaTopicSettings{};
  if (told.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(told.err, absl::StrCat("topic ", name));
  }
  KafkaTopicSettings settings;
  settings.partitions = told.partition_cnt;
  for (int i = 0; i < told.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& partition = told.partitions[i];
    if (partition.leader < 0) return KafkaTopicSettings{};
    settings.replication_factor =
        i == 0 ? partition.replica_cnt
               : std::min(settings.replication_factor, partition.replica_cnt);
  }
  return settings;
}

absl::Status Create(KafkaClient& client, const KafkaTopicOptions& options, absl::Duration timeout) {
  struct NewTopicDeleter {
    void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
  };
  std::array<char, 256> error = {};
  const std::unique_ptr<rd_kafka_NewTopic_t, NewTopicDeleter> topic(
      rd_kafka_NewTopic_new(options.name.c_str(), options.partitions, options.replication_factor,
                            error.data(), error.size()));
  if (topic == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("kafka: topic ", options.name, " cannot be made: ", error.data()));
  }
  const auto set = [&](const char* name, const std::string& value) {
    rd_kafka_NewTopic_set_config(topic.get(), name, value.c_str());
  };
  set("cleanup.policy", "delete");
  set("unclean.leader.election.enable", "false");
  set("min.insync.replicas", absl::StrCat(options.min_insync_replicas));
  set("retention.ms", absl::StrCat(absl::ToInt64Milliseconds(options.retention)));
  set("retention.bytes", "-1");
  // By when the broker got it: the age of a record is how long it has been in the log.
  set("message.timestamp.type", "LogAppendTime");
  const QueuePtr queue(rd_kafka_queue_new(client.get()));
  const AdminOptionsPtr admin = NewAdminOptions(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout);
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(client.get(), topics, 1, admin.get(), queue.get());
  const EventPtr event(rd_kafka_queue_poll(queue.get(), Millis(timeout)));
  const std::string what = absl::StrCat("making topic ", options.name);
  if (event == nullptr) return KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(code, what);
  }
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  if (count != 1) return absl::InternalError(absl::StrCat("kafka: ", what, ": no answer"));
  const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
  // Another process of the same service was faster.
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return absl::OkStatus();
  }
  const char* reason = rd_kafka_topic_result_error_string(results[0]);
  const absl::Status status = KafkaError(code, what);
  return absl::Status(status.code(), absl::StrCat(status.message(), reason == nullptr ? "" : ": ",
                                                  reason == nullptr ? "" : reason));
}

// Fills in what the metadata does not say.
absl::Status AskConfiguration(KafkaClient& client, const std::string& name, absl::Duration timeout,
                              KafkaTopicSettings& settings) {
  struct ResourceDeleter {
    void operator()(rd_kafka_ConfigResource_t* resource) const {
      rd_kafka_ConfigResource_destroy(resource);
    }
  };
  const std::unique_ptr<rd_kafka_ConfigResource_t, ResourceDeleter> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  const QueuePtr queue(rd_kafka_queue_new(client.get()));
  const AdminOptionsPtr admin = NewAdminOptions(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(client.get(), resources, 1, admin.get(), queue.get());
  const EventPtr event(rd_kafka_queue_poll(queue.get(), Millis(timeout)));
  const std::string what = absl::StrCat("asking for the configuration of topic ", name);
  if (event == nullptr) return KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(code, what);
  }
  size_t count = 0;
  const rd_kafka_ConfigResource_t** told = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return absl::InternalError(absl::StrCat("kafka: ", what, ": no answer"));
  if (const auto code = rd_kafka_ConfigResource_error(told[0]);
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaError(code, what);
  }
  size_t entries = 0;
  const rd_kafka_ConfigEntry_t** configs = rd_kafka_ConfigResource_configs(told[0], &entries);
  const auto value_of = [&](const std::string& config) -> std::string {
    for (size_t i = 0; i < entries; ++i) {
      const char* value = rd_kafka_ConfigEntry_value(configs[i]);
      if (rd_kafka_ConfigEntry_name(configs[i]) == config && value != nullptr) return value;
    }
    return "";
  };
  absl::Status wrong;
  const auto number = [&](const std::string& config) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(value_of(config), &value) && wrong.ok()) {
      wrong = absl::InternalError(
          absl::StrCat("kafka: ", what, ": ", config, " is \"", value_of(config), "\""));
    }
    return value;
  };
  settings.min_insync_replicas = number("min.insync.replicas");
  settings.retention_ms = number("retention.ms");
  settings.retention_bytes = number("retention.bytes");
  settings.max_message_bytes = number("max.message.bytes");
  settings.cleanup_policy = value_of("cleanup.policy");
  settings.unclean_leader_election = value_of("unclean.leader.election.enable") != "false";
  return wrong;
}

}  // namespace

absl::Status CheckKafkaTopic(const std::string& name, const KafkaTopicSettings& settings) {
  std::vector<std::string> faults;
  const auto expect = [&](bool is_safe, const char* setting, const auto& value,
                          const char* should_be) {
    if (!is_safe) {
      faults.push_back(absl::StrCat(setting, " is ", value, " and should be ", should_be));
    }
  };
  expect(settings.replication_factor >= 3, "the replication factor", settings.replication_factor,
         "3 or more");
  expect(settings.min_insync_replicas >= 2, "min.insync.replicas", settings.min_insync_replicas,
         "2 or more");
  expect(settings.min_insync_replicas <= settings.replication_factor, "min.insync.replicas",
         settings.min_insync_replicas, "no more than the replication factor");
  expect(!settings.unclean_leader_election, "unclean.leader.election.enable", "true", "false");
  expect(settings.cleanup_policy == "delete", "cleanup.policy", settings.cleanup_policy, "delete");
  expect(settings.retention_ms < 0 || settings.retention_ms >= kMinRetentionMs, "retention.ms",
         settings.retention_ms, "604800000 (7 days) or more, or -1");
  expect(settings.retention_bytes < 0, "retention.bytes", settings.retention_bytes, "-1");
  expect(settings.max_message_bytes >= kMinMessageBytes, "max.message.bytes",
         settings.max_message_bytes, "1048588 or more");
  if (faults.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "topic ", name, " is not safe for what is acknowledged: ", absl::StrJoin(faults, "; "),
      "; change the topic, or start with --allow-unsafe-topic"));
}

absl::StatusOr<KafkaTopicSettings> OpenKafkaTopic(KafkaClient& client,
                                                  const KafkaTopicOptions& options,
                                                  const time::Clock& clock,
                                                  absl::Duration timeout) {
  Deadline deadline(clock, timeout);
  absl::Status trouble = absl::DeadlineExceededError("kafka: no time to ask about the topic");
  bool is_made = false;
  // A broker that starts, or a topic that was just made, takes a few tries.
  while (!deadline.IsOver()) {
    auto found = AskMetadata(client, options.name, deadline.Try());
    if (!found.ok()) {
      trouble = found.status();
      // It returned early only if there was an answer, and that answer is final.
      if (!absl::IsUnavailable(trouble)) return trouble;
      deadline.Pause();
      continue;
    }
    if (!found->has_value()) {
      if (!options.create) {
        return NoTopic(client, options.name);
      }
      if (!is_made) {
        const absl::Status planned = CheckKafkaTopic(
            options.name, {.partitions = options.partitions,
                           .replication_factor = options.replication_factor,
                           .min_insync_replicas = options.min_insync_replicas,
                           .cleanup_policy = "delete",
                           .retention_ms = absl::ToInt64Milliseconds(options.retention),
                           .retention_bytes = -1,
                           .max_message_bytes = kMinMessageBytes});
        if (!planned.ok() && !options.allow_unsafe) return planned;
        const absl::Status made = Create(client, options, deadline.Try());
        if (!made.ok() && !absl::IsUnavailable(made)) return made;
        is_made = made.ok();
        trouble = made;
      }
      deadline.Pause();
      continue;
    }
    KafkaTopicSettings settings = **found;
    if (settings.partitions == 0) {
      trouble = NoLeader(options.name);
      deadline.Pause();
      continue;
    }
    if (trouble = AskConfiguration(client, options.name, deadline.Try(), settings); !trouble.ok()) {
      // A broker that does not know the topic yet answers so for a moment.
      if (!absl::IsUnavailable(trouble) && !absl::IsFailedPrecondition(trouble)) return trouble;
      deadline.Pause();
      continue;
    }
    const absl::Status safety = CheckKafkaTopic(options.name, settings);
    if (safety.ok()) return settings;
    if (!options.allow_unsafe) return safety;
    client.config().Log(KafkaLogLevel::kWarning, std::string(safety.message()));
    return settings;
  }
  return trouble.ok() ? absl::UnavailableError(absl::StrCat("kafka: topic ", options.name,
                                                            " was made and does not show itself"))
                      : trouble;
}

absl::StatusOr<int> FindKafkaTopic(KafkaClient& client, const std::string& name,
                                   const time::Clock& clock, absl::Duration timeout) {
  const Deadline deadline(clock, timeout);
  while (true) {
    const auto found = AskMetadata(client, name, deadline.Try());
    if (found.ok() && !found->has_value()) return NoTopic(client, name);
    if (found.ok() && (*found)->partitions > 0) return (*found)->partitions;
    if (!found.ok() && !absl::IsUnavailable(found.status())) return found.status();
    if (deadline.IsOver()) return found.ok() ? NoLeader(name) : found.status();
    deadline.Pause();
  }
}

}  // namespace tandem::bus
