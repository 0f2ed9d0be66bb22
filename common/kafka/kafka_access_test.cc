#include "common/kafka/kafka_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::bus {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(500'000);
const absl::Status kWhy = absl::PermissionDeniedError("Group authorization failed");

TEST(KafkaAccess, EachRefusalOfABrokerNamesItsRight) {
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, KafkaRight::kRead),
            KafkaRight::kGroup);
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KafkaRight::kRead),
            KafkaRight::kRead);
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KafkaRight::kWrite),
            KafkaRight::kWrite);
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, KafkaRight::kWrite),
            KafkaRight::kIdempotent);
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR__TRANSPORT, KafkaRight::kWrite), std::nullopt);
  EXPECT_EQ(RefusedRight(RD_KAFKA_RESP_ERR_NO_ERROR, KafkaRight::kWrite), std::nullopt);
}

TEST(KafkaAccess, ARefusalThatIsToldOnceLastsUntilItIsAllowed) {
  KafkaAccess access;
  EXPECT_THAT(access.At(kNow), IsEmpty());
  access.Refused(KafkaRight::kGroup, kWhy, kNow);
  access.Refused(KafkaRight::kGroup, kWhy, kNow + absl::Seconds(1));
  const auto refusals = access.At(kNow + absl::Hours(5));
  ASSERT_THAT(refusals, SizeIs(1));
  EXPECT_EQ(refusals[0].right, KafkaRight::kGroup);
  EXPECT_EQ(refusals[0].since, kNow);
  EXPECT_EQ(refusals[0].why, kWhy);
  access.Allowed(KafkaRight::kWrite);
  EXPECT_THAT(access.At(kNow), SizeIs(1));
  access.Allowed(KafkaRight::kGroup);
  EXPECT_THAT(access.At(kNow), IsEmpty());
}

TEST(KafkaAccess, ARefusalThatIsRepeatedLastsAsLongAsItIs) {
  KafkaAccess access;
  access.Refused(KafkaRight::kRead, kWhy, kNow);
  access.Refused(KafkaRight::kRead, kWhy, kNow + absl::Seconds(10));
  EXPECT_THAT(access.At(kNow + absl::Seconds(25)), SizeIs(1));
  EXPECT_THAT(access.At(kNow + absl::Seconds(26)), IsEmpty());
  access.Refused(KafkaRight::kRead, kWhy, kNow + absl::Seconds(60));
  ASSERT_THAT(access.At(kNow + absl::Seconds(60)), SizeIs(1));
  EXPECT_EQ(access.At(kNow + absl::Seconds(60))[0].since, kNow + absl::Seconds(60));
}

TEST(KafkaAccess, EveryRightHasAName) {
  for (const KafkaRight right : AllKafkaRights()) EXPECT_FALSE(NameOf(right).empty());
  EXPECT_THAT(AllKafkaRights(), SizeIs(5));
}

}  // namespace
}  // namespace tandem::bus
