#include "services/survey/survey_change.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/plant/plant.h"
#include "common/time/stamp.h"
#include "services/survey/letter.h"

namespace tandem::survey {
namespace {

using records::SurveyRecord;
namespace ev = events::v1;
namespace sv = survey::v1;

// A survey has one token of each: there is one reminder at most.
constexpr int32_t kInvitationToken = 1;
constexpr int32_t kReminderToken = 2;

std::string TimerId(const char* kind, const std::string& survey_id) {
  return absl::StrCat(kind, ":", survey_id);
}

std::string DeliveryId(const std::string& survey_id, bool reminder) {
  return absl::StrCat(kDeliver, ":", survey_id, reminder ? ":reminder" : ":invitation");
}

}  // namespace

SurveyChange::SurveyChange(const corridor::Loaded<SurveyRecord>& loaded, absl::Time now,
                           corridor::Decision* decision)
    : id_(loaded.key),
      record_(loaded ? *loaded : SurveyRecord()),
      at_(record_.has_last_fact_at() ? std::max(now, time::Instant(record_.last_fact_at())) : now),
      decision_(decision) {
  survey().set_survey_id(id_);
}

void SurveyChange::FillRef(ev::SurveyRef* ref) const {
  const sv::Survey& survey = record_.survey();
  ref->set_survey_id(id_);
  ref->set_kind(survey.kind());
  ref->set_account_id(survey.account_id());
  ref->set_contact_id(survey.contact_id());
  ref->set_ticket_id(survey.ticket_id());
  ref->set_resolution(survey.resolution());
}

void SurveyChange::CopyFacts(const records::TicketRecord& ticket) {
  survey().set_account_id(ticket.account_id());
  survey().set_contact_id(ticket.contact_id());
  survey().set_severity(ticket.severity());
  survey().set_category(ticket.category());
  survey().set_segment(ticket.segment());
  survey().set_channel(ticket.channel());
  survey().set_team(ticket.team());
}

void SurveyChange::SetTimer(const char* kind, absl::Time due) {
  records::SurveyTimer payload;
  payload.set_survey_id(id_);
  payload.set_ticket_id(survey().ticket_id());
  decision_->SetTimer(TimerId(kind, id_), due, kind, record_.bus_key(), std::move(payload));
}

void SurveyChange::Deliver(bool reminder, const std::string& address) {
  records::Delivery delivery;
  delivery.set_survey_id(id_);
  delivery.set_name(reminder ? ReminderName(id_) : InvitationName(id_));
  delivery.set_address(address);
  delivery.set_ordinal(reminder ? kReminderToken : kInvitationToken);
  delivery.set_kind(survey().kind());
  delivery.set_ticket_id(survey().ticket_id());
  *delivery.mutable_sent_at() = time::Stamp(at_);
  *delivery.mutable_expires_at() = survey().expires_at();
  delivery.set_reminder(reminder);
  decision_->SetTimer(DeliveryId(id_, reminder), at_, kDeliver, record_.bus_key(),
                      std::move(delivery));
}

void SurveyChange::GiveUp(sv::SurveyState state) {
  survey().set_state(state);
  survey().clear_next_try_at();
  *survey().mutable_ended_at() = time::Stamp(at_);
  if (survey().has_invited_at()) {
    StopAsking();
  } else {
    decision_->CancelTimer(TimerId(kInvite, id_));
  }
}

void SurveyChange::StopAsking() {
  if (!plant::Has(plant::Mistake::kRemindAnswered)) decision_->CancelTimer(TimerId(kRemind, id_));
  decision_->CancelTimer(TimerId(kExpire, id_));
}

void SurveyChange::Suppress(std::string_view reason) {
  GiveUp(sv::SURVEY_STATE_SUPPRESSED);
  survey().set_suppressed_for(std::string(reason));
  ev::SurveySuppressed suppressed;
  suppressed.set_reason(std::string(reason));
  Publish(std::move(suppressed));
}

void SurveyChange::Withdraw() {
  const bool was_sent = survey().has_invited_at();
  GiveUp(sv::SURVEY_STATE_WITHDRAWN);
  if (was_sent) {
    // A letter that is being put just now is put before this one is taken up: effects start in the
    // order in which they fall due.
    decision_->CancelTimer(DeliveryId(id_, false));
    decision_->CancelTimer(DeliveryId(id_, true));
    records::Removal removal;
    removal.set_survey_id(id_);
    removal.add_names(InvitationName(id_));
    removal.add_names(ReminderName(id_));
    decision_->SetTimer(TimerId(kRemove, id_), at_, kRemove, record_.bus_key(), std::move(removal));
  }
  ev::SurveyWithdrawn withdrawn;
  withdrawn.set_clearance_id(survey().clearance_id());
  Publish(std::move(withdrawn));
}

void SurveyChange::Bounce() {
  GiveUp(sv::SURVEY_STATE_BOUNCED);
  ev::SurveyWithdrawn withdrawn;
  withdrawn.set_clearance_id(survey().clearance_id());
  Publish(std::move(withdrawn));
}

void SurveyChange::Save() { decision_->Save(Surveys(), id_, std::move(record_)); }

}  // namespace tandem::survey
