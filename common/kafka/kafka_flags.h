// What a program's command line says of Kafka.
#ifndef TANDEM_COMMON_KAFKA_KAFKA_FLAGS_H_
#define TANDEM_COMMON_KAFKA_KAFKA_FLAGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka/kafka_client.h"

namespace tandem::bus {

// "kafka:HOST:PORT,HOST:PORT" as "HOST:PORT,HOST:PORT". INVALID_ARGUMENT names --bus and the text.
absl::StatusOr<std::string> ParseKafkaBus(std::string_view text);

// Of --bus as above, --kafka-property NAME=VALUE and --kafka-secret NAME=FILE; without `log`.
// INVALID_ARGUMENT names the flag. Whether the properties may be set is judged when they are used
// (ReadKafkaConfig).
absl::StatusOr<KafkaClientOptions> ParseKafkaFlags(std::string_view bus,
                                                   const std::vector<std::string>& properties,
                                                   const std::vector<std::string>& secrets);

}  // namespace tandem::bus

#endif  // TANDEM_COMMON_KAFKA_KAFKA_FLAGS_H_
