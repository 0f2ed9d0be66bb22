#include "common/kafka/kafka_access.h"

namespace tandem::bus {
namespace {

// Whether librdkafka tells it again as long as it lasts, and nothing tells its end. A partition
// that may not be read is sought again after each refusal, a producer that may not be idempotent is
// replaced.
bool IsRepeated(KafkaRight right) {
  return right == KafkaRight::kRead || right == KafkaRight::kIdempotent;
}

}  // namespace

const std::vector<KafkaRight>& AllKafkaRights() {
  static const auto* const rights =
      new std::vector<KafkaRight>{KafkaRight::kGroup, KafkaRight::kDescribe, KafkaRight::kRead,
                                  KafkaRight::kWrite, KafkaRight::kIdempotent};
  return *rights;
}

std::string_view NameOf(KafkaRight right) {
  switch (right) {
    case KafkaRight::kGroup:
      return "group";
    case KafkaRight::kDescribe:
      return "describe";
    case KafkaRight::kRead:
      return "read";
    case KafkaRight::kWrite:
      return "write";
    case KafkaRight::kIdempotent:
      return "idempotent";
  }
  return "";
}

std::optional<KafkaRight> RefusedRight(rd_kafka_resp_err_t code, KafkaRight on_topic) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return KafkaRight::kGroup;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return on_topic;
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return KafkaRight::kIdempotent;
    default:
      return std::nullopt;
  }
}

void KafkaAccess::Refused(KafkaRight right, const absl::Status& why, absl::Time now) {
  const absl::MutexLock lock(&mutex_);
  const auto [known, is_new] = refused_.try_emplace(right, Known{now, now, why});
  if (is_new) return;
  if (IsRepeated(right) && now - known->second.last > kRepeatedWithin) known->second.since = now;
  known->second.last = now;
  known->second.why = why;
}

void KafkaAccess::Allowed(KafkaRight right) {
  const absl::MutexLock lock(&mutex_);
  refused_.erase(right);
}

std::vector<KafkaRefusal> KafkaAccess::At(absl::Time now) const {
  const absl::MutexLock lock(&mutex_);
  std::vector<KafkaRefusal> refusals;
  for (const auto& [right, known] : refused_) {
    if (IsRepeated(right) && now - known.last > kRepeatedWithin) continue;
    refusals.push_back({right, known.since, known.why});
  }
  return refusals;
}

}  // namespace tandem::bus
