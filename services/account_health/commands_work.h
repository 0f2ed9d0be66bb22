// One decision at work on accounts: what commands and reactions share. It keeps the drafts, writes
// the timeline, and carries a changed issue or fact through to holds, clearances and health. One
// thread; lives as long as the call of the rule.
#ifndef TANDEM_SERVICES_ACCOUNT_HEALTH_COMMANDS_WORK_H_
#define TANDEM_SERVICES_ACCOUNT_HEALTH_COMMANDS_WORK_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/bus/event.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/time/micros.h"
#include "services/account_health/clearance.h"
#include "services/account_health/policy.h"
#include "services/account_health/records.h"
#include "services/account_health/records_drafts.h"

namespace tandem::account_health {

inline constexpr char kServiceName[] = "account_health";

// What moved a score.
struct Cause {
  std::string id;
  std::string type;  // an event's short name, "window" or "policy"
  std::string subject_id;
  absl::Time at;
};

// An issue of an account that changed.
struct IssueChange {
  std::string subject_id;
  const records::Issue* after = nullptr;  // null = it is no issue any more
  IssueFact fact = IssueFact::kWorsened;
  bool is_always_worse =
      false;      // a reopening or a raised severity: revokes whatever was known before
  absl::Time at;  // the instant of the fact
  std::string cause_event_id;
};

class Work {
 public:
  Work(const Policies& policies, const corridor::Inputs& in, corridor::View& view)
      : drafts(view), policies_(&policies), in_(&in) {}

  // Loads the policy in force, once.
  absl::Status LoadPolicy();
  const account::v1::AccountPolicy& policy() const { return *in_force_.made; }
  // The policy with the rule that decided.
  type::v1::PolicyRef PolicyRef(std::string_view rule = "") const;
  int64_t policy_version() const { return in_force_.ref.version(); }

  // Every role of the account's team (empty = of no account), the policy's stand-ins filled in for
  // empty places and for who left.
  absl::StatusOr<std::vector<account::v1::Counterpart>> Team(std::string_view account_id);

  // The instant of this commit in the account's own order, which never goes back.
  absl::StatusOr<absl::Time> CommitInstant(std::string_view account_id);
  // Appends an entry to the account's timeline; returns its sequence.
  absl::StatusOr<int64_t> Note(std::string_view account_id, records::EntryRecord entry);
  absl::StatusOr<int64_t> NoteEvent(std::string_view account_id, const bus::Event& event);
  // Publishes an event of our own under the account's key and notes it.
  template <typename E>
  absl::Status Tell(std::string_view account_id, std::string_view subject_id, absl::Time at,
                    E event) {
    records::EntryRecord entry;
    entry.set_occurred_us(time::ToMicros(at));
    entry.set_source(kServiceName);
    entry.set_type(E::descriptor()->name());
    entry.set_subject_id(std::string(subject_id));
    entry.set_cause_id(std::string(in_->cause));
    absl::StatusOr<int64_t> sequence = Note(account_id, std::move(entry));
    if (!sequence.ok()) return sequence.status();
    decision.Publish(std::string(subject_id), std::string(account_id), at, std::move(event));
    return absl::OkStatus();
  }

  // Puts the issue into the account's holds or takes it out; raises hold_version and revokes what
  // it blocks now and did not before; tells what became held or cleared.
  absl::Status ChangeIssue(std::string_view account_id, const IssueChange& change);
  // Holds the account because events of the subject are parked, and revokes what stands; with the
  // last such subject the account is let go. No change for what is so already.
  absl::Status Park(std::string_view account_id, std::string_view subject_id,
                    std::string_view cause_event_id);
  absl::Status Unpark(std::string_view account_id, std::string_view subject_id);
  // The contact wants none of the topics any more: ends what stands for it, by itself or among all.
  // `reason` as in ClearanceRevoked.
  absl::Status OptOut(std::string_view account_id, std::string_view contact_id, TopicSet topics,
                      std::string_view reason, std::string_view cause_event_id);
  // Ends a clearance before its time, if it stands and its time is not over: it is revoked and that
  // is told, …
  struct Revocation {
    std::string_view reason;  // as in ClearanceRevoked
    std::string_view ticket_id = "";
    std::string_view cause_event_id = "";
  };
  absl::Status Revoke(std::string_view clearance_id, const Revocation& why);
  // … or given back by its holder, which is told; returns the units that are free again, …
  absl::StatusOr<int32_t> Release(std::string_view clearance_id, std::string_view staff_id);
  // … or given back with what it used, because the invitation was withdrawn that its event tells
  // of.
  absl::Status Return(std::string_view clearance_id);
  // Raises hold_version alone: something may block that is not an issue here yet.
  absl::Status RaiseHoldVersion(std::string_view account_id);
  // Counts and judges holds and clearances of the account anew by the policy in force. Reads
  // ranges.
  absl::Status Rejudge(std::string_view account_id, absl::Time at);

  // Changes what the account's health counts, and tells what that did to the score.
  absl::Status ChangeHealth(std::string_view account_id, const Cause& cause,
                            absl::FunctionRef<void(records::HealthRecord&)> change);

  // All that was decided.
  corridor::Decision Finish() {
    drafts.SaveTo(decision);
    return std::move(decision);
  }

  Drafts drafts;
  corridor::Decision decision;

 private:
  // The state changes and the rest of its units is free again; returns how many those are. What
  // ended it was noted on the timeline just before.
  absl::StatusOr<int32_t> End(std::string_view clearance_id, account::v1::ClearanceState state);
  // Counts the issue (by = 1), or no longer (-1), in the account's scope and in those of the
  // contacts that it concerns, and notes these in `contact_ids`.
  absl::Status CountIssue(std::string_view account_id, records::HoldRecord& holds,
                          const records::Issue& issue, int by, std::set<std::string>& contact_ids);
  // Brings what is held up to date with what is counted and parked, for the account and for these
  // contacts, and tells the changes. `issues`: those that may hold what was not held before. `at`
  // is the instant of the fact; the record's own time never goes back.
  absl::Status SettleHolds(std::string_view account_id, records::HoldRecord& holds,
                           const std::set<std::string>& contact_ids,
                           absl::Span<const records::Issue> issues, absl::Time at);
  absl::Status TellHolds(std::string_view account_id, HoldChanges changes);
  absl::Status SettleHealth(std::string_view account_id, records::HealthRecord& health,
                            const Cause& cause);

  const Policies* policies_;
  const corridor::Inputs* in_;
  Policies::InForce in_force_;
};

// "tandem.events.v1.TicketOpened" -> "TicketOpened".
std::string ShortName(std::string_view event_type);

}  // namespace tandem::account_health

#endif  // TANDEM_SERVICES_ACCOUNT_HEALTH_COMMANDS_WORK_H_
