#include "services/ticket_intake/lifecycle.h"

#include "absl/strings/str_cat.h"
#include "common/config/views.h"
#include "common/corridor/errors.h"
#include "common/plant/plant.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using namespace type::v1;  // NOLINT: the states' names are the product's own words

absl::Status Forbidden(TicketState state, std::string_view what) {
  return corridor::FailedPrecondition(
      "TICKET_STATE", absl::StrCat("a ticket in ", Absl(StateName(state)), " ", Absl(what)));
}

}  // namespace

bool IsUnresolved(TicketState state) {
  return state == TICKET_STATE_NEW || state == TICKET_STATE_OPEN || state == TICKET_STATE_PENDING ||
         state == TICKET_STATE_ON_HOLD;
}

std::string_view StateName(TicketState state) {
  constexpr std::string_view kPrefix = "TICKET_STATE_";
  return std::string_view(TicketState_Name(state)).substr(kPrefix.size());
}

absl::Status CheckMove(TicketState from, TicketState to) {
  if (to != TICKET_STATE_OPEN && to != TICKET_STATE_PENDING && to != TICKET_STATE_ON_HOLD) {
    return corridor::FailedPrecondition(
        "TICKET_STATE", absl::StrCat("a ticket is not moved to ", Absl(StateName(to)),
                                     " by hand; resolve, reopen or close it"));
  }
  if (!IsUnresolved(from)) {
    return Forbidden(from, absl::StrCat("cannot become ", Absl(StateName(to))));
  }
  return absl::OkStatus();
}

absl::Status CheckResolve(const ResolutionGrounds& grounds) {
  if (!IsUnresolved(grounds.state)) return Forbidden(grounds.state, "cannot be resolved");
  const bool self_service = grounds.resolved_by == RESOLVED_BY_SELF_SERVICE;
  if (!self_service && !grounds.has_assignee) {
    return corridor::FailedPrecondition("NO_ASSIGNEE", "nobody owns the ticket; claim it first");
  }
  if (!grounds.has_agent_answer && !(self_service && grounds.has_automatic_answer)) {
    return corridor::FailedPrecondition(
        "NO_PUBLIC_ANSWER",
        "the customer has no public answer since the ticket was opened or reopened; give one with "
        "the resolution");
  }
  return absl::OkStatus();
}

absl::Status CheckReopen(TicketState state) {
  if (state != TICKET_STATE_RESOLVED) return Forbidden(state, "cannot be reopened");
  return absl::OkStatus();
}

absl::Status CheckClose(TicketState state, CloseReason reason) {
  if (state == TICKET_STATE_CLOSED) return Forbidden(state, "is closed already");
  if (reason != CLOSE_REASON_SPAM && state != TICKET_STATE_RESOLVED) {
    return Forbidden(state, "is closed as spam only; resolve it first");
  }
  return absl::OkStatus();
}

MessageEffect EffectOf(TicketState state, AuthorKind author, Visibility visibility,
                       bool is_thank_you, bool third_party_reopens) {
  const bool by_requester = author == AUTHOR_KIND_REQUESTER;
  const bool hears_all = third_party_reopens || plant::Has(plant::Mistake::kStrangerReopens);
  const bool is_heard = by_requester || (hears_all && author == AUTHOR_KIND_THIRD_PARTY);
  switch (state) {
    case TICKET_STATE_NEW:
      // NEW means that nobody has worked on it: an agent's public answer ends that.
      return author == AUTHOR_KIND_AGENT && visibility == VISIBILITY_PUBLIC ? MessageEffect::kOpens
                                                                            : MessageEffect::kNone;
    case TICKET_STATE_OPEN:
      return MessageEffect::kNone;
    case TICKET_STATE_PENDING:
    case TICKET_STATE_ON_HOLD:
      return is_heard ? MessageEffect::kOpens : MessageEffect::kNone;
    case TICKET_STATE_RESOLVED:
      if (!is_heard) return MessageEffect::kNone;
      return is_thank_you ? MessageEffect::kThanks : MessageEffect::kReopens;
    case TICKET_STATE_CLOSED:
      return by_requester ? MessageEffect::kFollowUp : MessageEffect::kRefused;
    default:
      return MessageEffect::kRefused;
  }
}

}  // namespace tandem::ticket_intake
