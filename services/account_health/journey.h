// The journey of an account through its stages (product §0, §5.3). Pure; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_JOURNEY_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_JOURNEY_H_

#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::account_health {

// Whether the journey has this move; a correction may go anywhere else.
bool IsMove(type::v1::JourneyStage from, type::v1::JourneyStage to);

// Ends the stay and begins the next one at `at`, which does not lie before the stay's beginning.
void EnterStage(records::AccountRecord& account, type::v1::JourneyStage to, absl::Time at,
                bool correction, std::string_view reason, std::string_view staff_id);

// When the stage now was entered; InfinitePast before the first.
absl::Time EnteredAt(const records::AccountRecord& account);

// Time in each stage up to `now`, in the order of the stages.
std::vector<account::v1::TimeInStage> TimesInStages(const records::AccountRecord& account,
                                                    absl::Time now);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_JOURNEY_H_
