#include "services/account_health/journey.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "common/time/micros.h"
#include "common/time/stamp.h"

namespace tandem::account_health {
namespace {

using account::v1::StageStay;
using account::v1::TimeInStage;
using records::AccountRecord;

// The time of older stays lives on in past_times.
constexpr int kMaxStays = 100;
constexpr int64_t kMicrosPerSecond = 1'000'000;

}  // namespace

bool IsMove(type::v1::JourneyStage from, type::v1::JourneyStage to) {
  using namespace type::v1;
  switch (from) {
    case JOURNEY_STAGE_PROSPECT:
      return to == JOURNEY_STAGE_FIRST_PURCHASE;
    case JOURNEY_STAGE_FIRST_PURCHASE:
      return to == JOURNEY_STAGE_ACTIVATION || to == JOURNEY_STAGE_CHURNED;
    case JOURNEY_STAGE_ACTIVATION:
      return to == JOURNEY_STAGE_LOYALTY || to == JOURNEY_STAGE_RENEWAL ||
             to == JOURNEY_STAGE_CHURNED;
    case JOURNEY_STAGE_LOYALTY:
      return to == JOURNEY_STAGE_RENEWAL || to == JOURNEY_STAGE_CHURNED;
    case JOURNEY_STAGE_RENEWAL:
      return to == JOURNEY_STAGE_LOYALTY || to == JOURNEY_STAGE_CHURNED;
    case JOURNEY_STAGE_CHURNED:
      return to == JOURNEY_STAGE_WIN_BACK || to == JOURNEY_STAGE_FIRST_PURCHASE;
    case JOURNEY_STAGE_WIN_BACK:
      return to == JOURNEY_STAGE_FIRST_PURCHASE || to == JOURNEY_STAGE_CHURNED;
    default:
      return false;
  }
}

void EnterStage(AccountRecord& account, type::v1::JourneyStage to, absl::Time at, bool correction,
                std::string_view reason, std::string_view staff_id) {
  const google::protobuf::Timestamp instant = time::Stamp(at);
  if (account.journey_size() > 0) {
    StageStay& last = *account.mutable_journey(account.journey_size() - 1);
    *last.mutable_left_at() = instant;
    TimeInStage* total = nullptr;
    for (TimeInStage& one : *account.mutable_past_times()) {
      if (one.stage() == last.stage()) total = &one;
    }
    if (total == nullptr) {
      total = account.add_past_times();
      total->set_stage(last.stage());
    }
    total->set_seconds(total->seconds() +
                       (time::MicrosOf(instant) - time::MicrosOf(last.entered_at())) /
                           kMicrosPerSecond);
  }
  StageStay& stay = *account.add_journey();
  stay.set_stage(to);
  *stay.mutable_entered_at() = instant;
  stay.set_correction(correction);
  stay.set_reason(std::string(reason));
  stay.set_staff_id(std::string(staff_id));
  if (account.journey_size() > kMaxStays) account.mutable_journey()->DeleteSubrange(0, 1);
  account.mutable_account()->set_stage(to);
}

absl::Time EnteredAt(const AccountRecord& account) {
  if (account.journey_size() == 0) return absl::InfinitePast();
  return time::FromMicros(time::MicrosOf(account.journey(account.journey_size() - 1).entered_at()));
}

std::vector<TimeInStage> TimesInStages(const AccountRecord& account, absl::Time now) {
  std::map<int, int64_t> seconds;
  for (const TimeInStage& past : account.past_times()) seconds[past.stage()] += past.seconds();
  if (account.journey_size() > 0) {
    const StageStay& last = account.journey(account.journey_size() - 1);
    seconds[last.stage()] +=
        std::max<int64_t>(0, time::ToMicros(now) - time::MicrosOf(last.entered_at())) /
        kMicrosPerSecond;
  }
  std::vector<TimeInStage> times;
  for (const auto& [stage, total] : seconds) {
    TimeInStage& one = times.emplace_back();
    one.set_stage(static_cast<type::v1::JourneyStage>(stage));
    one.set_seconds(total);
  }
  return times;
}

}  // namespace tandem::account_health
