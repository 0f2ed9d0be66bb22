// Which outreach waits for which open issue (product §5.2). Pure functions over issues and counts
// of them; any thread. Derived state: the same issues and policy hold the same topics, whatever
// came first.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_HOLDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_HOLDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/account_health/records.pb.h"
#include "services/account_health/topics.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/events/v1/account.pb.h"

namespace tandem::account_health {

// Bits of Issue.flags.
inline constexpr uint32_t kBreached = 1;
inline constexpr uint32_t kReopened = 2;
inline constexpr uint32_t kFrustrated = 4;
inline constexpr uint32_t kFollowUp = 8;
// Events of the subject are parked, so that nobody knows what is open: whatever the policy says, it
// holds every topic that can be held, for everybody, and no exception lets one through.
inline constexpr uint32_t kParked = 16;
inline constexpr std::string_view kParkedRule = "account_parked";
// Suspected to be spam: it holds nothing and is shown as advice.
inline constexpr uint32_t kSuspected = 32;
inline constexpr std::string_view kSuspectedName = "suspected_spam";

// The topics that an issue holds, by scope.
struct HeldBy {
  TopicSet account = 0;  // for everybody
  TopicSet contact = 0;  // for the requester and the watchers
  bool operator==(const HeldBy&) const = default;
};

// NEW, OPEN, PENDING or ON_HOLD.
bool IsUnresolved(type::v1::TicketState state);
// Whether the issue concerns this contact: the requester, a watcher, who answered the survey.
bool Concerns(const records::Issue& issue, std::string_view contact_id);
// The name that OutreachBlock.rule and OutreachHeld.rules use.
std::string_view RuleName(account::v1::HoldCondition condition);

HeldBy TopicsHeldBy(const records::Issue& issue, const account::v1::OutreachPolicy& policy);
// The name of the first rule by which the issue holds the topic for the contact, "" when none does.
// An empty contact means all contacts: then also what concerns a single one counts.
std::string_view FindRule(const records::Issue& issue, type::v1::OutreachTopic topic,
                          std::string_view contact_id, const account::v1::OutreachPolicy& policy);

// Why a topic is held for a contact (empty = all), and what is open beside: one line an issue, in
// the order given.
struct Findings {
  std::vector<account::v1::OutreachBlock> blocks;
  std::vector<account::v1::OutreachBlock> advice;
};
Findings Judge(const std::vector<records::Issue>& issues, type::v1::OutreachTopic topic,
               std::string_view contact_id, const account::v1::OutreachPolicy& policy);

// The same for the subjects with parked events, which stand in the account's record. A subject that
// is parked already stays as it is; the stretches of time in which any is parked are kept.
void PutParked(records::HoldRecord& holds, std::string_view subject_id, int64_t known_sequence,
               absl::Time at);
void DropParked(records::HoldRecord& holds, std::string_view subject_id, absl::Time at);
const records::Issue* FindParked(const records::HoldRecord& holds, std::string_view subject_id);

// The contacts that the issue concerns, each once, in order.
std::vector<std::string> ContactsOf(const records::Issue& issue);

// Counts (by = 1) or no longer counts (by = -1) an issue that holds `topics` in the scope.
void Count(records::HeldScope& scope, TopicSet topics, int by);
// The topics that some counted issue holds.
TopicSet CountedTopics(const records::HeldScope& scope);
// The topics held as `held` says.
TopicSet HeldTopicsOf(const records::HeldScope& scope);

// What became held or cleared, as events without account and policy.
struct HoldChanges {
  std::vector<events::v1::OutreachCleared> cleared;
  std::vector<events::v1::OutreachHeld> held;
};

// Where and why topics are held: a contact's scope, or ("") the account's.
struct ScopeCause {
  std::string_view contact_id;
  // Those that may hold what was not held before.
  absl::Span<const records::Issue> issues;
  // Whether events of the account are parked.
  bool is_parked = false;
};
// Brings `held` up to date with what is counted, and tells the changes: one event for all topics
// that changed together for the same reasons. `at_us` is the instant of the change.
void Settle(records::HeldScope& scope, const ScopeCause& cause,
            const account::v1::OutreachPolicy& policy, int64_t at_us, HoldChanges& changes);
// Whether Settle would change anything.
bool IsSettled(const records::HeldScope& scope, bool is_parked);

// A half-open stretch of time.
struct Stretch {
  int64_t from_us = 0;
  int64_t to_us = 0;
};
// The length of the union of the stretches inside [from_us, to_us). Order and overlaps do not
// matter: this is what makes the hours held come out the same whatever arrived first.
int64_t LengthOfUnion(std::vector<Stretch> stretches, int64_t from_us, int64_t to_us);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_HOLDS_H_
