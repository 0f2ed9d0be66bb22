#include "services/ticket_intake/requesters.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/config/views.h"
#include "common/corridor/errors.h"
#include "common/id/id.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"
#include "services/ticket_intake/ticket_change.h"
#include "tandem/account/v1/account_service.pb.h"

namespace tandem::ticket_intake {

using config::Absl;

namespace {

using records::KnownRequesterRecord;
using records::TicketRecord;

// Of one unknown requester. Beyond it a ticket asks by its timer instead: a row must not grow for
// ever.
constexpr int kMaxWaitingTickets = 1000;

constexpr std::string_view kMethod = "tandem.account.v1.AccountService/ResolveRequester";
constexpr std::string_view kSenderQuestion = "sender";

// The difference between the clocks of two processes that is allowed.
constexpr absl::Duration kClockSkew = absl::Seconds(5);

// The requester of a question, its request id made from `cause` and the question's name.
std::shared_ptr<account::v1::ResolveRequesterRequest> QuestionAbout(
    const intake::v1::Requester& requester, std::string_view cause, std::string_view name) {
  auto request = std::make_shared<account::v1::ResolveRequesterRequest>();
  request->set_request_id(id::Derive("req", {"ticket_intake", cause, name}));
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
  return request;
}

absl::StatusOr<RequesterAnswer> ReadAnswer(const corridor::Inputs& in, std::string_view question) {
  const auto reply = in.answers->Get<account::v1::ResolveRequesterResponse>(question);
  RequesterAnswer answer;
  if (!reply.ok()) {
    if (absl::IsNotFound(reply.status()) || absl::IsInvalidArgument(reply.status())) {
      return reply.status();
    }
    return answer;
  }
  const account::v1::ResolveRequesterResponse& told = **reply;
  if (told.contact_id().empty()) {
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
  *answer.known.mutable_asked_at() = time::Stamp(in.answers->AskedAt(question));
  return answer;
}

}  // namespace

corridor::Question AskRequester(const intake::v1::Requester& requester, std::string_view ticket_id,
                                std::string_view cause) {
  auto request = QuestionAbout(requester, cause, kRequesterQuestion);
  request->set_ticket_id(std::string(ticket_id));
  return {std::string(kRequesterQuestion), std::string(kMethod), std::move(request)};
}

corridor::Question LookUpRequester(std::string name, const intake::v1::Requester& requester,
                                   std::string_view cause) {
  auto request = QuestionAbout(requester, cause, name);
  request->set_lookup_only(true);
  return {std::move(name), std::string(kMethod), std::move(request)};
}

absl::Status AccountHealthUnreachable(std::string_view whom) {
  return corridor::WithRetryAfter(
      corridor::WithReason(absl::UnavailableError(absl::StrCat(
                               "account_health cannot be asked about ", Absl(whom), " now")),
                           "ACCOUNT_HEALTH_UNREACHABLE"),
      absl::Seconds(1));
}

absl::StatusOr<std::optional<KnownRequesterRecord>> RememberedRequester(
    std::string_view requester_key, const Rules& rules, absl::Time now, corridor::View& view) {
  if (rules.requester_valid_for() == absl::ZeroDuration()) return std::nullopt;
  auto known = view.Load(KnownRequesters(), requester_key);
  if (!known.ok()) return known.status();
  if (!*known) return std::nullopt;
  const absl::Time asked_at = time::Instant((*known)->asked_at());
  if (now - asked_at >= rules.requester_valid_for()) return std::nullopt;
  if (plant::Has(plant::Mistake::kAddressKept)) return **known;
  // Both instants are our own clocks', which may differ from process to process.
  const auto is_older_than = [&](const google::protobuf::Timestamp& heard_at) {
    return asked_at < time::Instant(heard_at) + kClockSkew;
  };
  auto contact = view.Load(Contacts(), (*known)->contact_id());
  if (!contact.ok()) return contact.status();
  if (*contact && is_older_than((*contact)->heard_at())) return std::nullopt;
  auto account = view.Load(Accounts(), (*known)->account_id());
  if (!account.ok()) return account.status();
  if (*account && is_older_than((*account)->heard_at())) return std::nullopt;
  return **known;
}

absl::StatusOr<Sender> WhoSent(std::string_view canonical, const TicketRecord& ticket,
                               const Rules& rules, const corridor::Inputs& in, corridor::View& view,
                               corridor::Decision& decision) {
  const std::string& own_account = ticket.ticket().account_id();
  const std::string& own_contact = ticket.ticket().contact_id();
  Sender requester;
  requester.author_kind = type::v1::AUTHOR_KIND_REQUESTER;
  requester.contact_id = own_contact;
  const std::string key = AddressKey(canonical);
  const bool opened_it = ticket.address_key() == key;
  const auto contact = [&](const KnownRequesterRecord& known) {
    Sender sender;
    if (!own_account.empty() && known.account_id() == own_account) {
      sender.author_kind = type::v1::AUTHOR_KIND_REQUESTER;
      sender.contact_id = known.contact_id();
    }
    return sender;
  };
  // Nobody knows yet who opened it; whoever writes from the same address is the same.
  if (opened_it && own_contact.empty()) return requester;

  auto remembered = RememberedRequester(key, rules, in.now, view);
  if (!remembered.ok()) return remembered.status();
  if (*remembered) return contact(**remembered);

  if (!in.answers->Has(kSenderQuestion)) {
    intake::v1::Requester whom;
    whom.set_address(std::string(canonical));
    Sender sender;
    sender.must_ask = true;
    sender.question = LookUpRequester(std::string(kSenderQuestion), whom, in.cause);
    return sender;
  }
  const auto answer = ReadAnswer(in, kSenderQuestion);
  if (answer.ok() && answer->kind == RequesterAnswer::Kind::kKnown) {
    if (rules.requester_valid_for() > absl::ZeroDuration()) {
      auto known = view.Load(KnownRequesters(), key);
      if (!known.ok()) return known.status();
      decision.Save(KnownRequesters(), key, answer->known);
    }
    return contact(answer->known);
  }
  const bool is_told = !answer.ok() || answer->kind == RequesterAnswer::Kind::kUnresolved;
  if (opened_it) return requester;  // no contact's address any more, or the owner cannot say
  if (is_told) return plant::Has(plant::Mistake::kStrangerSpeaks) ? requester : Sender();
  auto known = view.Load(KnownRequesters(), key);
  if (!known.ok()) return known.status();
  if (*known && (*known)->contact_id() == own_contact && !own_contact.empty()) return requester;
  return AccountHealthUnreachable("the sender of the message");
}

absl::StatusOr<RequesterAnswer> ReadRequesterAnswer(const corridor::Inputs& in) {
  return ReadAnswer(in, kRequesterQuestion);
}

absl::Status NoteRequester(RequesterAnswer& answer, const std::string& ticket_id,
                           corridor::View& view, corridor::Decision& decision) {
  if (answer.kind != RequesterAnswer::Kind::kUnresolved) return absl::OkStatus();
  if (answer.requester_id.empty()) {
    answer.kind = RequesterAnswer::Kind::kUnreachable;  // it keeps no list of it: ask again
    return absl::OkStatus();
  }
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
