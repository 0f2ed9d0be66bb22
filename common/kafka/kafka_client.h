// What every part of this room needs of librdkafka: a configured handle, its errors as Status, its
// log lines, and a thread that is woken by its queues.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_CLIENT_H_
#define TANDEM_COMMON_KAFKA_KAFKA_CLIENT_H_

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::bus {

enum class KafkaLogLevel { kError, kWarning, kInfo };

struct KafkaClientOptions {
  std::string brokers;  // "host:port,host:port"
  // librdkafka's properties for TLS and SASL, from an allow-list (README.md). A secret is the path
  // of a file: "sasl.password.file", "ssl.key.password.file"; its line end is not part of it.
  std::map<std::string, std::string> properties;
  // Told librdkafka's lines and this room's own, from any thread; it returns at once and outlives
  // whatever was made with it. Secrets never reach it. May be empty.
  std::function<void(KafkaLogLevel level, const std::string& line)> log;
};

// The options with their secrets read. Not changed after it was made: any thread.
struct KafkaConfig {
  std::string brokers;
  std::vector<std::pair<std::string, std::string>> properties;
  std::vector<std::string> secrets;
  std::function<void(KafkaLogLevel level, const std::string& line)> log;

  // `line` without the secrets.
  std::string Scrubbed(const std::string& line) const;
  void Log(KafkaLogLevel level, const std::string& line) const;
  // Logs no more: `log` may be about to end, and a thread of librdkafka may have been left to
  // itself.
  void Mute() const { is_mute = true; }

  mutable std::atomic<bool> is_mute{false};
};

// INVALID_ARGUMENT names a property that is not on the list, and says where a secret belongs; a
// secret's file as config::ReadTextFile.
absl::StatusOr<std::shared_ptr<const KafkaConfig>> ReadKafkaConfig(
    const KafkaClientOptions& options);

// `what` failed with a code of librdkafka or of a broker:
//   UNAVAILABLE          it may help to try again: no broker, no leader, too few replicas in sync
//   OUT_OF_RANGE         the offset is not in the log
//   DATA_LOSS            a record is not what was written
//   INVALID_ARGUMENT     the record cannot be taken, ever
//   PERMISSION_DENIED    the broker does not let this client
//   FAILED_PRECONDITION  the topic or its settings are not as they must be
//   INTERNAL             anything else
absl::Status KafkaError(rd_kafka_resp_err_t code, const std::string& what);
// The same for librdkafka's error objects; ends `error`. OK if it is null.
absl::Status KafkaError(rd_kafka_error_t* error, const std::string& what);

// A timeout as librdkafka takes it, 1 ms or more: its 0 and -1 are words.
int Millis(absl::Duration timeout);

// Rung from any thread, also from librdkafka's; one thread waits.
class Bell {
 public:
  void Ring();
  // Until it rings or has rung since the last Wait, at most `timeout`.
  void Wait(absl::Duration timeout);

 private:
  // Not absl's: its condition variable waits until an instant of the wall clock, which may be set.
  std::mutex mutex_;
  std::condition_variable rung_;
  bool has_rung_ = false;
};

// A thread whose end is waited for with a deadline, as librdkafka may block in its clean-up. Start
// and End on one thread.
class Worker {
 public:
  ~Worker();
  // `run` owns all that it uses, as it may outlast this object. The name's first 15 bytes are seen
  // in debuggers and top.
  void Start(const char* name, std::function<void()> run);
  // Whether `run` returned within `timeout`. If not, the thread is left to itself.
  bool End(absl::Duration timeout);

 private:
  struct Done;
  std::shared_ptr<Done> done_;
  std::thread thread_;
};

struct QueueDeleter {
  // No ring after it.
  void operator()(rd_kafka_queue_t* queue) const {
    rd_kafka_queue_cb_event_enable(queue, nullptr, nullptr);
    rd_kafka_queue_destroy(queue);
  }
};
using QueuePtr = std::unique_ptr<rd_kafka_queue_t, QueueDeleter>;
// Rings `bell`, which outlives the queue, whenever the empty queue gets something.
void RingOn(rd_kafka_queue_t* queue, Bell* bell);

struct PartitionListDeleter {
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using PartitionListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, PartitionListDeleter>;

struct TopicDeleter {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
using TopicPtr = std::unique_ptr<rd_kafka_topic_t, TopicDeleter>;

// One handle of librdkafka. What librdkafka lets several threads do with a handle, they may do with
// it; it ends on one of them, and its end may block.
class KafkaClient {
 public:
  // Called inside a poll of the handle, on the polling thread.
  struct Hooks {
    std::function<void(const rd_kafka_message_t& message)> delivered;
    std::function<void(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions)>
        rebalanced;
    // Positions were committed to the group, or were not.
    std::function<void(rd_kafka_resp_err_t code)> committed;
  };
  using Settings = std::vector<std::pair<std::string, std::string>>;

  // INVALID_ARGUMENT if librdkafka does not take the settings; nothing is asked of a broker yet.
  static absl::StatusOr<std::unique_ptr<KafkaClient>> Make(
      rd_kafka_type_t type, std::shared_ptr<const KafkaConfig> config, const Settings& settings,
      Hooks hooks = {});
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_t* get() const { return handle_; }
  const KafkaConfig& config() const { return *config_; }
  // Why a broker could not be reached or spoken to, as librdkafka told last inside a poll of the
  // handle: PERMISSION_DENIED if a broker refused the user or the password, else UNAVAILABLE; OK if
  // it told nothing yet. What was told stays although it may have passed: for explaining a failure.
  absl::Status trouble() const;
  // Logs no more: what `config` logs into may be about to end.
  void Mute() { muted_ = true; }
  // The end does not close the consumer: it was closed, or could not be in time.
  void SkipClose() { skip_close_ = true; }

 private:
  KafkaClient(std::shared_ptr<const KafkaConfig> config, Hooks hooks)
      : config_(std::move(config)), hooks_(std::move(hooks)) {}
  static void Logged(const rd_kafka_t* handle, int level, const char* facility, const char* text);
  static void Failed(rd_kafka_t* handle, int code, const char* reason, void* opaque);
  void Log(KafkaLogLevel level, const std::string& line) const;

  const std::shared_ptr<const KafkaConfig> config_;
  const Hooks hooks_;
  std::atomic<bool> muted_{false};
  mutable std::mutex mutex_;
  absl::Status trouble_;  // under mutex_
  bool skip_close_ = false;
  rd_kafka_t* handle_ = nullptr;
};

// `failure`, with what troubles the client's connections; polls the handle to hear of it. A refusal
// of the user or the password, which no waiting mends, takes the failure's place.
absl::Status Explained(KafkaClient& client, const absl::Status& failure);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_CLIENT_H_
