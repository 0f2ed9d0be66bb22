#include "tests/integration/kafka_broker.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace tandem::bus {
namespace {

constexpr int kNotInstalled = 77;  // as the script says
constexpr int kTimeoutMs = 20'000;

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "the Kafka broker of the tests: %s\n", why.c_str());
  std::abort();
}

void Must(rd_kafka_resp_err_t code, const std::string& what) {
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) Fail(what + ": " + rd_kafka_err2str(code));
}

void Must(rd_kafka_error_t* error, const std::string& what) {
  if (error != nullptr) Fail(what + ": " + rd_kafka_error_string(error));
}

// The script's exit status.
int RunScript(const std::string& command, const std::string& folder) {
  const std::string line = absl::StrCat(TANDEM_SOURCE_DIR "/tests/integration/kafka ", command, " ",
                                        folder, " ", getpid());
  const int status = std::system(line.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string NewFolder() {
  std::string folder = std::filesystem::temp_directory_path() / "tandem_kafka.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) Fail("cannot make a folder like " + folder);
  return folder;
}

}  // namespace

KafkaBroker::KafkaBroker(std::string folder, bool owned)
    : folder_(std::move(folder)), owned_(owned) {
  std::ifstream env(folder_ + "/env");
  // Written for a shell: "NAME=value" a line.
  for (std::string word; env >> word;) {
    if (word.rfind("BROKERS=", 0) == 0) {
      brokers_ = absl::StrReplaceAll(word.substr(8), {{"\\", ""}});
    }
  }
  if (brokers_.empty()) Fail("nothing about it in " + folder_ + "/env");
}

KafkaBroker::~KafkaBroker() {
  if (owned_) RunScript("stop", folder_);
}

KafkaBroker* KafkaBroker::Shared() {
  static const std::unique_ptr<KafkaBroker> broker = []() -> std::unique_ptr<KafkaBroker> {
    const char* const folder = getenv("TANDEM_KAFKA_FOLDER");
    if (folder != nullptr && std::filesystem::exists(absl::StrCat(folder, "/env"))) {
      return std::unique_ptr<KafkaBroker>(new KafkaBroker(folder, false));
    }
    const std::string own = NewFolder();
    const int status = RunScript("start", own);
    if (status == kNotInstalled) return nullptr;
    if (status != 0) Fail("it does not start");
    return std::unique_ptr<KafkaBroker>(new KafkaBroker(own, true));
  }();
  return broker.get();
}

std::unique_ptr<KafkaBroker> KafkaBroker::Start() {
  const std::string folder = NewFolder();
  if (RunScript("start", folder) != 0) Fail("it does not start");
  return std::unique_ptr<KafkaBroker>(new KafkaBroker(folder, true));
}

void KafkaBroker::Kill() {
  if (RunScript("kill", folder_) != 0) Fail("it cannot be killed");
}

void KafkaBroker::Restart() {
  if (RunScript("restart", folder_) != 0) Fail("it does not start again");
}

void KafkaBroker::Pause() {
  if (RunScript("pause", folder_) != 0) Fail("it cannot be paused");
}

void KafkaBroker::Resume() {
  if (RunScript("resume", folder_) != 0) Fail("it does not go on");
}

std::string NewName(const std::string& prefix) {
  static std::atomic<int> made{0};
  return absl::StrCat(prefix, "-", getpid(), "-", ++made, "-", absl::ToUnixMicros(absl::Now()));
}

ForeignClient::ForeignClient(rd_kafka_type_t type, const std::string& brokers,
                             const Settings& settings) {
  std::array<char, 512> error = {};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      Fail(error.data());
    }
  };
  set("bootstrap.servers", brokers);
  set("log_level", "0");
  for (const auto& [name, value] : settings) set(name, value);
  rd_kafka_conf_set_opaque(conf, this);
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, &ForeignClient::Delivered);
  handle_ = rd_kafka_new(type, conf, error.data(), error.size());
  if (handle_ == nullptr) Fail(error.data());
}

ForeignClient::~ForeignClient() { rd_kafka_destroy(handle_); }

void ForeignClient::Delivered(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message,
                              void* opaque) {
  auto* client = static_cast<ForeignClient*>(opaque);
  client->delivered_code_ = message->err;
  client->delivered_partition_ = message->partition;
}

int ForeignClient::Produce(const std::string& topic, int partition, const std::string& key,
                           const std::string& value,
                           const std::vector<std::pair<std::string, std::string>>& headers) {
  rd_kafka_headers_t* raw = rd_kafka_headers_new(headers.size());
  for (const auto& [name, text] : headers) {
    rd_kafka_header_add(raw, name.data(), static_cast<ssize_t>(name.size()), text.data(),
                        static_cast<ssize_t>(text.size()));
  }
  Must(rd_kafka_producev(handle_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                         RD_KAFKA_V_KEY(const_cast<char*>(key.data()), key.size()),
                         RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                         RD_KAFKA_V_HEADERS(raw), RD_KAFKA_V_END),
       "produce");
  Must(rd_kafka_flush(handle_, kTimeoutMs), "flush");
  Must(delivered_code_, "delivery");
  return delivered_partition_;
}

void ForeignClient::CreateTopic(const std::string& topic, int partitions,
                                const std::map<std::string, std::string>& configuration) {
  std::array<char, 256> error = {};
  rd_kafka_NewTopic_t* made =
      rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, error.data(), error.size());
  if (made == nullptr) Fail(error.data());
  for (const auto& [name, value] : configuration) {
    rd_kafka_NewTopic_set_config(made, name.c_str(), value.c_str());
  }
  rd_kafka_queue_t* queue = rd_kafka_queue_new(handle_);
  rd_kafka_CreateTopics(handle_, &made, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  if (event == nullptr) Fail("no answer to CreateTopics");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  if (count != 1) Fail("CreateTopics answered nothing");
  Must(rd_kafka_topic_result_error(results[0]), "CreateTopics");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(made);
}

void ForeignClient::GrowTopic(const std::string& topic, int partitions) {
  std::array<char, 256> error = {};
  rd_kafka_NewPartitions_t* more = rd_kafka_NewPartitions_new(
      topic.c_str(), static_cast<size_t>(partitions), error.data(), error.size());
  if (more == nullptr) Fail(error.data());
  rd_kafka_queue_t* queue = rd_kafka_queue_new(handle_);
  rd_kafka_CreatePartitions(handle_, &more, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  if (event == nullptr) Fail("no answer to CreatePartitions");
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_CreatePartitions_result_topics(
      rd_kafka_event_CreatePartitions_result(event), &count);
  if (count != 1) Fail("CreatePartitions answered nothing");
  Must(rd_kafka_topic_result_error(results[0]), "CreatePartitions");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewPartitions_destroy(more);
}

void ForeignClient::DeleteBefore(const std::string& topic, int partition, int64_t offset) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = offset;
  rd_kafka_DeleteRecords_t* before = rd_kafka_DeleteRecords_new(list);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(handle_);
  rd_kafka_DeleteRecords(handle_, &before, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  if (event == nullptr) Fail("no answer to DeleteRecords");
  Must(rd_kafka_event_error(event), "DeleteRecords");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_DeleteRecords_destroy(before);
  rd_kafka_topic_partition_list_destroy(list);
}

int64_t ForeignClient::Committed(const std::string& topic, int partition) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
  Must(rd_kafka_committed(handle_, list, kTimeoutMs), "committed");
  const int64_t offset = list->elems[0].offset;
  rd_kafka_topic_partition_list_destroy(list);
  return offset;
}

void ForeignClient::LeaveHole(const std::string& topic, int partition) {
  Must(rd_kafka_begin_transaction(handle_), "begin_transaction");
  // The client adds the partition to the transaction; the broker then refuses the record, which is
  // longer than the topic takes, so that the mark of the abort is all that is written.
  std::string too_long(1'200'000, 'x');
  for (size_t i = 0; i < too_long.size(); ++i)
    too_long[i] = static_cast<char>(i * 2654435761U >> 13);
  Must(rd_kafka_producev(handle_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                         RD_KAFKA_V_VALUE(too_long.data(), too_long.size()), RD_KAFKA_V_END),
       "produce");
  Must(rd_kafka_flush(handle_, kTimeoutMs), "flush");
  if (delivered_code_ != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) Fail("the broker took the record");
  Must(rd_kafka_abort_transaction(handle_, kTimeoutMs), "abort_transaction");
}

}  // namespace tandem::bus
