// The health score (product §5.1). All formulas are Tandem's own definition; the product names
// groups, weights and measures, these are the numbers behind them. Scores are hundredths, 0 to
// 10000, in integers:
//
//   UNRESOLVED     10000 * H / (H + points),  points = sum over open tickets of the points of their
//                  severity (a ticket not classified yet counts as NORMAL)
//   MISSED_CYCLES  10000 * H / (H + n),  n = SLA cycles missed whose due instant is in the window
//   REOPENS        10000 * H / (H + n),  n = reopenings in the window
//   CSAT           10000 * good / answers,  good = answers of 4 or 5 among the answers in the
//   window, each
//                  survey by its last answer; no answer = no number
//
// H is the policy's half_at: so many make 50.00, none makes 100.00, more always makes less, and no
// number of them makes 0. Each division rounds half up. All other measures have no number (NA)
// until their facts exist.
//
//   group score = sum(weight * score) / sum(weight)    over the group's measures that have a number
//   score       = sum(weight * group) / sum(weight)    over the groups that have one
//
// which is what sharing out the weight of NA measures in proportion comes to, within the group
// first, then among the groups. Known share = sum over known measures of group weight * measure
// weight / (weights of the group), of all group weights; below one half the band is UNKNOWN and
// there is no number.
//
// A window ends on whole hours: a fact leaves it at the end of the hour in which it becomes as old
// as the window, so that what happened in one hour decays at one instant. The score depends on the
// facts alone, whatever their order; the band also on the band before, within the hysteresis. Pure
// functions; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/health_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

inline constexpr int32_t kNoScore = -1;

// PROSPECT, CHURNED and WIN_BACK have no health.
bool HasHealth(type::v1::JourneyStage stage);

// The first profile that fits; the last one fits all.
const account::v1::HealthProfile& ProfileOf(type::v1::JourneyStage stage, type::v1::Segment segment,
                                            const account::v1::HealthPolicy& policy);

struct HealthScore {
  int32_t score = kNoScore;
  int32_t known_share = 0;  // hundredths of a percent
  std::string profile;
  std::vector<account::v1::GroupScore> groups;
};
// The score of what the record holds. A stage without health has none, but its parts are told.
HealthScore ScoreOf(const records::HealthRecord& health, const account::v1::HealthPolicy& policy);

// The same number without the parts, for the way of every event.
int32_t QuickScoreOf(const records::HealthRecord& health, const account::v1::HealthPolicy& policy);

// The band of a score after `before`; kNoScore gives UNKNOWN, a stage without health unspecified.
type::v1::HealthBand BandOf(int32_t score, type::v1::HealthBand before,
                            type::v1::JourneyStage stage, const account::v1::HealthPolicy& policy);

// ---- facts
// One ticket more or less among the unresolved ones of a severity.
void CountUnresolved(records::HealthRecord& health, type::v1::Severity severity, int32_t by);
// INTERNAL when fewer than no unresolved tickets are counted: what was taken away was never there,
// as when the ticket and the counts were read at two instants with another process's commit between
// them.
absl::Status CheckCounts(const records::HealthRecord& health);
// One fact more (by = 1) or less (by = -1) at `at`. A fact whose window has ended already changes
// nothing.
void CountMissed(records::HealthRecord& health, absl::Time at, int32_t by,
                 const account::v1::HealthPolicy& policy);
void CountReopened(records::HealthRecord& health, absl::Time at, int32_t by,
                   const account::v1::HealthPolicy& policy);
void CountCsat(records::HealthRecord& health, absl::Time at, bool good, int32_t by,
               const account::v1::HealthPolicy& policy);

// When the next fact leaves its window; InfiniteFuture when there is none.
absl::Time NextDecay(const records::HealthRecord& health, const account::v1::HealthPolicy& policy);
// Lets go of the facts whose window has ended at `at`.
void Decay(records::HealthRecord& health, absl::Time at, const account::v1::HealthPolicy& policy);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_HEALTH_H_
