#include "common/kafka/kafka_flags.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/pairs.h"

namespace tandem::bus {

absl::StatusOr<std::string> ParseKafkaBus(std::string_view text) {
  const std::string whole(text);
  if (!absl::StartsWith(whole, "kafka:") || whole.size() == 6) {
    return absl::InvalidArgumentError(
        absl::StrCat("--bus: \"", whole, "\" is not kafka:HOST:PORT,HOST:PORT"));
  }
  return whole.substr(6);
}

absl::StatusOr<KafkaClientOptions> ParseKafkaFlags(std::string_view bus,
                                                   const std::vector<std::string>& properties,
                                                   const std::vector<std::string>& secrets) {
  KafkaClientOptions options;
  auto brokers = ParseKafkaBus(bus);
  if (!brokers.ok()) return brokers.status();
  options.brokers = *std::move(brokers);
  auto plain = config::ParsePairs("kafka-property", properties);
  if (!plain.ok()) return plain.status();
  options.properties = *std::move(plain);
  const auto files = config::ParsePairs("kafka-secret", secrets);
  if (!files.ok()) return files.status();
  for (const auto& [name, file] : *files) {
    options.properties[absl::StrCat(name, ".file")] = file;
  }
  return options;
}

}  // namespace tandem::bus
