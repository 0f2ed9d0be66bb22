#include "common/kafka/kafka_log_writer.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bus/headers.h"
#include "common/kafka/kafka_offsets.h"
#include "common/kafka/kafka_record.h"

namespace tandem::bus {
namespace {

constexpr absl::Duration kOnePoll = absl::Milliseconds(100);

class OpenedWriter : public KafkaLogWriter {
 public:
  OpenedWriter(KafkaLogWriterOptions options, int partitions)
      : options_(std::move(options)), partitions_(partitions), heard_at_(options_.clock->Now()) {}
  ~OpenedWriter() override {
    if (client_ == nullptr) return;
    // What is not acknowledged is nobody's promise.
    rd_kafka_purge(client_->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    client_->Mute();
  }

  absl::Status Start(std::shared_ptr<const KafkaConfig> config) {
    absl::StatusOr<std::unique_ptr<KafkaClient>> made = KafkaClient::Make(
        RD_KAFKA_PRODUCER, std::move(config),
        {{"enable.idempotence", "true"},
         // An event that is refused ends the writing before its successors are written.
         {"enable.gapless.guarantee", "true"},
         {"acks", "all"},
         // A message that timed out would leave a hole; `patience` ends the wait instead.
         {"message.timeout.ms", "0"},
         {"linger.ms", "5"},
         {"compression.codec", "lz4"},
         {"message.max.bytes", "1048576"},
         {"queue.buffering.max.messages", "20000"},
         {"queue.buffering.max.kbytes", "65536"},
         {"request.timeout.ms", "10000"},
         {"socket.timeout.ms", "10000"}},
        {.delivered = [this](const rd_kafka_message_t& message) { Delivered(message); },
         .rebalanced = nullptr,
         .committed = nullptr});
    if (!made.ok()) return made.status();
    client_ = *std::move(made);
    return absl::OkStatus();
  }

  int partitions() const override { return partitions_; }

  absl::Status Append(int partition, const Event& event) override {
    if (failed_.ok() && (partition < 0 || partition >= partitions_)) {
      return absl::InvalidArgumentError(absl::StrCat("there is no partition ", partition));
    }
    if (failed_.ok()) failed_ = Validate(event);
    if (!failed_.ok()) return failed_;
    const std::vector<Header> headers = ToHeaders(event);
    // Silence counts from when something is due.
    if (under_way_ == 0) heard_at_ = options_.clock->Now();
    for (;;) {
      const rd_kafka_resp_err_t code =
          Produce(client_->get(), options_.topic.name, partition, event, headers, nullptr);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++under_way_;
        rd_kafka_poll(client_->get(), 0);
        return failed_;
      }
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        failed_ = KafkaError(code, absl::StrCat("event \"", event.id, "\""));
        return failed_;
      }
      if (absl::Status status = Listen(); !status.ok()) return status;
    }
  }

  absl::Status Flush() override {
    if (under_way_ > 0) rd_kafka_flush(client_->get(), 0);  // no lingering any more
    while (failed_.ok() && under_way_ > 0) {
      if (absl::Status status = Listen(); !status.ok()) return status;
    }
    return failed_;
  }

 private:
  absl::Status Listen() {
    rd_kafka_poll(client_->get(), Millis(kOnePoll));
    if (failed_.ok() && options_.clock->Now() - heard_at_ > options_.patience) {
      failed_ = absl::UnavailableError(
          absl::StrCat("kafka: no broker has acknowledged an event of topic ", options_.topic.name,
                       " for ", absl::FormatDuration(options_.patience)));
    }
    return failed_;
  }

  void Delivered(const rd_kafka_message_t& message) {
    --under_way_;
    heard_at_ = options_.clock->Now();
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR || !failed_.ok()) return;
    failed_ =
        KafkaError(message.err, absl::StrCat("event \"", ToRecord(message).record->event.id, "\""));
  }

  const KafkaLogWriterOptions options_;
  const int partitions_;
  int64_t under_way_ = 0;  // appended and not answered
  absl::Time heard_at_;
  absl::Status failed_;
  std::unique_ptr<KafkaClient> client_;  // ends first: it calls Delivered
};

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaLogWriter>> OpenKafkaLogWriter(
    const KafkaLogWriterOptions& options) {
  if (options.clock == nullptr) return absl::InvalidArgumentError("kafka: there is no clock");
  const absl::StatusOr<std::shared_ptr<const KafkaConfig>> config = ReadKafkaConfig(options.client);
  if (!config.ok()) return config.status();
  const absl::StatusOr<std::unique_ptr<KafkaClient>> asking = NewAskingClient(*config);
  if (!asking.ok()) return asking.status();
  const absl::StatusOr<KafkaTopicSettings> topic =
      OpenKafkaTopic(**asking, options.topic, *options.clock, options.open_within);
  if (!topic.ok()) return topic.status();
  auto writer = std::make_unique<OpenedWriter>(options, topic->partitions);
  if (absl::Status status = writer->Start(*config); !status.ok()) return status;
  return writer;
}

}  // namespace tandem::bus
