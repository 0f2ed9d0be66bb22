#include "common/kafka/kafka_client.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

std::string FileWith(const std::string& name, const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "kafka_", getpid(), "_", name);
  std::ofstream(path) << content;
  return path;
}

TEST(KafkaConfig, NeedsABroker) {
  EXPECT_EQ(ReadKafkaConfig({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(KafkaConfig, TakesWhatIsOnTheListAndSecretsFromFiles) {
  const std::string secret = absl::StrCat("pass", getpid());
  KafkaClientOptions options;
  options.brokers = "one:9092";
  options.properties = {{"security.protocol", "SASL_SSL"},
                        {"sasl.username", "someone"},
                        {"sasl.password.file", FileWith("password", secret + "\r\n")}};
  const auto config = ReadKafkaConfig(options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ((*config)->brokers, "one:9092");
  EXPECT_THAT((*config)->properties, UnorderedElementsAre(Pair("security.protocol", "SASL_SSL"),
                                                          Pair("sasl.username", "someone"),
                                                          Pair("sasl.password", secret)));
}

TEST(KafkaConfig, RefusesAPropertyThatIsNotOnTheList) {
  for (const char* name : {"acks", "enable.idempotence", "sasl.kerberos.kinit.cmd",
                           "enable.ssl.certificate.verification", "plugin.library.paths",
                           "ssl.key.pem", "group.id.file", "sasl.username.file"}) {
    KafkaClientOptions options;
    options.brokers = "one:9092";
    options.properties = {{name, "x"}};
    const absl::Status status = ReadKafkaConfig(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(Message(status), HasSubstr(name));
  }
}

TEST(KafkaConfig, RefusesASecretInPlainSightWithoutRepeatingIt) {
  const std::string secret = absl::StrCat("pass", getpid());
  KafkaClientOptions options;
  options.brokers = "one:9092";
  options.properties = {{"sasl.password", secret}};
  EXPECT_THAT(Message(ReadKafkaConfig(options).status()),
              AllOf(HasSubstr("sasl.password.file"), Not(HasSubstr(secret))));
}

TEST(KafkaConfig, NamesASecretsFileThatIsMissingOrEmpty) {
  KafkaClientOptions options;
  options.brokers = "one:9092";
  options.properties = {{"sasl.password.file", "/nowhere/password"}};
  EXPECT_THAT(Message(ReadKafkaConfig(options).status()), HasSubstr("/nowhere/password"));
  const std::string empty = FileWith("empty", "\n");
  options.properties = {{"sasl.password.file", empty}};
  EXPECT_THAT(Message(ReadKafkaConfig(options).status()), HasSubstr(empty));
}

TEST(KafkaConfig, TakesSecretsOutOfLogLines) {
  std::string logged;
  KafkaConfig config;
  config.secrets = {"swordfish"};  // no secret: a word of the test
  config.log = [&](KafkaLogLevel, const std::string& line) { logged = line; };
  config.Log(KafkaLogLevel::kError, "user a, password swordfish, swordfish");
  EXPECT_EQ(logged, "user a, password <secret>, <secret>");
  config.Mute();
  config.Log(KafkaLogLevel::kError, "too late");
  EXPECT_EQ(logged, "user a, password <secret>, <secret>");
}

TEST(KafkaClient, NamesASettingThatLibrdkafkaDoesNotTake) {
  KafkaClientOptions options;
  options.brokers = "127.0.0.1:1";
  const auto config = ReadKafkaConfig(options);
  ASSERT_TRUE(config.ok());
  const auto client = KafkaClient::Make(RD_KAFKA_PRODUCER, *config, {{"linger.ms", "soon"}});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(client.status()), HasSubstr("linger.ms"));
}

TEST(KafkaClient, GivesUpAnAddressAtWhichNobodyAnswersWithinSeconds) {
  KafkaClientOptions options;
  options.brokers = "127.0.0.1:1";
  const auto config = ReadKafkaConfig(options);
  ASSERT_TRUE(config.ok());
  const auto client = KafkaClient::Make(RD_KAFKA_PRODUCER, *config, {});
  ASSERT_TRUE(client.ok()) << client.status();
  std::array<char, 32> value = {};
  size_t size = value.size();
  ASSERT_EQ(rd_kafka_conf_get(rd_kafka_conf((*client)->get()), "socket.connection.setup.timeout.ms",
                              value.data(), &size),
            RD_KAFKA_CONF_OK);
  EXPECT_STREQ(value.data(), "5000");
}

TEST(KafkaClient, GivesItsLogLinesToTheCallback) {
  KafkaClientOptions options;
  options.brokers = "127.0.0.1:1";
  absl::Mutex mutex;
  std::string logged;
  options.log = [&](KafkaLogLevel, const std::string& line) {
    const absl::MutexLock lock(&mutex);
    absl::StrAppend(&logged, line, "\n");
  };
  const auto config = ReadKafkaConfig(options);
  ASSERT_TRUE(config.ok());
  // A setting that librdkafka remarks upon at once.
  {
    const auto client =
        KafkaClient::Make(RD_KAFKA_PRODUCER, *config,
                          {{"enable.idempotence", "true"}, {"enable.gapless.guarantee", "true"}});
    ASSERT_TRUE(client.ok());
  }
  const absl::MutexLock lock(&mutex);
  EXPECT_THAT(logged, HasSubstr("kafka: CONFWARN: "));
}

TEST(KafkaErrors, AreSortedByWhatTheCallerCanDo) {
  const struct {
    rd_kafka_resp_err_t code;
    absl::StatusCode status;
  } cases[] = {
      {RD_KAFKA_RESP_ERR_NO_ERROR, absl::StatusCode::kOk},
      {RD_KAFKA_RESP_ERR__TRANSPORT, absl::StatusCode::kUnavailable},
      {RD_KAFKA_RESP_ERR__TIMED_OUT, absl::StatusCode::kUnavailable},
      {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, absl::StatusCode::kUnavailable},
      {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, absl::StatusCode::kUnavailable},
      {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, absl::StatusCode::kUnavailable},
      {RD_KAFKA_RESP_ERR__QUEUE_FULL, absl::StatusCode::kResourceExhausted},
      {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, absl::StatusCode::kOutOfRange},
      {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, absl::StatusCode::kOutOfRange},
      {RD_KAFKA_RESP_ERR__BAD_MSG, absl::StatusCode::kDataLoss},
      {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, absl::StatusCode::kDataLoss},
      {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, absl::StatusCode::kInvalidArgument},
      {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, absl::StatusCode::kPermissionDenied},
      {RD_KAFKA_RESP_ERR__AUTHENTICATION, absl::StatusCode::kPermissionDenied},
      {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, absl::StatusCode::kFailedPrecondition},
      {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, absl::StatusCode::kFailedPrecondition},
      {RD_KAFKA_RESP_ERR_UNKNOWN, absl::StatusCode::kInternal},
  };
  for (const auto& expected : cases) {
    const absl::Status status = KafkaError(expected.code, "event \"e\"");
    EXPECT_EQ(status.code(), expected.status) << rd_kafka_err2name(expected.code);
    if (status.ok()) continue;
    EXPECT_THAT(Message(status),
                AllOf(HasSubstr("event \"e\""), HasSubstr(rd_kafka_err2name(expected.code))));
  }
}

TEST(Bell, RemembersARingUntilTheNextWait) {
  Bell bell;
  bell.Ring();
  bell.Ring();
  bell.Wait(absl::Hours(1));
  // Both rings were taken by it: this one ends by its timeout.
  bell.Wait(absl::Milliseconds(1));
}

TEST(Worker, IsWaitedForOnlyUntilTheDeadline) {
  struct Held {
    Bell bell;
  };
  const auto held = std::make_shared<Held>();
  Worker quick;
  quick.Start("quick", [] {});
  EXPECT_TRUE(quick.End(absl::Seconds(10)));
  Worker stuck;
  stuck.Start("stuck", [held] { held->bell.Wait(absl::Seconds(10)); });
  EXPECT_FALSE(stuck.End(absl::Milliseconds(10)));
  held->bell.Ring();
}

}  // namespace
}  // namespace tandem::bus
