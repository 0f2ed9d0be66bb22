// Who stands behind a ticket or a message: what account_health is asked, what its answer means, and
// how long it is remembered.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_REQUESTERS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_REQUESTERS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "services/ticket_intake/records.h"
#include "services/ticket_intake/rules.h"

namespace tandem::ticket_intake {

// The name of the question in Answers.
inline constexpr std::string_view kRequesterQuestion = "requester";

// The question of a ticket. Its request id comes from `cause`, so that a contact, or an entry of
// the unresolved list, is made once however often the decision is made again.
corridor::Question AskRequester(const intake::v1::Requester& requester, std::string_view ticket_id,
                                std::string_view cause);

// The question who somebody is, by which account_health stores nothing.
corridor::Question LookUpRequester(std::string name, const intake::v1::Requester& requester,
                                   std::string_view cause);

// UNAVAILABLE ACCOUNT_HEALTH_UNREACHABLE with RetryInfo: "… cannot be asked about <whom> now".
absl::Status AccountHealthUnreachable(std::string_view whom);

struct RequesterAnswer {
  enum class Kind {
    kKnown,        // `known`
    kUnresolved,   // `requester_id`: a person will assign it
    kUnreachable,  // ask later
  };
  Kind kind = Kind::kUnreachable;
  records::KnownRequesterRecord known;
  std::string requester_id;
};

// What account_health told about `requester`, while it may be used again: younger than the policy's
// requester_valid_for, and asked after the last change of that contact or its account that was
// heard of (an address may have moved with it). Absent = ask.
absl::StatusOr<std::optional<records::KnownRequesterRecord>> RememberedRequester(
    std::string_view requester_key, const Rules& rules, absl::Time now, corridor::View& view);

// Who sent a message, by the address that it came from (product §1.4).
struct Sender {
  bool must_ask = false;  // `question`, and decide again
  corridor::Question question;
  type::v1::AuthorKind author_kind = type::v1::AUTHOR_KIND_THIRD_PARTY;
  std::string contact_id;  // of a REQUESTER; empty while the ticket's requester is unresolved
};

// The requester himself, another contact of the ticket's account, or a stranger: a stranger is who
// is no contact, one of several that share the address, or a contact of another account.
// UNAVAILABLE when account_health cannot be asked and nothing that is remembered tells: what is
// stored then would be wrong for good, and whoever sends mail keeps it until it is taken.
absl::StatusOr<Sender> WhoSent(std::string_view canonical, const records::TicketRecord& ticket,
                               const Rules& rules, const corridor::Inputs& in, corridor::View& view,
                               corridor::Decision& decision);

// The gathered answer. NOT_FOUND and INVALID_ARGUMENT are account_health's own word about the
// requester; whatever else went wrong there is no reason to refuse a ticket.
absl::StatusOr<RequesterAnswer> ReadRequesterAnswer(const corridor::Inputs& in);

// Enters the ticket into the list of those that wait for an unresolved requester. `answer` may
// change: a requester who was assigned meanwhile is known, and one with too many waiting tickets is
// asked later.
absl::Status NoteRequester(RequesterAnswer& answer, const std::string& ticket_id,
                           corridor::View& view, corridor::Decision& decision);

// Sets the timer that asks again, after `attempt` failures.
void AskRequesterLater(const Rules& rules, int attempt, const std::string& ticket_id,
                       std::string_view bus_key, absl::Time now, corridor::Decision& decision);

}  // namespace tandem::ticket_intake

#endif  // TANDEM_SERVICES_TICKET_INTAKE_REQUESTERS_H_
