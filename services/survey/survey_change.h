// One survey being changed by one decision: the record, its facts in order, its timers.
#ifndef TANDEM_SERVICES_SURVEY_SURVEY_CHANGE_H_
#define TANDEM_SERVICES_SURVEY_SURVEY_CHANGE_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "common/corridor/decision.h"
#include "common/corridor/view.h"
#include "common/time/stamp.h"
#include "services/survey/records.h"
#include "tandem/events/v1/survey.pb.h"
#include "tandem/survey/v1/survey_service.pb.h"

namespace tandem::survey {

// Kinds of timers.
inline constexpr char kInvite[] = "invite";    // fact-bound
inline constexpr char kRemind[] = "remind";    // fact-bound
inline constexpr char kExpire[] = "expire";    // fact-bound
inline constexpr char kDeliver[] = "deliver";  // effect
inline constexpr char kRemove[] = "remove";    // effect

// One thread; lives within one call of a rule. Writes into the decision that it was given.
class SurveyChange {
 public:
  // A survey that was loaded, present or not. Its facts are dated `now`, but never before its last
  // one.
  SurveyChange(const corridor::Loaded<records::SurveyRecord>& loaded, absl::Time now,
               corridor::Decision* decision);

  records::SurveyRecord& record() { return record_; }
  survey::v1::Survey& survey() { return *record_.mutable_survey(); }
  const std::string& id() const { return id_; }
  absl::Time at() const { return at_; }

  // Publishes a fact about the survey; what it is about and its instant are filled in here.
  template <typename E>
  void Publish(E event) {
    FillRef(event.mutable_survey());
    *event.mutable_occurred_at() = time::Stamp(at_);
    *record_.mutable_last_fact_at() = time::Stamp(at_);
    decision_->Publish(id_, record_.bus_key(), at_, std::move(event));
  }

  // Takes over what is known of the ticket. The assignee is the one at resolution.
  void CopyFacts(const records::TicketRecord& ticket);
  // Sets the timer of that kind, replacing an earlier one.
  void SetTimer(const char* kind, absl::Time due);
  // Hands a letter over, with a token of its own.
  void Deliver(bool reminder, const std::string& address);
  // Never sent, or sent no more. Each publishes its fact and takes back what was set in motion.
  void Suppress(std::string_view reason);
  void Withdraw();
  // The mailbox refused the invitation for good: nobody got it, so its units return as for one that
  // was withdrawn.
  void Bounce();
  // Nobody answers it any more; the reminder and the expiry are off.
  void StopAsking();

  void Save();

 private:
  void FillRef(events::v1::SurveyRef* ref) const;
  void GiveUp(survey::v1::SurveyState state);

  const std::string id_;
  records::SurveyRecord record_;
  const absl::Time at_;
  corridor::Decision* const decision_;
};

}  // namespace tandem::survey

#endif  // TANDEM_SERVICES_SURVEY_SURVEY_CHANGE_H_
