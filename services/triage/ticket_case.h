// One ticket in one decision: what the rules make of it, who owns it, what rings for it.
#ifndef TANDEM_SERVICES_TRIAGE_TICKET_CASE_H_
#define TANDEM_SERVICES_TRIAGE_TICKET_CASE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/time/stamp.h"
#include "services/triage/ladder.h"
#include "services/triage/policies.h"
#include "services/triage/records.h"

namespace tandem::triage {

inline constexpr std::string_view kEscalationTimer = "escalation_step";
inline constexpr std::string_view kTextTimer = "ask_text";
inline constexpr std::string_view kStaffTimer = "staff_review";
inline constexpr std::string_view kReleaseTimer = "release_ticket";

// The timer that releases a ticket if its owner may not keep it.
std::string ReleaseTimerId(std::string_view ticket_id);

// Sets the timer of the escalation's present step, in place of the one that it has.
void SetEscalationTimer(const records::EscalationRecord& escalation, absl::Time due,
                        corridor::Decision& decision);

// Whether somebody takes work at `at`: active, available and on shift.
bool IsOnDuty(const v1::Staff& staff, const Rules& rules, absl::Time at);

// One thread; lives within one call of a rule. What it loads stays with it, so it may be changed
// step by step; Finish turns it into the decision, or into the question that has to be asked first.
class TicketCase {
 public:
  // `record` is what was loaded under `ticket_id`, changed by the caller or not; version 0 = new.
  // Facts are dated `now`, but never before the ticket's last one.
  TicketCase(std::string ticket_id, records::TicketRecord record, int64_t version, absl::Time now,
             const PolicyInForce& policy, const corridor::Inputs& in, corridor::View& view);

  records::TicketRecord& record() { return record_; }
  const std::string& id() const { return ticket_id_; }
  absl::Time at() const { return at_; }
  bool is_open() const { return record_.phase() == records::PHASE_OPEN; }
  // The record's version once this is committed.
  int64_t version() const { return version_ + 1; }

  // Applies the rules to the record as it is now: the first time TicketTriaged and TicketQueued,
  // later SeverityChanged and TicketQueued where they differ. A ticket that becomes CRITICAL
  // escalates, and a live escalation follows the ticket. `text_attempt`: how often the text was
  // asked for in vain before.
  absl::Status Classify(int text_attempt = 0);
  // Sets the severity by hand; unspecified clears it.
  absl::Status Override(type::v1::Severity severity, const std::string& staff_id);

  // Gives the ticket to `staff_id` (AssignmentAccepted); its load is the agent's from now on.
  absl::Status Assign(const std::string& staff_id);
  // Takes it from its owner, if any (AssignmentReleased).
  void Release(const std::string& reason);
  // Takes it from its owner and queues it, if the owner may not keep it.
  absl::Status ReleaseUnlessFit();
  // Puts it into the queue that the rules name now, or that a person chose (TicketQueued); it waits
  // from now on unless it did already.
  void Queue();
  // Resolved or closed: nobody waits or carries, the escalation ends; the owner's credit stays.
  absl::Status End(records::Phase phase);
  // Open again: the owner carries it again, or it waits. A CRITICAL one escalates.
  absl::Status Reopen(int64_t reopenings);

  // The instant of the fact that what follows is because of; else it is that of the decision.
  void CausedAt(absl::Time at) { cause_at_ = at; }
  // Something that may start an escalation or raise the live one. `policy` names one, which then is
  // used in any case; empty = the first that fits. Nothing happens when none fits. A cause that is
  // no later than what was rung for already is only noted: each instant rings one level, which
  // keeps its time to acknowledge.
  absl::Status Trigger(v1::EscalationTrigger trigger, std::string_view policy = "");
  // What the live escalation was chosen by, or its targets, may have changed.
  absl::Status FollowEscalation();
  // The escalation that is live in this decision; null = none was loaded or started.
  const records::EscalationRecord* escalation() const { return live_ ? &*live_ : nullptr; }
  bool escalation_started() const { return live_is_new_; }
  // Loads the live escalation under `escalation_id`.
  absl::Status LoadEscalation(const std::string& escalation_id);
  int64_t escalation_version() const { return live_version_ + (live_changed_ ? 1 : 0); }
  // The timer of `step` fell due: nobody acknowledged, or an acknowledgement expired.
  absl::Status EscalationDue(int64_t step);
  // `staff_id` takes responsibility.
  void Acknowledge(const std::string& staff_id);

  // Nothing about the ticket itself differs: only what else was changed is saved.
  void KeepTicket() { save_ticket_ = false; }
  // The decision, or the questions to ask first. Last.
  absl::StatusOr<corridor::Decision> Finish();
  corridor::Decision& decision() { return decision_; }

 private:
  struct LoadChange {
    int units = 0;
    int tickets = 0;
    bool assigned = false;
  };

  const Rules& rules() const { return *policy_.made; }
  // Publishes a fact about the ticket.
  template <typename E>
  void Publish(E event) {
    event.set_ticket_id(ticket_id_);
    event.set_account_id(record_.account_id());
    *event.mutable_occurred_at() = time::Stamp(at_);
    decision_.Publish(ticket_id_, record_.bus_key(), at_, std::move(event));
  }
  // Publishes a fact about the live escalation.
  template <typename E>
  void PublishEscalation(E event) {
    const absl::Time at = EscalationTime();
    *live_->mutable_last_fact_at() = time::Stamp(at);
    event.set_escalation_id(live_->escalation().escalation_id());
    event.set_ticket_id(ticket_id_);
    event.set_account_id(record_.account_id());
    *event.mutable_occurred_at() = time::Stamp(at);
    decision_.Publish(live_->escalation().escalation_id(), record_.bus_key(), at, std::move(event));
  }
  absl::Time EscalationTime() const;

  void ReadText(int attempt);
  Classification Rated() const;
  absl::Status RefreshOwnerFit();
  void ForgetQueueThatIsGone();
  void StartWaiting();
  void StopWaiting();
  void SetRises();
  void Charge();
  void Discharge();
  void SeverityIs(type::v1::Severity before, const std::string& staff_id);

  void NoteCause(v1::EscalationTrigger trigger);
  // Whether the cause is later than all that anybody was rung for.
  bool IsNews(v1::EscalationTrigger trigger) const;
  // The policy that the ticket's class asks for now, and the cause that starts it.
  struct Choice {
    const v1::EscalationPolicy* policy = nullptr;  // null = none
    v1::EscalationTrigger trigger = v1::ESCALATION_TRIGGER_UNSPECIFIED;
  };
  Choice Choose() const;
  absl::Status Start(v1::EscalationTrigger trigger, const v1::EscalationPolicy& policy,
                     bool is_named);
  // Ends the live escalation; the ticket has none then.
  void CloseEscalation(const std::string& reason);
  // Another policy takes over, with an escalation of its own.
  absl::Status Supersede(v1::EscalationTrigger trigger, const v1::EscalationPolicy& policy,
                         bool is_named);
  absl::Status FollowClass();
  absl::Status RingNewcomers();
  void FollowHours();
  absl::Status RingFrom(std::optional<Rung> from);
  absl::StatusOr<std::vector<std::string>> StaffOf(const v1::EscalationLevel& level);
  absl::StatusOr<bool> WorksHere(const std::string& staff_id);
  // True when the team is known or known to be out of reach; false = a question was put.
  bool KnowTeam();
  void SetTimer(absl::Time due);
  // Puts the live escalation into the decision; there is none in hand then.
  void SaveEscalation();

  const std::string ticket_id_;
  records::TicketRecord record_;
  const int64_t version_;
  const absl::Time at_;
  absl::Time cause_at_;
  const PolicyInForce& policy_;
  const corridor::Inputs& in_;
  corridor::View& view_;
  corridor::Decision decision_;
  bool save_ticket_ = true;
  std::map<std::string, LoadChange> loads_;
  std::vector<corridor::Question> questions_;
  std::optional<records::EscalationRecord> live_;
  int64_t live_version_ = 0;
  bool live_is_new_ = false;
  bool live_changed_ = false;
  // Whom a level reaches may be others now: the account, the requester's level or the owner
  // changed.
  bool targets_changed_ = false;
};

}  // namespace tandem::triage

#endif  // TANDEM_SERVICES_TRIAGE_TICKET_CASE_H_
