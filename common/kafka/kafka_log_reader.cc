#include "common/kafka/kafka_log_reader.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/kafka/kafka_offsets.h"
#include "common/kafka/kafka_record.h"
#include "common/kafka/kafka_topic.h"

namespace tandem::bus {
namespace {

constexpr int kMaxBatch = 512;

class OpenedReader : public KafkaLogReader {
 public:
  OpenedReader(KafkaLogReaderOptions options, std::unique_ptr<KafkaClient> client, int partitions)
      : options_(std::move(options)),
        client_(std::move(client)),
        topic_(rd_kafka_topic_new(client_->get(), options_.topic.c_str(), nullptr)),
        bounds_(static_cast<size_t>(partitions)) {}

  int partitions() const override { return static_cast<int>(bounds_.size()); }

  Bounds BoundsOf(int partition) const override {
    const absl::MutexLock lock(&mutex_);
    Ask(partition).IgnoreError();
    return bounds_[static_cast<size_t>(partition)];
  }

  absl::StatusOr<Bounds> AskBounds(int partition) override {
    const absl::MutexLock lock(&mutex_);
    if (absl::Status status = Ask(partition); !status.ok()) return status;
    return bounds_[static_cast<size_t>(partition)];
  }

  absl::StatusOr<std::vector<RecordPtr>> ReadRange(int partition, int64_t from,
                                                   int max_records) override {
    if (partition < 0 || partition >= partitions() || max_records < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", max_records, " records of partition ", partition));
    }
    const absl::MutexLock lock(&mutex_);
    if (absl::Status status = Ask(partition); !status.ok()) return status;
    const Bounds bounds = bounds_[static_cast<size_t>(partition)];
    if (from < bounds.first || from > bounds.end) {
      return absl::OutOfRangeError(absl::StrCat("partition ", partition, ": offset ", from,
                                                " is not in the log, which has ", bounds.first,
                                                " up to, not including, ", bounds.end));
    }
    if (from == bounds.end) return std::vector<RecordPtr>();
    const std::string what = absl::StrCat("reading partition ", partition, " from ", from);
    if (rd_kafka_consume_start(topic_.get(), partition, from) != 0) {
      return KafkaError(rd_kafka_last_error(), what);
    }
    absl::StatusOr<std::vector<RecordPtr>> records =
        Consume(partition, bounds.end, max_records, what);
    rd_kafka_consume_stop(topic_.get(), partition);
    return records;
  }

 private:
  absl::Status Ask(int partition) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto list = [&](int64_t where) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ListKafkaOffsets(*client_, options_.topic, {partition}, where, options_.ask_timeout);
    };
    const auto first = list(RD_KAFKA_OFFSET_BEGINNING);
    if (!first.ok()) return first.status();
    const auto end = list(RD_KAFKA_OFFSET_END);
    if (!end.ok()) return end.status();
    bounds_[static_cast<size_t>(partition)] = {.first = first->front(), .end = end->front()};
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RecordPtr>> Consume(int partition, int64_t end, int max_records,
                                                 const std::string& what)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<RecordPtr> records;
    const absl::Time deadline = options_.clock->Now() + options_.read_timeout;
    std::array<rd_kafka_message_t*, kMaxBatch> messages;
    bool is_at_end = false;
    absl::Status failed;
    while (!is_at_end && failed.ok() && records.size() < static_cast<size_t>(max_records)) {
      const absl::Duration left = deadline - options_.clock->Now();
      if (left <= absl::ZeroDuration()) return KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
      const size_t room =
          std::min(static_cast<size_t>(max_records) - records.size(), messages.size());
      // Returns at the first that comes, or it would wait for a full batch.
      const ssize_t first =
          rd_kafka_consume_batch(topic_.get(), partition, Millis(left), messages.data(), 1);
      ssize_t taken = std::max<ssize_t>(first, 0);
      if (taken == 1 && room > 1) {
        taken += std::max<ssize_t>(
            rd_kafka_consume_batch(topic_.get(), partition, 0, messages.data() + 1, room - 1), 0);
      }
      for (ssize_t i = 0; i < taken; ++i) {
        rd_kafka_message_t* const message = messages[static_cast<size_t>(i)];
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
          is_at_end = true;
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
          failed = KafkaError(message->err, what);
        } else if (failed.ok() && !is_at_end) {
          records.push_back(ToRecord(*message).record);
          // What comes later belongs to the next call.
          is_at_end = message->offset + 1 >= end;
        }
        rd_kafka_message_destroy(message);
      }
    }
    // What was read before the fault is good; the next call meets the fault first.
    if (records.empty() && !failed.ok()) return failed;
    return records;
  }

  const KafkaLogReaderOptions options_;
  mutable absl::Mutex mutex_;
  const std::unique_ptr<KafkaClient> client_;
  const TopicPtr topic_;  // ends before the client
  mutable std::vector<Bounds> bounds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaLogReader>> OpenKafkaLogReader(
    const KafkaLogReaderOptions& options) {
  if (options.clock == nullptr) return absl::InvalidArgumentError("kafka: there is no clock");
  absl::StatusOr<std::shared_ptr<const KafkaConfig>> config = ReadKafkaConfig(options.client);
  if (!config.ok()) return config.status();
  absl::StatusOr<std::unique_ptr<KafkaClient>> client =
      KafkaClient::Make(RD_KAFKA_CONSUMER, *config,
                        {{"enable.partition.eof", "true"},
                         {"auto.offset.reset", "error"},
                         {"isolation.level", "read_committed"},
                         {"check.crcs", "true"},
                         // What is read is there already. A fetch that waits at the broker for
                         // more, once a partition is read, would hold up the next one's.
                         {"fetch.wait.max.ms", "10"},
                         {"allow.auto.create.topics", "false"},
                         {"socket.timeout.ms", absl::StrCat(Millis(options.ask_timeout) + 1'000)},
                         {"queued.max.messages.kbytes", "8192"},
                         {"fetch.message.max.bytes", "1048576"}});
  if (!client.ok()) return client.status();
  const absl::StatusOr<int> partitions =
      FindKafkaTopic(**client, options.topic, *options.clock, options.read_timeout);
  if (!partitions.ok()) return partitions.status();
  return std::make_unique<OpenedReader>(options, *std::move(client), *partitions);
}

}  // namespace tandem::bus
