#include "common/kafka/kafka_flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(KafkaFlags, NameBrokersPropertiesAndFilesOfSecrets) {
  const auto options =
      ParseKafkaFlags("kafka:a:9092,b:9092", {"security.protocol=SASL_SSL"}, {"sasl.password=/p"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->brokers, "a:9092,b:9092");
  EXPECT_THAT(options->properties,
              ElementsAre(Pair("sasl.password.file", "/p"), Pair("security.protocol", "SASL_SSL")));
}

TEST(KafkaFlags, ThatCannotBeAreNamed) {
  const auto message = [](const auto& options) { return std::string(options.status().message()); };
  EXPECT_THAT(message(ParseKafkaFlags("kafka:", {}, {})), HasSubstr("--bus: \"kafka:\" is not"));
  EXPECT_THAT(message(ParseKafkaFlags("a:9092", {}, {})), HasSubstr("--bus: \"a:9092\" is not"));
  EXPECT_THAT(message(ParseKafkaFlags("kafka:a:1", {"x"}, {})),
              HasSubstr("--kafka-property: \"x\""));
  EXPECT_THAT(message(ParseKafkaFlags("kafka:a:1", {}, {"x"})), HasSubstr("--kafka-secret: \"x\""));
}

}  // namespace
}  // namespace tandem::bus
