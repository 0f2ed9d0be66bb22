#include "common/rpc/peer_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(500'000);
const absl::Status kAway = absl::UnavailableError("connection refused");

TEST(PeerHealth, TellsOfAPeerThatHasNotAnsweredForLongerThanThePatience) {
  PeerHealth health({{"tandem.intake.v1", "ticket_intake"}, {"tandem.sla.v1", "sla_timer"}},
                    absl::Seconds(20));
  health.Answered("tandem.intake.v1", kAway, kNow);
  health.Answered("tandem.sla.v1", absl::OkStatus(), kNow);
  EXPECT_THAT(health.Silent(kNow + absl::Seconds(19)), IsEmpty());
  health.Answered("tandem.intake.v1", kAway, kNow + absl::Seconds(15));
  EXPECT_THAT(health.Silent(kNow + absl::Seconds(20)),
              ElementsAre(HasSubstr("ticket_intake has not answered since")));
  health.Answered("tandem.intake.v1", absl::OkStatus(), kNow + absl::Seconds(25));
  EXPECT_THAT(health.Silent(kNow + absl::Hours(1)), IsEmpty());
}

TEST(PeerHealth, BeginsAnewAfterAnAnswer) {
  PeerHealth health({{"tandem.sla.v1", "sla_timer"}}, absl::Seconds(20));
  health.Answered("tandem.sla.v1", kAway, kNow);
  health.Answered("tandem.sla.v1", absl::OkStatus(), kNow + absl::Seconds(10));
  health.Answered("tandem.sla.v1", kAway, kNow + absl::Seconds(15));
  EXPECT_THAT(health.Silent(kNow + absl::Seconds(34)), IsEmpty());
}

}  // namespace
}  // namespace tandem::rpc
