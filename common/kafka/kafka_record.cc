#include "common/kafka/kafka_record.h"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace tandem::bus {
namespace {

// Framing of a record and of each of its headers in the log: lengths, timestamp and offset deltas.
constexpr size_t kRecordOverhead = 32;
constexpr size_t kHeaderOverhead = 8;

}  // namespace

ReadRecord ToRecord(int partition, int64_t offset, const std::vector<Header>& headers,
                    std::string_view body) {
  absl::StatusOr<Event> event = FromHeaders(headers, body);
  if (event.ok()) {
    return {std::make_shared<const Record>(Record{partition, offset, *std::move(event)}),
            absl::OkStatus()};
  }
  Event made;
  const std::string place = absl::StrCat("kafka/", partition, "/", offset);
  const auto said = [&](std::string_view name, std::string_view otherwise) {
    for (const Header& header : headers) {
      if (header.name == name && !header.value.empty()) return header.value;
    }
    return std::string(otherwise);
  };
  made.id = said("ce_id", place);
  made.source = said("ce_source", "unknown");
  made.type = said("ce_type", "");
  made.subject = said("ce_subject", place);
  made.key = said("ce_partitionkey", made.subject);
  made.cause = said("ce_cause", place);
  made.time = absl::UnixEpoch();
  made.sequence = offset + 1;
  made.body = std::string(1, kUnreadable).append(body);
  return {std::make_shared<const Record>(Record{partition, offset, std::move(made)}),
          event.status()};
}

ReadRecord ToRecord(const rd_kafka_message_t& message) {
  std::vector<Header> headers;
  rd_kafka_headers_t* raw = nullptr;
  if (rd_kafka_message_headers(&message, &raw) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    headers.reserve(rd_kafka_header_cnt(raw));
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(raw, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      headers.push_back({name, std::string(static_cast<const char*>(value), size)});
    }
  }
  return ToRecord(message.partition, message.offset, headers,
                  {static_cast<const char*>(message.payload), message.len});
}

rd_kafka_resp_err_t Produce(rd_kafka_t* producer, const std::string& topic, int partition,
                            const Event& event, const std::vector<Header>& headers, void* opaque) {
  rd_kafka_headers_t* raw = rd_kafka_headers_new(headers.size());
  for (const Header& header : headers) {
    rd_kafka_header_add(raw, header.name.data(), static_cast<ssize_t>(header.name.size()),
                        header.value.data(), static_cast<ssize_t>(header.value.size()));
  }
  // Its parameters are not const; it copies what they point to.
  const auto bytes = [](const std::string& text) {
    return static_cast<void*>(const_cast<char*>(text.data()));
  };
  const rd_kafka_resp_err_t code = rd_kafka_producev(
      producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(bytes(event.key), event.key.size()),
      RD_KAFKA_V_VALUE(bytes(event.body), event.body.size()), RD_KAFKA_V_HEADERS(raw),
      RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(raw);
  return code;
}

size_t WireBytes(const Event& event, const std::vector<Header>& headers) {
  size_t bytes = kRecordOverhead + event.key.size() + event.body.size();
  for (const Header& header : headers) {
    bytes += kHeaderOverhead + header.name.size() + header.value.size();
  }
  return bytes;
}

}  // namespace tandem::bus
