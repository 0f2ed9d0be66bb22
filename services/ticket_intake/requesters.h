// Who stands behind a ticket: what account_health is asked, and what its answer means.
#ifndef TANDEM_SERVICES_TICKET_INTAKE_REQUESTERS_H_
#define TANDEM_SERVICES_TICKET_INTAKE_REQUESTERS_H_

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

// The question. Its request id comes from `cause`, so that an entry of the unresolved list is made
// once however often the decision is made again.
corridor::Question AskRequester(const intake::v1::Requester& requester, std::string_view ticket_id,
                                std::string_view cause);

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
