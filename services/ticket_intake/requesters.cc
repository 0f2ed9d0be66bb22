#include "services/ticket_intake/requesters.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "common/id/id.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/ticket_change.h"
#include "tandem/account/v1/account_service.pb.h"

namespace tandem::ticket_intake {
namespace {

// Of one unknown requester. Beyond it a ticket asks by its timer instead: a row must not grow for
// ever.
constexpr int kMaxWaitingTickets = 1000;

}  // namespace

corridor::Question AskRequester(const intake::v1::Requester& requester, std::string_view ticket_id,
                                std::string_view cause) {
  auto request = std::make_shared<account::v1::ResolveRequesterRequest>();
  request->set_request_id(id::Derive("req", {"ticket_intake", cause, kRequesterQuestion}));
  request->set_ticket_id(std::string(ticket_id));
  switch (requester.who_case()) {
    case intake::v1::Requester::kContactId:
      request->set_contact_id(requester.contact_id());
      break;
    case intake::v1::Requester::kAddress:
      request->set_address(requester.address());
      break;
    case intake::v1::Requester::kExternalId:
      *request->mutable_external_id() = requester.external_id();
      break;
    case intake::v1::Requester::WHO_NOT_SET:
      break;
  }
  corridor::Question question;
  question.name = std::string(kRequesterQuestion);
  question.method = "tandem.account.v1.AccountService/ResolveRequester";
  question.request = std::move(request);
  return question;
}

absl::StatusOr<RequesterAnswer> ReadRequesterAnswer(const corridor::Inputs& in) {
  const auto reply = in.answers->Get<account::v1::ResolveRequesterResponse>(kRequesterQuestion);
  RequesterAnswer answer;
  if (!reply.ok()) {
    if (absl::IsNotFound(reply.status()) || absl::IsInvalidArgument(reply.status())) {
      return reply.status();
    }
    return answer;
  }
  const account::v1::ResolveRequesterResponse& told = **reply;
  if (told.contact_id().empty()) {
    if (told.requester_id().empty()) return answer;
    answer.kind = RequesterAnswer::Kind::kUnresolved;
    answer.requester_id = told.requester_id();
    return answer;
  }
  answer.kind = RequesterAnswer::Kind::kKnown;
  answer.known.set_contact_id(told.contact_id());
  answer.known.set_account_id(told.account_id());
  answer.known.set_contact_level(told.contact_level());
  answer.known.set_segment(told.segment());
  answer.known.set_stage(told.stage());
  *answer.known.mutable_asked_at() = time::Stamp(in.answers->AskedAt(kRequesterQuestion));
  return answer;
}

absl::Status NoteRequester(RequesterAnswer& answer, const std::string& ticket_id,
                           corridor::View& view, corridor::Decision& decision) {
  if (answer.kind != RequesterAnswer::Kind::kUnresolved) return absl::OkStatus();
  auto waiting = view.Load(UnresolvedRequesters(), answer.requester_id);
  if (!waiting.ok()) return waiting.status();
  records::UnresolvedRequesterRecord list;
  if (*waiting) list = **waiting;
  if (list.has_assigned()) {
    // The event that assigned it was faster than this answer.
    answer.kind = RequesterAnswer::Kind::kKnown;
    answer.known = list.assigned();
    return absl::OkStatus();
  }
  if (list.ticket_ids_size() >= kMaxWaitingTickets) {
    answer.kind = RequesterAnswer::Kind::kUnreachable;
    return absl::OkStatus();
  }
  if (std::find(list.ticket_ids().begin(), list.ticket_ids().end(), ticket_id) ==
      list.ticket_ids().end()) {
    list.add_ticket_ids(ticket_id);
    decision.Save(UnresolvedRequesters(), answer.requester_id, std::move(list));
  }
  return absl::OkStatus();
}

void AskRequesterLater(const Rules& rules, int attempt, const std::string& ticket_id,
                       std::string_view bus_key, absl::Time now, corridor::Decision& decision) {
  records::RequesterTimer timer;
  timer.set_ticket_id(ticket_id);
  timer.set_attempt(attempt);
  decision.SetTimer(RequesterTimerId(ticket_id), now + rules.RequesterRetryAfter(attempt),
                    std::string(kResolveRequester), std::string(bus_key), std::move(timer));
}

}  // namespace tandem::ticket_intake
