#include "services/ticket_intake/address_history.h"

#include <algorithm>
#include <utility>

#include "absl/functional/function_ref.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"

namespace tandem::ticket_intake {
namespace {

using records::AddressHistoryRecord;
using records::TicketRecord;

absl::Status Change(const TicketRecord& ticket, corridor::View& view, corridor::Decision& decision,
                    absl::FunctionRef<void(AddressHistoryRecord&)> change) {
  if (ticket.address_key().empty()) return absl::OkStatus();
  auto loaded = view.Load(AddressHistories(), ticket.address_key());
  if (!loaded.ok()) return loaded.status();
  AddressHistoryRecord history;
  if (*loaded) history = **loaded;
  change(history);
  decision.Save(AddressHistories(), ticket.address_key(), std::move(history));
  return absl::OkStatus();
}

// A ticket may have been resolved before its address's history was erased.
void CountOneLess(AddressHistoryRecord& history) {
  history.set_resolved(std::max<int64_t>(0, history.resolved() - 1));
}

}  // namespace

absl::StatusOr<bool> IsSuspected(const TicketRecord& ticket, const Rules& rules, absl::Time now,
                                 corridor::View& view) {
  if (ticket.address_key().empty() || rules.spam_closures() == 0) return false;
  auto history = view.Load(AddressHistories(), ticket.address_key());
  if (!history.ok()) return history.status();
  if (!*history || plant::Has(plant::Mistake::kSuspectMissed)) return false;
  return rules.IsSuspected((*history)->spam_closed_at(), (*history)->resolved(), now);
}

absl::Status NoteResolved(const TicketRecord& ticket, corridor::View& view,
                          corridor::Decision& decision) {
  return Change(ticket, view, decision, [](AddressHistoryRecord& history) {
    history.set_resolved(history.resolved() + 1);
  });
}

absl::Status NoteReopened(const TicketRecord& ticket, corridor::View& view,
                          corridor::Decision& decision) {
  return Change(ticket, view, decision, CountOneLess);
}

absl::Status NoteClosedAsSpam(const TicketRecord& ticket, const Rules& rules, absl::Time at,
                              corridor::View& view, corridor::Decision& decision) {
  return Change(ticket, view, decision, [&](AddressHistoryRecord& history) {
    if (ticket.ticket().state() == type::v1::TICKET_STATE_RESOLVED) CountOneLess(history);
    auto& closures = *history.mutable_spam_closed_at();
    *closures.Add() = time::Stamp(at);
    // Only what may still count is kept: it is personal data.
    closures.erase(std::remove_if(closures.begin(), closures.end(),
                                  [&](const auto& closed_at) {
                                    return time::Instant(closed_at) <= at - rules.spam_window();
                                  }),
                   closures.end());
    const int kept = std::max(rules.spam_closures(), 1);
    if (closures.size() > kept) {
      closures.erase(closures.begin(), closures.begin() + (closures.size() - kept));
    }
  });
}

}  // namespace tandem::ticket_intake
