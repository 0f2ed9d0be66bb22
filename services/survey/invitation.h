// Whether an invitation or a reminder may go out now, has to wait, or never goes out (product
// §4.4). Pure; any thread.
#ifndef TANDEM_SERVICES_SURVEY_INVITATION_H_
#define TANDEM_SERVICES_SURVEY_INVITATION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "tandem/account/v1/account_service.pb.h"
#include "tandem/account/v1/outreach_service.pb.h"

namespace tandem::survey {

// Reasons of SurveySuppressed.
inline constexpr char kNoContact[] = "no_contact";
inline constexpr char kOptOut[] = "opt_out";
inline constexpr char kFatigue[] = "fatigue";
inline constexpr char kInternal[] = "internal";
inline constexpr char kSuspectedSpam[] = "suspected_spam";  // and nobody has reviewed it
inline constexpr char kHeldTooLong[] = "held_too_long";
// What waits for a peer that cannot be asked waits for this.
inline constexpr char kUnreachable[] = "unreachable";

// A survey belongs to one resolution of one ticket, and its id says so: the same trigger, come
// twice, meets the same survey.
std::string SurveyId(std::string_view ticket_id, int64_t resolution);

// What an answer of account_health means.
struct Judgement {
  enum class Kind {
    kGo,
    kAskAnew,   // the clearance of an answer that got lost is over: put a new question
    kWait,      // may change: try again
    kWaitLost,  // may change, and nobody answered: put the same question again
    kNever,
  };
  Kind kind = Kind::kGo;
  std::string reason;        // of kWait, kWaitLost and kNever
  std::string address;       // of JudgeContact's kGo
  std::string clearance_id;  // of an ALLOW
};

// The question about a contact. It is named by whom it asks about: between question and commit a
// ticket may move to another contact, and what was answered about the former one says nothing about
// the new one.
std::string ContactQuestion(const std::string& contact_id);
corridor::Question AskContact(const std::string& contact_id);

// May this contact be written to at all? `answer` may be null when `status` is not OK. The first
// address that mail can reach is used.
Judgement JudgeContact(const absl::Status& status, const account::v1::GetContactResponse* answer);

// May an invitation go out? Fatigue and opt-out are for good, an open issue passes.
Judgement JudgeInvitation(const absl::Status& status,
                          const account::v1::CheckOutreachResponse* answer, absl::Time now);

// May a reminder go out? It is free of units, so that fatigue, which the invitation itself brought
// about, does not hold it; anything else that holds drops it.
Judgement JudgeReminder(const absl::Status& status,
                        const account::v1::CheckOutreachResponse* answer);

// When what had to wait is tried again; InfiniteFuture = it has waited long enough. The last try is
// at first_try + retry_for. `due` is the instant for which this try was set, `now` when it was
// made: tries that were missed while the service stood still are not made up for.
absl::Time NextTry(absl::Time first_try, absl::Time due, absl::Time now, absl::Duration retry_for,
                   absl::Duration retry_every);

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_INVITATION_H_
