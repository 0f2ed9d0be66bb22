#include "services/ticket_intake/ticket_change.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/views.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/lifecycle.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace ev = events::v1;
using intake::v1::TicketMessage;
using records::TicketRecord;
using type::v1::TicketState;

std::string AutoCloseTimerId(std::string_view ticket_id) {
  return absl::StrCat("auto_close:", Absl(ticket_id));
}
std::string RequesterTimerId(std::string_view ticket_id) {
  return absl::StrCat("requester:", Absl(ticket_id));
}

void SetRequester(TicketRecord& record, const records::KnownRequesterRecord& known) {
  record.mutable_ticket()->set_contact_id(known.contact_id());
  record.mutable_ticket()->set_account_id(known.account_id());
  record.mutable_ticket()->clear_requester_id();
  record.set_contact_level(known.contact_level());
  record.set_segment(known.segment());
  record.set_stage(known.stage());
  record.clear_requester();
}

TicketChange::TicketChange(const corridor::Loaded<TicketRecord>& loaded, absl::Time now,
                           corridor::Decision* decision)
    : record_(*loaded),
      at_(plant::Has(plant::Mistake::kWallClockOrder)
              ? time::TruncateToMicros(now)
              : std::max(time::TruncateToMicros(now), time::Instant(loaded->last_fact_at()))),
      version_(loaded.version + 1),
      decision_(decision) {}

TicketChange::TicketChange(TicketRecord fresh, absl::Time now, corridor::Decision* decision)
    : record_(std::move(fresh)),
      at_(time::TruncateToMicros(now)),
      version_(1),
      decision_(decision) {
  ticket().set_state(type::v1::TICKET_STATE_NEW);
  ticket().set_bus_key(ticket().account_id().empty() ? ticket().ticket_id()
                                                     : ticket().account_id());
  *ticket().mutable_opened_at() = time::Stamp(at_);
}

void TicketChange::Store(TicketMessage message) {
  using namespace type::v1;  // NOLINT
  *message.mutable_posted_at() = time::Stamp(at_);
  record_.set_messages(record_.messages() + 1);
  if (message.visibility() == VISIBILITY_PUBLIC) {
    if (message.author_kind() == AUTHOR_KIND_AGENT) record_.set_has_agent_answer(true);
    if (message.author_kind() == AUTHOR_KIND_BOT) record_.set_has_automatic_answer(true);
  }
  records::MessageRecord stored;
  stored.set_ticket_id(id());
  stored.set_number(record_.messages());
  *stored.mutable_message() = std::move(message);
  std::string key = MessageKey(id(), stored.number());  // before `stored` is moved away
  decision_->Insert(Messages(), std::move(key), std::move(stored));
}

void TicketChange::Post(TicketMessage message, bool thank_you) {
  ev::TicketMessageAdded added;
  added.set_message_id(message.message_id());
  added.set_author_kind(message.author_kind());
  added.set_author_id(message.author_id());
  added.set_visibility(message.visibility());
  added.set_frustration_rule(message.frustration_rule());
  added.set_thank_you(thank_you);
  Store(std::move(message));
  Publish(std::move(added));
}

void TicketChange::Move(TicketState to) {
  if (ticket().state() == to) return;
  ev::TicketStateChanged changed;
  changed.set_from_state(ticket().state());
  changed.set_to_state(to);
  ticket().set_state(to);
  Publish(std::move(changed));
}

void TicketChange::Reopen() {
  ev::TicketReopened reopened;
  *reopened.mutable_resolved_at() = ticket().resolved_at();
  ticket().set_state(type::v1::TICKET_STATE_OPEN);
  ticket().set_reopenings(ticket().reopenings() + 1);
  ticket().clear_resolved_at();
  ticket().clear_resolved_by();
  ticket().clear_resolution_code();
  // The answer did not help: the next resolution needs a new one.
  record_.set_has_agent_answer(false);
  record_.set_has_automatic_answer(false);
  decision_->CancelTimer(AutoCloseTimerId(id()));
  reopened.set_to_state(type::v1::TICKET_STATE_OPEN);
  reopened.set_reopening(ticket().reopenings());
  Publish(std::move(reopened));
}

void TicketChange::Close(type::v1::CloseReason reason) {
  ev::TicketClosed closed;
  closed.set_from_state(ticket().state());
  closed.set_reason(reason);
  if (ticket().state() == type::v1::TICKET_STATE_RESOLVED) {
    closed.set_resolution(ticket().resolutions());
  }
  closed.set_contact_id(ticket().contact_id());
  ticket().set_state(type::v1::TICKET_STATE_CLOSED);
  ticket().clear_suspected_spam();  // nobody has to review it any more
  ticket().set_close_reason(reason);
  decision_->CancelTimer(AutoCloseTimerId(id()));
  Publish(std::move(closed));
}

void TicketChange::GiveRequester(const records::KnownRequesterRecord& known) {
  SetRequester(record_, known);
  decision_->CancelTimer(RequesterTimerId(id()));
  ev::TicketRequesterResolved resolved;
  resolved.set_contact_id(known.contact_id());
  resolved.set_contact_level(known.contact_level());
  resolved.set_segment(known.segment());
  resolved.set_stage(known.stage());
  *resolved.mutable_opened_at() = ticket().opened_at();
  Publish(std::move(resolved));
}

void TicketChange::ReviewContext(const Rules& rules, const type::v1::PolicyRef& policy,
                                 std::string message_id) {
  const std::vector<std::string> missing = rules.MissingFields(ticket());
  *ticket().mutable_missing_fields() = {missing.begin(), missing.end()};
  if (!missing.empty()) {
    // Asked once, and of a ticket that somebody still works on; no state changes, no clock pauses.
    // Nor of one that may be spam: whoever sends that gets no mail from us.
    if (record_.has_context_requested_at() || !IsUnresolved(ticket().state()) ||
        ticket().suspected_spam()) {
      return;
    }
    *record_.mutable_context_requested_at() = time::Stamp(at_);
    ev::TicketContextRequested requested;
    *requested.mutable_missing_fields() = {missing.begin(), missing.end()};
    *requested.mutable_policy() = policy;
    Publish(std::move(requested));
    TicketMessage question;
    question.set_message_id(std::move(message_id));
    question.set_author_kind(type::v1::AUTHOR_KIND_SYSTEM);
    question.set_visibility(type::v1::VISIBILITY_PUBLIC);
    question.set_text(
        absl::StrCat("To work on this we also need to know: ", absl::StrJoin(missing, ", "), "."));
    Post(std::move(question));
    return;
  }
  if (!record_.has_context_requested_at() || record_.context_supplied()) return;
  record_.set_context_supplied(true);
  ev::TicketContextSupplied supplied;
  supplied.set_waited_seconds(
      absl::ToInt64Seconds(at_ - time::Instant(record_.context_requested_at())));
  Publish(std::move(supplied));
}

void TicketChange::Save() {
  *ticket().mutable_updated_at() = time::Stamp(at_);
  *record_.mutable_last_fact_at() = time::Stamp(at_);
  std::string key = id();
  if (version_ == 1) {
    decision_->Insert(Tickets(), std::move(key), std::move(record_));
  } else {
    decision_->Save(Tickets(), std::move(key), std::move(record_));
  }
}

}  // namespace tandem::ticket_intake
