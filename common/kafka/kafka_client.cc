#include "common/kafka/kafka_client.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/config/text_file.h"

namespace tandem::bus {
namespace {

constexpr size_t kMaxSecretBytes = 64 << 10;

// Properties that a caller may give. Not among them: what runs a program (sasl.kerberos.kinit.cmd),
// turns a check off (enable.ssl.certificate.verification), or holds a secret in plain sight.
constexpr std::array kAllowed = {
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "ssl.endpoint.identification.algorithm",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.kerberos.service.name",
    "sasl.kerberos.principal",
    "sasl.kerberos.keytab",
};
// Given as "NAME.file".
constexpr std::array kSecret = {
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
};

template <size_t kSize>
bool Contains(const std::array<const char*, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

KafkaLogLevel LevelOf(int syslog_level) {
  if (syslog_level <= 3) return KafkaLogLevel::kError;
  return syslog_level <= 4 ? KafkaLogLevel::kWarning : KafkaLogLevel::kInfo;
}

// Before 2.6.1 librdkafka sends its own nonce twice (its pull request 4895), which brokers refuse
// since they compare it, as the answer to CVE-2024-56128: they then call the password wrong.
constexpr int kSoundScram = 0x020601ff;

std::string HintOnScram(const KafkaConfig& config) {
  if (rd_kafka_version() >= kSoundScram) return "";
  for (const auto& [name, value] : config.properties) {
    if (absl::StartsWith(name, "sasl.mechanism") && absl::StartsWith(value, "SCRAM")) {
      return absl::StrCat("; SCRAM with a broker of Kafka 4 needs librdkafka 2.6.1, this is ",
                          rd_kafka_version_str(), ": use PLAIN over TLS");
    }
  }
  return "";
}

}  // namespace

std::string KafkaConfig::Scrubbed(const std::string& line) const {
  std::string scrubbed = line;
  for (const std::string& secret : secrets) {
    scrubbed = absl::StrReplaceAll(scrubbed, {{secret, "<secret>"}});
  }
  return scrubbed;
}

void KafkaConfig::Log(KafkaLogLevel level, const std::string& line) const {
  if (log && !is_mute) log(level, Scrubbed(line));
}

absl::StatusOr<std::shared_ptr<const KafkaConfig>> ReadKafkaConfig(
    const KafkaClientOptions& options) {
  if (options.brokers.empty()) {
    return absl::InvalidArgumentError("kafka: no broker is named; give host:port,host:port");
  }
  auto config = std::make_shared<KafkaConfig>();
  config->brokers = options.brokers;
  config->log = options.log;
  for (const auto& [name, value] : options.properties) {
    if (Contains(kAllowed, name)) {
      config->properties.emplace_back(name, value);
      continue;
    }
    if (Contains(kSecret, name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "kafka: ", name, " is a secret; write it into a file and give ", name, ".file=PATH"));
    }
    absl::string_view stem = name;
    const bool is_file = absl::ConsumeSuffix(&stem, ".file");
    const std::string secret(stem);
    if (!is_file || !Contains(kSecret, secret)) {
      return absl::InvalidArgumentError(
          absl::StrCat("kafka: \"", name, "\" is not a property that may be set; these may: ",
                       "security.protocol, ssl.*, sasl.*, as common/kafka/README.md lists them"));
    }
    absl::StatusOr<std::string> content = config::ReadTextFile(value, kMaxSecretBytes);
    if (!content.ok()) {
      return absl::Status(
          content.status().code(),
          absl::StrCat("kafka: ", name, ": ", std::string(content.status().message())));
    }
    while (absl::EndsWith(*content, "\n") || absl::EndsWith(*content, "\r")) content->pop_back();
    if (content->empty()) {
      return absl::InvalidArgumentError(absl::StrCat("kafka: ", name, ": ", value, " is empty"));
    }
    config->properties.emplace_back(secret, *content);
    config->secrets.push_back(*std::move(content));
  }
  return std::shared_ptr<const KafkaConfig>(std::move(config));
}

absl::Status KafkaError(rd_kafka_resp_err_t code, const std::string& what) {
  const auto status_code = [&] {
    switch (code) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return absl::StatusCode::kOk;
      case RD_KAFKA_RESP_ERR__TRANSPORT:
      case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      case RD_KAFKA_RESP_ERR__RESOLVE:
      case RD_KAFKA_RESP_ERR__TIMED_OUT:
      case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
      case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      case RD_KAFKA_RESP_ERR__WAIT_COORD:
      case RD_KAFKA_RESP_ERR__WAIT_CACHE:
      case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
      case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      case RD_KAFKA_RESP_ERR__RETRY:
      case RD_KAFKA_RESP_ERR__STATE:
      case RD_KAFKA_RESP_ERR__FATAL:
      case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
      case RD_KAFKA_RESP_ERR__DESTROY:
      case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
      case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
      case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
      case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
      case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
      case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
      case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
      case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
      case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
        return absl::StatusCode::kUnavailable;
      case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return absl::StatusCode::kResourceExhausted;
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return absl::StatusCode::kOutOfRange;
      case RD_KAFKA_RESP_ERR__BAD_MSG:
      case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
      case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:  // a compression or a format of a later client
      case RD_KAFKA_RESP_ERR_INVALID_MSG:
        return absl::StatusCode::kDataLoss;
      case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      case RD_KAFKA_RESP_ERR_INVALID_RECORD:
      case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return absl::StatusCode::kInvalidArgument;
      case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      case RD_KAFKA_RESP_ERR__SSL:
      case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return absl::StatusCode::kPermissionDenied;
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
      case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
      case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
      case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return absl::StatusCode::kFailedPrecondition;
      default:
        return absl::StatusCode::kInternal;
    }
  }();
  return absl::Status(status_code, absl::StrCat("kafka: ", what, ": ", rd_kafka_err2str(code), " (",
                                                rd_kafka_err2name(code), ")"));
}

absl::Status KafkaError(rd_kafka_error_t* error, const std::string& what) {
  if (error == nullptr) return absl::OkStatus();
  const absl::Status status = KafkaError(rd_kafka_error_code(error), what);
  const std::string text =
      absl::StrCat(std::string(status.message()), ": ", rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
  return absl::Status(status.code(), text);
}

int Millis(absl::Duration timeout) {
  return static_cast<int>(
      absl::ToInt64Milliseconds(std::clamp(timeout, absl::Milliseconds(1), absl::Hours(24))));
}

void Bell::Ring() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    has_rung_ = true;
  }
  rung_.notify_one();
}

void Bell::Wait(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  rung_.wait_for(lock, absl::ToChronoMicroseconds(timeout), [this] { return has_rung_; });
  has_rung_ = false;
}

struct Worker::Done {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_done = false;
};

Worker::~Worker() {
  // Started and not ended: a fault of the owner, which must not end the program on its way out.
  if (thread_.joinable()) thread_.detach();
}

void Worker::Start(const char* name, std::function<void()> run) {
  done_ = std::make_shared<Done>();
  thread_ = std::thread([done = done_, run = std::move(run)]() mutable {
    run();
    run = nullptr;  // what it owns ends before the end is told
    {
      const std::lock_guard<std::mutex> lock(done->mutex);
      done->is_done = true;
    }
    done->changed.notify_all();
  });
  const std::string shown = std::string(name).substr(0, 15);
  pthread_setname_np(thread_.native_handle(), shown.c_str());
}

bool Worker::End(absl::Duration timeout) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock<std::mutex> lock(done_->mutex);
    done_->changed.wait_for(lock, absl::ToChronoMicroseconds(timeout),
                            [this] { return done_->is_done; });
    if (!done_->is_done) {
      thread_.detach();
      return false;
    }
  }
  thread_.join();
  return true;
}

void RingOn(rd_kafka_queue_t* queue, Bell* bell) {
  rd_kafka_queue_cb_event_enable(
      queue, [](rd_kafka_t*, void* opaque) { static_cast<Bell*>(opaque)->Ring(); }, bell);
}

absl::StatusOr<std::unique_ptr<KafkaClient>> KafkaClient::Make(
    rd_kafka_type_t type, std::shared_ptr<const KafkaConfig> config, const Settings& settings,
    Hooks hooks) {
  auto client = std::unique_ptr<KafkaClient>(new KafkaClient(std::move(config), std::move(hooks)));
  struct ConfDeleter {
    void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  };
  std::unique_ptr<rd_kafka_conf_t, ConfDeleter> conf(rd_kafka_conf_new());
  std::array<char, 512> error = {};
  absl::Status refused;
  const auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), error.data(), error.size()) !=
            RD_KAFKA_CONF_OK &&
        refused.ok()) {
      refused = absl::InvalidArgumentError(
          client->config_->Scrubbed(absl::StrCat("kafka: ", name, ": ", error.data())));
    }
  };
  set("bootstrap.servers", client->config_->brokers);
  set("client.id", "tandem");
  set("socket.nagle.disable", "true");
  set("socket.keepalive.enable", "true");
  // A broker that comes back is found within these (librdkafka adds jitter of its own).
  set("reconnect.backoff.ms", "50");
  set("reconnect.backoff.max.ms", "1000");
  // An address at which nobody answers any more, a replaced pod's for example, is given up after
  // this long; librdkafka's own 30 s are as long a stop.
  set("socket.connection.setup.timeout.ms", "5000");
  // The broker closes idle connections, which is no news.
  set("log.connection.close", "false");
  for (const auto& [name, value] : client->config_->properties) set(name, value);
  for (const auto& [name, value] : settings) set(name, value);
  if (!refused.ok()) return refused;
  rd_kafka_conf_set_opaque(conf.get(), client.get());
  rd_kafka_conf_set_log_cb(conf.get(), &KafkaClient::Logged);
  rd_kafka_conf_set_error_cb(conf.get(), &KafkaClient::Failed);
  if (client->hooks_.delivered) {
    rd_kafka_conf_set_dr_msg_cb(conf.get(),
                                [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
                                  static_cast<KafkaClient*>(opaque)->hooks_.delivered(*message);
                                });
  }
  if (client->hooks_.rebalanced) {
    rd_kafka_conf_set_rebalance_cb(
        conf.get(), [](rd_kafka_t*, rd_kafka_resp_err_t code,
                       rd_kafka_topic_partition_list_t* partitions, void* opaque) {
          static_cast<KafkaClient*>(opaque)->hooks_.rebalanced(code, partitions);
        });
  }
  if (client->hooks_.committed) {
    rd_kafka_conf_set_offset_commit_cb(
        conf.get(),
        [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t*, void* opaque) {
          static_cast<KafkaClient*>(opaque)->hooks_.committed(code);
        });
  }
  client->handle_ = rd_kafka_new(type, conf.get(), error.data(), error.size());
  if (client->handle_ == nullptr) {
    return absl::InvalidArgumentError(
        client->config_->Scrubbed(absl::StrCat("kafka: the client cannot start: ", error.data())));
  }
  conf.release();  // the handle's now
  return client;
}

KafkaClient::~KafkaClient() {
  if (handle_ == nullptr) return;
  rd_kafka_destroy_flags(handle_, skip_close_ ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
}

void KafkaClient::Logged(const rd_kafka_t* handle, int level, const char* facility,
                         const char* text) {
  const auto* client = static_cast<const KafkaClient*>(rd_kafka_opaque(handle));
  // What librdkafka thinks of settings that were chosen on purpose.
  const bool is_opinion = std::string_view(facility) == "CONFWARN";
  client->Log(is_opinion ? KafkaLogLevel::kInfo : LevelOf(level),
              absl::StrCat("kafka: ", facility, ": ", text));
}

void KafkaClient::Failed(rd_kafka_t* /*handle*/, int code, const char* reason, void* opaque) {
  auto* client = static_cast<KafkaClient*>(opaque);
  client->Log(KafkaLogLevel::kWarning,
              absl::StrCat("kafka: ", rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code)),
                           ": ", reason));
  // It says nothing that the errors of the single brokers have not said before.
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return;
  // A broker that dies in the middle of the handshake has refused nobody.
  const bool is_refusal =
      code == RD_KAFKA_RESP_ERR__AUTHENTICATION &&
      !absl::StrContains(reason, rd_kafka_err2str(RD_KAFKA_RESP_ERR__TRANSPORT));
  const std::lock_guard<std::mutex> lock(client->mutex_);
  client->trouble_ = absl::Status(
      is_refusal ? absl::StatusCode::kPermissionDenied : absl::StatusCode::kUnavailable,
      client->config_->Scrubbed(reason));
}

absl::Status KafkaClient::trouble() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return trouble_;
}

absl::Status Explained(KafkaClient& client, const absl::Status& failure) {
  rd_kafka_poll(client.get(), 0);
  const absl::Status trouble = client.trouble();
  if (failure.ok() || trouble.ok()) return failure;
  if (absl::IsPermissionDenied(trouble)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "kafka: ", trouble.message(), "; look at sasl.mechanism, sasl.username and sasl.password",
        HintOnScram(client.config())));
  }
  return absl::Status(failure.code(), absl::StrCat(failure.message(), ": ", trouble.message()));
}

void KafkaClient::Log(KafkaLogLevel level, const std::string& line) const {
  if (!muted_) config_->Log(level, line);
}

}  // namespace tandem::bus
