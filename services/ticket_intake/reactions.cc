#include "services/ticket_intake/reactions.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/lifecycle.h"
#include "services/ticket_intake/requesters.h"
#include "services/ticket_intake/ticket_change.h"

namespace tandem::ticket_intake {
namespace {

using corridor::Decision;
using corridor::Inputs;
using corridor::View;
using records::TriageViewRecord;
namespace ev = events::v1;
namespace ty = type::v1;

// Changes what is known from triage about a ticket.
template <typename Change>
absl::StatusOr<Decision> UpdateView(View& view, const std::string& ticket_id, Change change) {
  auto loaded = view.Load(TriageViews(), ticket_id);
  if (!loaded.ok()) return loaded.status();
  TriageViewRecord record;
  if (*loaded) record = **loaded;
  change(record);
  Decision decision;
  decision.Save(TriageViews(), ticket_id, std::move(record));
  return decision;
}

// What was asked about the contact before now is not used again. `version` 0 = the fact has none.
absl::Status HearOfContact(const std::string& contact_id, const std::string& account_id,
                           int64_t version, absl::Time now, View& view, Decision& decision) {
  auto loaded = view.Load(Contacts(), contact_id);
  if (!loaded.ok()) return loaded.status();
  records::ContactRecord record;
  if (*loaded) record = **loaded;
  // Facts of two accounts may come in any order; the contact's own versions do not.
  if (record.account_id().empty() || version > record.version()) {
    record.set_account_id(account_id);
    record.set_version(std::max(record.version(), version));
  }
  *record.mutable_heard_at() = time::Stamp(now);
  decision.Save(Contacts(), contact_id, std::move(record));
  return absl::OkStatus();
}

absl::StatusOr<Decision> HearOfAccount(const std::string& account_id, absl::Time now, View& view) {
  auto loaded = view.Load(Accounts(), account_id);
  if (!loaded.ok()) return loaded.status();
  records::AccountRecord record;
  *record.mutable_heard_at() = time::Stamp(now);
  Decision decision;
  decision.Save(Accounts(), account_id, std::move(record));
  return decision;
}

bool IsSpam(const intake::v1::Ticket& ticket) {
  return ticket.close_reason() == ty::CLOSE_REASON_SPAM;
}

}  // namespace

absl::StatusOr<Decision> OnTicketTriaged(const ev::TicketTriaged& fact, const bus::Event&,
                                         const Inputs&, View& view) {
  return UpdateView(view, fact.ticket_id(), [&](TriageViewRecord& record) {
    record.set_severity(fact.severity());
    record.set_queue(fact.queue());
  });
}

absl::StatusOr<Decision> OnSeverityChanged(const ev::SeverityChanged& fact, const bus::Event&,
                                           const Inputs&, View& view) {
  return UpdateView(view, fact.ticket_id(),
                    [&](TriageViewRecord& record) { record.set_severity(fact.to_severity()); });
}

absl::StatusOr<Decision> OnTicketQueued(const ev::TicketQueued& fact, const bus::Event&,
                                        const Inputs&, View& view) {
  return UpdateView(view, fact.ticket_id(),
                    [&](TriageViewRecord& record) { record.set_queue(fact.queue()); });
}

absl::StatusOr<Decision> OnAssignmentAccepted(const ev::AssignmentAccepted& fact, const bus::Event&,
                                              const Inputs&, View& view) {
  return UpdateView(view, fact.ticket_id(),
                    [&](TriageViewRecord& record) { record.set_assignee_id(fact.staff_id()); });
}

absl::StatusOr<Decision> OnAssignmentReleased(const ev::AssignmentReleased& fact, const bus::Event&,
                                              const Inputs&, View& view) {
  return UpdateView(view, fact.ticket_id(),
                    [](TriageViewRecord& record) { record.clear_assignee_id(); });
}

absl::StatusOr<Decision> OnRequesterAssigned(const ev::RequesterAssigned& fact, const bus::Event&,
                                             const Inputs& in, View& view) {
  auto waiting = view.Load(UnresolvedRequesters(), fact.requester_id());
  if (!waiting.ok()) return waiting.status();
  std::set<std::string> ticket_ids(fact.ticket_ids().begin(), fact.ticket_ids().end());
  if (*waiting) ticket_ids.insert((*waiting)->ticket_ids().begin(), (*waiting)->ticket_ids().end());

  Decision decision;
  records::UnresolvedRequesterRecord settled;
  records::KnownRequesterRecord& known = *settled.mutable_assigned();
  known.set_contact_id(fact.contact_id());
  known.set_account_id(fact.account_id());
  known.set_contact_level(fact.contact_level());
  known.set_segment(fact.segment());
  known.set_stage(fact.stage());
  *known.mutable_asked_at() = fact.occurred_at();
  for (const std::string& ticket_id : ticket_ids) {
    auto loaded = view.Load(Tickets(), ticket_id);
    if (!loaded.ok()) return loaded.status();
    // A ticket that account_health was asked about need not have been accepted after all, and one
    // that was given a contact by hand keeps it.
    if (!*loaded || !(*loaded)->ticket().contact_id().empty()) continue;
    TicketChange change(*loaded, in.now, &decision);
    change.GiveRequester(known);
    change.Save();
  }
  // Its address is this contact's from now on.
  const absl::Status heard =
      HearOfContact(fact.contact_id(), fact.account_id(), 0, in.now, view, decision);
  if (!heard.ok()) return heard;
  // A ticket whose question was under way is told when it comes to be noted.
  decision.Save(UnresolvedRequesters(), fact.requester_id(), std::move(settled));
  return decision;
}

absl::StatusOr<Decision> OnStaffChanged(const ev::StaffChanged& fact, const bus::Event&,
                                        const Inputs&, View& view) {
  auto loaded = view.Load(Staff(), fact.staff_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  // triage's answer to a question may have been newer than its event.
  if (*loaded && (*loaded)->version() >= fact.version()) return decision;
  records::StaffRecord record;
  record.set_version(fact.version());
  record.set_active(fact.active());
  decision.Save(Staff(), fact.staff_id(), std::move(record));
  return decision;
}

absl::StatusOr<Decision> OnContactChanged(const ev::ContactChanged& fact, const bus::Event&,
                                          const Inputs& in, View& view) {
  Decision decision;
  const absl::Status heard =
      HearOfContact(fact.contact_id(), fact.account_id(), fact.version(), in.now, view, decision);
  if (!heard.ok()) return heard;
  return decision;
}

absl::StatusOr<Decision> OnAccountRegistered(const ev::AccountRegistered& fact, const bus::Event&,
                                             const Inputs& in, View& view) {
  return HearOfAccount(fact.account_id(), in.now, view);
}

absl::StatusOr<Decision> OnJourneyAdvanced(const ev::JourneyAdvanced& fact, const bus::Event&,
                                           const Inputs& in, View& view) {
  return HearOfAccount(fact.account_id(), in.now, view);
}

absl::StatusOr<Decision> OnAutoClose(const corridor::FiredTimer& timer,
                                     const records::AutoCloseTimer& payload, const Inputs&,
                                     View& view) {
  auto loaded = view.Load(Tickets(), payload.ticket_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded || (*loaded)->ticket().resolutions() != payload.resolution() ||
      !CheckClose((*loaded)->ticket().state(), ty::CLOSE_REASON_AUTO).ok()) {
    return decision;
  }
  TicketChange change(*loaded, timer.due, &decision);
  change.Close(ty::CLOSE_REASON_AUTO);
  change.Save();
  return decision;
}

absl::StatusOr<Decision> OnResolveRequester(const corridor::FiredTimer&,
                                            const records::RequesterTimer& payload,
                                            const Inputs& in, View& view,
                                            const Policies& policies) {
  auto loaded = view.Load(Tickets(), payload.ticket_id());
  if (!loaded.ok()) return loaded.status();
  Decision decision;
  if (!*loaded || !(*loaded)->ticket().contact_id().empty() || IsSpam((*loaded)->ticket()) ||
      !(*loaded)->has_requester()) {
    return decision;
  }
  if (!in.answers->Has(kRequesterQuestion)) {
    decision.Ask(AskRequester((*loaded)->requester(), loaded->key, in.cause));
    return decision;
  }
  auto policy = policies.Current(view);
  if (!policy.ok()) return policy.status();
  auto answer = ReadRequesterAnswer(in);
  if (!answer.ok()) {
    // A contact_id or address that account_health does not accept: nobody can be found behind it.
    // The ticket stays unresolved until a person gives it a contact.
    return decision;
  }
  const absl::Status noted = NoteRequester(*answer, loaded->key, view, decision);
  if (!noted.ok()) return noted;
  TicketChange change(*loaded, in.now, &decision);
  switch (answer->kind) {
    case RequesterAnswer::Kind::kKnown:
      change.GiveRequester(answer->known);
      change.Save();
      break;
    case RequesterAnswer::Kind::kUnresolved:
      change.ticket().set_requester_id(answer->requester_id);
      change.Save();
      break;
    case RequesterAnswer::Kind::kUnreachable:
      AskRequesterLater(*policy->made, payload.attempt() + 1, loaded->key,
                        (*loaded)->ticket().bus_key(), in.now, decision);
      break;
  }
  return decision;
}

}  // namespace tandem::ticket_intake
