// Clearances after they were given: which of them an issue revokes, and which one covers a touch
// (architecture §3, "Clearance without a race"). Pure; any thread.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_CLEARANCE_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_CLEARANCE_H_

#include <optional>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/account_health/holds.h"
#include "services/account_health/records.pb.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"

namespace tandem::account_health {

// What an event did to an issue, as far as it can block.
enum class IssueFact {
  kAppeared,  // opened, or moved or attributed to the account: intake's answer may have seen it
              // already
  kWorsened,  // anything else: always revokes what it blocks
};

// Whether the event made the issue hold more than before (then hold_version rises). `before` is
// null when the issue was not open.
bool HoldsMore(const records::Issue* before, const records::Issue& after,
               const account::v1::OutreachPolicy& policy);

// The standing clearances that the issue blocks. Not those whose time is over at `now`, nor, unless
// a subject is parked, those that rest on an exception. With kAppeared, not those whose as-of
// instant lies more than the allowed skew after the fact: intake's answer had seen that ticket.
std::vector<records::StandingClearance> FindRevoked(const records::HoldRecord& holds,
                                                    const records::Issue& issue, IssueFact fact,
                                                    absl::Time fact_at, absl::Time now,
                                                    const account::v1::OutreachPolicy& policy);

// The standing clearances on one of the topics that reach the contact, by itself or among all, and
// whose time is not over at `now`.
std::vector<records::StandingClearance> FindReaching(const records::HoldRecord& holds,
                                                     std::string_view contact_id, TopicSet topics,
                                                     absl::Time now);

// Takes clearances and exceptions out of the record whose time is over at `now`.
void DropExpired(records::HoldRecord& holds, absl::Time now);

// The exception that stands for the topic at `now`; null when there is none.
const records::StandingException* FindException(const records::HoldRecord& holds,
                                                type::v1::OutreachTopic topic, absl::Time now);

// Whether the clearance is of this contact (or of all) and topic.
bool Covers(const account::v1::Clearance& clearance, std::string_view contact_id,
            type::v1::OutreachTopic topic);
// Whether the clearance stood at `at`, by the instants of the commits that gave it and ended it
// early.
bool StoodAt(const account::v1::Clearance& clearance, absl::Time at);
// Its state for a reader at `now`.
account::v1::ClearanceState StateAt(const account::v1::Clearance& clearance, absl::Time now);

// Whether nothing of what the clearance gives the contact (empty = each contact) was used yet: it
// covers one touch with each.
bool IsUnusedFor(const records::ClearanceRecord& record, std::string_view contact_id);
// Whether units are reserved under it for the contact (empty = some contact).
bool IsReservedFor(const records::ClearanceRecord& record, std::string_view contact_id);
// Notes that it was used with the contact (empty = with all for whom it reserves).
void UseClearance(records::ClearanceRecord& record, std::string_view contact_id, absl::Time at);

// How a touch stands: `clearance` covers it and stood at its instant, or is null.
account::v1::TouchVerdict JudgeTouch(bool inbound, type::v1::OutreachTopic topic,
                                     const account::v1::Clearance* clearance);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_CLEARANCE_H_
