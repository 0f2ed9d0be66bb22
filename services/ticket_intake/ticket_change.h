// One ticket being opened or changed by one decision: the record, its facts in order, its messages.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_TICKET_CHANGE_H_
#define TANDEM_SERVICES_TICKET_INTAKE_TICKET_CHANGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/rules.h"
#include "tandem/events/v1/intake.pb.h"
#include "tandem/intake/v1/ticket_service.pb.h"

namespace tandem::ticket_intake {

inline constexpr std::string_view kAutoClose = "auto_close";
inline constexpr std::string_view kResolveRequester = "resolve_requester";

// One thread; lives within one call of a rule. Writes into the decision that it was given.
class TicketChange {
 public:
  // A ticket that is there. The fact is dated `now`, but never before the ticket's last one.
  TicketChange(const corridor::Loaded<records::TicketRecord>& loaded, absl::Time now,
               corridor::Decision* decision);
  // A new one; its bus key is its account's id or, while that is unknown, its own (for good).
  TicketChange(records::TicketRecord fresh, absl::Time now, corridor::Decision* decision);

  records::TicketRecord& record() { return record_; }
  intake::v1::Ticket& ticket() { return *record_.mutable_ticket(); }
  const std::string& id() { return ticket().ticket_id(); }
  absl::Time at() const { return at_; }
  // The ticket's version once this is committed.
  int64_t version() const { return version_; }

  // Publishes a fact about the ticket; its ids, version and instant are filled in here.
  template <typename E>
  void Publish(E event) {
    event.set_ticket_id(id());
    event.set_account_id(ticket().account_id());
    event.set_version(version_);
    *event.mutable_occurred_at() = time::Stamp(at_);
    decision_->Publish(id(), ticket().bus_key(), at_, std::move(event));
  }

  // Stores a message (its id is set) under the ticket's next number; publishes nothing.
  void Store(intake::v1::TicketMessage message);
  // Stores it and publishes TicketMessageAdded.
  void Post(intake::v1::TicketMessage message, bool thank_you = false);
  // Moves among NEW, OPEN, PENDING and ON_HOLD.
  void Move(type::v1::TicketState to);
  // Undoes a resolution.
  void Reopen();
  // Closes for good, whatever state it is in; the caller has checked it.
  void Close(type::v1::CloseReason reason);
  // Gives an unresolved ticket its requester.
  void GiveRequester(const records::KnownRequesterRecord& known);
  // Compares the ticket with what its category requires: asks once for what is missing, notes when
  // the last of it was supplied. `message_id` names the message that asks.
  void ReviewContext(const Rules& rules, const type::v1::PolicyRef& policy, std::string message_id);

  // Saves the record. Last.
  void Save();

 private:
  records::TicketRecord record_;
  const absl::Time at_;
  const int64_t version_;
  corridor::Decision* const decision_;
};

// The timers of a ticket.
std::string AutoCloseTimerId(std::string_view ticket_id);
std::string RequesterTimerId(std::string_view ticket_id);

// Copies what account_health told about a requester.
void SetRequester(records::TicketRecord& record, const records::KnownRequesterRecord& known);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_TICKET_CHANGE_H_
