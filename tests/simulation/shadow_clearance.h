// A second opinion on outreach clearance, written from the product's text, architecture §3 and the
// protos alone. It knows nothing of hold versions and commits: a fact counts surely from some
// instant on and may count from an earlier one on, and whatever follows in every case must be so.
//
//   const std::vector<ShadowHold> holds = HoldsOn(facts, policy, {topic, contact, asked_at,
//   answered_at}); if (MustHold(holds)) …
#ifndef TANDEM_TESTS_SIMULATION_SHADOW_CLEARANCE_H_
#define TANDEM_TESTS_SIMULATION_SHADOW_CLEARANCE_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bus/event.h"
#include "tandem/account/v1/account_policy.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"
#include "tandem/type/v1/types.pb.h"

namespace tandem::simulation {

// A lifecycle event of any service and what is known of its way to account_health.
struct KnownEvent {
  bus::Event event;
  // When its owner committed it, which is not later than the acknowledgement: ticket_intake answers
  // by it from then on, and account_health may have consumed it from then on.
  absl::Time told_at;
  // By when account_health has consumed it for sure; the infinite future = it may still be under
  // way.
  absl::Time known_by = absl::InfiniteFuture();
};

// An exception that was acknowledged.
struct GrantedException {
  std::string exception_id;
  type::v1::OutreachTopic topic = type::v1::OUTREACH_TOPIC_UNSPECIFIED;
  absl::Time granted_at;  // not before
  absl::Time until;
  // By when it was granted for sure; the infinite future = it may not have been at all.
  absl::Time granted_by = granted_at;
};

// An event that was set aside, and may have held the account until all of its subject were drained.
struct ParkedTime {
  std::string event_id;
  absl::Time from;
  absl::Time to = absl::InfiniteFuture();
  bool certain = false;  // it concerns the account for sure
};

// What happened to one account. Events of other accounts are looked over, as are types that have no
// say.
struct AccountFacts {
  std::string account_id;
  std::vector<KnownEvent> events;
  std::vector<GrantedException> exceptions;
  std::vector<ParkedTime> parked;
  // How far the clocks that date clearances and judge their end may be from those of the instants
  // above.
  absl::Duration skew;
};

// A question at some instant between two.
struct OutreachQuestion {
  type::v1::OutreachTopic topic = type::v1::OUTREACH_TOPIC_UNSPECIFIED;
  std::string contact_id;  // empty = all contacts of the account
  absl::Time asked_at;
  absl::Time answered_at;
  std::string staff_id = "";  // who asks; empty = a service
};

// Something that stands against outreach.
struct ShadowHold {
  std::string subject_id;  // ticket or follow-up; empty for opt_out, fatigue and account_parked
  std::set<std::string> rules;  // by which it may hold, as OutreachBlock names them
  bool certain = false;         // it holds whatever had been consumed; else it may
  bool excepted = false;        // an exception that stands for sure lets it through
  bool may_be_excepted = false;
};

// All that holds or may hold. INVALID_ARGUMENT for a body that is not of its type. A pure function.
absl::StatusOr<std::vector<ShadowHold>> HoldsOn(const AccountFacts& facts,
                                                const account::v1::AccountPolicy& policy,
                                                const OutreachQuestion& question);

// Whether the answer has to be HOLD.
bool MustHold(const std::vector<ShadowHold>& holds);
// Whether the answer may be HOLD.
bool MayHold(const std::vector<ShadowHold>& holds);

// What has to become of a clearance.
struct ShadowClearance {
  // It has to expire then, with the exception that it rests on at the latest; also what it covers
  // ends then.
  absl::Time expires_at;
  // An event that revokes it was consumed for sure before it expired: the event, what it did, and
  // by when.
  std::optional<absl::Time> revoked_by;
  std::string revoking_event_id;
  std::string reason;
  // Events that may have revoked it.
  std::set<std::string> may_revoke;
  // A contact whom it reaches may have opted out of its topic while it stood.
  bool may_be_opted_out = false;
};

// The fate of a clearance that was given, by what had happened until `now`.
absl::StatusOr<ShadowClearance> FateOf(const AccountFacts& facts,
                                       const account::v1::AccountPolicy& policy,
                                       const account::v1::Clearance& clearance, absl::Time now);

// Units of a contact's budget that outreach on the topic costs; RESOLUTION_FOLLOW_UP is free.
int UnitsOf(type::v1::OutreachTopic topic, const account::v1::ContactBudget& budget);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_SHADOW_CLEARANCE_H_
