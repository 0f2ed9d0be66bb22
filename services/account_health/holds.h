// Which outreach waits for which open issue (product §5.2). Pure functions over an account's open
// issues; any thread. Derived state: the same issues and policy hold the same topics, whatever came
// first.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_HOLDS_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_HOLDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
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

// Puts the issue (by its subject id) into the record, or takes it out.
void PutIssue(records::HoldRecord& holds, records::Issue issue);
void DropIssue(records::HoldRecord& holds, std::string_view subject_id);
const records::Issue* FindIssue(const records::HoldRecord& holds, std::string_view subject_id);

// The same for the subjects with parked events. A subject that is parked already stays as it is;
// the stretches of time in which any is parked are kept.
void PutParked(records::HoldRecord& holds, std::string_view subject_id, int64_t known_sequence,
               absl::Time at);
void DropParked(records::HoldRecord& holds, std::string_view subject_id, absl::Time at);
const records::Issue* FindParked(const records::HoldRecord& holds, std::string_view subject_id);

// The open issues as this service knows them, then the parked subjects.
std::vector<records::Issue> IssuesOf(const records::HoldRecord& holds);

// Brings `held` up to date with the issues, and tells the changes as events without account and
// policy: one for all topics that changed together for the same reasons. `at` is the instant of the
// fact; the record's own time never goes back.
struct HoldChanges {
  std::vector<events::v1::OutreachHeld> held;
  std::vector<events::v1::OutreachCleared> cleared;
};
HoldChanges Refresh(records::HoldRecord& holds, const account::v1::OutreachPolicy& policy,
                    absl::Time at);

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
